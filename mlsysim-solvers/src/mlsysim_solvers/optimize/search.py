"""Exact search: memory first, then a bound that never exceeds the step, then the step itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from mlsysim.config import SimulationConfig
from mlsysim.errors import ConfigError
from mlsysim.evaluation import build_request
from mlsysim.evaluation.choice import choose_solvers
from mlsysim.plugins import plugins
from mlsysim.records import Parallelism

from ..declarations.distributed import TERMS
from ..distributed import DistributedSolver, setup_of
from ..execution.training.activations import share_again
from ..execution.training.distribution import distributed_columns
from ..execution.training.layers import layer_times
from ..execution.training.schedule import layout_of
from ..execution.training.state import held
from ..formulas.constants import INTERVAL_QUANTILE
from ..formulas.memory import usable_memory
from ..lowering.parallel import Division
from .goals import Goal, step_goal
from .space import AXES, Choice, Space, layouts

__all__ = ["Candidate", "Found", "lower_bound", "search", "search_columns"]

_CHUNK = 2048
"""Layouts that are evaluated together once the bound has ordered them."""

Column = NDArray[np.float64]


class Candidate(NamedTuple):
    """One layout with its answers.

    Parameters
    ----------
    devices : int, count
        How many.
    choice : Choice
        Settings that are no numbers.
    axes : dict of str to float
        Degrees, chunks and micro-batch.
    step : float, s
        Time of a step.
    memory, memory_high : float, B
        Of the fullest device, and the upper end of its 90 % interval.
    terms : dict of str to float, s
        Where the step goes.
    value : float
        What is minimised, in the goal's unit.
    """

    devices: int
    choice: Choice
    axes: dict[str, float]
    step: float
    memory: float
    memory_high: float
    terms: dict[str, float]
    value: float


class Found(NamedTuple):
    """The outcome of a search.

    Parameters
    ----------
    best, runner_up : Candidate or None
        Best layout, and the best of the others.
    frontier : tuple of Candidate
        Layouts that no other beats in both the goal's value and memory.
    legal, fitting, evaluated : int, count
        Layouts that exist, that fit, and whose step was computed.
    usable : float, B
        Memory of a device that may be filled.
    sure : Candidate or None
        The best layout whose memory fits at the upper end of its interval, too; of those on the frontier.
    least : Candidate or None
        Where nothing fits: the layout that lacks least.
    """

    best: Candidate | None
    runner_up: Candidate | None
    frontier: tuple[Candidate, ...]
    legal: int
    fitting: int
    evaluated: int
    usable: float
    sure: Candidate | None
    least: Candidate | None


def search_columns(config: SimulationConfig, devices: int) -> dict[str, Any]:
    """Prepare a scenario for a search over its layouts.

    Parameters
    ----------
    config : SimulationConfig
        A training scenario.
    devices : int, count
        Devices.

    Returns
    -------
    dict of str to number or object

    Raises
    ------
    ConfigError
        If the scenario trains nothing, or its model cannot be divided.
    """
    if config.scenario.kind != "training":
        raise ConfigError(f"the scenario is {config.scenario.kind}", where="kind", remedy="Give a training scenario")
    system = attrs.evolve(config.scenario.system, devices=devices)
    scenario = attrs.evolve(config.scenario, system=system, parallelism=Parallelism())
    checked = SimulationConfig.from_scenario(scenario)
    specs, _ = choose_solvers(checked, plugins())
    spec = next(spec for spec in specs if spec.question == "performance")
    if spec.name != "distributed":
        raise ConfigError(
            f"{devices} device leaves nothing to divide", where="system.devices", remedy="Give --devices 2 or more"
        )
    request = build_request(checked, spec, {})
    plain = attrs.evolve(scenario, parallelism=Parallelism(micro_batch=1))
    return distributed_columns(attrs.evolve(request, scenario=plain))


def _with(columns: Mapping[str, Any], space: Space, rows: Any) -> dict[str, Any]:
    """Put some layouts of a space into the columns."""
    recompute, sequence, zero = space.choice
    chosen = {name: values[rows] for name, values in space.columns.items()}
    return {
        **columns, **chosen, "recompute": recompute, "sequence_parallel": sequence, "zero": zero,
        "layer_memo": columns["layer_memo"].setdefault(space.choice, {}),
    }  # fmt: skip


def lower_bound(columns: Mapping[str, Any]) -> Any:
    """Return a time that no step of these layouts undercuts: computation of the fullest stage alone.

    Parameters
    ----------
    columns : mapping of str to number or object
        With arrays of layouts.

    Returns
    -------
    float or array, s
    """
    layout = layout_of(columns, columns["batch"], columns["shape"])
    division = Division(
        layout.tensor, layout.context, layout.expert, columns["sequence_parallel"], columns["grouped"]
    )  # fmt: skip
    layer = layer_times(setup_of(columns), division, layout.micro, columns["sequence"], columns["layer_memo"])
    # At least one stage holds the mean number of layers, and every micro-batch passes it.
    layers = columns["shape"].layers / layout.pipeline
    again = share_again(columns, layers) * layer.again
    return layout.rounds * layers * (layer.forward + layer.inputs + layer.weights + again)


def search(
    columns: dict[str, Any],
    devices: int,
    goal: Goal | None = None,
    *,
    limit: float = float("inf"),
    exhaustive: bool = False,
) -> Found:
    """Find the best layout.

    Parameters
    ----------
    columns : dict of str to number or object
        As :func:`search_columns` returned them.
    devices : int, count
        Devices.
    goal : Goal, optional
        What is minimised; the step by default.
    limit : float, s
        Longest step allowed. Where no layout keeps it, the one with the shortest step is returned.
    exhaustive : bool
        Evaluate every layout that fits, without bounds.

    Returns
    -------
    Found
    """
    goal = goal or step_goal()
    usable = float(usable_memory(columns["capacity"], columns["utilisation"]))
    spaces = layouts(columns, devices)
    legal = sum(space.columns["data"].size for space in spaces)
    pending, least = _fitting(columns, spaces, usable)
    if not pending.rows.size:
        lacking = None if least is None else _candidates(columns, spaces[least[0]], least[1], devices, goal)[0]
        return Found(None, None, (), legal, 0, 0, usable, None, lacking)
    found = _evaluate(columns, spaces, devices, goal, pending, limit=limit, exhaustive=exhaustive)
    evaluated = len(found)
    found = [candidate for candidate in found if candidate.step <= limit]
    if not found:
        return search(columns, devices)
    found.sort(key=lambda c: (c.value, c.step, c.memory))
    frontier = _frontier(found)
    second = found[1] if len(found) > 1 else None
    sure = next((candidate for candidate in frontier if candidate.memory_high <= usable), None)
    return Found(found[0], second, tuple(frontier), legal, int(pending.rows.size), evaluated, usable, sure, None)


class _Pending(NamedTuple):
    """Layouts that fit, in the order of their bounds."""

    owner: NDArray[np.intp]
    rows: NDArray[np.intp]
    bounds: Column
    memory: Column


def _fitting(
    columns: dict[str, Any], spaces: list[Space], usable: float
) -> tuple[_Pending, tuple[int, NDArray[np.intp]] | None]:
    """Return the layouts that fit, and where the one stands that needs the least memory."""
    nothing, none = np.empty(0, np.intp), np.empty(0)
    parts = [_Pending(nothing, nothing, none, none)]
    least: list[tuple[float, int, int]] = []
    for i, space in enumerate(spaces):
        whole = _with(columns, space, slice(None))
        layout = layout_of(whole, whole["batch"], whole["shape"])
        memory = np.broadcast_to(held(whole, layout)[0].required, space.columns["data"].shape)
        even = np.broadcast_to(layout.even, memory.shape)
        fits = np.flatnonzero((memory <= usable) & even)
        if fits.size:
            bounds = np.broadcast_to(np.asarray(lower_bound(_with(columns, space, fits))), fits.shape)
            parts.append(_Pending(np.full(fits.size, i), fits, bounds, memory[fits]))
        lowest = int(np.argmin(np.where(even, memory, np.inf)))
        least.append((float(memory[lowest]), i, lowest))
    fitting = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(fitting[2], kind="stable")
    _, place, row = min(least, default=(0.0, -1, 0))
    return _Pending(*(column[order] for column in fitting)), (place, np.array([row])) if place >= 0 else None


def _frontier(found: Sequence[Candidate]) -> list[Candidate]:
    """Return the layouts, of those in order of their value, that need less memory than all better ones."""
    frontier: list[Candidate] = []
    for candidate in found:
        if not frontier or candidate.memory < frontier[-1].memory:
            frontier.append(candidate)
    return frontier


def _evaluate(
    columns: dict[str, Any],
    spaces: list[Space],
    devices: int,
    goal: Goal,
    pending: _Pending,
    *,
    limit: float,
    exhaustive: bool,
) -> list[Candidate]:
    """Evaluate layouts unless their bound shows that they are neither among the two best nor on the frontier."""
    found: list[Candidate] = []
    # Neither the step nor the time in which devices compute is below the bound, and the value rises with both.
    least = np.broadcast_to(np.asarray(goal.value(pending.bounds, pending.bounds)), pending.bounds.shape)
    for start in range(0, pending.rows.size, _CHUNK):
        part = np.arange(start, min(start + _CHUNK, pending.rows.size))
        if not exhaustive:
            part = part[pending.bounds[part] <= limit]
            within = [candidate for candidate in found if candidate.step <= limit]
            if len(within) > 1:
                part = part[_worth(within, least[part], pending.memory[part])]
        for i in np.unique(pending.owner[part]):
            found += _candidates(columns, spaces[i], pending.rows[part][pending.owner[part] == i], devices, goal)
    return found


def _worth(found: list[Candidate], bounds: Column, memory: Column) -> Any:
    """Tell which layouts may still be among the two best, or beat all that need as little memory."""
    order = sorted(found, key=lambda c: c.memory)
    least = np.minimum.accumulate(np.array([c.value for c in order]))
    place = np.searchsorted(np.array([c.memory for c in order]), memory, side="right")
    reached = np.where(place > 0, least[np.maximum(place - 1, 0)], np.inf)
    second = sorted(c.value for c in found)[1]
    return (bounds <= second) | (bounds < reached)


def _candidates(columns: dict[str, Any], space: Space, rows: Any, devices: int, goal: Goal) -> list[Candidate]:
    answers = DistributedSolver().compute(_with(columns, space, rows))
    size = rows.size

    def _column(name: str) -> Column:
        return np.broadcast_to(np.asarray(answers[name], dtype=np.float64), (size,))

    steps, memory = _column("performance.step_time"), _column("feasibility.memory_required")
    high = memory * np.exp(INTERVAL_QUANTILE * _column("feasibility.memory_required.log_sd"))
    terms = {name: _column(f"performance.breakdown_{name}") for name in TERMS}
    values = np.broadcast_to(np.asarray(goal.value(steps, steps * _column("performance.active_share"))), (size,))
    axes = {name: space.columns[name][rows] for name in AXES}
    return [
        Candidate(
            devices, space.choice, {name: float(axis[k]) for name, axis in axes.items()}, float(steps[k]),
            float(memory[k]), float(high[k]), {name: float(column[k]) for name, column in terms.items()},
            float(values[k]),
        )
        for k in range(size)
    ]  # fmt: skip
