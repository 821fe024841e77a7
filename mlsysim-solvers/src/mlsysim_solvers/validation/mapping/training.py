"""Rows of training."""

from __future__ import annotations

import attrs

from mlsysim.plugins import plugins
from mlsysim.records import Parallelism, Training
from mlsysim.records.measurement import Measurement

from ..names import Names
from ..questions import Assumed, Question, Refused
from .common import cell, format_for, real_length, scenario, subject, unstated, whole
from .distributed import WITH_DROPOUT, amount_of, distributed_question
from .shapes import model_of

__all__ = ["training_question"]

CHANNELS_FIRST = ("lambda",)
"""Sets whose scripts leave images with their channels first in 16 bits too: pytorch/scripts/config_v1 of Lambda's
benchmark runs main.py of NVIDIA DeepLearningExamples, PyTorch/Classification/ConvNets, without ``--memory-format``,
whose default is nchw."""

RECOMPUTE = {"": "none", "none": "none", "selective": "selective", "full": "full"}
"""Recomputation as published."""


def training_question(row: Measurement, known: Names) -> Question:
    """Return what is asked for a row of the training table.

    Parameters
    ----------
    row : Measurement
        The row.
    known : Names
        Names as published.

    Returns
    -------
    Question

    Raises
    ------
    Refused
        With the reason why nothing can be asked.
    """
    if row.devices > 1:
        return distributed_question(row, known)
    assumed: list[Assumed] = []
    model = model_of(row, known, row.model, assumed)
    found = subject(row, known)
    devices = max(row.devices, 1)
    precision, _ = known.weights(cell(row, "precision") or unstated(found, "precision", assumed))
    precision = format_for(found.device, precision)
    batch = whole(row, "global_batch")
    micro = whole(row, "micro_batch")
    if devices == 1 and micro:
        batch = micro
        if whole(row, "global_batch") not in (None, micro):
            assumed.append(Assumed("the optimizer is counted in every micro-batch", 0.02))
    if batch is None:
        batch = int(unstated(found, "batch", assumed)) * devices
    record = plugins().registry.get("models", model).record
    sequence = real_length(found, whole(row, "seq_len") or 0, assumed)
    if record.transformer is not None and not record.transformer.patch and not sequence:
        raise Refused("the sequence length is not published")
    job = Training(
        model=model, batch=batch, precision=precision, sequence=sequence,
        recompute=RECOMPUTE.get(cell(row, "recompute"), "none"),  # type: ignore[arg-type]
    )  # fmt: skip
    asked = scenario(row, "training", job, found, _layout(row, devices), devices)
    if row.set.startswith(WITH_DROPOUT):
        asked = attrs.evolve(asked, settings={"single-node": {"dropout": "1"}})
    if row.set in CHANNELS_FIRST and record.transformer is None:
        asked = attrs.evolve(asked, settings={"single-node": {"channels_first": "1"}})
    return _reading(row, asked, batch, sequence, assumed)


def _layout(row: Measurement, devices: int) -> Parallelism:
    tensor, pipeline, context = (whole(row, name) or 1 for name in ("tp", "pp", "cp"))
    data = whole(row, "dp") or max(1, devices // (tensor * pipeline * context))
    return Parallelism(data=data, tensor=tensor, pipeline=pipeline, context=context, expert=whole(row, "ep") or 1)


def _reading(row: Measurement, asked: object, batch: int, sequence: int, assumed: list[Assumed]) -> Question:
    given = tuple(assumed)
    if row.name == "iteration_time_s":
        return Question(asked, "performance.step_time", None, given)  # type: ignore[arg-type]
    if row.name == "memory_gb":
        return Question(asked, "feasibility.memory_required", None, given)  # type: ignore[arg-type]
    if row.metric.quantity == "rate" and (sequence or row.metric.counts == "samples"):
        return Question(asked, "performance.step_time", amount_of(row, batch, sequence), given)  # type: ignore[arg-type]
    raise Refused(f"{row.name} of a training run is not answered by an installed solver")
