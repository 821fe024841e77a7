"""Requests that come and go: how many are in flight, how fast they are answered, and what binds.

The story is told in passes. Memory and the stack say how many requests are in flight. Each of them reads its
prompt and then decodes token by token; a pass decodes for all that have read, and reads for one that has not. The
two kinds of pass take what device and stack make of their operators. Little's law turns passes into requests per
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mlsysim.errors import ConfigError
from mlsysim.numeric import exp, is_array, log, maximum, minimum, only, sqrt, where
from mlsysim.tracing import named

from .declarations.in_flight import POOLED, POOLS
from .execution.device.answers import axis, common_answers
from .execution.device.sharing import alike, apart
from .execution.serving.arrivals import (
    ARRIVING,
    Line,
    Points,
    in_flight_at,
    line_of,
    prompt_wait,
    quantiles,
    stays_at,
    stays_of_kinds,
)
from .execution.serving.batching import State, front_of, intake_of, steady, time_in_flight
from .execution.serving.copies import bound_of
from .execution.serving.ending import copies_of, ending, first_reading, shared
from .execution.serving.passes import Engine, decoding_pass, engine_of, spread_of_pass
from .execution.serving.pools import pools_columns
from .execution.serving.room import Room, completed, room, spread_of_places
from .execution.serving.traffic import traffic_columns
from .formulas.admission import first_passes, first_wave, late_answer, unsure_places
from .formulas.batching import time_per_token
from .formulas.constants import INTERVAL_QUANTILE
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
            points = stays_at(*_ends(c, engine, space.slots)) if kinds is None else stays_of_kinds(kinds, _ends_of)
            return _at_random(c, engine, space, points)
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
        answers |= _rates(c, engine, state, rate, flying, unsure, end)
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


class _Seen(NamedTuple):
    """What requests see at a rate: how many are in flight in a batch, what passes take, and their times."""

    own: Any
    state: State
    line: Line
    busy: Any
    times: dict[str, Any]


def _ends(c: Columns, engine: Engine, slots: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the most requests that share passes, and how long each stays among so many."""
    stages = c.get("pipeline", 1.0)
    most = maximum(1.0, slots / (copies_of(c) * stages))
    return most, lambda own: time_in_flight(engine, own, stages, 0.0)


def _ends_of(columns: Columns) -> tuple[Any, Callable[[Any], Any]]:
    c = completed(columns)
    engine = engine_of(c)
    return _ends(c, engine, room(c, engine).slots)


def _at_random(c: Columns, engine: Engine, space: Room, points: Points) -> dict[str, Any]:
    """Answer for requests that arrive at random, whoever is served."""
    rate, stages = axis(c, "rate"), c.get("pipeline", 1.0)
    batches = copies_of(c) * stages
    most, each = maximum(1.0, space.slots / batches), rate / batches
    seen = _seen(c, points, most, each, lambda own: steady(engine, own, stages, 0.0))
    own, state, line, busy, times = seen
    capacity = minimum(most * batches / points[-1][1], _most_passed(c))
    served = minimum(rate, capacity)
    answers: dict[str, Any] = space.hold(own * batches)
    unsure = spread_of_pass(engine, state.cycle), spread_of_pass(engine, state.reading)
    answers |= _rates(c, engine, state, served, own * batches, unsure)
    latency = times["performance.latency"]
    keeps_up, inside = rate < capacity, minimum(served * (latency - line.wait), most * batches)
    answers |= times | {
        "feasibility.keeps_up": keeps_up,
        "performance.in_flight": inside, "performance.waiting": served * latency - inside,
        "performance.capacity": capacity, "performance.duty": busy,
        "performance.utilisation": busy * answers["performance.utilisation"],
        "performance.bandwidth_utilisation": busy * answers["performance.bandwidth_utilisation"],
        "performance.capacity.log_sd": answers["performance.throughput.log_sd"],
    }  # fmt: skip
    # What arrives is answered, however fast: only the times are uncertain.
    answers["performance.throughput.log_sd"] = answers["performance.token_throughput.log_sd"] = 0.0 * busy
    return answers | _spreads(c, points, most, each, seen, unsure)


