"""What of a table of operators no rate changes: work, padding and traffic.

Many machines, or the same one under many assumptions about its rates, share it: it is worked out once, and timed as
often as rates differ.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from mlsysim.numeric import is_array, maximum, only
from mlsysim.tracing import Traced

from ...formulas.constants import FEW_ROWS
from ...formulas.gemm import padded_flops
from ...lowering.linear import Linear
from ...lowering.operators import MATRIX_KINDS, SPECIAL_KINDS, STREAM_KINDS, WIDE, Operator, Table
from .machine import Machine

__all__ = ["Product", "Scores", "Settled", "Settlement", "settle"]


Product = tuple[Any, Any, Any, Any, Any]
"""A matrix product without anything that a rate changes: its work in tiles with padding, and without (FLOP), and its
traffic (B): all of it, without weights, and of weights. Beside the matrix units nothing is padded."""

Scores = tuple[Any, Any, Any]
"""Fused attention without anything that a rate changes: its arithmetic (FLOP), its exponentials (count) and its
traffic (B), with what takes as long: reads that the last-level cache answers."""


class Settled(NamedTuple):
    """Rows of a table that equally many layers have, without anything that a rate changes.

    Parameters
    ----------
    name : str
        Of the first row.
    count, kernels : float, count
        Layers that have them, and kernels launched in one.
    products, beside : list of Product
        Products in tiles, and arithmetic that runs beside the matrix units.
    scores : list of Scores
        Fused attention, and results of products on a processor that has no units for them.
    streamed, others, weights : float or array, B
        Traffic of rows that only move data; traffic and reads of all rows, without weights, and of weights.
    traffic : float or array, B
        Memory traffic of all rows.
    flops : float or array, FLOP
        Work of the model.
    """

    name: str
    count: Any
    kernels: Any
    products: list[Product]
    beside: list[Product]
    scores: list[Scores]
    streamed: Any
    others: Any
    weights: Any
    traffic: Any
    flops: Any


_settled_of = partial(tuple.__new__, Settled)
"""From the tuple of all fields, as :data:`mlsysim_solvers.lowering.operators.operator_of`."""


class Settlement(list[Settled]):
    """A settled table.

    Attributes
    ----------
    ranking : tuple, or None
        Its products sorted by intensity, once a sweep asked for it.
    """

    ranking: tuple[Any, ...] | None = None


def settle(table: Table, machine: Machine) -> Settlement:
    """Work out what of a table does not depend on rates.

    Parameters
    ----------
    table : list of Operator
        Rows.
    machine : Machine
        Its processors, tiles and work per multiply-accumulate.

    Returns
    -------
    Settlement
    """
    if not table:
        return Settlement()
    if isinstance(machine.bandwidth, Traced):
        # For an explanation each row stands for itself, so that the tree shows operators by name.
        return Settlement([_settled([row], machine) for row in table])
    if len(set(map(id, map(_COUNT, table)))) == 1:
        return Settlement([_settled(table, machine)])
    groups: dict[int, Table] = {}
    for row in table:
        groups.setdefault(id(row.count), []).append(row)
    return Settlement([_settled(group, machine) for group in groups.values()])


_COUNT = itemgetter(Operator._fields.index("count"))
"""How many layers have a row."""

_MOVED = itemgetter(Operator._fields.index("activation_bytes"))
"""Traffic of a row."""


def _is_own(number: Any) -> bool:
    """Tell whether a number of a pass is another one in every configuration."""
    return type(number) is Linear or is_array(number)


def _settled(rows: Table, machine: Machine) -> Settled:
    area_of, processors, flop_per_mac = machine.menu.area, machine.processors, machine.flop_per_mac
    windowed = area_of if machine.windows is None else machine.windows.area
    products: list[Product] = []
    beside: list[Product] = []
    scores: list[Scores] = []
    kernels = streamed = others = weights = again = flops = 0.0
    # Tables of arrays are not kept: where only times are asked for, sums over their rows would be for nothing.
    sums = not machine.brief or not any(map(_is_own, map(_MOVED, rows)))
    for _, kind, _, m, n, k, batch, model_flops, weight_bytes, own, cache, launched, work, repeated in rows:
        kernels = kernels + launched
        if sums:
            flops, others, weights = flops + model_flops, others + (own + cache), weights + weight_bytes
        if kind in MATRIX_KINDS:
            area = windowed(m, n, k, batch) if kind == "conv" else area_of(m, n, k, batch)
            padded = padded_flops(area, k, processors, flop_per_mac)
            if kind == "grouped_gemm":
                padded = maximum(padded, work)
                # Whether a group's rows vary is asked of its sums.
                flops = flops + 0.0 * work if sums and is_array(work) else flops
            products.append((padded, _beside(m, padded, work), own + weight_bytes, own, weight_bytes))
        elif kind in STREAM_KINDS:
            streamed = streamed + own
        elif kind == WIDE:
            scores.append((padded_flops(area_of(m, n, k, batch), k, processors, flop_per_mac), 0.0, own + weight_bytes))
        elif kind in SPECIAL_KINDS:
            scores.append((work, batch, own + cache + repeated))
            again = again + repeated if sums else again
        else:
            beside.append((work, work, own + weight_bytes, own, weight_bytes))
    moved = (streamed, others + again, weights, others + weights) if sums else (streamed, None, None, None)
    return _settled_of((rows[0].name, rows[0].count, kernels, products, beside, scores, *moved, flops))


def _beside(m: Any, padded: Any, work: Any) -> Any:
    """Return the work of a product beside the matrix units, where only one of few rows is not divided into tiles."""
    # Vector units are no faster than matrix units: what is padded on both is never faster there.
    if type(m) is not float and hasattr(m, "min") and m.min() > FEW_ROWS:
        return padded
    return maximum(work, only(m > FEW_ROWS, padded))
