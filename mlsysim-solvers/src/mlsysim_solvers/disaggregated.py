"""Prompts read by one pool of workers, answers written by another: which is slower, and what a request waits for.

A request is read by a prefill worker, its cache moves to a decode worker, and there it is decoded beside others
without a prompt ever coming between. Clients go round this loop; Little's law turns their number into requests per
time.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum, sqrt, where
from mlsysim.tracing import named

from .execution.answers import axis, common_answers
from .execution.arrivals import in_flight_at, line_of, quantiles, stays_at
from .execution.copies import bound_of
from .execution.passes import Engine, Pass, decoding_pass, engine_of, reading_pass, spread_of_pass
from .execution.pools import pool_of
from .formulas.batching import drain_passes, prompt_passes
from .formulas.disaggregation import (
    cache_transfer_time,
    exposed_transfer,
    idle_workers,
    matching_workers,
    pool_rate,
    prompt_stay,
    prompts_together,
)
from .formulas.memory import kept_tokens, kv_cache_bytes
from .formulas.queueing import crowding
from .formulas.serving import sample_rate
from .formulas.state_space import state_bytes
from .in_flight import completed, room
from .lowering.shape import TransformerShape

__all__ = ["two_pools"]

Columns = Mapping[str, Any]


class Readers(NamedTuple):
    """The pool that reads.

    Parameters
    ----------
    engine : Engine
        One worker.
    fit : dict of str to number
        Outputs of feasibility.
    workers : float or array, count
        Workers, times the stages of each that read prompts of their own.
    most : float or array, count
        Prompts of one pass at most.
    alone, added : float or array, s
        Time to read one prompt, and what each further one adds.
    full : Pass
        A pass with as many prompts as it takes.
    capacity : float or array, count/s
        Most prompts per time.
    """

    engine: Engine
    fit: dict[str, Any]
    workers: Any
    most: Any
    alone: Any
    added: Any
    full: Pass
    capacity: Any

    @property
    def spacing(self) -> Any:
        """Time between two prompts when all workers are busy."""
        return 1.0 / self.capacity

    def service(self, rate: Any) -> Any:
        """Return the time of the pass that reads a prompt.

        Parameters
        ----------
        rate : float or array, count/s
            Prompts that come to the pool.

        Returns
        -------
        float or array, s
        """
        together = prompts_together(rate / self.workers, self.alone, self.added, self.most)
        return self.alone + (together - 1.0) * self.added


class Writers(NamedTuple):
    """The pool that decodes.

    Parameters
    ----------
    engine : Engine
        One worker.
    hold : callable
        From requests of the pool to outputs of feasibility.
    workers, most : float or array, count
        Workers, and requests of each at most.
    steps : float or array, count
        Tokens of an answer after the first.
    """

    engine: Engine
    hold: Any
    workers: Any
    most: Any
    steps: Any

    def stay(self, own: Any) -> Any:
        """Return how long a request is decoded.

        Parameters
        ----------
        own : float or array, count
            Requests of one worker.

        Returns
        -------
        float or array, s
        """
        return self.steps * self.step(own).time

    def step(self, own: Any) -> Pass:
        """Return the pass that decodes one token of each request.

        Parameters
        ----------
        own : float or array, count
            Requests of one worker.

        Returns
        -------
        Pass
        """
        c = self.engine.columns
        active = minimum(own, c["pipeline"]) if "pipeline" in c else 1.0
        return decoding_pass(self.engine, own / active, active)


def two_pools(columns: Columns) -> dict[str, Any]:
    """Answer for two pools.

    Parameters
    ----------
    columns : mapping of str to number or object
        As :func:`mlsysim_solvers.execution.pools.pools_columns` returned.

    Returns
    -------
    dict of str to number
        Outputs in SI; ``<output>.log_sd`` beside those that carry an interval.

    Raises
    ------
    ConfigError
        If a sweep varies arrivals of another kind than the scenario's.
    """
    readers, writers = _readers(columns), _writers(columns)
    capacities = readers.capacity, pool_rate(writers.workers, writers.most, writers.stay(writers.most))
    moving = _transfer(columns, readers)
    if columns["arrivals"] == "rate":
        found = _at_random(columns, readers, writers, capacities, moving)
    else:
        found = _closed(columns, readers, writers, capacities, moving)
    return found | _matched(columns, readers, writers, capacities, found)


def _readers(columns: Columns) -> Readers:
    c = completed(pool_of(columns, "prefill"))
    engine = engine_of(c)
    hold, slots = room(c, engine)
    copies = c["data"] * c.get("attention", 1.0)
    prompt, budget = axis(c, "input") * (1.0 - c["cached"]), axis(c, "max_tokens")
    piece, pieces = minimum(prompt, budget), prompt_passes(prompt, budget)
    # Each copy of attention reads prompts of its own, as many as limit, memory and the tokens of a pass allow.
    most = c.get("attention", 1.0) * maximum(1.0, minimum(slots / copies, budget / prompt))
    stages = c.get("pipeline", 1.0)
    one = reading_pass(engine, 0.0 * piece, piece, 1.0)
    full = reading_pass(engine, 0.0 * piece, piece * most, stages)
    added = maximum(0.0, pieces * (full.time - one.time)) / maximum(1.0, most - 1.0)
    workers = c["data"] * stages
    return Readers(
        engine, hold(most * c["data"]), workers, most, pieces * one.time, added, full,
        pool_rate(workers, most, pieces * full.time),
    )  # fmt: skip


def _writers(columns: Columns) -> Writers:
    c = completed(pool_of(columns, "decode"))
    engine = engine_of(c)
    hold, slots = room(c, engine)
    return Writers(engine, hold, c["data"], slots / c["data"], axis(c, "output") - 1.0)


def _transfer(columns: Columns, readers: Readers) -> Any:
    """Return how long a request waits for its cache to arrive where it is decoded."""
    shape, tokens, width = columns["shape"], axis(columns, "input"), columns["kv_width"]
    if not isinstance(shape, TransformerShape):
        cache = state_bytes(1.0, shape.layers * shape.cache_elements, 1.0, width)
        return cache_transfer_time(cache, columns["between_rate"], 1.0, columns["between_latency"])
    kept = kept_tokens(tokens, shape.window, shape.full_layers, shape.window_layers)
    cache = named(kv_cache_bytes(kept, shape.cache_elements, width), "cache of a prompt")
    streams: Any = None
    for pool in ("prefill", "decode"):
        tensor = columns.get(f"{pool}_tensor", 1.0)
        parts = tensor / tensor if shape.latent else minimum(tensor, shape.kv_heads)
        parts = parts * columns.get(f"{pool}_pipeline", 1.0)
        streams = parts if streams is None else minimum(streams, parts)
    whole = cache_transfer_time(cache, columns["between_rate"], streams, columns["between_latency"])
    return exposed_transfer(whole, readers.alone, shape.layers) if columns["layerwise"] else whole


def _closed(c: Columns, readers: Readers, writers: Writers, capacities: tuple[Any, Any], moving: Any) -> dict[str, Any]:
    """Answer for clients that wait, or for more requests than both pools hold."""
    places, reading = writers.most * writers.workers, readers.most * readers.workers
    asked = axis(c, "concurrency") if "concurrency" in c else places + reading
    if "requests" in c:
        asked = minimum(asked, axis(c, "requests"))
    most = minimum(writers.most, maximum(1.0, asked / writers.workers))
    own, full = maximum(1.0, 0.0 * asked), False
    points = stays_at(writers.engine.columns, most, writers.stay)
    # More are decoded than clients send, or fewer: where that turns, both are equal.
    over = [node * writers.workers - _sent(readers, asked, stay + moving) * stay for node, stay in points]
    for ((low, _), below), ((high, _), above) in pairwise(zip(points, over, strict=True)):
        inside = (below <= 0.0) & (above > 0.0)
        crossed = crowding(low, high, where(inside, below, -1.0 + 0.0 * below), where(inside, above, 1.0 + 0.0 * above))
        own = where(inside, crossed, own)
    full = over[-1] <= 0.0
    own = where(full, most + 0.0 * own, own)
    step = writers.step(own)
    stay = writers.steps * step.time
    rate = where(full, own * writers.workers / stay, _sent(readers, asked, stay + moving))
    rate = minimum(rate, capacities[0])
    first = asked / rate - stay
    service = readers.service(rate)
    queue = maximum(0.0, first - service - moving)
    if "requests" in c:
        # All come at once: half of them are read before the average one.
        wave = maximum(0.0, 0.5 * (asked * readers.spacing - service) - queue)
        queue = queue + named(wave, "wait of the first wave") * minimum(1.0, asked / axis(c, "requests"))
    first = named(queue, "queue") + named(service, "reading of the prompt") + named(moving, "transfer of the cache")
    return _answers(c, readers, writers, step, rate, (queue, service, moving), stay, own) | {
        "performance.ttft": first, "performance.latency": first + stay,
        "performance.waiting": maximum(0.0, asked - own * writers.workers),
    }  # fmt: skip


def _sent(readers: Readers, clients: Any, away: Any) -> Any:
    """Return the requests per time that clients send who are away from the readers for so long."""
    rate = clients / (away + prompt_stay(readers.alone, readers.spacing, clients, away))
    for _ in range(2):
        rate = clients / (away + prompt_stay(readers.service(rate), readers.spacing, clients, away))
    return minimum(rate, readers.capacity)


def _at_random(
    c: Columns, readers: Readers, writers: Writers, capacities: tuple[Any, Any], moving: Any
) -> dict[str, Any]:
    """Answer for requests that arrive at random, whoever is served."""
    rate, capacity = axis(c, "rate"), minimum(*capacities)
    own, longest = in_flight_at(writers.engine.columns, rate / writers.workers, writers.most, writers.stay)
    step = writers.step(own)
    stay, served = writers.steps * step.time, minimum(rate, capacity)
    service = readers.service(served)
    variation = c["input_variation"]
    # Places of readers: a worker reads the prompts of one pass at once.
    prompts = readers.workers * readers.most
    reading = line_of(rate * readers.spacing * prompts, prompts, readers.spacing * prompts, variation)
    places = writers.workers * writers.most
    decoding = line_of(own * writers.workers, places, longest, c["output_variation"])
    queue = reading.wait + decoding.wait
    first = named(queue, "queue") + named(service, "reading of the prompt") + named(moving, "transfer of the cache")
    spread = service * variation
    both = sqrt(spread * spread + (stay * c["output_variation"]) * (stay * c["output_variation"]))
    found = _answers(c, readers, writers, step, served, (queue, service, moving), stay, own) | {
        "performance.ttft": first, "performance.latency": first + stay,
        "performance.waiting": served * queue, "feasibility.keeps_up": rate < capacity,
        "performance.capacity": capacity, "performance.duty": minimum(1.0, rate / capacity),
    }  # fmt: skip
    found["performance.capacity.log_sd"] = found["performance.throughput.log_sd"]
    found["performance.throughput.log_sd"] = found["performance.token_throughput.log_sd"] = 0.0 * stay
    return (
        found
        | quantiles("performance.ttft", service + moving, spread, reading.wait, decoding)
        | quantiles("performance.latency", service + moving + stay, both, reading.wait, decoding)
    )


def _answers(
    c: Columns, readers: Readers, writers: Writers, step: Pass, rate: Any, parts: tuple[Any, Any, Any], stay: Any,
    own: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return what closed and open loops answer alike."""
    output = axis(c, "output")
    if "requests" in c:
        requests = axis(c, "requests")
        drain = drain_passes(writers.steps, c["output_variation"] * output, maximum(1.0, requests / own), own)
        rate = sample_rate(requests, requests / rate + named(0.5 * drain * step.time, "end of the run"))
    quiet, loud = spread_of_pass(readers.engine, readers.full), spread_of_pass(writers.engine, step)
    _, service, moving = parts
    answers = {
        "performance.tpot": stay / maximum(1.0, writers.steps), "performance.throughput": rate,
        "performance.token_throughput": rate * output, "performance.in_flight": own * writers.workers,
        "performance.pass_time": step.time, "performance.communication": step.talk / step.time,
        "performance.prefill_time": service, "performance.transfer_time": moving,
    }  # fmt: skip
    answers |= {f"performance.{name}.log_sd": loud for name in ("tpot", "pass_time", "latency")}
    both = maximum(quiet, loud)
    answers |= {f"performance.{name}.log_sd": both for name in ("throughput", "token_throughput", "utilisation")}
    answers["performance.ttft.log_sd"] = sqrt(quiet * quiet + readers.engine.columns["var_first"])
    answers["performance.prefill_time.log_sd"] = quiet
    return answers


