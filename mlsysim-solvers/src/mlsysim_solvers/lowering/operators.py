"""The rows of an operator table, and how the common ones are built."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from mlsysim.numeric import where

from ..formulas.gemm import matmul_activation_bytes, matmul_flops, matmul_weight_bytes
from ..formulas.mixture import grouped_flops
from ..formulas.vision import missed_bytes

__all__ = [
    "MATRIX_KINDS", "ONCE", "SPECIAL_KINDS", "STREAM_KINDS", "WIDE", "Formats", "Operator", "Table", "gemm",
    "operator_of", "resident", "spared", "stream",
]  # fmt: skip

ONCE = 1.0
"""Count of an operator outside the layers; one object, so that neighbours are added together."""

MATRIX_KINDS = frozenset({"gemm", "grouped_gemm", "conv"})
"""Kinds whose arithmetic runs in output tiles."""

SPECIAL_KINDS = frozenset({"attention", "results"})
"""Kinds whose time units beside the products may set: exponentials of attention, results of products."""

WIDE = "wide_gemm"
"""Kind of matrix products that run in the format of the activations, as attention does, where others run in fewer
bits."""

STREAM_KINDS = frozenset({"elementwise", "lookup", "optimizer"})
"""Kinds that only move data."""


class Operator(NamedTuple):
    """One row: an operator of one layer, and in how many layers it occurs.

    Parameters
    ----------
    name : str
        What it is.
    kind : str
        gemm, wide_gemm, grouped_gemm, conv, attention, results, depthwise, elementwise, lookup or optimizer.
    count : float, count
        Layers that have it.
    m, n, k, batch : float or array, count
        Rows, columns and inner dimension of the matrix products, and how many there are; of attention,
        ``batch`` counts the exponentials, and of results these.
    flops : float or array, FLOP
        Work of the model: causal attention counted half, recomputation not at all.
    weight_bytes, activation_bytes, cache_bytes : float or array, B
        Memory traffic by what is moved; the cache holds keys and values.
    kernels : float, count
        Kernels launched.
    work : float or array, FLOP
        Arithmetic that is done, without the padding of tiles; the model's own and what is done again.
    repeated_bytes : float or array, B
        Reads that the last-level cache answers, as memory traffic that takes as long.
    """

    name: str
    kind: str
    count: Any
    m: Any
    n: Any
    k: Any
    batch: Any
    flops: Any
    weight_bytes: Any
    activation_bytes: Any
    cache_bytes: Any = 0.0
    kernels: Any = 1.0
    work: Any = 0.0
    repeated_bytes: Any = 0.0


operator_of = partial(tuple.__new__, Operator)
"""An operator from the tuple of all its fields, in half the time that the class takes: a solve makes dozens."""

Table = list[Operator]


class Formats(NamedTuple):
    """Number formats of a pass, as sizes.

    Parameters
    ----------
    weight, operand, activation, cache : float, B
        Bytes per element of weights, of what multiplies them, of activations between operators, and of
        the key-value cache.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.
    outer, head : float, B, or None
        Bytes per element of the weights around attention and of routers, and of the output projection, where they are
        left in the format of the activations; None for that of all weights.
    narrow : bool
        Whether other products run in fewer bits than these.
    casts : float, count
        Kernels of a layer that only bring operands into blocks with a scale each.
    grouped : float, ratio
        Rate of products of many experts at once over that of single ones.
    """

    weight: Any
    operand: Any
    activation: Any
    cache: Any
    flop_per_mac: Any
    outer: Any = None
    head: Any = None
    narrow: bool = False
    casts: Any = 0.0
    grouped: Any = 1.0


def gemm(
    name: str, count: Any, m: Any, n: Any, k: Any, formats: Formats, batch: Any = 1.0, *, out: Any = None,
    kind: str = "gemm",
) -> Operator:  # fmt: skip
    """Return a matrix product with weights.

    Parameters
    ----------
    name : str
        What it is.
    count : float, count
        Layers that have it.
    m, n, k, batch : float or array, count
        Rows, columns, inner dimension, products.
    formats : Formats
        Number formats.
    out : float, count
        Columns written, when an epilogue merges some of the ``n``.
    kind : str
        gemm or grouped_gemm.

    Returns
    -------
    Operator
    """
    weight, operand, activation, _, flop_per_mac, *_ = formats
    flops = matmul_flops(m, n, k, batch, flop_per_mac)
    work = grouped_flops(flops, formats.grouped) if kind == "grouped_gemm" else flops
    return operator_of((
        name, kind, count, m, n, k, batch, flops, matmul_weight_bytes(n, k, batch, weight),
        matmul_activation_bytes(m, n if out is None else out, k, batch, operand, activation), 0.0, 1.0, work, 0.0,
    ))  # fmt: skip


def spared(formats: Formats, width: Any) -> tuple[Formats, str]:
    """Return the formats of products whose weights were not brought into fewer bits, and their kind.

    Parameters
    ----------
    formats : Formats
        Number formats of the others.
    width : float, B, or None
        Bytes per element of these weights; None where they are like all others.

    Returns
    -------
    formats : Formats
    kind : str
        ``gemm``, or ``wide_gemm`` where they run at the rate of the activations' format.
    """
    if width is None:
        return formats, "gemm"
    wide = formats._replace(weight=width, operand=formats.activation)
    return wide, WIDE if formats.narrow else "gemm"


def stream(name: str, count: Any, traffic: Any, kernels: Any = 1.0, kind: str = "elementwise") -> Operator:
    """Return an operator that only moves data.

    Parameters
    ----------
    name : str
        What it is.
    count : float, count
        Layers that have it.
    traffic : float or array, B
        Bytes moved in one layer.
    kernels : float, count
        Kernels launched in one layer.
    kind : str
        elementwise, lookup or optimizer.

    Returns
    -------
    Operator
    """
    return operator_of((name, kind, count, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, traffic, 0.0, kernels, 0.0, 0.0))


def resident(table: Table, cache: Any, ratio: Any) -> Table:
    """Return a pass whose activations stay in the last-level cache between operators as far as they fit.

    Parameters
    ----------
    table : list of Operator
        The pass.
    cache : float, B
        Last-level cache.
    ratio : float, ratio
        Its bandwidth over that of memory.

    Returns
    -------
    list of Operator
        Weights, look-ups and keys and values that are kept are read from memory as before.
    """
    result: Table = []
    for row in table:
        if row.kind == "lookup":
            result.append(row)
            continue
        # Kernels follow one another: each finds what the one before it left. What is fused with others has none.
        kernels = where(row.kernels > 0.0, row.kernels, 1.0)
        each = row.activation_bytes / kernels
        result.append(row._replace(activation_bytes=kernels * missed_bytes(each, cache, ratio)))
    return result
