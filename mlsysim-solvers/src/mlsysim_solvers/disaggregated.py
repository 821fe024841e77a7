"""Prompts read by one pool of workers, answers written by another: which is slower, and what a request waits for.

A request is read by a prefill worker, its cache moves to a decode worker, and there it is decoded beside others
without a prompt ever coming between. Clients go round this loop; Little's law turns their number into requests per
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.numeric import is_array, maximum, minimum, only, sqrt, where
from mlsysim.tracing import named

from .declarations.in_flight import POOLED, POOLS
from .execution.device.answers import axis
from .execution.device.sharing import alike
from .execution.serving.arrivals import (
    ARRIVING,
    Points,
    balanced,
    in_flight_at,
    line_of,
    quantiles,
    stays_at,
    stays_of_kinds,
)
from .execution.serving.batching import intake_of
from .execution.serving.ending import at_rest
from .execution.serving.passes import Pass, spread_of_pass
from .formulas.disaggregation import (
    idle_workers,
    matching_workers,
    pool_rate,
    prompt_stay,
    stay_of_slower_decode,
    stay_of_slower_prefill,
)
from .formulas.parallel_constants import HANDED_OVER
from .formulas.queue_constants import ARRIVAL_LOG_SD
from .formulas.queueing import simulated_log_sd
from .formulas.serving import sample_rate
from .formulas.waves import empty_passes
from .pool_workers import (
    DecodeWorkers,
    PrefillWorkers,
    decode_workers_of,
    prefill_workers_of,
    transfer_time,
    used_by,
)

__all__ = ["sent_rate", "two_pools"]

Columns = Mapping[str, Any]


def two_pools(columns: Columns) -> dict[str, Any]:
    """Answer for two pools.

    Parameters
    ----------
    columns : mapping of str to number or object
        As :func:`mlsysim_solvers.execution.serving.pools.pools_columns` returned.

    Returns
    -------
    dict of str to number
        Outputs in SI; ``<output>.log_sd`` beside those that carry an interval.

    Raises
    ------
    ConfigError
        If a sweep varies arrivals of another kind than the scenario's.
    """
    _check(columns)
    kinds, decode = alike(columns, ARRIVING), decode_workers_of(columns)
    if kinds is None:
        prefill, points = prefill_workers_of(columns), stays_at(decode.most, decode.stay)
    else:
        prefill, points = kinds.rows(prefill_workers_of(kinds.columns)), stays_of_kinds(kinds, _ends_of)
    capacities = prefill.capacity, pool_rate(decode.workers, *points[-1])
    outside = intake_of(columns)
    if columns["arrivals"] != "offline":
        # A router passes a request on to the worker that reads, and what that answers to the one that decodes.
        outside = outside + axis(columns, "intake") + 2.0 * axis(columns, "delivery")
    around = transfer_time(columns, prefill), outside
    if columns["arrivals"] == "rate":
        found = _at_random(columns, prefill, decode, points, capacities, around)
    else:
        found = _closed(columns, prefill, decode, points, capacities, around)
    step, answers = found
    return answers | _matched(columns, prefill, decode, capacities, step, answers)


def _ends_of(columns: Columns) -> tuple[Any, Callable[[Any], Any]]:
    """Return the most requests that a worker decodes, and how long each takes among so many."""
    decode = decode_workers_of(columns)
    return decode.most, decode.stay


def _check(columns: Columns) -> None:
    for name in POOLED:
        if name in columns:
            raise ConfigError(
                f"{name} varies, and each pool has one of its own", where=f"vary.{name}",
                remedy=f"Vary {' or '.join(f'{pool}_{name}' for pool in POOLS)}",
            )  # fmt: skip
    single = axis(columns, "output") <= 1.0
    if single.any() if is_array(single) else single:
        raise ConfigError(
            "the prefill pool yields the first token of an answer, and there is no other", where="workload.output",
            remedy="Give 2 tokens or more, or [parallelism] instead of [pools]",
        )  # fmt: skip


def _first(queue: Any, service: Any, around: tuple[Any, Any]) -> Any:
    """Return the time to the first token, from its parts."""
    moving, outside = around
    inside = named(queue, "queue") + named(service, "reading of the prompt")
    return inside + named(moving, "transfer of the cache") + named(outside, "front end")


def _closed(
    columns: Columns, prefill: PrefillWorkers, decode: DecodeWorkers, points: Points, capacities: tuple[Any, Any],
    around: tuple[Any, Any],
) -> tuple[Pass, dict[str, Any]]:  # fmt: skip
    """Answer for clients that wait, or for more requests than both pools hold."""
    moving, gone = around[0], around[0] + around[1]
    places, reading = decode.most * decode.workers, prefill.most * prefill.workers
    asked = axis(columns, "concurrency") if "concurrency" in columns else places + reading
    if "requests" in columns:
        asked = minimum(asked, axis(columns, "requests"))
    # More are decoded than clients send, or fewer: where that turns, both are equal.
    over = [
        node * decode.workers - sent_rate(prefill, asked, stay + gone + decode.entry(stay)) * stay
        for node, stay in points
    ]
    own, full = balanced(points, over)
    step = decode.step(own)
    stay = decode.steps * step.time
    entry = decode.entry(stay)
    gone = gone + entry
    rate = where(full, own * decode.workers / stay, sent_rate(prefill, asked, stay + gone))
    rate = minimum(rate, minimum(*capacities))
    first = asked / rate - stay
    service, _ = prefill.reading(rate)
    queue = maximum(0.0, first - service - gone)
    loop = service, prefill.spacing, asked, stay + gone, queue + service
    # Where no place is free to decode, only the answers of others are waited for.
    moved = where(full, 0.0 * queue, stay_of_slower_prefill(*loop)), where(full, queue, stay_of_slower_decode(*loop))
    if "requests" in columns:
        # All come at once: half of them are read before the average one.
        wave = maximum(0.0, 0.5 * (asked * prefill.spacing - service) - queue)
        queue = queue + named(wave, "wait of the first wave") * minimum(1.0, asked / axis(columns, "requests"))
    first = _first(queue, service, around) + named(entry, "entry into a pass that decodes")
    found = _answers(columns, prefill, decode, step, rate, (queue, service, moving), stay, own)
    loud = found["performance.pass_time.log_sd"]
    return step, found | {
        "performance.ttft": first, "performance.latency": first + stay,
        "performance.waiting": maximum(0.0, asked - rate * stay),
        "performance.ttft.log_sd": _unsure(prefill, loud, first, moved),
    }  # fmt: skip


def _unsure(prefill: PrefillWorkers, loud: Any, first: Any, moved: tuple[Any, Any]) -> Any:
    """Return the spread of the logarithm of the time to first token: what is left of a round is less sure than it.

    ``loud`` is the spread of the passes that decode.
    """
    read, written = maximum(first, moved[0]) * prefill.spread / first, moved[1] * loud / first
    return sqrt(read * read + written * written + prefill.var_first + HANDED_OVER * HANDED_OVER)


def sent_rate(prefill: PrefillWorkers, clients: Any, away: Any) -> Any:
    """Return the requests per time that clients send who are away from the prefill workers for so long.

    Parameters
    ----------
    prefill : PrefillWorkers
        Who reads their prompts.
    clients : float or array, count
        Clients, each with one request.
    away : float or array, s
        From the end of a prompt to the next request of its client.

    Returns
    -------
    float or array, count/s
    """
    rate = minimum(clients / (away + prompt_stay(prefill.alone, prefill.spacing, clients, away)), prefill.capacity)
    # Others can be reading only if there are others.
    others = 1.0 - 1.0 / clients
    for _ in range(2):
        service, late = prefill.reading(rate)
        gone = away + others * late
        rate = minimum(clients / (gone + prompt_stay(service, prefill.spacing, clients, gone)), prefill.capacity)
    return rate


def _at_random(
    columns: Columns, prefill: PrefillWorkers, decode: DecodeWorkers, points: Points, capacities: tuple[Any, Any],
    around: tuple[Any, Any],
) -> tuple[Pass, dict[str, Any]]:  # fmt: skip
    """Answer for requests that arrive at random, whoever is served."""
    moving, gone = around[0], around[0] + around[1]
    rate, capacity = axis(columns, "rate"), minimum(*capacities)
    own, longest = in_flight_at(rate / decode.workers, points)
    step = decode.step(own)
    stay, served = decode.steps * step.time, minimum(rate, capacity)
    service, late = prefill.reading(served)
    variation = columns["input_variation"]
    # Places of the prefill pool: a worker reads the prompts of one pass at once.
    prompts = prefill.workers * prefill.most
    reading = line_of(rate * prefill.spacing * prompts, prompts, prefill.spacing * prompts, variation)
    places = decode.workers * decode.most
    decoding = line_of(own * decode.workers, places, longest, columns["output_variation"])
    late, entry = late + reading.wait, decode.entry(stay)
    queue, gone = late + decoding.wait, gone + entry
    first = _first(queue, service, around) + named(entry, "entry into a pass that decodes")
    spread = service * variation
    both = sqrt(spread * spread + (stay * columns["output_variation"]) * (stay * columns["output_variation"]))
    found = _answers(columns, prefill, decode, step, served, (queue, service, moving), stay, own) | {
        "performance.ttft": first, "performance.latency": first + stay,
        "performance.waiting": served * queue, "feasibility.keeps_up": rate < capacity,
        "performance.capacity": capacity, "performance.duty": minimum(1.0, rate / capacity),
    }  # fmt: skip
    found["performance.capacity.log_sd"] = found["performance.throughput.log_sd"]
    found["performance.throughput.log_sd"] = found["performance.token_throughput.log_sd"] = 0.0 * stay
    sure = service + gone
    times = {"performance.ttft": (sure, spread), "performance.latency": (sure + stay, both)}
    found |= quantiles(times, late, decoding.quantile)
    return step, found | _strayed(found)


def _strayed(found: dict[str, Any]) -> dict[str, Any]:
    """Return the spreads of the times at a rate, with what the closed form of a line strays from a simulation."""
    own = {}
    for name, (light, full) in ARRIVAL_LOG_SD.items():
        alone = found[f"performance.{name.partition('_')[0]}.log_sd"]
        stray = simulated_log_sd(light, full, found["performance.duty"])
        own[f"performance.{name}.log_sd"] = sqrt(alone * alone + stray * stray)
    return own


def _answers(
    columns: Columns, prefill: PrefillWorkers, decode: DecodeWorkers, step: Pass, rate: Any,
    parts: tuple[Any, Any, Any], stay: Any, own: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return what closed and open loops answer alike."""
    output, flying = axis(columns, "output"), rate * stay
    if "requests" in columns:
        requests, each = axis(columns, "requests"), maximum(1.0, own)
        waves = maximum(1.0, requests / (each * decode.workers))
        rest = at_rest(each, step.time, lambda few: decode.step(few).time)
        lost = empty_passes(output, columns["output_variation"], waves, each) * rest
        rate = sample_rate(requests, requests / rate + named(lost, "end of the run"))
    quiet, loud = prefill.spread, spread_of_pass(decode.engine, step)
    _, service, moving = parts
    answers = {
        "performance.tpot": stay / maximum(1.0, decode.steps), "performance.throughput": rate,
        "performance.token_throughput": rate * output, "performance.in_flight": flying,
        "performance.pass_time": step.time, "performance.communication": step.talk / step.time,
        "performance.prefill_time": service, "performance.transfer_time": moving,
    }  # fmt: skip
    answers |= {f"performance.{name}.log_sd": loud for name in ("tpot", "pass_time", "latency")}
    both = maximum(quiet, loud)
    answers |= {f"performance.{name}.log_sd": both for name in ("throughput", "token_throughput", "utilisation")}
    around = prefill.var_first + HANDED_OVER * HANDED_OVER
    answers["performance.ttft.log_sd"] = sqrt(quiet * quiet + around)
    answers["performance.prefill_time.log_sd"] = quiet
    return answers


