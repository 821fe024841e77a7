"""Rows of servers whose requests come without clients that wait: at an infinite rate, offline, at a rate in limits."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from mlsysim.plugins import plugins
from mlsysim.records import Parallelism, Scenario, Traffic
from mlsysim.records.measurement import Measurement
from mlsysim.records.precision import bytes_per_element
from mlsysim.shapes import parameters

from ...execution.device.labels import usable_of
from ...lowering.shape import over_layers, transformer_shape
from ..names import Names
from ..questions import Assumed, Question, Refused
from ..runs import Engine, tuned
from ..spellings import implied_format
from .bursts import at_once, counted, is_median, most_at_once, scatter_of
from .common import Subject, arithmetic_for, cell, scenario, unstated_formats, whole
from .limits import check_reached, within_limits

__all__ = ["in_flight_question"]

_FULL = 0.6
"""Share of its memory that weights may take before a device needs others beside it."""


_TIMES = {"ttft_ms": "performance.ttft", "tpot_ms": "performance.tpot", "latency_ms": "performance.latency"}
_SPREAD = ("ttft_ms", "latency_ms")
"""Times of which quantiles are told where requests arrive at random."""
_CLOSED = {"ttft_ms": 0.6, "tpot_ms": 0.1, "latency_ms": 0.1}
"""How far it may move a mean time that lengths vary more, or less (natural-log units; estimates): answers of exactly
one length keep clients in step, so that their prompts wait for one another."""
_BURST = {"ttft_ms": 0.6, "tpot_ms": 0.4, "latency_ms": 0.3}
"""The same of requests that all come at once (estimates, of which the second was 0.1 at first, before residuals were
seen): short answers are written while the prompts of others are read, and count as much as long ones."""
_VARIED = 0.06
"""Spread of the answers of clients where a row prints only their mean: about that of lengths drawn between 0.8 times
and once the longest, as many benchmarks do; any spread sets clients apart."""

_RATE = re.compile(
    r"(?:(?:target[_ ]?qps|qps|(?:request[_ ]?)?rate)\s*=?\s*)?([\d.]+)"
    r"(?:\s*(?:req(?:uest)?s?(?:/s| per second)|qps|rps))?",
    re.IGNORECASE,
)
"""Requests that come in a second, where they are all that a row says of its load."""
_ARRIVED = {"ttft_ms": 0.3, "tpot_ms": 0.1, "latency_ms": 0.1}
"""How far it may move a mean time that lengths, and gaps between requests, vary otherwise (natural log; estimates)."""
_BUDGET = re.compile(r"max[-_](?:num|num[-_]batched)[-_]tokens[ =](\d+)")
_DECLARED = re.compile(r"weight_data_types=(fp8|fp4|nvfp4|int8)(?:;|$)")


_OFFERED = 0.2
"""What a run at an offered rate may fall short of it: its last requests are still being answered when no more come.
Estimate, range 0.05 to 0.5."""
_ENDS = 0.15
"""Log sd where a row does not say how many requests its run answered. Estimate, range 0 to 0.4: a single burst whose
answers vary by a third of their mean ends when the longest does, at some 0.65 of the lasting rate."""


def in_flight_question(row: Measurement, known: Names, model: str, found: Subject) -> Question:
    """Return what is asked for a row of requests in flight.

    Parameters
    ----------
    row : Measurement
        The row: max_throughput, offline or server.
    known : Names
        Names as published.
    model : str
        Key of the model.
    found : Subject
        Device and stack.

    Returns
    -------
    Question

    Raises
    ------
    Refused
        With the reason why nothing can be asked.
    """
    if model in known.runs.models.beam_search and row.kind != "max_throughput":
        raise Refused("answers are found by beam search, which no solver expresses")
    burst = at_once(row)
    clients = burst or _clients(row)
    arrivals = _arrivals(row)
    if not clients and not arrivals and (row.metric.quantity != "rate" or row.name == "tokens_per_s_per_user"):
        raise Refused(f"{row.name} at a rate of arrivals that the row does not state exactly")
    if "without XQA" in cell(row, "notes"):
        raise Refused("the row ran without a kernel that its stack has")
    assumed: list[Assumed] = []
    found = _engine_of(found, known)
    precision, weights = _formats(row, known, model, found, assumed)
    lengths = _lengths(row, model, assumed)
    input_, output = lengths.input, lengths.output
    devices, layout = _layout(row, model, found, weights or precision, assumed)
    kv_cache = known.weights(cell(row, "kv_precision"))[0] if cell(row, "kv_precision") else ""
    if not kv_cache and weights:
        kv_cache = precision
    engine = _engine(
        row, known, model, found.device, layout, (input_, output), (weights or precision, kv_cache or precision)
    )
    most, budget = _limits(row, engine, assumed)
    varied = clients and not burst and not lengths.scatter and not known.runs.clients(row.software).alike
    job = Traffic(
        model=model, precision=precision, input=input_, output=output, weights=weights, kv_cache=kv_cache,
        max_batch=most_at_once(row) or (0 if clients else most), max_tokens=budget, rate=arrivals,
        requests=_requests(row, known, lengths, clients, arrivals), concurrency=clients,
        scheduler="" if clients else known.runs.scheduler(row.software), input_variation=lengths.variation,
        output_variation=_VARIED if varied else lengths.scatter,
    )  # fmt: skip
    if row.kind == "max_throughput" and most and not job.requests and not clients:
        assumed.append(Assumed("a run whose start and end do not count: the row prints no requests", _ENDS))
    told = known.runs.told(f"{row.software} {row.model} {cell(row, 'notes')}") | known.runs.given(cell(row, "notes"))
    asked = scenario(row, "traffic", job, found, layout, devices, {"in-flight": told} if told else None)
    if (clients or arrivals) and row.name in _TIMES:
        return _time(row, asked, job, burst, assumed)
    return _throughput(row, asked, devices, (input_, output), arrivals, assumed)


def _time(row: Measurement, asked: Scenario, job: Traffic, burst: int, assumed: list[Assumed]) -> Question:
    """Ask for the mean of a time, or its median where requests come at random and the row prints that."""
    quantile = ""
    if job.rate:
        what, moved = f"{job.rate:g} requests a second that come at random", _ARRIVED
        quantile = "_p50" if row.name in _SPREAD and is_median(row) else ""
    elif burst:
        what, moved = f"{burst} requests that all come at once, and none after them", _BURST
    else:
        lengths = "vary in length" if job.output_variation else "have one length"
        clients = f"{job.concurrency:g} clients, each of which asks again when it is answered"
        what, moved = f"{clients}, with answers that {lengths}", _CLOSED
    assumed.append(Assumed(what, moved[row.name]))
    return Question(asked, _TIMES[row.name] + quantile, None, tuple(assumed))


def _throughput(
    row: Measurement, asked: Scenario, devices: int, lengths: tuple[float, float], rate: float, assumed: list[Assumed]
) -> Question:
    """Ask for a rate: the largest, the largest within a server's limits of latency, or no more than what is offered."""
    input_, output = lengths
    if rate:
        assumed.append(Assumed(f"{rate:g} requests a second that come at random: no more is answered", _OFFERED))
    elif row.kind == "server" and not _clients(row):
        check_reached(row)
        asked = within_limits(row, asked, assumed)
        assumed.append(Assumed("a rate close to the largest: the limits of latency leave that open", 0.2))
    share = 1.0 / devices if row.metric.per == "device" else 1.0
    if row.name == "total_tokens_per_s":
        share *= (input_ + output) / output
    elif row.name == "prefill_tokens_per_s":
        share *= input_ / output
    wanted = "performance.throughput" if row.metric.counts == "samples" else "performance.token_throughput"
    return Question(asked, wanted, None, tuple(assumed), share)


