"""Rows of inference: language models with a fixed batch, and one pass per sample."""

from __future__ import annotations

import math
import re

import attrs

from mlsysim.plugins import plugins
from mlsysim.records import Inference, Parallelism, Scenario, Serving
from mlsysim.records.measurement import Measurement

from ...formulas.constants import INTERVAL_QUANTILE
from ...formulas.uncertainty import log_sd_of_range
from ..names import Names
from ..questions import Assumed, Question, Refused
from ..spellings import implied_format
from .common import (
    Subject,
    arithmetic_for,
    cell,
    format_for,
    scenario,
    subject,
    unstated,
    unstated_format,
    unstated_formats,
    whole,
)  # fmt: skip
from .floats import multiplied
from .in_flight import in_flight_question
from .speech import audio_of, is_encoder

__all__ = ["inference_question"]

IN_FLIGHT = {"server", "max_throughput", "interactive", "offline"}
"""Kinds of rows whose requests come and go."""

_WEIGHT_TYPES = re.compile(r"weight_data_types=(\w+)")
_LIMIT = re.compile(r"power_limit=(\d+) ?W")
_TIMES = {
    "tpot_ms": "performance.tpot", "latency_ms": "performance.latency", "memory_gb": "feasibility.memory_required",
}  # fmt: skip
"""What answers other figures of a fixed batch than rates."""
_BOUND = re.compile(r"latency bound=(\d+) ?ms")
_EXCHANGE, _EXCHANGE_SD = 128, 0.05
"""Tokens of a prompt and of an answer that are not published, and what lengths up to some thousand may change."""
_FRONT_END = 0.1
"""Scale of what a server of one pass does beside its passes, natural log: chosen with residuals in view."""
_WIDENED = 0.3
"""Scale of what products in 32 bits may differ from the integers of 8 that some kernels use there (natural log)."""
_SCENARIOS = ("static_batch", "single_stream", "latency", "offline", "server", "max_throughput")
_SERVED = ("serving", "onlineserving", "concurrency", "concurrent", "closedloop")
"""What tables call a server whose clients are counted."""
_STEPS = re.compile(r"(?<![\d.])(\d{1,4})(?: denoising| inference| sampling)? steps\b|\bsteps\b\D{0,24}?(\d{1,4})\b")
_BENCHMARKS = ("single_stream", "offline", "server")
"""Scenarios of a benchmark, whose steps are known; other rows take those of the pipelines that people run."""
_DEFAULT_STEPS = 50
"""Denoising steps of the pipelines of diffusers unless told otherwise (huggingface/diffusers,
pipeline_stable_diffusion_xl.py, StableDiffusionXLPipeline.__call__): the most that a row which prints none may mean,
where the benchmark of the model takes fewer."""
_SUPPLY = re.compile(r"Operating at ([\d.]+) ?V")
_NOMINAL_SUPPLY = 3.3
"""Supply at which the registry states what a microcontroller draws, V."""
_LEAST_SUPPLY = 1.8
"""Supply that energy is often measured at, V; a row that names none may be anywhere between the two."""


_AFTER = "prompt processing after a context"
"""How notes say that a prompt was not the first."""


