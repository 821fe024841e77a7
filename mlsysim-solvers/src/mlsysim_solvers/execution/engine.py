"""Run a table of operators: one roofline each, summed."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.tracing import named

from ..formulas.gemm import padded_flops
from ..formulas.roofline import compute_bound_time, compute_time, kernel_time, memory_time, operator_time
from ..lowering.operators import MATRIX_KINDS, Operator
from .quantisation import TileMenu, menu_area

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
    weight_slowness : float or array, ratio
        Memory bandwidth over that of the storage from which weights are read in place; 1 otherwise.
    """

    matrix_rate: Any
    attention_rate: Any
    vector_rate: Any
    bandwidth: Any
    overhead: Any
    processors: Any
    menu: TileMenu
    flop_per_mac: Any
    weight_slowness: Any = 1.0


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


def _work(row: Operator, machine: Machine) -> tuple[Any, Any]:
    """Return the arithmetic of a row with its padding, and the rate at which it runs."""
    kind = row.kind
    if kind in MATRIX_KINDS:
        menu, k = machine.menu, row.k
        if type(machine.processors) is float:
            area = menu.area(row.m, row.n, k, row.batch)
        else:
            area = menu_area(row.m, row.n, k, row.batch, machine.processors, menu.tiles, ())
        return padded_flops(area, k, machine.processors, machine.flop_per_mac), machine.matrix_rate
    if kind == "attention":
        return row.work, machine.attention_rate
    return row.work, machine.vector_rate


def run(table: list[Operator], machine: Machine) -> Totals:
    """Return what a table of operators takes.

    Parameters
    ----------
    table : list of Operator
        Rows; equal counts in a row are added before they are multiplied.
    machine : Machine
        The rates.

    Returns
    -------
    Totals

    Notes
    -----
    t = sum over operators of count (max(F / (P q), Q / B) + n t_k).
    """
    bandwidth, slowness = machine.bandwidth, machine.weight_slowness
    total: Totals | None = None
    count: Any = None
    time = bound = work_time = flops = traffic = 0.0
    move_time = kernels = 0.0
    all_kernels = 0.0
    for row in table:
        if row.count is not count:
            if count is not None:
                total = _add(total, count, time, bound, work_time, move_time, flops, traffic)
                all_kernels = all_kernels + count * kernels
            count = row.count
            time = bound = work_time = move_time = flops = traffic = kernels = 0.0
        moved = row.weight_bytes + row.activation_bytes + row.cache_bytes
        timed = moved + row.repeated_bytes if row.repeated_bytes is not 0.0 else moved  # noqa: F632
        if slowness is not 1.0 and row.weight_bytes is not 0.0:  # noqa: F632
            timed = timed + row.weight_bytes * (slowness - 1.0)
        own_move = memory_time(timed, bandwidth)
        if row.flops is 0.0 and row.work is 0.0 and row.kind not in MATRIX_KINDS:  # noqa: F632
            own = named(own_move, row.name)
        else:
            own_work = compute_time(*_work(row, machine))
            own = named(operator_time(own_work, own_move), row.name)
            bound = bound + compute_bound_time(own_work, own_move)
            work_time = work_time + own_work
            flops = flops + row.flops
        time = time + own
        move_time = move_time + own_move
        traffic = traffic + moved
        kernels = kernels + row.kernels
    total = _add(total, count, time, bound, work_time, move_time, flops, traffic)
    overhead = kernel_time(all_kernels + count * kernels, machine.overhead)
    return total._replace(time=total.time + overhead, overhead=overhead)
