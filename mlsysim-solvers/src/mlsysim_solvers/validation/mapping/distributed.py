"""Rows of training on several devices."""

from __future__ import annotations

import re

import attrs

from mlsysim.errors import MlsysimError
from mlsysim.plugins import plugins
from mlsysim.records import Model, Scenario, Training
from mlsysim.records.measurement import Measurement

from ...formulas.constants import FLOP_PER_MAC
from ...lowering.shape import transformer_shape
from ...lowering.work import model_work
from ..names import Names
from ..questions import Assumed, Question, Refused
from .common import Subject, cell, format_for, scenario, subject, unstated, unstated_format, whole
from .networks import network_settings
from .saving import modules_of, recomputed_layers, saved
from .shapes import model_of
from .training_layouts import layout_for
from .training_recipes import followed, real_length, scaling_for

__all__ = ["amount_of", "distributed_question", "is_lora", "of_a_step"]

LORA_RANK = 16
"""Rank of the adapters of the fine-tuning benchmark (MLCommons training, llama2_70b_lora)."""

_RECOMPUTED = 4.0 / 3.0
"""Work of a step that runs every forward pass twice, over that of one that does not."""
_LORA = re.compile(r"(?<![a-z])q?lora(?![a-z])", re.IGNORECASE)
_QLORA = re.compile(r"(?<![a-z])qlora(?![a-z])", re.IGNORECASE)
_PACKED = re.compile(r"packed (\w+)")