def inference_question(row: Measurement, known: Names) -> Question:
    """Return what is asked for a row of the inference table; one that names no scenario is asked for a fixed batch.

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
    if not row.kind:
        asked = inference_question(attrs.evolve(row, kind="static_batch"), known)
        return attrs.evolve(asked, assumed=(*asked.assumed, Assumed("a fixed batch: no scenario is published", 0.1)))
    row = attrs.evolve(row, kind=_scenario(row.kind))
    model = known.model(row.model, cell(row, "params"))
    found = subject(row, known)
    record = plugins().registry.get("models", model).record
    limit = _LIMIT.search(cell(row, "notes"))
    generates = record.transformer is not None and record.transformer.causal and record.transformer.head
    if record.pair is not None:
        if row.kind in IN_FLIGHT or limit:
            raise Refused("an encoder-decoder whose requests come and go, or under a power limit, is not answered")
        return _generation(row, known, model, found)
    if generates and record.transformer.vocab:
        if limit:
            raise Refused("language models under a power limit below the rating, which no solver expresses")
        if row.kind in IN_FLIGHT:
            return in_flight_question(row, known, model, found)
        return _generation(row, known, model, found)
    if row.kind == "server":
        return _within_limit(row, _samples(row, known, model, found))
    return _samples(row, known, model, found)


def _layout(row: Measurement, found: Subject, assumed: list[Assumed]) -> tuple[int, Parallelism]:
    devices = max(row.devices, 1)
    tensor, pipeline = whole(row, "tp") or 1, whole(row, "pp") or 1
    if devices > 1 and tensor * pipeline == 1:
        if found.record is not None and found.record.features.layer_split:
            pipeline = devices
            assumed.append(Assumed(f"layers divided among {devices} devices, as the software does untold", 0.05))
        else:
            tensor = devices
    return devices, Parallelism(tensor=tensor, pipeline=pipeline, data=max(1, devices // (tensor * pipeline)))


def _generation(row: Measurement, known: Names, model: str, found: Subject) -> Question:
    """Ask for a fixed batch of prompts and answers, or for one half of it."""
    assumed: list[Assumed] = []
    text = cell(row, "weight_precision") or implied_format(row.model)
    printed, stored = known.weights(text) if text else unstated_formats(row, model, found, assumed)
    precision, weights = _arithmetic(found.device, printed, stored, assumed)
    batch = whole(row, "batch_or_concurrency") or int(unstated(found, "batch", assumed))
    input_, output = whole(row, "input_len"), whole(row, "output_len")
    audio = audio_of(row, model)
    if audio:
        input_ = 1  # positions of the encoder follow from the audio
    kv = known.weights(cell(row, "kv_precision"))[0] if cell(row, "kv_precision") else ""
    if not kv and weights:  # products are widened on the way; what is kept is not
        kv = printed if precision == "fp32" else precision
    if audio and is_encoder(row):
        assumed.append(Assumed("the encoder's time is that to the first token, which has one decode step more", 0.05))
        input_, output, reading, amount = 1, 1, "performance.ttft", None
    elif row.name in ("ttft_ms", "prefill_tokens_per_s"):
        if not input_:
            raise Refused("the prompt length is not published")
        output = 1
        reading, amount = "performance.ttft", None if row.name == "ttft_ms" else float(batch * input_)
    else:
        reading, amount, input_, output = _rate(row, found, batch, input_, output, assumed)
    devices, layout = _layout(row, found, assumed)
    if row.metric.per == "device" and amount is not None:
        amount /= devices
    job = Serving(
        model=model, precision=precision, batch=batch, input=input_, output=output, audio=audio, weights=weights,
        kv_cache=kv,
    )  # fmt: skip
    told = known.runs.told(f"{row.software} {row.model} {cell(row, 'notes')}")
    shape = plugins().registry.get("models", model).record.transformer
    if shape is not None and input_ + output > shape.context and not shape.positions:
        assumed.append(Assumed(f"the run goes beyond the model's context of {shape.context:g} tokens", 0.02))
        told |= {"beyond_context": 1}
    solver = "single-node" if devices == 1 else "parallel-serving"
    asked = scenario(row, "serving", job, found, layout, devices, {solver: told} if told else None)
    return Question(asked, reading, amount, tuple(assumed))


def _arithmetic(device: str, precision: str, weights: str, assumed: list[Assumed]) -> tuple[str, str]:
    """Return the formats of arithmetic and of stored weights: a device without 16 bits multiplies them in 32."""
    try:
        return arithmetic_for(device, precision, weights, assumed)
    except Refused:
        if precision not in ("fp16", "bf16"):
            raise
        wide = format_for(device, "fp32")
    assumed.append(Assumed("products in fp32, as the device has none in 16 bits, or in integers of 8", _WIDENED))
    return wide, weights or precision


def _rate(
    row: Measurement, found: Subject, batch: int, input_: int | None, output: int | None, assumed: list[Assumed]
) -> tuple[str, float | None, int, int]:
    """Return what a rate counts: prompts read, answers written, or both phases together; or which time it is."""
    if row.metric.quantity != "rate" and row.name not in _TIMES:
        raise Refused(f"{row.name} of a language model is not answered")
    if output == 0:
        return _of_prompts(row, found, batch, input_, assumed)
    # One request's time per token hardly depends on lengths: keys and values are a few hundredths of the weights.
    alone = batch == 1 and (
        row.name in ("tpot_ms", "memory_gb") or (row.kind == "latency" and row.metric.quantity == "rate")
    )
    output = _length(found, "output", output, assumed, alone=alone)
    input_ = max(_length(found, "input", input_, assumed, alone=alone), 1)
    if row.name in _TIMES:
        return _TIMES[row.name], None, input_, output
    if row.metric.counts == "samples":
        return "performance.latency", float(batch), input_, output
    if row.metric.counts == "all tokens" and row.metric.per == "total":
        return "performance.latency", float(batch * (input_ + output)), input_, output
    if row.name == "tokens_per_s_per_user":
        return "performance.tpot", 1.0, input_, output
    if row.kind == "latency" or whole(row, "input_len") == 0 or row.name == "decode_tokens_per_s":
        return "performance.tpot", float(batch), input_, output
    return "performance.latency", float(batch * output), input_, output


def _of_prompts(
    row: Measurement, found: Subject, batch: int, input_: int | None, assumed: list[Assumed]
) -> tuple[str, float | None, int, int]:
    """Return what a run counts that reads prompts and writes nothing."""
    if row.name == "tpot_ms":
        raise Refused("a time per token of a run that writes none")
    input_ = _length(found, "input", input_, assumed, alone=False)
    if not input_:
        raise Refused("the row asks for neither prompt nor answer")
    if _AFTER in cell(row, "notes"):
        raise Refused("a prompt that is read after other tokens attends to them, which nothing asked here counts")
    if row.name == "memory_gb":
        return _TIMES[row.name], None, input_, 1
    per_prompt = 1 if row.metric.counts == "samples" else input_
    return "performance.ttft", None if row.name in _TIMES else float(batch * per_prompt), input_, 1


def _length(found: Subject, name: str, stated: int | None, assumed: list[Assumed], *, alone: bool) -> int:
    """Return a length: stated, what the stack says of it, or where it hardly matters that of a short exchange."""
    if stated is not None:
        return stated
    try:
        return int(unstated(found, name, assumed))
    except Refused:
        if not alone:
            raise
    assumed.append(Assumed(f"{name} {_EXCHANGE}, which the row does not state", _EXCHANGE_SD))
    return _EXCHANGE


def _samples(row: Measurement, known: Names, model: str, found: Subject) -> Question:
    """Ask for one pass per sample; devices that share nothing count as one of them."""
    assumed: list[Assumed] = []
    precision = format_for(found.device, known.weights(_sample_precision(row, model, found, assumed))[0])
    precision = multiplied(found, model, precision, assumed)
    batch = whole(row, "batch_or_concurrency") or int(unstated(found, "batch", assumed))
    devices = max(row.devices, 1)
    if devices > 1 and row.metric.quantity == "rate":
        assumed.append(
            Assumed(f"{devices} devices work on samples of their own: the rate is {devices} times one's", 0.02)
        )
    elif devices > 1 and batch % devices == 0:
        batch //= devices
        assumed.append(Assumed(f"{batch} samples on each of {devices} devices, of the printed batch of all", 0.1))
    job = Inference(model=model, precision=precision, batch=batch, sequence=_sequence(row, model, assumed))
    job = _drawn(job, row, known, assumed)
    asked = scenario(row, "inference", job, found)
    limit = _LIMIT.search(cell(row, "notes"))
    if limit:
        asked = attrs.evolve(asked, settings={"single-node": {"power_limit": f"{limit[1]} W"}})
    passes = 1.0 if job.steps else _passes(model, assumed)
    if row.metric.quantity == "rate":
        share = 1 if row.metric.per == "device" else devices
        return Question(asked, "performance.latency", batch * share / passes, tuple(assumed))
    if passes > 1.0:
        raise Refused(f"{row.name} of samples that take several passes each is not answered")
    if row.metric.quantity == "time":
        return Question(asked, "performance.latency", None, tuple(assumed))
    if row.metric.quantity == "energy":
        return Question(_supplied(row, asked, assumed), "macro.energy_per_sample", None, tuple(assumed))
    raise Refused(f"{row.name} of one pass per sample is not answered")


def _drawn(job: Inference, row: Measurement, known: Names, assumed: list[Assumed]) -> Inference:
    """Return the job with the denoising steps of a model that draws: printed, or those of its benchmark."""
    if not _draws(job.model):
        return job
    found = _STEPS.search(" ".join((cell(row, "notes"), cell(row, "qps_or_sla"), row.at)))
    if found:
        steps = int(found[1] or found[2])
    else:
        probe: list[Assumed] = []
        steps = round(_passes(job.model, probe))
        if not probe:
            raise Refused("the number of denoising steps is not published")
        if row.kind not in _BENCHMARKS:
            spread = log_sd_of_range(steps, _DEFAULT_STEPS, INTERVAL_QUANTILE)
            told = f"between the {steps} of its benchmark and the {_DEFAULT_STEPS} of pipelines that are told nothing"
            steps = round(math.sqrt(steps * _DEFAULT_STEPS))
            probe = [Assumed(f"{steps} denoising steps, {told}", spread)]
        assumed.extend(probe)
    guided = job.model not in known.runs.models.guidance_as_input
    if guided:
        assumed.append(Assumed("each step with and without the text, as published pipelines do", 0.05))
    return attrs.evolve(job, steps=steps, guidance=guided)


def _scenario(text: str) -> str:
    """Return a scenario as the tables spell it."""
    plain = re.sub(r"[^a-z]", "", text.casefold())
    plain = "server" if plain in _SERVED else plain
    for known in _SCENARIOS:
        if plain == known.replace("_", ""):
            return known
    raise Refused(f"the scenario {text!r} is not known: it is one of {', '.join(_SCENARIOS)}")


def _within_limit(row: Measurement, asked: Question) -> Question:
    """Ask for the largest rate of samples that come at random, 99 % of which are answered within the row's limit."""
    limit = _BOUND.search(cell(row, "qps_or_sla"))
    if limit is None or row.metric.quantity != "rate":
        raise Refused("server rows of one pass per sample that print no rate, or no limit of latency")
    settings: dict[str, dict[str, object]] = dict(asked.scenario.settings)
    settings["dynamic-batching"] = {"limit": f"{limit[1]} ms"}
    share = 1.0 if row.metric.per == "device" else float(max(row.devices, 1))
    apart = Assumed("the front end, and lengths that are mixed as they come, are not counted", _FRONT_END)
    return attrs.evolve(
        asked, scenario=attrs.evolve(asked.scenario, settings=settings), output="performance.limited_throughput",
        amount=None, share=share, assumed=(*asked.assumed, apart),
    )  # fmt: skip


