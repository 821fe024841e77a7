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
from mlsysim.numeric import maximum, minimum, sqrt, where
from mlsysim.tracing import named

from .declarations.in_flight import POOLED, POOLS
from .execution.device.answers import axis, common_answers
from .execution.device.cases import feasibility, fixed_bytes, room_of, weights_of
from .execution.device.memory import Demand
from .execution.device.sequences import generation_demand, within_context
from .execution.device.sharing import alike
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
from .execution.serving.attention_copies import own_places, own_tokens
from .execution.serving.batching import State, intake_of, steady
from .execution.serving.copies import bound_of
from .execution.serving.ending import copies_of, ending, shared
from .execution.serving.passes import Engine, engine_of, reading_pass, spread_of_pass
from .execution.serving.pools import pools_columns
from .execution.serving.shared_layout import legal_degrees
from .execution.serving.traffic import ARRIVALS, traffic_columns
from .formulas.admission import first_wave, unsure_places, whole_prompts
from .formulas.batching import long_answer, time_per_token
from .formulas.memory import place_bytes
from .formulas.serving import sample_rate
from .lowering.serving import stage
from .lowering.shape import TransformerShape

__all__ = ["InFlightSolver", "completed", "room"]

Columns = Mapping[str, Any]

_OF_POOLS = frozenset(f"{pool}_{name}" for pool in POOLS for name in POOLED)
"""Columns that only scenarios with pools have."""

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
        place, slots = room(c, engine)
        if c["arrivals"] == "rate":
            kinds = alike(columns, ARRIVING)
            points = stays_at(*_ends(c, engine, slots)) if kinds is None else stays_of_kinds(kinds, _ends_of)
            return _at_random(c, engine, place, slots, points)
        asked = axis(c, "concurrency") if "concurrency" in c else slots
        if "requests" in c:
            asked = minimum(asked, axis(c, "requests"))
        flying = minimum(asked, slots)
        state = steady(engine, *shared(c, flying), _gap(c, asked, slots, flying))
        outside = intake_of(c) + _delivery(c)
        # Clients are in the engine or outside it, unless more wait than it has places for.
        rate = minimum(asked / (state.residence + outside), flying / state.residence)
        # The front end takes one request after the other.
        rate = minimum(rate, copies_of(c) / maximum(intake_of(c), _INSTANT))
        answers: dict[str, Any] = place(flying)
        answers |= _times(c, engine, state, rate, asked, flying)
        answers |= _rates(c, engine, state, rate, flying)
        if "concurrency" in c:
            quiet, first = answers["performance.ttft.log_sd"], answers["performance.ttft"]
            loud = unsure_places(asked, slots, _spread_of_places(c, engine, slots), state.residence, first)
            answers["performance.ttft.log_sd"] = sqrt(quiet * quiet + loud * loud)
        return answers


def completed(columns: Columns) -> dict[str, Any]:
    """Add what follows from columns that may vary, and refuse arrivals of two kinds.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.

    Returns
    -------
    dict of str to number or object

    Raises
    ------
    ConfigError
        If a sweep varies arrivals of another kind than the scenario's.
    """
    c = dict(columns)
    for name in ARRIVALS:
        if name in c and c["arrivals"] != name:
            raise ConfigError(
                f"{name} varies, and the scenario's requests arrive by {c['arrivals']}", where=f"workload.{name}",
                remedy=f"Give the scenario a {name} first",
            )  # fmt: skip
    c["long_output"] = long_answer(axis(c, "output"), c["output_variation"])
    if "place" in c:
        longest = axis(c, "input") + axis(c, "output")
        places = place_bytes(own_places(c), c["shape"].vocab, c["place"], longest, c["place_token"])
        c["reserve"] = c["reserve"] + named(places, "places of requests")
    # All of the device's memory but what the stack leaves free, or what it leaves free beside the weights.
    if "cache_share" in c:
        fixed = fixed_bytes(c, weights_of(c, _shard(c, engine_of(c)))) / c["capacity"]
        c["utilisation"] = fixed + c["cache_share"] * maximum(0.0, 1.0 - fixed)
    return c