def _matched(
    columns: Columns,
    prefill: PrefillWorkers,
    decode: DecodeWorkers,
    capacities: tuple[Any, Any],
    step: Pass,
    found: dict[str, Any],
) -> dict[str, Any]:
    """Return how the rates of the pools match, how busy both are, and what they hold."""
    rate, (read, written) = found["performance.throughput"], capacities
    flying = found["performance.in_flight"]
    held = decode.hold(flying)
    devices = [_devices(columns, pool) for pool in ("prefill", "decode")]
    # A worker decodes for one request at least.
    decoding = rate * decode.steps * step.time / maximum(flying, decode.workers)
    busy = minimum(1.0, rate / read), minimum(1.0, decoding)
    shares = [prefill.shares, used_by(decode.engine, step)]
    answers = _memory(prefill.fit, held) | {
        "performance.prefill_capacity": read, "performance.decode_capacity": written,
        "performance.prefill_busy": busy[0], "performance.decode_busy": flying / (decode.workers * decode.most),
        "performance.prefill_idle": idle_workers(columns["prefill_workers"], rate, read),
        "performance.decode_idle": idle_workers(columns["decode_workers"], rate, written),
        "performance.matching_prefill": matching_workers(columns["prefill_workers"], read, written),
        "performance.slower_pool": only(written < read, 1.0 + 0.0 * read),
        "performance.bound": shares[1]["performance.bound"],
    }  # fmt: skip
    for name in ("performance.utilisation", "performance.bandwidth_utilisation"):
        used = sum(n * b * share[name] for n, b, share in zip(devices, busy, shares, strict=True))
        answers[name] = used / (devices[0] + devices[1])
    return answers


def _devices(columns: Columns, pool: str) -> Any:
    parts = columns[f"{pool}_workers"]
    for name in ("data", "attention", "tensor", "pipeline"):
        parts = parts * columns.get(f"{pool}_{name}", 1.0)
    return parts


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
