"""What a layout is judged by: its step, or what the work costs in money or energy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import attrs

from mlsysim.config import SimulationConfig
from mlsysim.errors import MlsysimError
from mlsysim.evaluation import build_request
from mlsysim.evaluation.choice import choose_solvers
from mlsysim.plugins import plugins
from mlsysim.records import Parallelism, Traffic
from mlsysim.running import load_solver
from mlsysim.solving import SolverSpec

from ..declarations.common import ENDS
from ..execution.training.schedule import layout_of
from ..execution.training.training_run import checkpoint_size

__all__ = ["GOALS", "Goal", "endless", "goal_of", "step_goal"]

GOALS = ("step-time", "cost", "energy", "devices")
"""What may be optimised."""

_PRICED = {"cost": ("economics", "macro.cost_per_sample"), "energy": ("sustainability", "macro.energy_per_sample")}
"""Goals that another solver answers: its question, and the output that is minimised."""


_GOODPUT = "performance.goodput"


class Goal(NamedTuple):
    """What is minimised, on a given number of devices.

    Parameters
    ----------
    name : str
        One of :data:`GOALS`.
    label, unit : str
        Words for the value, and its unit.
    value : callable
        ``(step, active) -> value``: from the time of a step and the part of it in which devices compute, both in
        s, float64 arrays of shape (n,). It never falls when either rises, which makes a bound of both a bound of it.
    note : str
        What a reader must know of it; empty for nothing.
    """

    name: str
    label: str
    unit: str
    value: Callable[[Any, Any], Any]
    note: str = ""


def step_goal(name: str = "step-time") -> Goal:
    """Return the goal of the shortest step.

    Parameters
    ----------
    name : str
        ``step-time``, or ``devices``, which takes the shortest step on each number of devices.

    Returns
    -------
    Goal
    """
    return Goal(name, "step", "s", lambda step, _: step)


def goal_of(config: SimulationConfig, devices: int, name: str, columns: Mapping[str, Any] | None = None) -> Goal:
    """Return a goal for a scenario.

    Parameters
    ----------
    config : SimulationConfig
        A training scenario.
    devices : int, count
        Devices.
    name : str
        One of :data:`GOALS`.
    columns : mapping of str to number or object, optional
        As the performance solver prepared them; with them, cost and energy count work done again after failures.

    Returns
    -------
    Goal
        Cost and energy are those of a sample, as the solvers of the scorecard answer them, evaluation of the run
        left out. Where they cannot, for lack of a price or of a power, device time stands for them.
    """
    if name not in _PRICED:
        return step_goal(name)
    question, output = _PRICED[name]
    checked = _on(config, devices)
    specs, reasons = choose_solvers(checked, plugins())
    spec = next((spec for spec in specs if spec.question == question), None)
    if spec is None:
        return _device_time(name, devices, reasons.get(question, "nobody answers it"))
    try:
        run = {} if columns is None else _of_run(checked, specs, columns)[0]
        value = _answer_of(checked, spec, output, {name: run[name] for name in (_GOODPUT,) if name in run})
        value(1.0, 1.0)
    except MlsysimError as error:
        return _device_time(name, devices, str(error))
    except KeyError as error:
        return _device_time(name, devices, f"{spec.name} answers no {error.args[0]}")
    changes = value(1.0, 0.5) < value(1.0, 1.0)
    note = (
        "" if changes else f"{name} is proportional to device time here: on one number of devices it ranks as the step"
    )
    return Goal(name, spec.labels[output], spec.outputs[output], value, note)


def endless(config: SimulationConfig, devices: int, columns: Mapping[str, Any]) -> str:
    """Say why a run on so many devices would never end, whatever their layout.

    Parameters
    ----------
    config : SimulationConfig
        A training scenario.
    devices : int, count
        Devices.
    columns : mapping of str to number or object
        As the performance solver prepared them.

    Returns
    -------
    str
        Empty where it ends, or where nobody answers for the run.
    """
    checked = _on(config, devices)
    answers, notes = _of_run(checked, choose_solvers(checked, plugins())[0], columns)
    return "" if answers.get(ENDS, True) else next(note for note in notes if "never end" in note)


def _on(config: SimulationConfig, devices: int) -> SimulationConfig:
    """Return the scenario on so many devices, in no layout yet."""
    system = attrs.evolve(config.scenario.system, devices=devices)
    return SimulationConfig.from_scenario(attrs.evolve(config.scenario, system=system, parallelism=Parallelism()))


def _of_run(
    config: SimulationConfig, specs: Iterable[SolverSpec], columns: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what no layout changes of a run on so many devices, and what is said of it."""
    spec = next((spec for spec in specs if spec.question == "run"), None)
    if spec is None:
        return {}, ()
    layout = layout_of(columns, columns["batch"], columns["shape"])
    known = {"performance.step_time": 1.0, "performance.checkpoint_size": checkpoint_size(columns, layout)}
    solver = load_solver(spec)
    prepared = solver.prepare(build_request(config, spec, known))
    return solver.compute(prepared), tuple(prepared.get("assumptions", ()))


def _answer_of(
    config: SimulationConfig, spec: SolverSpec, output: str, run: Mapping[str, Any]
) -> Callable[[Any, Any], Any]:
    lacking = [role for role, required in spec.roles if required and role not in config.entries]
    if lacking:
        raise KeyError(f"{output} without a {lacking[0]}")
    workload = config.scenario.workload
    assert not isinstance(workload, Traffic)  # what is searched has a fixed batch
    solver, batch = load_solver(spec), float(workload.batch)

    def value(step: Any, active: Any) -> Any:
        known = {"performance.throughput": batch / step, "performance.active_share": active / step, **run}
        return solver.compute(solver.prepare(build_request(config, spec, known)))[output]

    return value


def _device_time(name: str, devices: int, reason: str) -> Goal:
    note = f"no {name} is known ({reason}): device time stands for it, as at one price per device and time"
    return Goal(name, "device time of a step", "s", lambda step, _: devices * step, note)
