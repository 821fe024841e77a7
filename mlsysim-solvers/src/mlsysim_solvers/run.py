"""A whole training run: its steps, and what they meet on the way.

A run evaluates its model, writes checkpoints, waits for stragglers, fails, starts again and does lost work once
more. Each of these is an input; what is not given is left out, and the answer says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.numeric import is_array, maximum, minimum
from mlsysim.tracing import named
from mlsysim.units import format_quantity

from .declarations.common import ENDS
from .declarations.run import GIVEN, PARTS
from .formulas.reliability import (
    checkpoint_write_time,
    daly_interval,
    failures_per_interval,
    job_mtbf,
    restart_loss,
    rework_per_interval,
)
from .formulas.run import evaluation_time, goodput, run_log_sd, straggler_slowdown
from .formulas.training import run_steps
from .lowering.shape import number

__all__ = ["RunSolver"]

Columns = Mapping[str, Any]

_HOPELESS = 20.0
"""Mean times between failures per checkpoint interval beyond which a run is taken never to end: of e^20 attempts
at an interval one succeeds."""
_FINITE = 100.0
"""The same where arrays reach so far: beyond it numbers stay finite instead of growing."""


class RunSolver:
    """Wall-clock time and goodput of a training run.

    Failures come at a constant rate from every device and stop the whole job, which then returns to its last
    checkpoint. Between checkpoints lies the given time, or Daly's optimum.
    """

    def prepare(self, request: Any) -> dict[str, Any]:
        """Flatten the run and what is known of a step into columns.

        Parameters
        ----------
        request : Request
            Training scenario, the cluster where there is one, and the outputs of other solvers.

        Returns
        -------
        dict of str to number or object
            SI numbers under the names of :data:`mlsysim_solvers.declarations.run.COLUMNS`.
        """
        scenario = request.scenario
        run, cluster = scenario.workload.run, request.records.get("cluster")
        found = {name.removeprefix("performance."): value for name, value in request.inputs.items()}
        columns: dict[str, Any] = {
            name: value for name, value in found.items() if name not in GIVEN and name != "checkpoint_size"
        }
        columns |= {"batch": number(scenario.workload.batch), "devices": number(scenario.system.devices)}
        columns |= _evaluation_columns(run, found)
        columns |= _straggler_columns(run, found)
        interruptions, notes = _interruption_columns(run, cluster, found)
        columns |= interruptions
        variances = _variances(run, request, interruptions)
        columns |= {**variances, "estimated": any(map(bool, variances.values()))}
        notes += _never_ends(columns)
        missing = _left_out(columns)
        if missing and ("run_time" in found or len(missing) < len(_ASPECTS)):
            said = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
            notes.append(f"the run: without {said} (set workload.run)")
        columns["assumptions"] = tuple(notes)
        return columns

    def compute(self, columns: Columns) -> dict[str, Any]:
        """Answer, for floats and for arrays alike.

        Parameters
        ----------
        columns : mapping of str to number or object
            As ``prepare`` returned; every number may be an array, shape (n,), float64.

        Returns
        -------
        dict of str to number
            Outputs in SI under the names of :data:`mlsysim_solvers.declarations.run.OUTPUTS`. Without a length of
            the run one step stands for all, and only shares and intervals are answered. Of a single run that never
            ends there is nothing more to say than that.
        """
        c = columns
        useful = named(c["run_time"] if "run_time" in c else c["step_time"], "undisturbed steps")
        answers, parts = _beside(c, useful)
        if answers.get(ENDS) is False:
            return {name: value for name, value in answers.items() if name != "performance.expected_failures"}
        wall = useful
        for name in PARTS:
            if name in parts:
                wall = wall + named(parts[name], PARTS[name])
        if parts:
            answers["performance.goodput"] = goodput(useful, wall)
            if c["estimated"]:
                answers["performance.goodput.log_sd"] = _spread(c, 0.0, wall, parts)
        if "checkpoints" in parts:
            answers["performance.checkpoint_overhead"] = parts["checkpoints"] / wall
        if "run_time" in c:
            answers |= _totals(c, wall, parts)
        else:
            answers.pop("performance.expected_failures", None)
        return answers


_ASPECTS = {
    "evaluation": "evaluation_samples",
    "stragglers": "straggler_variation",
    "checkpoints": "checkpoint_size",
    "failures": "device_mtbf",
}
"""What may be left out of a run, and the column that shows whether it is in."""


_FIELDS = {"storage_bandwidth": "storage", "device_mtbf": "device_mtbf", "restart_time": "restart"}
"""Inputs that a cluster's file may know, and its name for them."""


