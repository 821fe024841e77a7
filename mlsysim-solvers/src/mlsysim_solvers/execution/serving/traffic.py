"""From a request about traffic to columns: lengths, arrivals, and how the stack batches."""

from __future__ import annotations

from typing import Any

import attrs

from mlsysim.errors import ConfigError
from mlsysim.records.scenario import Serving, Traffic
from mlsysim.records.scheduler import Scheduler

from ...lowering.encoder_decoder import EncoderDecoderShape
from ...lowering.shape import number
from ..device.preparation import prepare_columns
from ..device.remembering import same_tuples
from .serving_layout import serving_columns

__all__ = ["ARRIVALS", "traffic_columns"]

ARRIVALS = ("concurrency", "rate")
"""Columns that say how requests arrive; without either more wait than fit at any time."""


def traffic_columns(request: Any) -> dict[str, Any]:
    """Flatten a request.

    Parameters
    ----------
    request : Request
        Scenario, records (model, device, stack, node, links), claims and settings.

    Returns
    -------
    dict of str to number or object

    Raises
    ------
    ConfigError
        If the workload contradicts itself, or does not suit model or stack.
    SolverError
        If a number that nobody knows is needed.
    """
    scenario, workload = request.scenario, request.scenario.workload
    _check(workload)
    if scenario.parallelism.micro_batch:
        raise ConfigError(
            "requests in flight come in no micro-batches", where="parallelism.micro_batch",
            remedy="Leave it out; the stages of a pipeline share the requests in flight",
        )  # fmt: skip
    devices = scenario.system.devices
    # A batch that every layout divides; the real one follows from arrivals and memory.
    fixed = Serving(
        model=workload.model, precision=workload.precision, batch=devices, input=round(workload.input),
        output=round(workload.output), weights=workload.weights, kv_cache=workload.kv_cache,
    )  # fmt: skip
    asked = attrs.evolve(request, scenario=attrs.evolve(scenario, kind="serving", workload=fixed))
    columns = prepare_columns(asked) if devices == 1 else serving_columns(asked, in_flight=True)
    if isinstance(columns["shape"], EncoderDecoderShape):
        raise ConfigError(
            f"{request.records['model'].name} reads its whole input before it writes, and joins no running batch",
            where="workload.model", remedy='Use kind = "serving"',
        )  # fmt: skip
    for name in ("batch", "micro_batch", "batch_tokens"):
        columns.pop(name, None)
    scheduler = _scheduler(request)
    columns |= _lengths(workload) | _batching(workload, scheduler)
    launch = request.records["stack"].ceilings.launch if scheduler.launch is None else scheduler.launch
    if launch is not None:
        columns["launch"] = number(launch)
        columns["replayed"] = number(request.settings.get("replayed") or scheduler.replayed or 0.0)
        if request.settings.get("eager") and request.records["stack"].features.graphs:
            columns.pop("kernel_launch", None)  # each pass waits for the host as a whole
            columns["replayed"], columns["eager"] = 0.0, True
    _as_told(columns, request, scheduler)
    if scheduler.step_request is not None and not columns["overlap"]:
        columns["step_request"] = number(scheduler.step_request)
    columns["kind"] = "traffic"
    columns["arrivals"] = "concurrency" if workload.concurrency else "rate" if workload.rate else "offline"
    columns |= {name: number(getattr(workload, name)) for name in (*ARRIVALS, "requests") if getattr(workload, name)}
    # Batches in flight keep the stages of a pipeline busy.
    said = [note for note in columns["assumptions"] if "take turns" not in note]
    columns["assumptions"] = (*said, *_notes(workload, request.records["stack"].name, scheduler))
    return same_tuples(columns)


def _as_told(columns: dict[str, Any], request: Any, scheduler: Scheduler) -> None:
    """Change what the server was told otherwise than its stack does."""
    settings = request.settings
    if settings.get("memory_share"):
        columns["utilisation"] = number(settings["memory_share"])
        columns.pop("beside", None)
    if settings.get("together"):
        columns["answer_token"] = columns["answer_token"] / number(settings["together"])
    if settings.get("sampled"):
        columns["sampling"] = _sorting(request.records["stack"].name, scheduler)
    if settings.get("compile_time"):
        columns["compile_time"] = number(settings["compile_time"])
    columns["overlap"] = columns["overlap"] or bool(settings.get("overlap"))


