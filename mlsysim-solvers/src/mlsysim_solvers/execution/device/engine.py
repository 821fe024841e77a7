"""Run a table of operators: one roofline each, summed."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum, only, where
from mlsysim.tracing import Traced, named

from ...formulas.roofline import (
    compute_bound_time,
    compute_time,
    kernel_time,
    memory_time,
    operator_time,
    special_time,
)
from ...lowering.linear import expanded
from ...lowering.operators import Table
from .machine import Machine, is_plain, varies
from .settling import Settled, Settlement, settle

__all__ = ["Totals", "run", "timed", "together"]


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


_totals_of = partial(tuple.__new__, Totals)
"""From the tuple of all fields, as :data:`mlsysim_solvers.lowering.operators.operator_of`."""


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
    if not plain and varies(machine):
        from .ranking import sorted_out

        groups, sums = sorted_out(table, machine)
        if sums is not None:
            time, bound, work = sums
    for group in groups:
        name, count, launched, _, _, _, _, others, weights, own_traffic, own_flops = group
        if plain and type(others) is type(weights) is type(own_flops) is float:
            add = _timed_plain
        else:
            add = _timed_briefly if machine.brief else _timed
        own, own_bound, own_work, own_move = add(group, machine)
        spent, launched = count * own, count * launched
        if labelled:
            spent, launched = named(spent, name), named(launched, name)
        time = time + spent
        bound = bound + count * own_bound
        work = work + count * own_work
        kernels = kernels + launched
        if not machine.brief:
            move = move + count * own_move
            flops = flops + count * own_flops
            traffic = traffic + count * own_traffic
    if type(time) is not float:
        time, bound, work, move, flops, traffic = map(expanded, (time, bound, work, move, flops, traffic))
    waiting = kernel_time(kernels, machine.overhead)
    if machine.launch is not None:
        issued = named(kernel_time(kernels, machine.launch), "waiting for the host")
        waiting = where(issued > time + waiting, issued - time, waiting)
        return Totals(maximum(time + waiting, issued), bound, waiting, work, move, flops, traffic)
    if machine.asynchronous:
        late = waiting > time
        bound, shown = where(late, 0.0 * bound, bound), only(late, waiting)
        return Totals(maximum(time, waiting), bound, shown, work, move, flops, traffic)
    return _totals_of((time + waiting, bound, waiting, work, move, flops, traffic))


def _timed(group: Settled, machine: Machine) -> tuple[Any, Any, Any, Any]:
    """Return what one layer takes of the rows of a group, the part that arithmetic sets, and either alone."""
    matrix_rate, attention, vector, bandwidth, _, _, _, _, slowness, special_rate, *_ = machine
    time, bound, total = memory_time(group.streamed, bandwidth), 0.0, 0.0
    for padded, plain, moved, others, weights in group.products:
        work = compute_time(padded, matrix_rate)
        if plain is not padded:
            work = minimum(work, compute_time(plain, vector))
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


def _timed_briefly(group: Settled, machine: Machine) -> tuple[Any, float, float, float]:
    """Return the time that :func:`_timed` returns, and nothing of what it consists of."""
    matrix_rate, attention, vector, bandwidth, _, _, _, _, slowness, special_rate, *_ = machine
    time = memory_time(group.streamed, bandwidth)
    for padded, plain, moved, others, weights in group.products:
        work = compute_time(padded, matrix_rate)
        if plain is not padded:
            work = minimum(work, compute_time(plain, vector))
        move = memory_time(moved if slowness is None else others + weights * slowness, bandwidth)
        time = time + operator_time(work, move)
    for _, plain, moved, others, weights in group.beside:
        move = memory_time(moved if slowness is None else others + weights * slowness, bandwidth)
        time = time + operator_time(compute_time(plain, vector), move)
    for done, special, moved in group.scores:
        work = compute_time(done, attention)
        if special_rate is not None:
            work = work + special_time(special, special_rate)
        time = time + operator_time(work, memory_time(moved, bandwidth))
    return time, 0.0, 0.0, 0.0


def _timed_plain(group: Settled, machine: Machine) -> tuple[float, float, float, float]:
    """Return what :func:`_timed` does, of floats alone: the same rooflines without a call for each of their steps.

    A solve of one case spends a fifth of its time here.
    """
    matrix_rate, attention, vector, bandwidth, _, _, _, _, slowness, special_rate, *_ = machine
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
