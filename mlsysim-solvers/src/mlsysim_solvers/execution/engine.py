"""Run a table of operators: one roofline each, summed."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum, where
from mlsysim.tracing import Traced, named

from ..formulas.gemm import matmul_flops, padded_flops
from ..formulas.roofline import (
    compute_bound_time,
    compute_time,
    kernel_time,
    memory_time,
    operator_time,
    special_time,
)
from ..lowering.operators import STREAM_KINDS, Table
from .quantisation import TileMenu

__all__ = ["Machine", "Totals", "run", "together"]


class Machine(NamedTuple):
    """A device under a stack, as rates.

    Parameters
    ----------
    matrix_rate, attention_rate, vector_rate : float or array, FLOP/s
        Effective arithmetic rates by engine.
    bandwidth : float or array, B/s
        Effective memory bandwidth.
    overhead : float or array, s
        Time per kernel that nothing hides.
    processors : float, count
        Units that each run one output tile at a time.
    menu : TileMenu
        Tiles of the matrix-product library.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.
    weight_slowness : float or array, ratio, or None
        Memory bandwidth over that of the storage from which weights are read in place; None when they
        lie in memory.
    special_rate : float, 1/s, or None
        Exponentials per time; None where nobody knows the units.
    asynchronous : bool
        Whether the host's time per kernel overlaps with the device's, so that the longer of both counts.
    """

    matrix_rate: Any
    attention_rate: Any
    vector_rate: Any
    bandwidth: Any
    overhead: Any
    processors: Any
    menu: TileMenu
    flop_per_mac: Any
    weight_slowness: Any = None
    special_rate: Any = None
    asynchronous: bool = False


class Totals(NamedTuple):
    """What a table takes.

    Parameters
    ----------
    time : float or array, s
        Sum of the operators' times and of their kernels' overheads.
    compute, overhead : float or array, s
        Parts of it that arithmetic and kernels set; memory sets the rest.
    compute_demand, memory_demand : float or array, s
        What arithmetic alone, and traffic alone, would take.
    flops : float or array, FLOP
        Work of the model.
    traffic : float or array, B
        Memory traffic.
    """

    time: Any
    compute: Any
    overhead: Any
    compute_demand: Any
    memory_demand: Any
    flops: Any
    traffic: Any


def together(first: Totals, second: Totals, times: Any) -> Totals:
    """Return one table run once and another run several times.

    Parameters
    ----------
    first, second : Totals
        The tables.
    times : float or array, count
        Runs of the second.

    Returns
    -------
    Totals
    """
    return Totals(*(a + times * b for a, b in zip(first, second, strict=True)))


def run(table: Table, machine: Machine) -> Totals:
    """Return what a table of operators takes.

    Parameters
    ----------
    table : list of Operator
        Rows; neighbours with the same count are added before they are multiplied.
    machine : Machine
        The rates.

    Returns
    -------
    Totals

    Notes
    -----
    t = sum over operators of count (max(F / (P q), Q / B) + n t_k).
    """
    matrix_rate, attention, vector, bandwidth, overhead, processors, menu, flop_per_mac, *rest = machine
    slowness, special, ahead = rest
    area_of = menu.area
    # For an explanation each row is a group of its own, so that the tree shows operators by name.
    labelled = isinstance(bandwidth, Traced)
    groups: list[tuple[Any, ...]] = []
    count, group = table[0].count, table[0].name
    time = bound = work_time = move_time = flops = traffic = kernels = 0.0
    for name, kind, times, m, n, k, batch, model_flops, weights, own_bytes, cache, launched, work, repeated in table:
        if times is not count or (labelled and name is not group):
            groups.append((group, count, time, bound, work_time, move_time, flops, traffic, kernels))
            time = bound = work_time = move_time = flops = traffic = kernels = 0.0
            count, group = times, name
        if kind in STREAM_KINDS:
            moved = own_bytes
            own = own_move = memory_time(moved, bandwidth)
        else:
            if kind == "attention":
                own_work = compute_time(work, attention)
                if special is not None:
                    own_work = own_work + special_time(batch, special)
                moved = own_bytes + cache
                own_move = memory_time(moved + repeated, bandwidth)
            else:
                if kind == "depthwise":
                    own_work = compute_time(work, vector)
                else:
                    padded = padded_flops(area_of(m, n, k, batch), k, processors, flop_per_mac)
                    # A product with few rows runs faster as matrix-vector products, without padding.
                    plain = matmul_flops(m, n, k, batch, flop_per_mac)
                    own_work = minimum(compute_time(padded, matrix_rate), compute_time(plain, vector))
                moved = own_bytes + weights
                waited = moved if slowness is None else own_bytes + weights * slowness
                own_move = memory_time(waited, bandwidth)
            own = operator_time(own_work, own_move)
            bound = bound + compute_bound_time(own_work, own_move)
            work_time = work_time + own_work
            flops = flops + model_flops
        time = time + own
        move_time = move_time + own_move
        traffic = traffic + moved
        kernels = kernels + launched
    groups.append((group, count, time, bound, work_time, move_time, flops, traffic, kernels))
    return _multiplied(groups, overhead, ahead=ahead, labelled=labelled)


def _multiplied(groups: list[tuple[Any, ...]], overhead: Any, *, ahead: bool, labelled: bool) -> Totals:
    """Add the groups of a table, each as often as its layers occur."""
    time = bound = work_time = move_time = flops = traffic = kernels = 0.0
    for name, count, own, own_bound, own_work, own_move, own_flops, own_traffic, own_kernels in groups:
        spent, launched = count * own, count * own_kernels
        if labelled:
            spent, launched = named(spent, name), named(launched, name)
        time = time + spent
        bound = bound + count * own_bound
        work_time = work_time + count * own_work
        move_time = move_time + count * own_move
        flops = flops + count * own_flops
        traffic = traffic + count * own_traffic
        kernels = kernels + launched
    waiting = kernel_time(kernels, overhead)
    if ahead:
        late = waiting > time
        bound, shown = where(late, 0.0 * bound, bound), where(late, waiting, 0.0 * waiting)
        return Totals(maximum(time, waiting), bound, shown, work_time, move_time, flops, traffic)
    return Totals(time + waiting, bound, waiting, work_time, move_time, flops, traffic)