def _sorting(stack: str, scheduler: Scheduler) -> Any:
    if scheduler.sorting is None:
        raise ConfigError(
            f"nothing says what drawing a token by top-p or top-k takes in {stack}",
            where="settings.in-flight.sampled", remedy="Leave it out: tokens are the likeliest ones then",
        )  # fmt: skip
    return number(scheduler.sorting)


def _check(workload: Traffic) -> None:
    if workload.concurrency and workload.rate:
        raise ConfigError(
            "requests come from waiting clients or at a rate, not both", where="workload.rate",
            remedy="Leave out concurrency or rate",
        )  # fmt: skip
    if workload.requests and workload.rate:
        raise ConfigError(
            "the requests of a run all come at once, and these arrive at a rate", where="workload.requests",
            remedy="Leave out requests or rate",
        )  # fmt: skip
    if workload.cached >= 1.0:
        raise ConfigError(
            f"{workload.cached:g} of a prompt is found in the cache, and its last token must be read",
            where="workload.cached", remedy="Give less than 1",
        )  # fmt: skip


def _scheduler(request: Any) -> Scheduler:
    device, stack = request.records["device"], request.records["stack"]
    capacity = device.memory.capacity
    wanted = request.scenario.workload.scheduler
    found: Scheduler | None = stack.scheduler_for(request.scenario.system.device, capacity, wanted)
    if found is None and wanted:
        known = ", ".join(sorted({s.name for s in stack.schedulers if s.name})) or "none"
        raise ConfigError(
            f"{stack.name} has no scheduler {wanted!r} for {device.name}", where="workload.scheduler",
            remedy=f"Leave it out, or take one that it has: {known}",
        )  # fmt: skip
    if found is None:
        raise ConfigError(
            f"nothing says how {stack.name} batches requests on {device.name}", where="system.stack",
            remedy="Choose another stack, or add a scheduler to it with its source",
        )  # fmt: skip
    return found


def _lengths(workload: Traffic) -> dict[str, Any]:
    names = ("input", "output", "input_variation", "output_variation", "cached")
    return {name: number(getattr(workload, name)) for name in names}


def _batching(workload: Traffic, scheduler: Scheduler) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "max_batch": number(workload.max_batch or scheduler.requests),
        "max_tokens": number(workload.max_tokens or scheduler.tokens),
        "mixed": scheduler.mixed, "reserves": scheduler.reserves, "chunked": scheduler.chunked,
        "divided": (scheduler.divided and not workload.max_batch, scheduler.divided and not workload.max_tokens),
        "overlap": scheduler.overlap,
        "hold": number(workload.hold), "interval": number(workload.interval),
        "intake": number(scheduler.intake or 0.0), "intake_token": number(scheduler.intake_token or 0.0),
        "answer_token": number(scheduler.answer_token or 0.0), "delivery": number(scheduler.delivery or 0.0),
    }  # fmt: skip
    if scheduler.share is not None:
        columns["cache_share"] = number(scheduler.share)
    if scheduler.beside is not None:
        columns["beside"] = number(scheduler.beside)
    if scheduler.sampling is not None:
        columns["sampling"] = number(scheduler.sampling)
    if scheduler.place is not None:
        columns |= {"place": number(scheduler.place), "place_token": number(scheduler.place_token or 0.0)}
    # A pass of the engine is the pass over prompts.
    columns["prefill_tokens"] = columns["max_tokens"]
    return columns


def _notes(workload: Traffic, stack: str, scheduler: Scheduler) -> list[str]:
    notes = []
    if workload.offline:
        notes.append(
            "more requests wait at any time than are in flight, as in an offline run (set workload.rate or "
            "workload.concurrency)"
        )
    if not workload.output_variation:
        notes.append(
            "answers of one length (set workload.output_variation: those of a chat scatter by about their mean)"
        )
    if scheduler.sorting is not None:
        notes.append("tokens are the likeliest ones, or drawn by top-p or top-k (set settings.in-flight.sampled = 1)")
    if not workload.max_batch:
        notes.append(f"at most {scheduler.requests:g} requests in flight, as {stack} does (set workload.max_batch)")
    if not workload.max_tokens:
        notes.append(f"at most {scheduler.tokens:g} tokens in a pass, as {stack} does (set workload.max_tokens)")
    return notes