def _formats(row: Measurement, known: Names, model: str, found: Subject, assumed: list[Assumed]) -> tuple[str, str]:
    """Return the formats of arithmetic and of weights; weights are empty where they are those of arithmetic."""
    text = cell(row, "weight_precision") or _implied(row, assumed)
    if not text:
        return unstated_formats(row, model, found, assumed)
    return arithmetic_for(found.device, *known.weights(text), assumed)


def _clients(row: Measurement) -> int:
    """Return the clients of a server where a row prints them, and no rate or limit, with both lengths; else 0."""
    alone = row.kind == "server" and not cell(row, "qps_or_sla")
    told = all(whole(row, name) for name in ("batch_or_concurrency", "input_len", "output_len"))
    return (whole(row, "batch_or_concurrency") or 0) if alone and told else 0


def _arrivals(row: Measurement) -> float:
    """Return the requests that come in a second where a row of a server prints them, and no limit."""
    if row.kind != "server" or whole(row, "batch_or_concurrency"):
        return 0.0
    found = _RATE.fullmatch(cell(row, "qps_or_sla").strip())
    try:
        rate = float(found[1]) if found else 0.0
    except ValueError:
        return 0.0
    return rate if math.isfinite(rate) else 0.0


def _requests(row: Measurement, known: Names, lengths: _Lengths, clients: int, arrivals: float) -> int:
    """Return the requests of the whole run: as the row says, or the documentation of its benchmark; 0 for no end."""
    if arrivals:
        return 0
    if clients:
        if at_once(row) or counted(row):
            return max(clients, counted(row))
        # Of medians, those who come in the beginning all at once are no part.
        return 0 if is_median(row) else clients * known.runs.clients(row.software).requests
    return known.runs.requests(row.software, lengths.input, lengths.output) or 0


def _implied(row: Measurement, assumed: list[Assumed]) -> str:
    """Return the format that the model's name or the submission's declaration of its weights tells, or nothing.

    A declaration of 16 bits is that of the published model, whatever a submission made of it; one of fewer is not.
    """
    named, declared = implied_format(row.model), _DECLARED.search(cell(row, "notes"))
    if named or declared is None:
        return named
    assumed.append(Assumed(f"products in {declared[1]}, as the submission declares its weights", 0.05))
    return declared[1]


