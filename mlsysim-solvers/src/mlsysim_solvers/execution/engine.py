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

__all__ = ["Machine", "Settled", "Totals", "run", "settle", "timed", "together"]


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


class Settled(NamedTuple):
    """One row of a table without anything that a rate changes.

    Parameters
    ----------
    name, kind : str
        As in the operator.
    count, kernels : float, count
        Layers that have it, and kernels launched in one.
    padded, plain : float or array, FLOP
        Work of a product in tiles with padding, and without; for other kinds both are the work itself.
    special : float or array, count
        Exponentials of attention.
    weights, others, repeated : float or array, B
        Traffic of weights, all other traffic, and reads that the last-level cache answers.
    flops : float or array, FLOP
        Work of the model.
    """

    name: str
    kind: str
    count: Any
    kernels: Any
    padded: Any
    plain: Any
    special: Any
    weights: Any
    others: Any
    repeated: Any
    flops: Any


def settle(table: Table, machine: Machine) -> list[Settled]:
    """Work out what of a table does not depend on rates.

    Parameters
    ----------
    table : list of Operator
        Rows.
    machine : Machine
        Its processors, tiles and work per multiply-accumulate.

    Returns
    -------
    list of Settled
    """
    area_of, processors, flop_per_mac = machine.menu.area, machine.processors, machine.flop_per_mac
    rows: list[Settled] = []
    for name, kind, times, m, n, k, batch, flops, weights, own, cache, launched, work, repeated in table:
        if kind in STREAM_KINDS:
            rows.append(Settled(name, kind, times, launched, 0.0, 0.0, 0.0, 0.0, own, 0.0, 0.0))
        elif kind == "attention":
            rows.append(Settled(name, kind, times, launched, work, work, batch, 0.0, own + cache, repeated, flops))
        elif kind == "depthwise":
            rows.append(Settled(name, kind, times, launched, work, work, 0.0, weights, own, 0.0, flops))
        else:
            padded = padded_flops(area_of(m, n, k, batch), k, processors, flop_per_mac)
            plain = matmul_flops(m, n, k, batch, flop_per_mac)
            rows.append(Settled(name, kind, times, launched, padded, plain, 0.0, weights, own, 0.0, flops))
    return rows


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
    return timed(settle(table, machine), machine)


def timed(rows: list[Settled], machine: Machine) -> Totals:
    """Return what settled rows take.

    Parameters
    ----------
    rows : list of Settled
        As :func:`settle` returned them.
    machine : Machine
        The rates.

    Returns
    -------
    Totals
    """
    matrix_rate, attention, vector, bandwidth, overhead, _, _, _, slowness, special_rate, ahead = machine
    # For an explanation each row is a group of its own, so that the tree shows operators by name.
    labelled = isinstance(bandwidth, Traced)
    groups: list[tuple[Any, ...]] = []
    count, group = rows[0].count, rows[0].name
    time = bound = work_time = move_time = flops = traffic = kernels = 0.0
    for name, kind, times, launched, padded, plain, special, weights, others, repeated, model_flops in rows:
        if times is not count or (labelled and name is not group):
            groups.append((group, count, time, bound, work_time, move_time, flops, traffic, kernels))
            time = bound = work_time = move_time = flops = traffic = kernels = 0.0
            count, group = times, name
        if kind in STREAM_KINDS:
            moved = others
            own = own_move = memory_time(moved, bandwidth)
        else:
            if kind == "attention":
                moved = others
                own_work = compute_time(plain, attention)
                if special_rate is not None:
                    own_work = own_work + special_time(special, special_rate)
                own_move = memory_time(moved + repeated, bandwidth)
            else:
                if kind == "depthwise":
                    own_work = compute_time(plain, vector)
                else:
                    # A product with few rows runs faster as matrix-vector products, without padding.
                    own_work = minimum(compute_time(padded, matrix_rate), compute_time(plain, vector))
                moved = others + weights
                waited = moved if slowness is None else others + weights * slowness
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