def _shard(c: Columns, engine: Engine) -> Any:
    """Return what the fullest device of a copy holds."""
    place = engine.place
    if place is None:
        return c["shape"]
    return stage(place.shape, place.share) if isinstance(place.shape, TransformerShape) else place.shape


def _caches(c: Columns) -> Any:
    """Return how many caches there are: copies of the model, times copies of attention in each."""
    return copies_of(c) * c.get("attention", 1.0)


def room(c: Columns, engine: Engine) -> tuple[Any, Any]:
    """Return what holds a number of requests against memory, and the most that may be in flight.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns, completed.
    engine : Engine
        What runs the passes of a copy.

    Returns
    -------
    hold : callable
        From requests in flight to the outputs of feasibility.
    slots : float or array, count
        Most requests in flight on all copies.
    """
    shape = _shard(c, engine)
    weights = weights_of(c, shape)
    memory = room_of(c, weights)
    # A request that grows holds half of its answer on average; a reserving stack sets the whole aside.
    grown = c["long_output"] if c["reserves"] else 0.5 * c["long_output"]
    input_, copies = axis(c, "input"), _caches(c)
    largest = generation_demand(shape, memory, 1.0 * (grown / grown), input_, grown).largest
    slots = maximum(1.0, minimum(largest, own_places(c))) * copies

    def hold(flying: Any) -> dict[str, Any]:
        demand = generation_demand(shape, memory, maximum(1.0, flying / copies), input_, grown)
        demand = Demand(demand.required, largest * copies)
        within = within_context(c["shape"], input_, axis(c, "output")) & legal_degrees(c)
        return feasibility(c, demand, weights, within=within)

    return hold, slots


def _spread_of_places(c: Columns, engine: Engine, slots: Any) -> Any:
    """Return the spread of the logarithm of the requests that the memory holds: what is left of it is less sure."""
    free = c["capacity"] * c["utilisation"] - fixed_bytes(c, weights_of(c, _shard(c, engine)))
    unsure = c["reserve"] * sqrt(c["var_reserve"]) / maximum(free, c["reserve"])
    return where(slots < own_places(c) * _caches(c), unsure, 0.0 * unsure)


def _gap(c: Columns, asked: Any, slots: Any, flying: Any) -> Any:
    """Return the passes that run between an answer and the next request of its client: those that are under way."""
    own, _ = shared(c, flying)
    if c["arrivals"] != "concurrency":
        return 0.0 * own
    return where(asked > slots, 0.0 * own, (2.0 if c["overlap"] else 1.0) * (1.0 - 1.0 / own))