def _passes(model: str, assumed: list[Assumed]) -> float:
    """Return the passes of the model that one sample of its benchmark takes."""
    for entry in plugins().registry.entries("datasets"):
        if model in entry.record.models and entry.record.passes:
            passes = float(entry.record.passes)
            assumed.append(Assumed(f"{passes:g} passes per sample, the mean of {entry.record.name}", 0.02))
            return passes
    return 1.0


def _supplied(row: Measurement, asked: Scenario, assumed: list[Assumed]) -> Scenario:
    """Scale the power to the supply: a linear regulator draws the same current, a converter the same power."""
    if "with SMPS" in cell(row, "notes"):
        return asked
    device = plugins().registry.get("devices", asked.system.device).record
    if device.power is None or device.power.tdp is None:
        return asked
    stated = _SUPPLY.search(cell(row, "notes"))
    if stated is not None:
        supply = float(stated[1])
    elif device.tier == "tiny":
        supply = math.sqrt(_LEAST_SUPPLY * _NOMINAL_SUPPLY)
        assumed.append(
            Assumed(
                f"a supply of {supply:.1f} V, which the row does not state: between {_LEAST_SUPPLY} and "
                f"{_NOMINAL_SUPPLY} V",
                log_sd_of_range(_LEAST_SUPPLY, _NOMINAL_SUPPLY, INTERVAL_QUANTILE),
            )
        )
    else:
        return asked
    drawn = device.power.tdp * supply / _NOMINAL_SUPPLY
    return attrs.evolve(asked, settings={"sustainability": {"power": f"{drawn} W"}})


