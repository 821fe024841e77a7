"""Rows of training on several devices."""

from __future__ import annotations

import re

import attrs

from mlsysim.errors import MlsysimError
from mlsysim.plugins import plugins
from mlsysim.records import Model, Parallelism, Scenario, Training
from mlsysim.records.measurement import Measurement

from ...formulas.constants import FLOP_PER_MAC
from ...lowering.shape import transformer_shape
from ...lowering.work import model_work
from ..names import Names
from ..questions import Assumed, Question, Refused
from .common import Subject, cell, format_for, real_length, scenario, subject, unstated, whole
from .saving import is_adapted, modules_of, recomputed_layers, saved
from .shapes import model_of
from .training_recipes import followed, scaling_for

__all__ = ["amount_of", "distributed_question"]

LORA_RANK = 16
"""Rank of the adapters of the fine-tuning benchmark (MLCommons training, llama2_70b_lora)."""

_RECOMPUTED = 4.0 / 3.0
"""Work of a step that runs every forward pass twice, over that of one that does not."""
_GROUP = re.compile(r"shard group (\d+)")
_FSDP = re.compile(r"ici_fsdp=(\d+)")
_PACKED = re.compile(r"packed (\w+)")
_STAGE = re.compile(r"(?:ZERO|STAGE)[-_ ]*([123])\b|^([123])$")
_WITHIN = re.compile(r"within (\d+)")


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
    lora = "lora" in row.model.lower()
    plain = re.sub(r"\s+(SFT|LoRA)\b.*|\s*\(.*\)", "", row.model).strip() or row.model
    assumed: list[Assumed] = []
    model = model_of(row, known, plain, assumed)
    found = subject(row, known)
    precision = _precision(row, known, found, assumed)
    batch = whole(row, "global_batch")
    sequence = whole(row, "seq_len")
    if batch is None and whole(row, "micro_batch") and whole(row, "dp"):
        batch = (whole(row, "micro_batch") or 1) * (whole(row, "dp") or 1)
        assumed.append(
            Assumed(f"a batch of {batch}, one micro-batch for each rank, which the row does not state", 0.03)
        )
    if batch is None or not sequence:
        raise Refused("batch or sequence length is not published")
    sequence = real_length(found, sequence, assumed)
    layout = _layout(row, found, batch, assumed)
    parts = _packed(row, sequence, assumed)
    batch, sequence = batch * parts, sequence // parts
    layout = attrs.evolve(layout, micro_batch=layout.micro_batch * parts)
    record: Model = plugins().registry.get("models", model).record
    if record.transformer is None:
        raise Refused("training of layer lists on several devices is not expressed")
    if not lora and is_adapted(row, record, sequence * parts):
        lora = True
        assumed.append(Assumed("adapters beside a frozen model, as the published work per token says", 0.05))
    job = Training(
        model=model, batch=batch, precision=precision, sequence=sequence,
        recompute=_recompute(row, found, assumed),  # type: ignore[arg-type]
        recompute_modules=modules_of(row), recompute_layers=recomputed_layers(row),
        offload="custom" in cell(row, "recompute") or "offload" in cell(row, "recompute"),
        adapter=LORA_RANK if lora else 0, master="" if "PURE" in cell(row, "zero_stage_or_fsdp") else "fp32",
        scaling=scaling_for(row) if precision == "fp8" else "",  # type: ignore[arg-type]
    )  # fmt: skip
    job, layout = followed(job, layout, row, found, assumed)
    asked = scenario(row, "training", job, found, layout, row.devices)
    if row.set.startswith(known.runs.sets.dropout):
        asked = attrs.evolve(asked, settings={"distributed": {"dropout": "1"}})
    switched = known.runs.settings(row.software)
    if switched:
        asked = attrs.evolve(asked, settings={"distributed": dict.fromkeys(switched, "1")})
    asked = saved(asked, row, found, assumed)
    return _reading(row, known, asked, assumed)


