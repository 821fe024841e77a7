"""Run a table of operators: one roofline each, summed."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from mlsysim.numeric import is_array, maximum, minimum, where
from mlsysim.tracing import Traced, named

from ...formulas.constants import FEW_ROWS
from ...formulas.gemm import padded_flops
from ...formulas.roofline import compute_bound_time, compute_time, kernel_time, memory_time, operator_time, special_time
from ...lowering.operators import MATRIX_KINDS, SPECIAL_KINDS, STREAM_KINDS, WIDE, Operator, Table
from .quantisation import TileMenu

__all__ = [
    "Machine", "Product", "Scores", "Settled", "Settlement", "Totals", "is_plain", "run", "settle", "timed", "together",
]  # fmt: skip


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
        Exponentials per time, or results per time of a processor that has no units for them; None where nobody knows
        the units.
    asynchronous : bool
        Whether the host's time per kernel overlaps with the device's, so that the longer of both counts.
    windows : TileMenu, or None
        Tiles of convolutions that gather windows; None takes those of products.
    launch : float or array, s, or None
        Time in which the host launches one kernel, ahead of the device; None where the time per kernel says it all.
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
    windows: TileMenu | None = None
    launch: Any = None


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
_totals_of = partial(tuple.__new__, Totals)
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


def _settled(rows: Table, machine: Machine) -> Settled:
    area_of, processors, flop_per_mac = machine.menu.area, machine.processors, machine.flop_per_mac
    windowed = area_of if machine.windows is None else machine.windows.area
    products: list[Product] = []
    beside: list[Product] = []
    scores: list[Scores] = []
    kernels = streamed = others = weights = again = flops = 0.0
    for _, kind, _, m, n, k, batch, model_flops, weight_bytes, own, cache, launched, work, repeated in rows:
        kernels, flops = kernels + launched, flops + model_flops
        if kind in MATRIX_KINDS:
            area = windowed(m, n, k, batch) if kind == "conv" else area_of(m, n, k, batch)
            padded = padded_flops(area, k, processors, flop_per_mac)
            padded = maximum(padded, work) if kind == "grouped_gemm" else padded
            alone = where(m > FEW_ROWS, maximum(padded, work), work)
            products.append((padded, alone, own + weight_bytes, own, weight_bytes))
            others, weights = others + own, weights + weight_bytes
        elif kind in STREAM_KINDS:
            streamed = streamed + own
        elif kind == WIDE:
            scores.append((padded_flops(area_of(m, n, k, batch), k, processors, flop_per_mac), 0.0, own + weight_bytes))
            others, weights = others + own, weights + weight_bytes
        elif kind in SPECIAL_KINDS:
            scores.append((work, batch, own + cache + repeated))
            others, again = others + (own + cache), again + repeated
        else:
            beside.append((work, work, own + weight_bytes, own, weight_bytes))
            others, weights = others + own, weights + weight_bytes
    others = others + streamed
    moved = (streamed, others + again, weights, others + weights)
    return _settled_of((rows[0].name, rows[0].count, kernels, products, beside, scores, *moved, flops))


def run(table: Table, machine: Machine) -> Totals:
    """Return what a table of operators takes.

    Parameters
    ----------
    table : list of Operator
        Rows; those with the same count are added before they are multiplied.
    machine : Machine
        The rates.

    Returns
    -------
    Totals

    Notes
    -----
    t = sum over operators of count (max(F / (P q), Q / B) + n t_k).
    """
    return timed(settle(table, machine), machine)


def timed(table: Settlement, machine: Machine, plain: bool | None = None) -> Totals:
    """Return what settled rows take.

    Parameters
    ----------
    table : Settlement
        As :func:`settle` returned it.
    machine : Machine
        The rates.
    plain : bool, optional
        What :func:`is_plain` says of the machine, where it has been asked.

    Returns
    -------
    Totals
    """
    labelled = isinstance(machine.bandwidth, Traced)
    time = bound = work = move = flops = traffic = kernels = 0.0
    groups: list[Settled] = table
    plain = is_plain(machine) if plain is None else plain
    if not plain and _varies(machine):
        from .ranking import sorted_out

        groups, sums = sorted_out(table, machine)
        if sums is not None:
            time, bound, work = sums
    for group in groups:
        name, count, launched, _, _, _, _, _, _, own_traffic, own_flops = group
        add = _timed_plain if plain and type(own_traffic) is type(own_flops) is float else _timed
        own, own_bound, own_work, own_move = add(group, machine)
        spent, launched = count * own, count * launched
        if labelled:
            spent, launched = named(spent, name), named(launched, name)
        time = time + spent
        bound = bound + count * own_bound
        work = work + count * own_work
        move = move + count * own_move
        flops = flops + count * own_flops
        traffic = traffic + count * own_traffic
        kernels = kernels + launched
    waiting = kernel_time(kernels, machine.overhead)
    if machine.launch is not None:
        late = named(maximum(0.0, kernel_time(kernels, machine.launch) - (time + waiting)), "waiting for the host")
        waiting = waiting + late
    if machine.asynchronous:
        late = waiting > time
        bound, shown = where(late, 0.0 * bound, bound), where(late, waiting, 0.0 * waiting)
        return Totals(maximum(time, waiting), bound, shown, work, move, flops, traffic)
    return _totals_of((time + waiting, bound, waiting, work, move, flops, traffic))


def is_plain(machine: Machine) -> bool:
    """Tell whether all that a device does to a time are floats.

    Parameters
    ----------
    machine : Machine
        The rates.

    Returns
    -------
    bool
    """
    matrix_rate, attention, vector, bandwidth, _, processors, _, _, slowness, special_rate, _, _, _ = machine
    if not type(matrix_rate) is type(attention) is type(vector) is type(bandwidth) is type(processors) is float:
        return False
    return type(slowness) in _FLOAT and type(special_rate) in _FLOAT


_FLOAT = frozenset({float, type(None)})


def _varies(machine: Machine) -> bool:
    """Tell whether the rates of products are those of many machines, which all wait alike for weights."""
    rate, bandwidth = machine.matrix_rate, machine.bandwidth
    if type(rate) is type(bandwidth) is float:
        return False
    return machine.weight_slowness is None and (is_array(rate) or is_array(bandwidth))


def _timed(group: Settled, machine: Machine) -> tuple[Any, Any, Any, Any]:
    """Return what one layer takes of the rows of a group, the part that arithmetic sets, and either alone."""
    matrix_rate, attention, vector, bandwidth, _, _, _, _, slowness, special_rate, _, _, _ = machine
    time, bound, total = memory_time(group.streamed, bandwidth), 0.0, 0.0
    for padded, plain, moved, others, weights in group.products:
        # A product with few rows may run faster as matrix-vector products, without padding.
        work = minimum(compute_time(padded, matrix_rate), compute_time(plain, vector))
        move = memory_time(moved if slowness is None else others + weights * slowness, bandwidth)
        time = time + operator_time(work, move)
        bound = bound + compute_bound_time(work, move)
        total = total + work
    for _, plain, moved, others, weights in group.beside:
        work = compute_time(plain, vector)
        move = memory_time(moved if slowness is None else others + weights * slowness, bandwidth)
        time = time + operator_time(work, move)
        bound = bound + compute_bound_time(work, move)
        total = total + work
    for done, special, moved in group.scores:
        work = compute_time(done, attention)
        if special_rate is not None:
            work = work + special_time(special, special_rate)
        move = memory_time(moved, bandwidth)
        time = time + operator_time(work, move)
        bound = bound + compute_bound_time(work, move)
        total = total + work
    whole = group.others + (group.weights if slowness is None else group.weights * slowness)
    return time, bound, total, memory_time(whole, bandwidth)


def _timed_plain(group: Settled, machine: Machine) -> tuple[float, float, float, float]:
    """Return what :func:`_timed` does, of floats alone: the same rooflines without a call for each of their steps.

    A solve of one case spends a fifth of its time here.
    """
    matrix_rate, attention, vector, bandwidth, _, _, _, _, slowness, special_rate, _, _, _ = machine
    _, _, _, products, besides, scores, streamed, others, weights, _, _ = group
    time, bound, total = streamed / bandwidth, 0.0, 0.0
    for padded, plain, moved, own, read in products:
        tiled, alone = padded / matrix_rate, plain / vector
        work = tiled if tiled < alone else alone
        move = (moved if slowness is None else own + read * slowness) / bandwidth
        total += work
        if work > move:
            time, bound = time + work, bound + work
        else:
            time += move
    for _, plain, moved, own, read in besides:
        work = plain / vector
        move = (moved if slowness is None else own + read * slowness) / bandwidth
        total += work
        if work > move:
            time, bound = time + work, bound + work
        else:
            time += move
    for done, special, moved in scores:
        work, move = done / attention, moved / bandwidth
        if special_rate is not None:
            work += special / special_rate
        total += work
        if work > move:
            time, bound = time + work, bound + work
        else:
            time += move
    whole = others + (weights if slowness is None else weights * slowness)
    return time, bound, total, whole / bandwidth
