"""What the solver of a whole training run declares: outputs, columns and labels."""

from __future__ import annotations

from mlsysim.solving import SolverSpec

from .common import ENDS, SHARES

__all__ = ["COLUMNS", "GIVEN", "INPUTS", "LABELS", "OUTPUTS", "PARTS", "WHOLE_RUN"]

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

WHOLE_RUN = SolverSpec(
    name="run",
    title="How long does a whole training run take, with evaluation, checkpoints, stragglers and failures?",
    question="run",
    scenarios=("training",),
    target="mlsysim_solvers.run:RunSolver",
    inputs=INPUTS,
    outputs=OUTPUTS,
    at_most=SHARES,
    columns=COLUMNS,
    labels=LABELS,
    references=(
        "Young 1974, CACM 17(9)",
        "Daly 2006, FGCS 22(3), doi:10.1016/j.future.2004.11.016",
    ),
)