def _ends(c: Columns, engine: Engine, slots: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the most requests that share passes, and how long each stays among so many."""
    stages = c.get("pipeline", 1.0)
    most = maximum(1.0, slots / (copies_of(c) * stages))
    return most, lambda own: steady(engine, own, stages, 0.0 * own).residence


def _ends_of(columns: Columns) -> tuple[Any, Callable[[Any], Any]]:
    c = completed(columns)
    engine = engine_of(c)
    return _ends(c, engine, room(c, engine)[1])


def _at_random(c: Columns, engine: Engine, place: Any, slots: Any, points: Points) -> dict[str, Any]:
    """Answer for requests that arrive at random, whoever is served."""
    rate, steps, batches = axis(c, "rate"), axis(c, "output") - 1.0, copies_of(c) * c.get("pipeline", 1.0)
    stages = c.get("pipeline", 1.0)
    most, each = maximum(1.0, slots / batches), rate / batches
    own, longest = in_flight_at(each, points)
    state = steady(engine, own, stages, 0.0 * own)
    capacity = most * batches / longest
    line = line_of(own * batches, most * batches, longest, c["output_variation"])
    busy = minimum(1.0, each * state.residence)
    prompt = axis(c, "input") * (1.0 - c["cached"])
    queue = prompt_wait(each, prompt, state.taken, state.reading.time, c["input_variation"])
    # Who comes while a pass runs sees half of it on average.
    late = named(queue, "wait for other prompts") + 0.5 * busy * state.cycle.time
    late = late + named(intake_of(c) + _delivery(c), "front end")
    first = named(line.wait, "wait for a place in flight") + late + state.own
    token = time_per_token(state.residence, state.first, steps)
    latency, served = first + steps * token, minimum(rate, capacity)
    answers: dict[str, Any] = place(own * batches)
    answers |= _rates(c, engine, state, served, own * batches)
    keeps_up, inside = rate < capacity, minimum(served * (latency - line.wait), most * batches)
    answers |= {
        "feasibility.keeps_up": keeps_up,
        "performance.ttft": first, "performance.tpot": token, "performance.latency": latency,
        "performance.in_flight": inside, "performance.waiting": served * latency - inside,
        "performance.capacity": capacity, "performance.duty": busy,
        "performance.utilisation": busy * answers["performance.utilisation"],
        "performance.bandwidth_utilisation": busy * answers["performance.bandwidth_utilisation"],
        "performance.capacity.log_sd": answers["performance.throughput.log_sd"],
    }  # fmt: skip
    # What arrives is answered, however fast: only the times are uncertain.
    answers["performance.throughput.log_sd"] = answers["performance.token_throughput.log_sd"] = 0.0 * busy
    return answers | _spread_out(c, state, late, line, steps * token)


def _spread_out(c: Columns, state: State, wait: Any, line: Line, decoding: Any) -> dict[str, Any]:
    """Return the quantiles of the time to first token and of the latency."""
    prompt, answer = state.own * c["input_variation"], decoding * c["output_variation"]
    both = sqrt(prompt * prompt + answer * answer)
    return quantiles("performance.ttft", state.own, prompt, wait, line) | quantiles(
        "performance.latency", state.own + decoding, both, wait, line
    )


def _burst(c: Columns, engine: Engine, flying: Any) -> Any:
    """Return the mean time to first token of those that all come at once when a run begins."""
    own, active = shared(c, flying)
    prompt = axis(c, "input") * (1.0 - c["cached"])
    sharing = None if engine.place is None else engine.place.sharing
    each = own_tokens(c) if c["chunked"] else whole_prompts(prompt, own_tokens(c))
    tokens = minimum(own * prompt, each * (1.0 if sharing is None else sharing.attention))
    reading = reading_pass(engine, 0.0 * own, tokens, active).time
    return first_wave(own, prompt, tokens, reading, intake_of(c)) + _delivery(c)


def _delivery(c: Columns) -> Any:
    """Return what a token takes to a client; a program that asks its own engine has none."""
    return 0.0 if c["arrivals"] == "offline" else axis(c, "delivery")


def _times(c: Columns, engine: Engine, state: State, rate: Any, asked: Any, flying: Any) -> dict[str, Any]:
    """Return what a request sees: the wait for a place in flight, its first token, and the others."""
    steps, outside = axis(c, "output") - 1.0, intake_of(c) + _delivery(c)
    wait = named(maximum(0.0, asked / rate - state.residence - outside), "wait for a place in flight")
    first = named(outside, "front end") + state.first
    token = time_per_token(state.residence, state.first, steps)
    if "requests" in c:
        share = minimum(1.0, asked / axis(c, "requests"))
        first = (1.0 - share) * first + share * named(_burst(c, engine, flying), "the first wave")
    return {
        "performance.ttft": wait + first,
        "performance.tpot": token,
        "performance.latency": wait + first + steps * token,
        "performance.waiting": asked - flying,
    }


def _rates(c: Columns, engine: Engine, state: State, rate: Any, flying: Any) -> dict[str, Any]:
    """Return requests and tokens per time, what binds, and intervals."""
    output = axis(c, "output")
    if "requests" in c:
        requests = axis(c, "requests")
        rate = sample_rate(requests, requests / rate + named(ending(c, engine, state, flying), "end of the run"))
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
    spread = spread_of_pass(engine, cycle)
    names = ("latency", "throughput", "token_throughput", "tpot", "utilisation", "pass_time")
    answers |= {f"performance.{name}.log_sd": spread for name in names}
    quiet = spread_of_pass(engine, state.reading)
    answers["performance.ttft.log_sd"] = sqrt(quiet * quiet + c["var_first"])
    return answers