def _engine(
    row: Measurement, known: Names, model: str, device: str, layout: Parallelism, lengths: tuple[float, float],
    formats: tuple[str, str],
) -> Engine | None:  # fmt: skip
    """Return the limits of the engine that a benchmark builds: tabulated, or computed from memory and lengths."""
    devices = layout.tensor * layout.pipeline
    if not known.runs.is_tuned(row.software):
        return known.runs.engine(row.software, model, devices, sum(lengths))
    registry = plugins().registry
    record, card = registry.get("models", model).record, registry.get("devices", device).record
    if record.transformer is None or not card.memory.capacity:
        return None
    shape = transformer_shape(record, record.transformer)
    # A device has one key-value head at least.
    kept = over_layers(shape, lambda one: one.cache_elements * (max(layout.tensor, one.kv_heads) / one.kv_heads))
    token = shape.attention_layers * kept * bytes_per_element(formats[1])
    room = devices * usable_of(card) - shape.parameters * bytes_per_element(formats[0])
    return tuned(room, token, *lengths) if room > 0.0 else None


def _limits(row: Measurement, engine: Engine | None, assumed: list[Assumed]) -> tuple[int, int]:
    """Return most requests in flight and most tokens of a pass: published, documented, or 0 for the stack's own."""
    budget, most = _BUDGET.search(cell(row, "notes")), whole(row, "batch_or_concurrency")
    if engine is None:
        return most or 0, int(budget[1]) if budget else 0
    what = f"an engine for {engine.requests} requests in flight and {engine.tokens} tokens of a pass"
    assumed.append(Assumed(f"{what}, as the benchmark builds it{': ' * bool(engine.note)}{engine.note}", 0.05))
    return most or engine.requests, int(budget[1]) if budget else engine.tokens


def _engine_of(found: Subject, known: Names) -> Subject:
    """Return the subject with the engine that serves language models upon its stack."""
    key = known.runs.language_engines.get(found.stack, "")
    registry = plugins().registry
    if key in registry.keys("stacks"):
        return Subject(found.device, key, registry.get("stacks", key).record)
    return found


class _Lengths(NamedTuple):
    """Means of prompts and answers in tokens, and the standard deviations of both over their means."""

    input: float
    output: float
    variation: float = 0.0
    scatter: float = 0.0


def _lengths(row: Measurement, model: str, assumed: list[Assumed]) -> _Lengths:
    input_, output = cell(row, "input_len"), cell(row, "output_len")
    if input_ and output:
        if not (_positive(input_) and _positive(output)):
            raise Refused(f"prompts of {input_} and answers of {output} tokens: a server needs whole ones of both")
        scatter = scatter_of(row, assumed)
        if scatter is not None:
            return _Lengths(float(input_), float(output), *scatter)
        assumed.append(Assumed("prompts and answers of the printed lengths: the row prints no spread", 0.05))
        return _Lengths(float(input_), float(output))
    if not output:
        raise Refused("the length of the answers is not published")
    if not _positive(output):
        raise Refused(f"output_len = {output!r} is not a count")
    for entry in plugins().registry.entries("datasets"):
        if model in entry.record.models:
            standing = entry.standing("input")
            spread = 0.5 * ((standing and standing.chosen.log_sd) or 0.1)
            assumed.append(
                Assumed(f"{entry.record.input:g} tokens of a prompt, the mean of {entry.record.name}", spread)
            )
            data = entry.record
            spreads = (float(data.input_variation or 0.0), float(data.output_variation or 0.0))
            return _Lengths(float(data.input), float(output), *spreads)
    raise Refused("the length of the prompts is not published, and no data set of the registry tells its mean")


def _positive(text: str) -> bool:
    """Tell whether a cell holds a length that a request can have; means of lengths may be fractions."""
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and value > 0.0


def _layout(
    row: Measurement, model: str, found: Subject, weights: str, assumed: list[Assumed]
) -> tuple[int, Parallelism]:
    """Return devices and layout: copies of the model on as few devices as hold it, where the row leaves it open."""
    devices = max(row.devices, 1)
    tensor, pipeline = whole(row, "tp"), whole(row, "pp") or 1
    if tensor is None:
        tensor = _fewest(model, found.device, weights, devices)
        while 0 < (_clients(row) or devices) * tensor < devices:
            tensor *= 2  # a copy without a client would have nothing to do
        if devices > 1:
            assumed.append(
                Assumed(f"{devices // tensor} copies of the model on {tensor} devices each: the row states none", 0.1)
            )
    if devices % (tensor * pipeline):
        raise Refused(f"the published layout does not divide {devices} devices")
    return devices, Parallelism(tensor=tensor, pipeline=pipeline, data=devices // (tensor * pipeline))


def _fewest(model: str, device: str, weights: str, devices: int) -> int:
    registry = plugins().registry
    record = registry.get("models", model).record
    held = float(record.parameters or parameters(record).total)
    need = held * bytes_per_element(weights) / (_FULL * registry.get("devices", device).record.memory.capacity)
    tensor = 1
    while tensor < need and tensor < devices:
        tensor *= 2
    return tensor
