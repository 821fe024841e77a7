"""Requests that come and go: how many are in flight, how fast they are answered, and what binds.

The story is told in passes. Memory and the stack say how many requests are in flight. Each of them reads its
prompt and then decodes token by token; a pass decodes for all that have read, and reads for one that has not. The
two kinds of pass take what device and stack make of their operators. Little's law turns passes into requests per
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.numeric import exp, is_array, log, maximum, minimum, only, sqrt, where
from mlsysim.tracing import named

from .declarations.in_flight import POOLED, POOLS
from .execution.device.answers import axis, common_answers
from .execution.device.sharing import alike, apart
from .execution.serving.arrivals import ARRIVING, Line, line_of, quantiles
from .execution.serving.batching import State, front_of, intake_of, steady
from .execution.serving.copies import bound_of
from .execution.serving.ending import copies_of, ending, first_reading, shared
from .execution.serving.open_loop import Flight, Request, run_at, settled
from .execution.serving.pass_times import Passes, passes_at, prompts_of
from .execution.serving.passes import Engine, Pass, decoding_pass, engine_of, spread_of_pass
from .execution.serving.pools import pools_columns
from .execution.serving.room import Room, completed, room, spread_of_places
from .execution.serving.traffic import traffic_columns
from .formulas.admission import first_passes, first_wave, late_answer, unsure_places
from .formulas.batching import time_per_token
from .formulas.constants import INTERVAL_QUANTILE
from .formulas.open_loop import residual_quantile
from .formulas.queue_constants import ARRIVAL_LOG_SD, FRONT_SPREAD, LEAST
from .formulas.queueing import simulated_log_sd
from .formulas.serving import sample_rate
from .formulas.waves import crowded_passes

__all__ = ["InFlightSolver"]

Columns = Mapping[str, Any]

_OF_POOLS = frozenset(f"{pool}_{name}" for pool in POOLS for name in POOLED)
"""Columns that only scenarios with pools have."""

_DEGREES = tuple(f"{pool}{name}" for pool in ("", "prefill_", "decode_") for name in ("tensor", "attention", "expert"))
"""Columns that change the shape of the operators of a device."""

_INSTANT = 1e-9
"""Least time of a front end that limits a rate, s."""


class InFlightSolver:
    """The performance of an engine that batches requests in flight, on one device or several.

    Examples
    --------
    >>> from mlsysim_solvers import InFlightSolver
    >>> solver = InFlightSolver()
    >>> callable(solver.prepare), callable(solver.compute)
    (True, True)
    """

    def prepare(self, request: Any) -> dict[str, Any]:
        """Flatten a request into columns.

        Parameters
        ----------
        request : Request
            Scenario, records (model, device, stack, node and links), claims and settings.

        Returns
        -------
        dict of str to number or object
            SI numbers under the names of :data:`mlsysim_solvers.declarations.in_flight.COLUMNS`, and objects that
            never vary under other names.

        Raises
        ------
        ConfigError
            If the workload contradicts itself, or does not suit model, layout or stack.
        SolverError
            If a number that nobody knows is needed.
        """
        return traffic_columns(request) if request.scenario.pools is None else pools_columns(request)

    def compute(self, columns: Columns) -> dict[str, Any]:
        """Answer, for floats and for arrays alike.

        Parameters
        ----------
        columns : mapping of str to number or object
            As ``prepare`` returned; clients, lengths, rates and every other number may be an array, shape (n,),
            float64.

        Returns
        -------
        dict of str to number
            Outputs in SI under the names of :data:`mlsysim_solvers.declarations.in_flight.OUTPUTS`;
            ``<output>.log_sd`` beside those that carry an interval.

        Raises
        ------
        ConfigError
            If a sweep varies arrivals of another kind than the scenario's.
        """
        return apart(self._answers, columns, _DEGREES)

    def _answers(self, columns: Columns) -> dict[str, Any]:
        if "pools" in columns:
            from .disaggregated import two_pools

            return two_pools(columns)
        lone = _OF_POOLS & columns.keys()
        if lone:
            raise ConfigError(
                f"{min(lone)} varies, and the scenario has no pools", where=f"vary.{min(lone)}",
                remedy="Give it [pools.prefill] and [pools.decode] first",
            )  # fmt: skip
        c = completed(columns)
        engine = engine_of(c)
        space = room(c, engine)
        if c["arrivals"] == "rate":
            kinds = alike(columns, ARRIVING)
            passes = (
                _passes_of(columns) if kinds is None else kinds.rows(_passes_of(kinds.columns, alone=kinds.size == 1))
            )
            return _at_random(c, engine, space, passes)
        slots = space.slots
        asked = axis(c, "concurrency") if "concurrency" in c else slots
        if "requests" in c:
            asked = minimum(asked, axis(c, "requests"))
        flying = minimum(asked, slots)
        state = steady(engine, *shared(c, flying), _gap(c, asked, slots, flying))
        outside = intake_of(c) + _delivery(c)
        # Clients are in the engine or outside it, unless more wait than it has places for.
        able = minimum(asked / (state.residence + outside), flying / state.residence)
        # The front end takes one request, and one message with a token of an answer, after the other.
        rate = minimum(able, _most_passed(c))
        answers: dict[str, Any] = space.hold(flying)
        answers |= _times(c, engine, state, (rate, able), asked, flying)
        end = 0.0
        if "requests" in c:
            end = ending(c, engine, state, flying, _crowded(c, space, flying))
        unsure = spread_of_pass(engine, state.cycle), spread_of_pass(engine, state.reading)
        answers |= _rates(c, engine, state.cycle, rate, flying, unsure, end)
        if "concurrency" in c:
            quiet, first = answers["performance.ttft.log_sd"], answers["performance.ttft"]
            loud = unsure_places(asked, slots, spread_of_places(c, engine, slots), state.residence, first)
            # The same for the requests per time that the front end is able to pass on.
            slow = unsure_places(able, _most_passed(c), FRONT_SPREAD, asked / able, first)
            slow = only(axis(c, "answer_token") > 0.0, slow)
            answers["performance.ttft.log_sd"] = sqrt(quiet * quiet + loud * loud + slow * slow)
        return answers


def _gap(c: Columns, asked: Any, slots: Any, flying: Any) -> Any:
    """Return the passes that run between an answer and the next request of its client: those that are under way."""
    own, _ = shared(c, flying)
    if c["arrivals"] != "concurrency":
        return 0.0 * own
    return where(asked > slots, 0.0 * own, (2.0 if c["overlap"] else 1.0) * (1.0 - 1.0 / own))


def _crowded(c: Columns, space: Room, flying: Any) -> Any:
    """Return for how many passes requests outlast the others that had to leave full memory."""
    input_, tokens = axis(c, "input"), axis(c, "input") + 0.5 * c["long_output"]
    crowded = crowded_passes(input_, axis(c, "output"), tokens * (space.held / flying))
    return 0.0 * crowded if c["reserves"] else crowded


def _batches(c: Columns) -> Any:
    """Return the batches that run side by side, in copies, or in turn, in the stages of a pipeline."""
    return copies_of(c) * c.get("pipeline", 1.0)


def _passes_of(columns: Columns, *, alone: bool = True) -> Passes:
    """Return what passes take; where the rows are those that differ in a large sweep, all numbers in flight at once."""
    c = completed(columns)
    engine = engine_of(c)
    most = maximum(1.0, room(c, engine).slots / _batches(c))
    if alone:
        return passes_at(engine, most)
    import numpy as np

    def copies(times: int) -> Engine:
        return engine_of(completed({n: np.tile(v, times) if is_array(v) else v for n, v in columns.items()}))

    return passes_at(engine, most, copies)


def _at_random(c: Columns, engine: Engine, space: Room, passes: Passes) -> dict[str, Any]:
    """Answer for requests that arrive at random, whoever is served."""
    rate, batches, most = axis(c, "rate"), _batches(c), passes.counts[-1]
    # More than can be answered are answered as if just so many came, and their line has no end.
    able = most / passes.longest
    asked, capacity = rate / batches, minimum(batches * able, _most_passed(c))
    each = minimum(asked, able)
    found = settled(prompts_of(engine), passes, each)
    seen, cycle, reading = run_at(engine, passes, each, found)
    line = _line(c, passes, asked, found)
    served, (times, tails) = minimum(rate, capacity), _arrived(c, seen, line)
    answers: dict[str, Any] = space.hold(maximum(1.0, seen.others) * batches)
    unsure = spread_of_pass(engine, cycle), spread_of_pass(engine, reading)
    answers |= _rates(c, engine, cycle, served, 0.0, unsure)
    latency = times["performance.latency"]
    keeps_up, entered = rate < capacity, served * (latency - line.wait)
    inside = minimum(entered, most * batches)
    outside = served * line.wait + (entered - inside)
    answers |= times | tails() | {
        "feasibility.keeps_up": keeps_up,
        "performance.in_flight": inside, "performance.waiting": only(outside > LEAST, outside),
        "performance.capacity": capacity, "performance.duty": seen.busy,
        "performance.utilisation": seen.busy * answers["performance.utilisation"],
        "performance.bandwidth_utilisation": seen.busy * answers["performance.bandwidth_utilisation"],
        "performance.capacity.log_sd": answers["performance.throughput.log_sd"],
    }  # fmt: skip
    # What arrives is answered, however fast: only the times are uncertain.
    answers["performance.throughput.log_sd"] = answers["performance.token_throughput.log_sd"] = 0.0 * seen.busy

    far = INTERVAL_QUANTILE * maximum(unsure[0], LEAST)
    # T(f s, rate) = f T(s, f rate): the upper end of the passes' interval, at which the line may have no end.
    more = exp(far) * asked
    crowded = settled(prompts_of(engine), passes, minimum(more, able))
    now, further = _stays(c, passes, asked, found), _stays(c, passes, more, crowded)
    return answers | _spreads(c, now, further, far, minimum(1.0, each / able), unsure)


def _stays(c: Columns, passes: Passes, each: Any, found: Flight) -> dict[str, Any]:
    """Return the times of requests that arrive at random, about."""
    outside = intake_of(c) + _delivery(c) + _line(c, passes, each, found).wait
    return {
        "performance.ttft": found.first + outside, "performance.latency": found.stay + outside,
        "performance.tpot": (found.stay - found.first) / maximum(1.0, axis(c, "output") - 1.0),
    }  # fmt: skip


def _line(c: Columns, passes: Passes, each: Any, found: Flight) -> Line:
    """Return who waits for a place in flight: no more than where all places were taken all the time."""
    batches, most, came = _batches(c), passes.counts[-1], each * passes.longest
    taken = where(came < most, minimum(found.others, came), most)
    return line_of(taken * batches, most * batches, passes.longest, c["output_variation"])


def _arrived(c: Columns, seen: Request, line: Line) -> tuple[dict[str, Any], Callable[[], dict[str, Any]]]:
    """Return the times of requests that arrive at random, and what gives their quantiles."""
    decoding = (axis(c, "output") - 1.0) * seen.token
    # What is put together while a pass runs misses the next one, unless a place is waited for.
    pace = seen.token if is_array(seen.token) or seen.token else seen.reading
    missed = where(seen.full, 0.0 * pace, float(c["overlap"]) * seen.busy * pace)
    sure = named(intake_of(c) + _delivery(c), "front end") + missed + named(seen.own, "reading of the prompt")
    waits = named(line.wait, "wait for a place in flight") + named(seen.late, "wait for passes and other prompts")
    first = waits + sure
    times = {"performance.ttft": first, "performance.tpot": seen.token, "performance.latency": first + decoding}

    def tail(exceeded: float) -> Any:
        place, others = line.quantile(exceeded), seen.queue.quantile(exceeded)
        under = residual_quantile(seen.load, seen.busy, seen.round, seen.plain, exceeded)
        return sqrt(place * place + others * others + under * under)

    def tails() -> dict[str, Any]:
        prompt, answer = seen.own * c["input_variation"], decoding * c["output_variation"]
        # Prompts of others come in bunches, as long as those who wait for them.
        late = maximum(0.0, decoding - (axis(c, "output") - 1.0) * seen.plain) * seen.round / (1.0 - seen.load)
        both = sqrt(prompt * prompt + answer * answer + late)
        apart = {"performance.ttft": (sure, prompt), "performance.latency": (sure + decoding, both)}
        return quantiles(apart, 0.0 * line.wait, tail)

    return times, tails


def _spreads(
    c: Columns, now: dict[str, Any], further: dict[str, Any], far: Any, load: Any, unsure: tuple[Any, Any]
) -> dict[str, Any]:  # fmt: skip
    """Return how unsure the times are: passes that are slower also leave more requests in flight, and in line."""
    found, passes = {}, {}
    for name, time in now.items():
        # Answers of one token take no time per token.
        steep = 1.0 + log(maximum(further[name], LEAST) / maximum(time, LEAST)) / far
        passes[name] = steep * (unsure[1] if name == "performance.ttft" else maximum(unsure[0], LEAST))
    for at, (light, full) in ARRIVAL_LOG_SD.items():
        name = f"performance.{at.partition('_')[0]}"
        own, around = simulated_log_sd(light, full, load), c["var_first"] if name == "performance.ttft" else 0.0
        found[f"performance.{at}.log_sd"] = sqrt(passes[name] * passes[name] + own * own + around)
    return found


def _burst(c: Columns, engine: Engine, state: State, flying: Any) -> Any:
    """Return the mean time to first token of those that all come at once when a run begins."""
    (own, active), prompt = shared(c, flying), axis(c, "input") * (1.0 - c["cached"])
    tokens, reading = first_reading(c, engine, flying)
    passes = first_passes(own, prompt, tokens, 1.0 if c["chunked"] else 0.0)
    alone = minimum(reading, state.reading.time * minimum(1.0, prompt / state.taken))
    held = 0.0 * own
    if is_array(c["interval"]) or c["interval"] > 1.0:
        # Whoever was read first decodes alone until the engine looks again.
        apart = c["interval"] - 1.0
        held = where(apart > 0.0, apart * decoding_pass(engine.brief(), 1.0 + held, active).time, held)
    if "compile_time" in c and c["chunked"]:
        held = held + where(own * prompt > tokens, c["compile_time"], 0.0 * held)
    return first_wave(own, prompt, tokens, passes, reading, alone, held, intake_of(c)) + _delivery(c)


def _most_passed(c: Columns) -> Any:
    """Return the requests per time that front ends can take in and answer, one for each copy of the model."""
    return copies_of(c) / maximum(front_of(c), _INSTANT)


def _delivery(c: Columns) -> Any:
    """Return what a token takes to a client; a program that asks its own engine has none."""
    return 0.0 if c["arrivals"] == "offline" else axis(c, "delivery")


def _times(c: Columns, engine: Engine, state: State, rates: Any, asked: Any, flying: Any) -> dict[str, Any]:
    """Return what a request sees: the wait for a place in flight, its first token, and the others.

    ``rates`` are those of the server, and of its engine if its front end took no time.
    """
    steps, outside, (rate, able) = axis(c, "output") - 1.0, intake_of(c) + _delivery(c), rates
    late = late_answer(asked / rate - asked / able, intake_of(c), maximum(front_of(c), _INSTANT))
    late = only(steps > 0.0, late)
    wait = named(maximum(0.0, asked / rate - state.residence - outside - late), "wait for a place in flight")
    first = named(outside, "front end") + state.first
    token = time_per_token(state.residence + late, state.first, steps)
    if "requests" in c:
        share = minimum(1.0, asked / axis(c, "requests"))
        # Of those that all come at once the first waits for nobody and the last for all others.
        wait = (1.0 - 0.5 * share) * wait
        first = (1.0 - share) * first + share * named(_burst(c, engine, state, flying), "the first wave")
    return {
        "performance.ttft": wait + first,
        "performance.tpot": token,
        "performance.latency": wait + first + steps * token,
        "performance.waiting": asked - flying,
    }


def _rates(
    c: Columns, engine: Engine, cycle: Pass, rate: Any, flying: Any, unsure: tuple[Any, Any], end: Any = 0.0
) -> dict[str, Any]:  # fmt: skip
    """Return requests and tokens per time, what binds, and intervals; ``unsure`` are the spreads of both passes."""
    output = axis(c, "output")
    if "requests" in c:
        requests = axis(c, "requests")
        rate = sample_rate(requests, requests / rate + named(end, "end of the run"))
    if engine.place is None:
        bound = common_answers(c, cycle.totals, cycle.time)
    else:
        bound = bound_of(c, cycle.totals, cycle.time, cycle.talk)
    kept = ("performance.utilisation", "performance.bandwidth_utilisation", "performance.bound")
    answers = {name: bound[name] for name in kept} | {
        "performance.throughput": rate,
        "performance.token_throughput": rate * output,
        "performance.in_flight": flying,
        "performance.pass_time": cycle.time,
        "performance.communication": cycle.talk / cycle.time,
    }
    spread, quiet = unsure
    names = ("latency", "throughput", "token_throughput", "tpot", "utilisation", "pass_time")
    answers |= {f"performance.{name}.log_sd": spread for name in names}
    answers["performance.ttft.log_sd"] = sqrt(quiet * quiet + c["var_first"])
    return answers