def _seen(c: Columns, points: Points, most: Any, each: Any, state_of: Callable[[Any], State]) -> _Seen:
    """Return what requests see that arrive at a rate at each batch, of at most so many."""
    steps, batches = axis(c, "output") - 1.0, copies_of(c) * c.get("pipeline", 1.0)
    own, longest = in_flight_at(each, points)
    state = state_of(own)
    line = line_of(own * batches, most * batches, longest, c["output_variation"])
    busy = minimum(1.0, each * state.residence)
    prompt = axis(c, "input") * (1.0 - c["cached"])
    queue = prompt_wait(each, prompt, state.taken, state.reading.time, c["input_variation"])
    # Who comes while a pass runs sees half of it on average, and misses the next where that is put together meanwhile.
    late = named(queue, "wait for other prompts") + 0.5 * busy * state.cycle.time
    sure = named(intake_of(c) + _delivery(c), "front end") + float(c["overlap"]) * busy * state.cycle.time + state.own
    first = named(line.wait, "wait for a place in flight") + late + sure
    token = time_per_token(state.residence, state.first, steps)
    times = {
        "performance.ttft": first, "performance.tpot": token, "performance.latency": first + steps * token,
    }  # fmt: skip
    return _Seen(own, state, line, busy, times | _spread_out(c, state.own, sure, late, line, steps * token))


def _spreads(
    c: Columns, points: Points, most: Any, each: Any, seen: _Seen, unsure: tuple[Any, Any]
) -> dict[str, Any]:  # fmt: skip
    """Return how unsure the times are: passes that are slower also leave more requests in flight, and in line."""
    spread, reading = maximum(unsure[0], LEAST), unsure[1]
    far = INTERVAL_QUANTILE * spread
    slower = exp(far)
    # T(f s, rate) = f T(s, f rate): the upper end of the passes' interval, at which the line may have no end.

    def crowded(own: Any) -> State:
        # By Little's law each stays longer, and so takes a pass; prompts are read in about the same time as before.
        longer, (cycle, *_) = maximum(1.0, own / (slower * seen.own)), seen.state
        return seen.state._replace(
            cycle=cycle._replace(time=longer * cycle.time), residence=longer * seen.state.residence
        )

    further, found = _seen(c, points, most, slower * each, crowded).times, {}
    load = minimum(1.0, each * points[-1][1] / most)
    for name, time in seen.times.items():
        # Answers of one token take no time per token.
        steep = 1.0 + log(maximum(further[name], LEAST) / maximum(time, LEAST)) / far
        first = name.startswith("performance.ttft")
        light, full = ARRIVAL_LOG_SD[name.removeprefix("performance.")]
        own, around = simulated_log_sd(light, full, load), c["var_first"] if first else 0.0
        passes = steep * (reading if first else spread)
        found[f"{name}.log_sd"] = sqrt(passes * passes + own * own + around)
    return found


def _spread_out(c: Columns, own: Any, sure: Any, wait: Any, line: Line, decoding: Any) -> dict[str, Any]:
    """Return the quantiles of the time to first token and of the latency; ``own`` is the prompt's part of ``sure``."""
    prompt, answer = own * c["input_variation"], decoding * c["output_variation"]
    both = sqrt(prompt * prompt + answer * answer)
    return quantiles({"performance.ttft": (sure, prompt), "performance.latency": (sure + decoding, both)}, wait, line)


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
    c: Columns, engine: Engine, state: State, rate: Any, flying: Any, unsure: tuple[Any, Any], end: Any = 0.0
) -> dict[str, Any]:  # fmt: skip
    """Return requests and tokens per time, what binds, and intervals; ``unsure`` are the spreads of both passes."""
    output = axis(c, "output")
    if "requests" in c:
        requests = axis(c, "requests")
        rate = sample_rate(requests, requests / rate + named(end, "end of the run"))
    cycle = state.cycle
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
