"""From totals to outputs: utilisation, what binds, and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.numeric import maximum, minimum, where

from ...formulas.attention import attention_rate
from ...formulas.constants import GRAPH_SHARE
from ...formulas.elementwise import result_rate
from ...formulas.loads import loaded_bandwidth
from ...formulas.mixture import block_scaled_rate
from ...formulas.roofline import (
    bandwidth_utilisation,
    bound_factor,
    effective_bandwidth,
    effective_rate,
    replayed_time,
    utilisation,
)
from ...formulas.training import run_steps
from .engine import Totals
from .machine import Machine
from .quantisation import TileMenu, Tiles, tile_menu
from .variances import log_sd_of_shares

__all__ = [
    "axis", "common_answers", "decoding", "highest_peak", "log_sd", "machine_of", "replaying", "step_rates",
    "steps_of_run",
]  # fmt: skip


def axis(columns: Mapping[str, Any], name: str) -> Any:
    """Return a column that may vary, as a float or a float64 array.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.
    name : str
        Which one.

    Returns
    -------
    float or array
    """
    value = columns[name]
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    dtype = getattr(value, "dtype", None)
    return value.astype("float64") if dtype is not None and dtype != "float64" else value


def machine_of(columns: Mapping[str, Any]) -> Machine:
    """Return the effective rates of device and stack.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.

    Returns
    -------
    Machine
    """
    peak, ceiling = axis(columns, "peak"), columns["compute_ceiling"]
    bandwidth = axis(columns, "bandwidth")
    rate = effective_rate(peak, columns["achieved"], ceiling)
    if "scale_block" in columns and "vector_peak" in columns:
        rate = block_scaled_rate(rate, columns["vector_peak"], columns["scale_block"], columns["scale_slots"])
    processors = axis(columns, "processors")
    windows = columns.get("window_tiles")
    waits = columns.get("lone_area", 0.0), columns.get("clock_macs", 0.0)
    vector = columns.get("vector_peak")
    wide, share = columns.get("attention_peak", peak), columns.get("attention_achieved", columns["achieved"])
    return Machine(
        rate,
        attention_rate(effective_rate(wide, share, ceiling), wide, columns["attention_ceiling"]),
        rate if vector is None else minimum(rate, effective_rate(vector, 1.0, ceiling)),
        # Where results set the pace the ceiling is theirs.
        bandwidth if "result_work" in columns else effective_bandwidth(bandwidth, columns["memory_ceiling"]),
        axis(columns, "overhead"),
        processors,
        _menu(processors, columns["tiles"], *waits),
        columns["flop_per_mac"],
        _slowness(columns, bandwidth),
        _special(columns, peak),
        columns["features"].asynchronous,
        None if windows is None else _menu(processors, windows, *waits),
        columns.get("kernel_launch"),
    )


def _special(columns: Mapping[str, Any], peak: Any) -> Any:
    """Return exponentials per time, or the results of a processor that scales and stores them one by one."""
    if "result_work" not in columns:
        return columns.get("special_rate")
    rate = effective_rate(peak, columns["achieved"], columns["memory_ceiling"])
    return result_rate(rate, columns["result_work"])


def _menu(processors: Any, tiles: Tiles, lone: Any, macs: Any) -> TileMenu:
    if type(processors) is type(lone) is type(macs) is float:
        return tile_menu(tiles, processors, lone=lone, macs=macs).start()
    return TileMenu(tiles, processors, lone=lone, macs=macs)


def replaying(columns: Mapping[str, Any], machine: Machine) -> Machine:
    """Return the rates of passes whose kernels a stack may replay from a captured graph.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.
    machine : Machine
        The rates of a pass.

    Returns
    -------
    Machine
    """
    if not columns["features"].graphs:
        return machine
    return machine._replace(overhead=replayed_time(machine.overhead, GRAPH_SHARE))


def decoding(columns: Mapping[str, Any], machine: Machine, rows: Any) -> Machine:
    """Return the rates of decode steps: few rows keep few loads in flight.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.
    machine : Machine
        The rates of passes that are replayed.
    rows : float or array, count
        Tokens of a step.

    Returns
    -------
    Machine
    """
    rate, bandwidth = columns.get("lone_rate"), machine.bandwidth
    if rate is None or (type(rate) is type(bandwidth) is float and rate >= bandwidth):
        return machine  # one row already asks for all that there is, so no row of a sweep is touched
    return machine._replace(bandwidth=loaded_bandwidth(bandwidth, rate, rows))


def step_rates(columns: Mapping[str, Any], machine: Machine, rows: Any) -> tuple[Machine, Mapping[str, Any]]:
    """Return the rates of decode steps, and columns whose interval knows how uncertain their loads in flight are.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.
    machine : Machine
        The rates of a pass.
    rows : float or array, count
        Tokens of a step.

    Returns
    -------
    Machine, and mapping of str to number
    """
    replay = replaying(columns, machine)
    limited = decoding(columns, replay, rows)
    if limited is replay:
        return replay, columns
    own = columns["var_memory"]
    wide = where(limited.bandwidth < replay.bandwidth, own + columns["var_lone"], own)
    return limited, {**columns, "var_memory": wide}


def _slowness(columns: Mapping[str, Any], bandwidth: Any) -> Any:
    """Return how much more slowly weights arrive than the rest, or None where they do not."""
    storage, issue = columns.get("weight_bandwidth"), columns.get("issue_rate")
    if storage is not None:
        slowness, kept = bandwidth / storage, columns.get("kept_weights")
        return slowness if kept is None else kept + (1.0 - kept) * slowness
    if issue is not None:
        return maximum(1.0, effective_bandwidth(bandwidth, columns["memory_ceiling"]) / issue)
    return None


def highest_peak(columns: Mapping[str, Any]) -> Any:
    """Return the roof of all arithmetic: attention may run in a wider format than products, on some devices faster.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.

    Returns
    -------
    float or array, FLOP/s
    """
    peak = axis(columns, "peak")
    return maximum(peak, axis(columns, "attention_peak")) if "attention_peak" in columns else peak


def common_answers(columns: Mapping[str, Any], totals: Totals, latency: Any) -> dict[str, Any]:
    """Return the outputs that every scenario has.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.
    totals : Totals
        What the whole answer takes.
    latency : float or array, s
        Its time.

    Returns
    -------
    dict of str to number
        The bound is 0 for compute, 1 for memory, 2 for overhead: the resource that alone would take
        longest, and by what factor longer than the next.
    """
    compute, memory, waiting = totals.compute_demand, totals.memory_demand, totals.overhead
    bound = where(memory > compute, where(waiting > memory, 2.0, 1.0), where(waiting > compute, 2.0, 0.0))
    return {
        "performance.utilisation": utilisation(totals.flops, latency, highest_peak(columns)),
        "performance.bandwidth_utilisation": bandwidth_utilisation(totals.traffic, latency, axis(columns, "bandwidth")),
        "performance.bound": bound,
        "performance.bound_factor": bound_factor(compute, memory, waiting),
        "performance.flops": totals.flops,
        "performance.bytes": totals.traffic,
    }


def steps_of_run(columns: Mapping[str, Any], batch: Any, sequence: Any) -> Any:
    """Return the steps of a training run, or None where only a step is asked for.

    Parameters
    ----------
    columns : mapping of str to number
        All columns; ``tokens`` or ``samples`` gives the length of the run.
    batch : float or array, sample
        Samples per step.
    sequence : float or array, token/sample
        Tokens per sample.

    Returns
    -------
    float or array, count, or None

    Raises
    ------
    ConfigError
        If both are given.
    """
    if "tokens" in columns and "samples" in columns:
        raise ConfigError("both tokens and samples of the run are given", where="samples", remedy="Give one of them")
    if "tokens" in columns:
        return run_steps(axis(columns, "tokens"), batch * sequence)
    return run_steps(axis(columns, "samples"), batch) if "samples" in columns else None


def log_sd(columns: Mapping[str, Any], totals: Totals) -> Any:
    """Return the standard deviation of the logarithm of a time, from the shares of its terms.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.
    totals : Totals
        What the time consists of.

    Returns
    -------
    float or array, natural-log units
    """
    time = totals.time
    return log_sd_of_shares(columns, totals.compute / time, totals.overhead / time, columns["scatter"])
