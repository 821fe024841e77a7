"""Rows of training on several devices."""

from __future__ import annotations

import re

import attrs

from mlsysim.errors import MlsysimError
from mlsysim.plugins import plugins
from mlsysim.records import Model, Training
from mlsysim.records.measurement import Measurement

from ...formulas.constants import FLOP_PER_MAC
from ...lowering.shape import transformer_shape
from ...lowering.work import model_work
from ..names import Names
from ..questions import Assumed, Question, Refused
from .common import Subject, cell, format_for, real_length, scenario, subject, unstated, unstated_format, whole
from .networks import network_settings
from .saving import is_adapted, modules_of, recomputed_layers, saved
from .shapes import model_of
from .training_layouts import layout_for
from .training_recipes import followed, scaling_for

__all__ = ["WITH_DROPOUT", "amount_of", "distributed_question"]

FULL_ATTENTION = ("sc21t1", "seqsel", "mlm22", "mtv5e", "mtv5p", "mtnlg", "bloom", "nemolong", "palm")
"""Sets whose published FLOP count every query-key pair of a causal model."""

WITH_RECOMPUTATION = ("sc21t1", "bloom", "palm")
"""Sets whose published FLOP count recomputed forward passes too."""

WITH_DROPOUT = ("sc21t1", "seqsel", "mlm22", "mtnlg", "dle-bert", "lambda", "dsbert")
"""Sets of runs of GPT and BERT, which drop out activations as their authors did. Of the last two no document was read
that says so: scripts of their time for BERT do."""

SWITCHES = {"torchtitan eager": "eager", "async tp": "overlap_tensor"}
"""What published software says of itself, and the setting that says so."""

LORA_RANK = 16
"""Rank of the adapters of the fine-tuning benchmark (MLCommons training, llama2_70b_lora)."""

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
    record: Model = plugins().registry.get("models", model).record
    if record.transformer is None:
        raise Refused("training of layer lists on several devices is not expressed")
    layout = layout_for(row, found, batch, record.transformer.layers, assumed)
    parts = _packed(row, sequence, assumed)
    batch, sequence = batch * parts, sequence // parts
    layout = attrs.evolve(layout, micro_batch=layout.micro_batch * parts)
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
    said = network_settings(row, found.device, assumed)
    said |= {"dropout": "1"} if row.set.startswith(WITH_DROPOUT) else {}
    said |= {name: "1" for word, name in SWITCHES.items() if word in row.software.casefold()}
    if said:
        asked = attrs.evolve(asked, settings={"distributed": said})
    asked = saved(asked, row, found, assumed)
    return _reading(row, asked, record, batch, sequence, found.device, precision, lora, assumed)


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


def _again(row: Measurement, asked: object) -> float:
    """Return by how much repeated forward passes raise the work that a utilisation of the hardware counts."""
    recompute: str = asked.workload.recompute  # type: ignore[attr-defined]
    return 4.0 / 3.0 if row.name == "hfu" and recompute == "full" and row.set not in WITH_RECOMPUTATION else 1.0


def _reading(
    row: Measurement, asked: object, model: Model, batch: int, sequence: int, device: str, precision: str, lora: bool,
    assumed: list[Assumed],
) -> Question:  # fmt: skip
    given = tuple(assumed)
    if row.name == "iteration_time_s":
        return Question(asked, "performance.step_time", None, given)  # type: ignore[arg-type]
    if row.name == "memory_gb":
        if "ACTIVATIONS" in cell(row, "notes"):
            raise Refused("the figure is a formula for activations alone, not a measurement")
        return Question(asked, "feasibility.memory_required", None, given)  # type: ignore[arg-type]
    if row.metric.quantity == "rate":
        return Question(asked, "performance.step_time", amount_of(row, batch, sequence), given)  # type: ignore[arg-type]
    assert model.transformer is not None
    shape = transformer_shape(model, model.transformer)
    full = 1.0 if row.set in FULL_ATTENTION or row.set.startswith("seqsel") else 0.0
    layers, ends = model_work(shape, float(sequence), FLOP_PER_MAC, full, frozen=lora)
    if row.set in WITH_RECOMPUTATION:
        layers = layers * 4.0 / 3.0
    each = batch * (layers + ends) / row.devices
    if row.name == "model_tflops_per_accelerator":
        return Question(asked, "performance.step_time", each / 1e12, given)  # type: ignore[arg-type]
    if row.name in ("mfu", "hfu"):
        each *= _again(row, asked)
        try:
            peak = plugins().registry.get("devices", device).record.peak_of(precision).dense
        except MlsysimError as error:
            raise Refused(error.what) from None
        percent = 100.0 if "percent" in cell(row, "notes") or row.value > 1.0 else 1.0
        return Question(asked, "performance.step_time", percent * each / peak, given)  # type: ignore[arg-type]
    raise Refused(f"{row.name} of a training run is not answered by an installed solver")
