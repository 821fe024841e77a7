"""Cells that a published row leaves empty although they matter, and what an empty one is taken to mean."""

from __future__ import annotations

from collections.abc import Callable

from mlsysim.records import Scenario, Serving, Stack
from mlsysim.records.measurement import Measurement

from ..execution.device.formats import cache_format
from .questions import Assumed, Question

__all__ = ["blanks"]

Reading = Callable[[Scenario, Stack], str]


def _recompute(asked: Scenario, _: Stack) -> str:
    return f"recomputation {getattr(asked.workload, 'recompute', 'none')}" if asked.kind == "training" else ""


def _sequence(asked: Scenario, _: Stack) -> str:
    if asked.kind != "training" or asked.parallelism.tensor < 2:
        return ""
    return f"sequence parallelism {'on' if asked.parallelism.sequence else 'off'}"


def _sharding(asked: Scenario, _: Stack) -> str:
    if asked.kind != "training" or asked.parallelism.data * asked.parallelism.context < 2:
        return ""
    return "optimizer states divided as the stack does unless told otherwise"


def _cache(asked: Scenario, stack: Stack) -> str:
    if not isinstance(asked.workload, Serving):
        return ""
    return f"a key-value cache in {cache_format(asked.workload, stack)}"


def _tensor(asked: Scenario, _: Stack) -> str:
    if asked.kind != "serving" or asked.system.devices < 2:
        return ""
    parts = asked.parallelism
    return f"{asked.system.devices} devices as {parts.tensor} tensor and {parts.pipeline} pipeline parallel"


_BLANKS: dict[str, tuple[Reading, float]] = {
    "recompute": (_recompute, 0.05),
    "sequence_parallel": (_sequence, 0.02),
    "zero_stage_or_fsdp": (_sharding, 0.02),
    "kv_precision": (_cache, 0.02),
    "tp": (_tensor, 0.05),
}
"""By column: what an empty cell means for a scenario (empty text: nothing, the cell does not apply), and by how much
the choice may move a prediction (natural-log units; estimates)."""


def blanks(row: Measurement, question: Question, stack: Stack) -> tuple[Assumed, ...]:
    """List what empty cells of a row are taken to mean, beyond what is listed already.

    Parameters
    ----------
    row : Measurement
        The row.
    question : Question
        What is asked for it.
    stack : Stack
        The stack that answers it, named by the row or assumed.

    Returns
    -------
    tuple of Assumed
    """
    found = []
    for column, (reading, log_sd) in _BLANKS.items():
        if row.configuration.get(column) or any(column.split("_")[0] in one.what for one in question.assumed):
            continue
        what = reading(question.scenario, stack)
        if what:
            found.append(Assumed(f"{what}: the cell {column} is empty", log_sd))
    return tuple(found)
