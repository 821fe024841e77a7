"""What the solver of a whole training run declares: outputs, columns and labels. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["COLUMNS", "ENDS", "GIVEN", "INPUTS", "LABELS", "OUTPUTS", "PARTS", "whole_run"]

PARTS = {
    "stragglers": "waiting for stragglers",
    "evaluation": "evaluation",
    "checkpoints": "checkpoints",
    "rework": "work done again after failures",
    "restarts": "restarts",
}
"""What a run holds beside its steps, in the order in which it adds up, and the words for it."""

GIVEN = ("device_mtbf", "restart_time", "storage_bandwidth", "straggler_slowdown")
"""Inputs of a run that a solver of their own may answer under ``performance.<name>``."""

INPUTS = (
    "cluster?", "performance.step_time", "performance.run_time?", "performance.run_time.log_sd?",
    "performance.forward_time?", "performance.checkpoint_size?", *(f"performance.{name}?" for name in GIVEN),
)  # fmt: skip
"""Records, and answers of other solvers."""

ENDS = "feasibility.run_ends"
"""Whether the run gets through its checkpoints and failures; where it does not, nobody says what it costs."""

OUTPUTS: dict[str, str] = {
    ENDS: "bool",
    "performance.iterations": "1",
    "performance.time_to_train": "s",
    **{f"performance.run_{name}": "s" for name in PARTS},
    "performance.goodput": "1",
    "performance.mtbf": "s",
    "performance.expected_failures": "1",
    "performance.checkpoint_time": "s",
    "performance.checkpoint_interval": "s",
    "performance.checkpoint_overhead": "1",
}
"""Unit of each output."""

LABELS: dict[str, str] = {
    ENDS: "the run comes to an end",
    "performance.iterations": "iterations",
    "performance.time_to_train": "time to train",
    **{f"performance.run_{name}": f"of which {text}" for name, text in PARTS.items()},
    "performance.goodput": "goodput",
    "performance.mtbf": "mean time between failures",
    "performance.expected_failures": "expected failures",
    "performance.checkpoint_time": "time to write a checkpoint",
    "performance.checkpoint_interval": "time between checkpoints",
    "performance.checkpoint_overhead": "share of time for checkpoints",
}
"""Words for the outputs."""

COLUMNS: dict[str, str] = {
    "step_time": "s", "run_time": "s", "run_time.log_sd": "1", "forward_time": "s", "checkpoint_size": "B",
    "batch": "sample", "devices": "1", "evaluation_interval": "sample", "evaluation_steps": "1",
    "evaluation_samples": "sample", "checkpoint_interval": "s", "checkpoint_blocking": "1",
    "storage_bandwidth": "B/s", "device_mtbf": "s", "restart_time": "s", "straggler_variation": "1",
    "straggler_excess": "1", "var_restart_time": "1", "var_device_mtbf": "1", "var_storage_bandwidth": "1",
}  # fmt: skip
"""Unit of every number that ``prepare`` may return."""


def whole_run(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what performance answers for money and energy: all of a run, and work that stays.

    Parameters
    ----------
    inputs : mapping of str to number
        Outputs of the performance solver and of the solver of the whole run, by full name.

    Returns
    -------
    inputs : dict of str to number
        By short name; ``run_time`` is the wall-clock time of the run, and rates of work count what failures,
        checkpoints, stragglers and evaluation leave of them.
    assumptions : tuple of str
        That the steps alone are counted, where nobody answered for the run.
    """
    from .formulas.run import effective_rate_of_run

    found = {name.removeprefix("performance."): value for name, value in inputs.items() if name != ENDS}
    share = found.pop("goodput", None)
    for name in ("throughput", "token_throughput"):
        if share is not None and name in found:
            found[name] = effective_rate_of_run(found[name], share)
    wall, spread = found.pop("time_to_train", None), found.pop("time_to_train.log_sd", None)
    if wall is None:
        alone = ("cost and energy of the run: of its steps alone, since nobody answered for the whole run",)
        return found, alone if "run_time" in found else ()
    found["run_time"] = wall
    if spread is not None:
        found["run_time.log_sd"] = spread
    return found, ()
