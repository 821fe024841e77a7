"""Rows of training."""

from __future__ import annotations

import attrs

from mlsysim.plugins import plugins
from mlsysim.records import Parallelism, Scenario, Training
from mlsysim.records.measurement import Measurement

from ..names import Names
from ..questions import Assumed, Question, Refused
from .common import Subject, cell, format_for, scenario, subject, unstated, unstated_format, whole
from .distributed import amount_of, distributed_question, is_lora, of_a_step
from .floats import multiplied
from .saving import saved
from .shapes import model_of
from .training_recipes import followed, real_length

__all__ = ["training_question"]

_EXCHANGED = 0.1
"""What the exchange of gradients may add to a step of copies (natural-log units; estimate, range 0 to 0.2): some 100 MB
over links of 10 to 300 GB/s beside steps of a tenth of a second."""

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
    if (row.devices > 1 and not _in_copies(row, known)) or is_lora(row):
        return distributed_question(row, known)
    assumed: list[Assumed] = []
    model = model_of(row, known, row.model, assumed)
    found = subject(row, known)
    copies = max(row.devices, 1)
    if copies > 1:
        row = _one_copy(row, copies, assumed)
    text = cell(row, "precision") or _unstated_format(row, model, found, assumed)
    precision, _ = known.weights(text)
    precision = multiplied(found, model, format_for(found.device, precision), assumed)
    batch = whole(row, "global_batch")
    micro = whole(row, "micro_batch")
    if batch is None or copies > 1:
        batch = micro or batch
    if batch is None:
        batch = int(unstated(found, "batch", assumed))
    record = plugins().registry.get("models", model).record
    if record.pair is not None:
        raise Refused("how many tokens its encoder reads and its decoder writes in a sample is not published")
    sequence = real_length(found, whole(row, "seq_len") or 0, assumed)
    if record.transformer is not None and not record.transformer.patch and not sequence:
        raise Refused("the sequence length is not published")
    job = Training(
        model=model, batch=batch, precision=precision, sequence=sequence,
        recompute=RECOMPUTE.get(cell(row, "recompute"), "none"),  # type: ignore[arg-type]
    )  # fmt: skip
    job, _ = followed(job, Parallelism(), row, found, assumed)
    several = micro is not None and micro < batch and record.transformer is not None
    asked = scenario(row, "training", job, found, Parallelism(micro_batch=micro or 0) if several else None)
    shape, sets = record.transformer, known.runs.sets
    told, where = ("channels_first", sets.channels_first) if shape is None else ("dropout", sets.dropout)
    if row.set.startswith(where):
        asked = attrs.evolve(asked, settings={"single-node": {told: "1"}})
    if shape is not None and shape.causal and row.name != "memory_gb":
        asked = saved(asked, row, found, assumed)
    if shape is not None and not shape.patch and row.name in ("model_tflops_per_accelerator", "mfu", "hfu"):
        return Question(asked, "performance.step_time", of_a_step(row, known, asked), tuple(assumed))
    whole_rate = copies if row.metric.quantity == "rate" and row.metric.per != "device" else 1
    return _reading(row, asked, batch * whole_rate, sequence, assumed)


def _unstated_format(row: Measurement, model: str, found: Subject, assumed: list[Assumed]) -> str:
    """Return the format of a row that prints none: of language models 16 bits, of others what the stack says."""
    shape = plugins().registry.get("models", model).record.transformer
    language = shape is not None and not shape.patch
    return unstated_format(row, found, assumed) if language else unstated(found, "precision", assumed)


def _in_copies(row: Measurement, known: Names) -> bool:
    """Tell whether devices train copies of a list of layers, which no solver spreads over them."""
    try:
        model = model_of(row, known, row.model, [])
    except Refused:
        return False
    divided = any((whole(row, name) or 1) > 1 for name in ("tp", "pp", "cp", "ep"))
    return not divided and plugins().registry.get("models", model).record.transformer is None


def _one_copy(row: Measurement, copies: int, assumed: list[Assumed]) -> Measurement:
    """Return the row as one of its devices sees it."""
    what = f"{copies} devices train copies, whose gradients are exchanged beside the backward pass"
    assumed.append(Assumed(what, _EXCHANGED))
    batch = whole(row, "global_batch")
    if batch is None or whole(row, "micro_batch"):
        return row
    if batch % copies:
        raise Refused(f"a batch of {batch} does not divide among {copies} devices")
    cells = {**row.configuration, "global_batch": str(batch // copies)}
    return attrs.evolve(row, configuration=cells)


def _reading(row: Measurement, asked: Scenario, batch: int, sequence: int, assumed: list[Assumed]) -> Question:
    given = tuple(assumed)
    if row.name == "iteration_time_s":
        return Question(asked, "performance.step_time", None, given)
    if row.name == "memory_gb":
        return Question(asked, "feasibility.memory_required", None, given)
    if row.metric.quantity == "rate" and (sequence or row.metric.counts == "samples"):
        return Question(asked, "performance.step_time", amount_of(row, batch, sequence), given)
    raise Refused(f"{row.name} of a training run is not answered by an installed solver")