def _left_out(columns: Columns) -> list[str]:
    inside = set(columns) | ({"straggler_variation"} if "straggler_excess" in columns else set())
    return [name for name, column in _ASPECTS.items() if column not in inside]


def _evaluation_columns(run: Any, found: Columns) -> dict[str, Any]:
    if not run.evaluation_samples or "forward_time" not in found:
        return {}
    every = "evaluation_interval" if run.evaluation_interval else "evaluation_steps"
    return {every: getattr(run, every), "evaluation_samples": run.evaluation_samples}


def _straggler_columns(run: Any, found: Columns) -> dict[str, Any]:
    if run.straggler_variation:
        return {"straggler_variation": run.straggler_variation}
    slowdown = run.straggler_slowdown or found.get("straggler_slowdown")
    return {} if slowdown is None else {"straggler_excess": slowdown - 1.0}


def _interruption_columns(run: Any, cluster: Any, found: Columns) -> tuple[dict[str, Any], list[str]]:
    """Return checkpoints and failures: as the scenario says, else as a solver answers, else as the cluster's file."""
    known: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        value = getattr(run, name) or found.get(name)
        value = getattr(cluster, field, None) if value is None else value
        if value is not None:
            known[name] = value
    if "checkpoint_size" not in found or not (run.checkpoint_interval or "device_mtbf" in known):
        return {}, []
    absent = [name for name in ("storage_bandwidth", "restart_time") if name not in known]
    if "storage_bandwidth" in absent or ("device_mtbf" in known and absent and not run.checkpoint_interval):
        return {}, [f"failures of the cluster are left out: nothing says {' or '.join(absent)} (set workload.run)"]
    columns = {
        "checkpoint_size": found["checkpoint_size"], "checkpoint_blocking": run.checkpoint_blocking,
        "storage_bandwidth": known["storage_bandwidth"],
    }  # fmt: skip
    notes = []
    if run.checkpoint_interval:
        columns["checkpoint_interval"] = run.checkpoint_interval
    else:
        notes.append("time between checkpoints: Daly's optimum (set workload.run.checkpoint_interval)")
    if run.checkpoint_blocking == 1.0:
        notes.append("training stands still while a checkpoint is written (set workload.run.checkpoint_blocking)")
    if "device_mtbf" in known and "restart_time" in known:
        columns |= {"device_mtbf": known["device_mtbf"], "restart_time": known["restart_time"]}
    return columns, notes


def _variances(run: Any, request: Any, used: Columns) -> dict[str, Any]:
    """Return the variances of what the cluster's file only estimates."""
    found: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        own = name not in used or getattr(run, name) or f"performance.{name}" in request.inputs
        standing = None if own else request.claims.get(("cluster", field))
        spread = (standing and standing.chosen.log_sd) or 0.0
        found[f"var_{name}"] = spread * spread
    return found


def _never_ends(c: Columns) -> list[str]:
    """Say why a single run never ends, and what would help; nothing for one that does, and for arrays."""
    if "checkpoint_size" not in c or any(is_array(value) for value in c.values()) or _ends(c):
        return []
    write, blocked, interval, mtbf = _checkpoint(c)
    if interval < write - blocked:
        why = f"a checkpoint every {_time(interval)} takes {_time(write)} to write"
        remedy = f"set workload.run.checkpoint_interval to {_time(write - blocked)} or more, or use faster storage"
    elif (interval + blocked) / mtbf > _HOPELESS:
        why = f"it fails every {_time(mtbf)}, and a checkpoint comes every {_time(interval + blocked)}"
        remedy = "write checkpoints more often or faster, or use fewer devices"
    else:
        why = f"it fails every {_time(mtbf)}, and a restart takes {_time(c['restart_time'])}"
        remedy = "restart faster, or use fewer devices; is device_mtbf the time of one device?"
    return [f"the run would never end: {why} ({remedy})"]


