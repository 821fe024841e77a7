"""Images: patches of vision transformers, and convolutions as matrix products."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import minimum

__all__ = ["conv_bytes", "conv_flops", "conv_rows", "gathered_work", "image_patches", "missed_bytes", "winograd_share"]


@formula("1", image="1", patch="1")
def image_patches(image: Any, patch: Any) -> Any:
    """Return the patches of a square image.

    Parameters
    ----------
    image, patch : float, pixel
        Sides.

    Returns
    -------
    float, count

    Notes
    -----
    (H / P)^2; the class token is one more.
    """
    side = image / patch
    return side * side


@formula("1", batch="1", height="1", width="1")
def conv_rows(batch: Any, height: Any, width: Any) -> Any:
    """Return the rows of a convolution seen as a matrix product.

    Parameters
    ----------
    batch : float or array, count
        Samples.
    height, width : float, pixel
        Output map.

    Returns
    -------
    float or array, count

    Notes
    -----
    m = b H W; n = C_out / g; k = K^2 C_in / g.
    """
    return batch * (height * width)


@formula("FLOP", batch="1", macs="1", flop_per_mac="FLOP")
def conv_flops(batch: Any, macs: Any, flop_per_mac: Any) -> Any:
    """Return the work of a convolution or dense layer.

    Parameters
    ----------
    batch : float or array, count
        Samples.
    macs : float, count
        Multiply-accumulates per sample, K^2 C_in C_out H W / g.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F = 2 b K^2 C_in C_out H W / g.
    """
    return flop_per_mac * macs * batch


@formula("1", columns="1", macs="1")
def gathered_work(columns: Any, macs: Any) -> Any:
    """Return the work of a convolution whose windows are copied first, over that of its multiply-accumulates.

    Parameters
    ----------
    columns : float, count
        Output channels of a group, which share a window.
    macs : float, count
        Multiply-accumulates that take as long as the copy of one element.

    Returns
    -------
    float, ratio

    Notes
    -----
    1 + c / n: each element of a window is copied once and multiplied once for each of n columns.
    """
    return 1.0 + macs / columns


@formula("B", batch="1", elements="1", width="B")
def conv_bytes(batch: Any, elements: Any, width: Any) -> Any:
    """Return the traffic of feature maps.

    Parameters
    ----------
    batch : float or array, count
        Samples.
    elements : float, count
        Elements read and written per sample.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q = b e w.
    """
    return width * elements * batch


@formula("B", traffic="B", cache="B", ratio="1")
def missed_bytes(traffic: Any, cache: Any, ratio: Any) -> Any:
    """Return the memory traffic that takes as long as an operator's inputs and outputs, some of them in cache.

    Parameters
    ----------
    traffic : float or array, B
        Inputs and outputs.
    cache : float, B
        Last-level cache.
    ratio : float, ratio
        Bandwidth of the cache over that of memory.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q - h (1 - 1 / r) with h = min(Q, C): what fits the cache is still there when the next operator
    reads it.
    """
    return traffic - minimum(traffic, cache) * (1.0 - 1.0 / ratio)


@formula("1", tile="1", kernel="1")
def winograd_share(tile: Any, kernel: Any) -> Any:
    """Return the multiplications of a convolution by Winograd's minimal filtering, over those of a direct one.

    Parameters
    ----------
    tile : float, pixel
        Side of a tile of the output.
    kernel : float, pixel
        Side of the kernel.

    Returns
    -------
    float, ratio

    Notes
    -----
    (t + K - 1)^2 / (t K)^2: F(2 x 2, 3 x 3) takes 16 multiplications instead of 36. Transforms of inputs and outputs
    are additions, which the arithmetic ceiling of the stack carries.

    References
    ----------
    Lavin and Gray 2015, Fast Algorithms for Convolutional Neural Networks, arXiv:1509.09308, abstract: minimal
    filtering over small tiles, up to four times less arithmetic than direct convolution.
    """
    side = (tile + kernel - 1.0) / (tile * kernel)
    return side * side