def _matched(
    c: Columns, readers: Readers, writers: Writers, capacities: tuple[Any, Any], found: dict[str, Any]
) -> dict[str, Any]:
    """Return how the rates of the pools match, how busy both are, and what they hold."""
    rate, (read, written) = found["performance.throughput"], capacities
    flying = found["performance.in_flight"]
    decode = writers.hold(flying)
    step = writers.step(flying / writers.workers)
    devices = [_devices(c, pool) for pool in ("prefill", "decode")]
    busy = minimum(1.0, rate / read), minimum(1.0, rate * writers.steps * step.time / flying)
    shares = [_shares(readers.engine, readers.full), _shares(writers.engine, step)]
    answers = _memory(readers.fit, decode) | {
        "performance.prefill_capacity": read, "performance.decode_capacity": written,
        "performance.prefill_busy": busy[0], "performance.decode_busy": flying / (writers.workers * writers.most),
        "performance.prefill_idle": idle_workers(c["prefill_workers"], rate, read),
        "performance.decode_idle": idle_workers(c["decode_workers"], rate, written),
        "performance.matching_prefill": matching_workers(c["prefill_workers"], read, written),
        "performance.slower_pool": where(written < read, 1.0 + 0.0 * read, 0.0 * read),
        "performance.bound": shares[1]["performance.bound"],
    }  # fmt: skip
    for name in ("performance.utilisation", "performance.bandwidth_utilisation"):
        used = sum(n * b * share[name] for n, b, share in zip(devices, busy, shares, strict=True))
        answers[name] = used / (devices[0] + devices[1])
    return answers


def _devices(c: Columns, pool: str) -> Any:
    parts = c[f"{pool}_workers"]
    for name in ("data", "attention", "tensor", "pipeline"):
        parts = parts * c.get(f"{pool}_{name}", 1.0)
    return parts


def _shares(engine: Engine, done: Pass) -> dict[str, Any]:
    """Return how much of its devices a pass uses, and what binds it."""
    c = engine.columns
    if engine.place is None:
        return common_answers(c, done.totals, done.time)
    return bound_of(c, done.totals, done.time, done.talk)


def _memory(prefill: dict[str, Any], decode: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of feasibility: of the pool with less memory left, and that both must fit."""
    less = prefill["feasibility.headroom"] < decode["feasibility.headroom"]
    answers = {name: where(less, prefill[name], value) for name, value in decode.items()}
    return answers | {
        "feasibility.fits": prefill["feasibility.fits"] & decode["feasibility.fits"],
        "feasibility.max_batch": decode["feasibility.max_batch"] + 0.0 * prefill["feasibility.headroom"],
        "feasibility.prefill_memory": prefill["feasibility.memory_required"],
        "feasibility.decode_memory": decode["feasibility.memory_required"],
    }