def _time(seconds: float) -> str:
    return format_quantity(seconds, "s", 3)


def _checkpoint(c: Columns) -> tuple[Any, Any, Any, Any]:
    """Return the time to write a checkpoint, its visible part, the time between two, and that between failures."""
    write = checkpoint_write_time(c["checkpoint_size"], c["storage_bandwidth"])
    blocked = write * c["checkpoint_blocking"]
    mtbf = job_mtbf(c["device_mtbf"], c["devices"]) if "device_mtbf" in c else None
    interval = c.get("checkpoint_interval")
    if interval is None:
        # One checkpoint is written before the next begins.
        interval = maximum(daly_interval(blocked, mtbf), write - blocked)
    return write, blocked, interval, mtbf


def _beside(c: Columns, useful: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return answers about checkpoints and failures, and the time of everything beside the steps."""
    parts: dict[str, Any] = {}
    if "evaluation_samples" in c:
        parts["evaluation"] = _evaluation(c, useful)
    work = useful + parts["evaluation"] if parts else useful
    excess = _straggling(c)
    if excess is not None:
        parts["stragglers"] = work * excess
        work = work + parts["stragglers"]
    if "checkpoint_size" not in c:
        return {}, parts
    answers, more = _interruptions(c, named(work, "work of the run"))
    return answers, parts | more


def _evaluation(c: Columns, useful: Any) -> Any:
    steps = run_steps(useful, c["step_time"])
    every = c["evaluation_steps"] if "evaluation_steps" in c else c["evaluation_interval"] / c["batch"]
    times = steps / every
    return evaluation_time(named(times, "evaluations"), c["evaluation_samples"], c["batch"], c["forward_time"])


def _straggling(c: Columns) -> Any:
    """Return by what share the slowest device lengthens a step."""
    if "straggler_variation" in c:
        return straggler_slowdown(c["straggler_variation"], c["devices"]) - 1.0
    return c.get("straggler_excess")


def _ends(c: Columns) -> Any:
    """Tell whether checkpoints do not overtake each other, and failures let the run through."""
    write, blocked, interval, mtbf = _checkpoint(c)
    through = interval >= write - blocked
    if mtbf is None:
        return through
    return through & (interval + blocked <= _HOPELESS * mtbf) & (c["restart_time"] <= _HOPELESS * mtbf)


def _interruptions(c: Columns, work: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return answers about checkpoints and failures, and the time that they take."""
    write, blocked, interval, mtbf = _checkpoint(c)
    intervals = named(work / interval, "intervals between checkpoints")
    answers = {
        ENDS: _ends(c),
        "performance.checkpoint_time": write,
        "performance.checkpoint_interval": named(interval + 0.0 * write, "time between checkpoints"),
    }
    parts = {"checkpoints": intervals * blocked}
    if mtbf is None:
        return answers, parts
    length = minimum(interval + blocked, _FINITE * mtbf)
    each = failures_per_interval(length, mtbf)
    failures = intervals * each
    parts["rework"] = intervals * rework_per_interval(length, mtbf, each, write - blocked)
    parts["restarts"] = restart_loss(failures, c["restart_time"])
    answers |= {"performance.mtbf": mtbf, "performance.expected_failures": named(failures, "failures")}
    return answers, parts


def _totals(c: Columns, wall: Any, parts: Mapping[str, Any]) -> dict[str, Any]:
    answers = {
        "performance.iterations": run_steps(c["run_time"], c["step_time"]),
        "performance.time_to_train": named(wall, "time to train"),
        **{f"performance.run_{name}": value for name, value in parts.items()},
    }
    if "run_time.log_sd" in c:
        answers["performance.time_to_train.log_sd"] = _spread(c, c["run_time.log_sd"], wall, parts)
    return answers


def _spread(c: Columns, steps: Any, wall: Any, parts: Mapping[str, Any]) -> Any:
    """Return the spread of the run's logarithm, from that of its steps and from its shares."""
    restarts, rework, checkpoints = (parts.get(name, 0.0) / wall for name in ("restarts", "rework", "checkpoints"))
    return run_log_sd(
        steps, restarts, rework, checkpoints, c["var_restart_time"], c["var_device_mtbf"], c["var_storage_bandwidth"]
    )