def distributed_question(row: Measurement, known: Names) -> Question:
    """Return what is asked for a row of training on several devices.

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
    lora = is_lora(row)
    plain = re.sub(r"\s+(SFT|LoRA)\b.*|\s*\(.*\)", "", row.model).strip() or row.model
    assumed: list[Assumed] = []
    model = model_of(row, known, plain, assumed)
    found = subject(row, known)
    precision = _precision(row, known, found, assumed)
    batch, sequence = _batch(row, assumed), whole(row, "seq_len")
    if batch is None or not sequence:
        raise Refused("batch or sequence length is not published")
    sequence = real_length(found, sequence, assumed)
    record: Model = plugins().registry.get("models", model).record
    if record.transformer is None:
        raise Refused("training of layer lists on several devices is not expressed")
    layout = layout_for(row, found, batch, record.transformer.layers, assumed)
    parts = _packed(row, sequence, assumed)
    batch, sequence = batch * parts, sequence // parts
    layout = attrs.evolve(layout, micro_batch=layout.micro_batch * parts)
    job = Training(
        model=model, batch=batch, precision=precision, sequence=sequence,
        recompute=_recompute(row, found, assumed),  # type: ignore[arg-type]
        recompute_modules=modules_of(row), recompute_layers=recomputed_layers(row),
        offload="custom" in cell(row, "recompute") or "offload" in cell(row, "recompute"),
        adapter=LORA_RANK if lora else 0, weights="nf4" if lora and _names(_QLORA, row) else "",
        master="" if "PURE" in cell(row, "zero_stage_or_fsdp") else "fp32",
        scaling=scaling_for(row) if precision == "fp8" else "",  # type: ignore[arg-type]
    )  # fmt: skip
    job, layout = followed(job, layout, row, found, assumed)
    asked = scenario(row, "training", job, found, layout, row.devices)
    if row.devices == 1:
        asked = attrs.evolve(asked, solvers={"performance": "distributed"})
    said = network_settings(row, found.device, assumed) | dict.fromkeys(known.runs.settings(row.software), "1")
    if row.set.startswith(known.runs.sets.dropout):
        said["dropout"] = "1"
    if said:
        asked = attrs.evolve(asked, settings={"distributed": said})
    return _reading(row, known, saved(asked, row, found, assumed), assumed)


def is_lora(row: Measurement) -> bool:
    """Tell whether a row says that low-rank adapters were trained beside a frozen model.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    bool
    """
    return _names(_LORA, row)


def _batch(row: Measurement, assumed: list[Assumed]) -> int | None:
    """Return the samples of a step: as printed, or a micro-batch for each rank; None where neither is."""
    batch, micro, ranks = (whole(row, name) for name in ("global_batch", "micro_batch", "dp"))
    if batch is None and micro and ranks:
        batch = micro * ranks
        assumed.append(
            Assumed(f"a batch of {batch}, one micro-batch for each rank, which the row does not state", 0.03)
        )
    return batch


def _names(what: re.Pattern[str], row: Measurement) -> bool:
    return bool(what.search(row.model) or what.search(cell(row, "notes")) or what.search(row.software))


def _precision(row: Measurement, known: Names, found: Subject, assumed: list[Assumed]) -> str:
    text = cell(row, "precision")
    if not text:
        # Submissions choose any format that keeps the quality.
        submitted = "MLPerf" in row.model
        text = unstated(found, "precision", assumed) if submitted else unstated_format(row, found, assumed)
    for beginning, name in (("fp8", "fp8"), ("float8", "fp8"), ("mxfp8", "fp8"), ("nvfp4", "fp4"), ("int8", "int8")):
        if text.lower().startswith(beginning):
            return format_for(found.device, name)
    return format_for(found.device, known.weights(text)[0])


def _recompute(row: Measurement, found: Subject, assumed: list[Assumed]) -> str:
    text = cell(row, "recompute").lower()
    if text in ("", "none"):
        return unstated(found, "recompute", assumed) if not text and found.says("recompute") else "none"
    if modules_of(row):
        return "selective"
    for known in ("selective", "full"):
        if text.startswith(known):
            return known
    assumed.append(Assumed(f"recomputation {text!r} is counted as full", 0.08))
    return "full"


def _packed(row: Measurement, sequence: int, assumed: list[Assumed]) -> int:
    """Return the samples that a packed sequence holds, none of which attends to another."""
    found = _PACKED.search(cell(row, "notes"))
    if not found:
        return 1
    for entry in plugins().registry.entries("datasets"):
        if found[1].casefold() in (entry.key, *entry.record.aliases):
            parts = max(1, round(sequence / float(entry.record.input)))
            assumed.append(Assumed(f"{parts} samples in a packed sequence, by the mean of {entry.record.name}", 0.03))
            return parts
    return 1


def amount_of(row: Measurement, batch: int, sequence: int) -> float:
    """Return what a rate of training counts of a step.

    Parameters
    ----------
    row : Measurement
        The row.
    batch, sequence : int
        Samples of a step, and tokens of a sample.

    Returns
    -------
    float
        Samples, or tokens, of all devices or of one.
    """
    share = row.devices if row.metric.per == "device" else 1
    return batch * (1 if row.metric.counts == "samples" else sequence) / share


def _reading(row: Measurement, known: Names, asked: Scenario, assumed: list[Assumed]) -> Question:
    """Return the question whose answer gives the figure that a row prints."""
    if row.name == "memory_gb":
        if "ACTIVATIONS" in cell(row, "notes"):
            raise Refused("the figure is a formula for activations alone, not a measurement")
        return Question(asked, "feasibility.memory_required", None, tuple(assumed))
    return Question(asked, "performance.step_time", of_a_step(row, known, asked), tuple(assumed))


def of_a_step(row: Measurement, known: Names, asked: Scenario) -> float | None:
    """Return the amount of a step that a figure divides by its time.

    Parameters
    ----------
    row : Measurement
        The row.
    known : Names
        Names as published.
    asked : Scenario
        What is asked for it.

    Returns
    -------
    float or None
        None where the figure is the time itself.

    Raises
    ------
    Refused
        If nothing answers the figure.
    """
    job = asked.workload
    assert isinstance(job, Training)
    if row.name == "iteration_time_s":
        return None
    if row.metric.quantity == "rate":
        return amount_of(row, job.batch, job.sequence)
    if row.name == "model_tflops_per_accelerator":
        return _model_flop(row, known, job) / 1e12
    if row.name not in ("mfu", "hfu"):
        raise Refused(f"{row.name} of a training run is not answered by an installed solver")
    flop = _model_flop(row, known, job)
    if row.name == "hfu" and job.recompute == "full" and not row.set.startswith(known.runs.sets.counts_recomputation):
        flop *= _RECOMPUTED
    try:
        peak = plugins().registry.get("devices", asked.system.device).record.peak_of(job.precision).dense
    except MlsysimError as error:
        raise Refused(error.what) from None
    percent = 100.0 if "percent" in cell(row, "notes") or row.value > 1.0 else 1.0
    return percent * flop / float(peak)


def _model_flop(row: Measurement, known: Names, job: Training) -> float:
    """Return the FLOP of a step on one device, counted as the document behind the row counts them."""
    model: Model = plugins().registry.get("models", job.model).record
    assert model.transformer is not None
    shape, sets = transformer_shape(model, model.transformer), known.runs.sets
    masked = 1.0 if row.set.startswith(sets.counts_masked_pairs) else 0.0
    layers, ends = model_work(shape, float(job.sequence), FLOP_PER_MAC, masked, frozen=job.adapter > 0)
    if row.set.startswith(sets.counts_recomputation):
        layers = layers * _RECOMPUTED
    return float(job.batch * (layers + ends) / row.devices)