def _sample_precision(row: Measurement, model: str, found: Subject, assumed: list[Assumed]) -> str:
    stated = cell(row, "weight_precision")
    noted = _WEIGHT_TYPES.search(cell(row, "notes"))
    if stated or (noted and noted[1].lower() != "unset"):
        return stated or (noted[1].lower() if noted else "")
    # Models that draw are published in 16 bits, as language models are.
    return unstated_format(row, found, assumed) if _draws(model) else unstated(found, "precision", assumed)


def _draws(model: str) -> bool:
    """Tell whether a model is a denoiser."""
    network = plugins().registry.get("models", model).record.network
    return network is not None and bool(network.denoiser)


def _sequence(row: Measurement, model: str, assumed: list[Assumed]) -> int:
    """Return the tokens per sample: published, or the mean of the data set that the benchmark draws from."""
    registry = plugins().registry
    transformer = registry.get("models", model).record.transformer
    if transformer is None or transformer.patch:
        return 0
    stated = whole(row, "input_len")
    if stated:
        return stated
    for entry in registry.entries("datasets"):
        if model in entry.record.models:
            standing = entry.standing("input")
            spread = (standing and standing.chosen.log_sd) or 0.05
            assumed.append(
                Assumed(f"{entry.record.input:g} tokens per sample, the mean of {entry.record.name}", spread)
            )
            return round(float(entry.record.input))
    raise Refused("the sequence length is not published, and no data set of the registry tells its mean")