def _precision(row: Measurement, known: Names, found: Subject, assumed: list[Assumed]) -> str:
    text = cell(row, "precision") or unstated(found, "precision", assumed)
    for beginning, name in (("fp8", "fp8"), ("float8", "fp8"), ("mxfp8", "fp8"), ("nvfp4", "fp4"), ("int8", "int8")):
        if text.lower().startswith(beginning):
            return format_for(found.device, name)
    return format_for(found.device, known.weights(text)[0])


def _recompute(row: Measurement, found: Subject, assumed: list[Assumed]) -> str:
    text = cell(row, "recompute").lower()
    if text in ("", "none"):
        if not text and found.record is not None and any(u.name == "recompute" for u in found.record.unstated):
            return unstated(found, "recompute", assumed)
        return "none"
    if text in ("selective", "full"):
        return text
    if text.startswith("selective"):
        return "selective"
    if modules_of(row):
        return "selective"
    if text.startswith("full"):
        return "full"
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


def _chunks(row: Measurement, pipeline: int, assumed: list[Assumed]) -> int:
    """Return the chunks of a stage where a row says that it leaves them open: as many as the layers allow."""
    layers = whole(row, "layers") or 0
    if pipeline == 1 or "VP/recompute not stated" not in cell(row, "notes") or layers % pipeline:
        return 1
    assumed.append(Assumed(f"{layers // pipeline} chunks of a stage, which the row does not state", 0.08))
    return layers // pipeline


def _flag(text: str) -> bool | None:
    return {"1": True, "true": True, "0": False, "false": False}.get(text.lower())


def _stage(text: str) -> int:
    """Read how far states are divided over copies: 3 for weights too, 2 for gradients, 1 for the optimizer's, or 0."""
    found = _STAGE.search(text)
    if found:
        return int(found[1] or found[2])
    if "FSDP" in text or "SHARD" in text:
        return 3
    return 1 if re.search(r"DISTRIBUTED[-_ ]OPTIM", text) else 0


def _layout(row: Measurement, found: Subject, batch: int, assumed: list[Assumed]) -> Parallelism:
    devices = row.devices
    tensor, pipeline, context = (whole(row, name) or 1 for name in ("tp", "pp", "cp"))
    group = tensor * pipeline * context
    if devices % group:
        raise Refused(f"the published layout does not divide {devices} devices")
    data = devices // group
    if whole(row, "dp") not in (None, data):
        assumed.append(Assumed(f"data parallelism {data}, from devices and the other degrees"))
    text = cell(row, "zero_stage_or_fsdp").upper()
    zero = _stage(text)
    if pipeline > 1 and zero == 3:
        zero = 1
    micro = whole(row, "micro_batch") or 0
    if not micro and (pipeline > 1 or batch > data):
        micro = 1
        assumed.append(Assumed("micro-batch 1, which the row does not state", 0.05))
    if "per-device batch" in cell(row, "notes") or micro * data > batch:
        micro = 0
    virtual = whole(row, "interleave_vp") or _chunks(row, pipeline, assumed)
    sequence = _flag(cell(row, "sequence_parallel"))
    if sequence is None:
        sequence = found.record is not None and found.record.features.overlap_tensor
    published = cell(row, "zero_stage_or_fsdp")
    shard = _GROUP.search(published) or _FSDP.search(published) or _WITHIN.search(published)
    size = int(shard[1]) if shard else 0
    return Parallelism(
        data=data, tensor=tensor, pipeline=pipeline, context=context, expert=whole(row, "ep") or 1,
        micro_batch=min(micro, -(-batch // data)), virtual=virtual if pipeline > 1 else 1,
        sequence=bool(sequence) and tensor > 1, zero=zero,  # type: ignore[arg-type]
        reshard="SHARD_GRAD_OP" not in text, shard=size if zero and size and (data * context) % size == 0 else 0,
    )  # fmt: skip


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
    return Question(asked, "performance.step_time", _of_a_step(row, known, asked), tuple(assumed))


def _of_a_step(row: Measurement, known: Names, asked: Scenario) -> float | None:
    """Return the amount of a step that a figure divides by its time; None where the figure is the time itself."""
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
