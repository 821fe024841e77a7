"""Matrix products: work, traffic, and what tiles and waves waste."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import ceil

__all__ = [
    "delivered_rate",
    "joining_area",
    "lone_area",
    "matmul_activation_bytes",
    "matmul_flops",
    "matmul_weight_bytes",
    "output_tiles",
    "padded_flops",
    "tile_area",
]


@formula("FLOP", m="1", n="1", k="1", batch="1", flop_per_mac="FLOP")
def matmul_flops(m: Any, n: Any, k: Any, batch: Any, flop_per_mac: Any) -> Any:
    """Return the work of a matrix product, or of several alike.

    Parameters
    ----------
    m : float or array, count
        Rows of the left operand.
    n : float or array, count
        Columns of the right operand.
    k : float or array, count
        Inner dimension.
    batch : float or array, count
        Products of this size.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F = 2 b m n k.
    """
    return flop_per_mac * n * k * batch * m


@formula("B", n="1", k="1", batch="1", width="B")
def matmul_weight_bytes(n: Any, k: Any, batch: Any, width: Any) -> Any:
    """Return the bytes of the right operands, read once.

    Parameters
    ----------
    n, k : float or array, count
        Columns and rows of one right operand.
    batch : float or array, count
        Products, each with its own operand.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q_w = b n k w.
    """
    return width * n * k * batch


@formula("B", m="1", n="1", k="1", batch="1", operand="B", result="B")
def matmul_activation_bytes(m: Any, n: Any, k: Any, batch: Any, operand: Any, result: Any) -> Any:
    """Return the bytes of the left operand, read once, and of the result, written once.

    Parameters
    ----------
    m, n, k : float or array, count
        Rows, columns and inner dimension.
    batch : float or array, count
        Products of this size.
    operand, result : float, B
        Bytes per element of the left operand and of the result.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q_a = b m (k w_in + n w_out).
    """
    return (operand * k + result * n) * batch * m


@formula("1", m="1", n="1", batch="1", tile_m="1", tile_n="1")
def output_tiles(m: Any, n: Any, batch: Any, tile_m: Any, tile_n: Any) -> Any:
    """Return the number of output tiles.

    Parameters
    ----------
    m, n : float or array, count
        Rows and columns of one result.
    batch : float or array, count
        Products of this size.
    tile_m, tile_n : float, count
        Rows and columns of a tile.

    Returns
    -------
    float or array, count

    Notes
    -----
    n_t = b ceil(m / t_m) ceil(n / t_n)

    Each product is padded to whole tiles (tile quantisation).
    """
    return batch * ceil(n / tile_n) * ceil(m / tile_m)


@formula("1", tiles="1", processors="1", tile_m="1", tile_n="1", rate="1", split="1")
def tile_area(tiles: Any, processors: Any, tile_m: Any, tile_n: Any, rate: Any, split: Any) -> Any:
    """Return the output area that the busiest processor works through, at the rate of the best tile.

    Parameters
    ----------
    tiles : float or array, count
        Output tiles.
    processors : float, count
        Units that each run one tile at a time.
    tile_m, tile_n : float, count
        Rows and columns of a tile.
    rate : float, ratio
        Rate of this tile relative to the best of the menu.
    split : float, count
        Parts into which the inner dimension is divided.

    Returns
    -------
    float or array, count

    Notes
    -----
    A = ceil(n_t s / S) t_m t_n / (s r)

    Processors work in waves, and the last wave takes as long as a full one (wave quantisation). The
    area depends on shape and processor count only.

    References
    ----------
    NVIDIA, Matrix Multiplication Background User's Guide: tile and wave quantisation.
    """
    return ceil(tiles * split / processors) * (tile_m * tile_n / (split * rate))


@formula("1", parts="1", tile_m="1", tile_n="1", k="1", macs="1", clocks="1", width="B", delivery="B")
def joining_area(
    parts: Any, tile_m: Any, tile_n: Any, k: Any, macs: Any, clocks: Any, width: Any, delivery: Any
) -> Any:  # fmt: skip
    """Return the output area whose products take as long as adding up the parts of a divided product.

    Parameters
    ----------
    parts : float or array, count
        Tiles of partial sums that the busiest processor writes.
    tile_m, tile_n : float, count
        Rows and columns of a tile.
    k : float or array, count
        Inner dimension of the whole product.
    macs : float, count
        Multiply-accumulates of a processor in one clock.
    clocks : float, count
        Clocks in which a second kernel starts, waits for its operands and ends.
    width : float, B
        Bytes of a partial sum.
    delivery : float, B
        What the last-level cache delivers to a processor in one clock.

    Returns
    -------
    float or array, count

    Notes
    -----
    (c + 2 p t_m t_n w / D) N / k: partial sums are written and read again, and N products in each of k steps are an
    area of N / k. Deep products are divided at hardly any cost, short ones not at all.

    References
    ----------
    NVIDIA, CUTLASS documentation, Efficient GEMM in CUDA, Parallelized Reductions: a kernel of partial sums, then one
    that adds them up.
    """
    return (clocks * macs + 2.0 * tile_m * tile_n * (width / delivery) * macs * parts) / k


@formula("1", clocks="1", work="FLOP", width="B", step="B", flop_per_mac="FLOP")
def lone_area(clocks: Any, work: Any, width: Any, step: Any, flop_per_mac: Any) -> Any:
    """Return the output area whose products take as long as what a tile waits for that has a processor to itself.

    Parameters
    ----------
    clocks : float, count
        Clocks in each step of the inner dimension in which the matrix units wait: for operands from shared memory,
        for their own results, at a barrier.
    work : float, FLOP
        What the units of a processor do in one clock.
    width : float, B
        Bytes per element of the operands.
    step : float, B
        Depth of a step.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float, count

    Notes
    -----
    c N w / (2 s): a step of s / w elements multiplies 2 a s / w for an area a. The faster the units, the larger a tile
    has to be; where several tiles share a processor one computes while another waits.
    """
    return clocks * work * width / (flop_per_mac * step)


@formula("1", tile_m="1", tile_n="1", width="B", work="FLOP", delivery="B", flop_per_mac="FLOP")
def delivered_rate(tile_m: Any, tile_n: Any, width: Any, work: Any, delivery: Any, flop_per_mac: Any) -> Any:
    """Return the rate of a tile whose operands come from the last-level cache, over that of its units.

    Parameters
    ----------
    tile_m, tile_n : float, count
        Rows and columns of a tile.
    width : float, B
        Bytes per element of the operands.
    work : float, FLOP
        What the units of a processor do in one clock.
    delivery : float, B
        What the cache delivers to it in one clock.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float, ratio
        Above 1 where the cache delivers more than the units take.

    Notes
    -----
    2 t_m t_n b / ((t_m + t_n) w N)

    Each step of the inner dimension needs a row and a column of operands and does two operations per element of
    the tile.

    References
    ----------
    Williams, Waterman, Patterson 2009, Roofline, Communications of the ACM 52(4): intensity by level of memory.
    """
    return flop_per_mac * tile_m * tile_n * delivery / ((tile_m + tile_n) * width * work)


@formula("FLOP", area="1", k="1", processors="1", flop_per_mac="FLOP")
def padded_flops(area: Any, k: Any, processors: Any, flop_per_mac: Any) -> Any:
    """Return the work of a matrix product with its padding: what the whole device is busy for.

    Parameters
    ----------
    area : float or array, count
        Area that the busiest processor works through.
    k : float or array, count
        Inner dimension.
    processors : float, count
        Units that each run one tile at a time.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F / q = 2 S k A.
    """
    return flop_per_mac * k * processors * area
