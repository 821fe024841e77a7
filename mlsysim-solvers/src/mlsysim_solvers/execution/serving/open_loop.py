"""An engine whose requests arrive at random: how many are in flight, and what a request sees.

In closed form, given what passes take: at each number in flight a request stays for so long, and the engine settles
where as many are in flight as come in that time.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from mlsysim.numeric import exp, floor, maximum, minimum, only, where

from ...formulas.batching import prompt_passes
from ...formulas.open_loop import broken_passes, delayed_token, gathered, mixed_token, residual_wait, roomy
from ...formulas.queue_constants import FULLEST, LEAST
from ...formulas.queueing import crowding
from .arrivals import Line, line_of
from .batching import held_back
from .pass_times import Passes, Prompts, prompts_of, room_for_prompts, within
from .passes import Engine, Pass, decoding_pass, joined, reading_pass

__all__ = ["Flight", "Request", "run_at", "settled"]


class Request(NamedTuple):
    """What a request sees on average.

    Parameters
    ----------
    others : float or array, count
        Requests in flight beside it.
    plain, reading : float or array, s
        A pass that decodes, and one that reads prompts.
    load, busy : float or array, ratio
        Share of the time in which prompts are read, and in which any pass runs.
    round : float or array, s
        What prompts take that are read together, over all their passes.
    late : float or array, s
        From its arrival, or from when it has a place in flight, to the pass that begins its prompt.
    queue : Line
        Who waits for prompts that do not fit the same pass.
    own : float or array, s
        The passes in which its prompt is read, and those for which it is held back.
    token : float or array, s
        From one token to the next.
    full : bool or array of bool
        Whether all places are taken.
    """

    others: Any
    plain: Any
    reading: Any
    load: Any
    busy: Any
    round: Any
    late: Any
    queue: Line
    own: Any
    token: Any
    full: Any

    @property
    def first(self) -> Any:
        """Time from a place in flight to the first token."""
        return self.late + self.own


class Flight(NamedTuple):
    """How many requests are in flight, and for how long.

    Parameters
    ----------
    count : float or array, count
        Requests that share passes with one that arrives, itself among them.
    others : float or array, count
        Requests in flight on average, as one that arrives at random sees them.
    first, stay : float or array, s
        From a place in flight to the first and to the last token, about.
    full : bool or array of bool
        Whether all places are taken.
    """

    count: Any
    others: Any
    first: Any
    stay: Any
    full: Any


class _Reading(NamedTuple):
    """How prompts are read: how many together, how long in a pass and in all, how often, for what share of all time.

    ``queue`` is who waits for others that do not fit the same pass, ``own`` how long a prompt is read itself, and
    ``shared`` for how long of that its last part shares a pass with those behind it.
    """

    together: Any
    time: Any
    along: Any
    often: Any
    load: Any
    queue: Line
    own: Any
    shared: Any

    def slower(self, factor: Any) -> _Reading:
        """Return the same in passes that take longer by a factor."""
        load = minimum(FULLEST, factor * self.load)
        return self._replace(time=factor * self.time, along=factor * self.along, load=load, own=factor * self.own)


def _reading(prompts: Prompts, rate: Any, others: Any, plain: Any, between: tuple[Any, Any]) -> _Reading:
    """Return how prompts are read that arrive at a rate beside so many in flight.

    ``between`` are a pass that reads one prompt and a full one.
    """
    prompt, _, variation, _, ranks, c = prompts
    free = room_for_prompts(prompts, others)
    passes = prompt_passes(prompt, free / ranks)
    room = maximum(0.0, free * passes / prompt - 1.0)
    slope = (between[1] - between[0]) / maximum(LEAST, room)
    often = rate * passes
    held, least = held_back(c, ranks, rate * plain)
    together = minimum(1.0 + room, maximum(gathered(often * (between[0] - slope), often * slope, room), least))
    time, full = between[0] + slope * (together - 1.0), between[1]
    queue = line_of(often * full, 1.0 + room, passes * full, variation)
    often, along = often / together, passes * time
    load = minimum(FULLEST, often * time)
    queue = queue._replace(probability=load * queue.probability, wait=load * queue.wait)
    met = roomy(rate * (load * along + (1.0 - load) * plain), room)
    broken = broken_passes(passes, variation) * (load * full + (1.0 - load) * plain)
    if c["mixed"]:
        # Whoever decodes takes room from a prompt that fills a pass.
        broken = where(prompt * ranks <= prompts.budget, (1.0 - exp(-others)) * broken, broken)
    own = passes * (time + slope * (1.0 + met - together)) + broken + held * plain
    return _Reading(together, time, along, often, load, queue, own, broken)


def _token(prompts: Prompts, plain: Any, reading: Any, often: Any, first: Any) -> Any:
    """Return the time from one token to the next, while so often a pass reads that takes so long."""
    if prompts.columns["mixed"]:
        longer = minimum(FULLEST, often * maximum(0.0, reading - plain))
        token = mixed_token(plain, reading, longer, first, prompts.steps)
    else:
        token = delayed_token(plain, minimum(FULLEST, often * reading), first, prompts.steps)
    return only(prompts.steps > 0.0, token)


def _request(prompts: Prompts, others: Any, plain: Any, reading: _Reading) -> Request:
    """Return what a request sees while so many others are in flight."""
    _, time, along, often, load, queue, own, shared = reading
    busy = maximum(load, 1.0 - exp(-others))
    late = residual_wait(load, busy, along, plain, prompts.variation) + queue.wait
    token = _token(prompts, plain, time, often, late + own - shared)
    return Request(others, plain, time, load, busy, along, late, queue, own, token, False)


def _share(passes: Passes, count: Any) -> Any:
    """Return where a number lies between one and the most."""
    return (count - 1.0) / maximum(LEAST, passes.counts[-1] - 1.0)


def settled(prompts: Prompts, passes: Passes, rate: Any) -> Flight:
    """Return how many are in flight where requests arrive at a rate, from what passes take at a few numbers.

    Parameters
    ----------
    prompts : Prompts
        How the engine reads prompts.
    passes : Passes
        What passes take.
    rate : float or array, count/s
        Arrivals at the engine.

    Returns
    -------
    Flight

    Notes
    -----
    b = lambda t(b), by Little's law, for b others, as an arrival at random sees them. The least of several solutions is
    the one that an engine reaches that begins without requests.
    """
    first, beyond = _beyond(prompts, passes, rate)
    nodes = list(zip(_others(passes), beyond, strict=True))
    full, others = nodes[1][1] <= 0.0, nodes[-1][0] + 0.0 * rate
    for (low, short), (high, over) in reversed(list(pairwise(nodes))):
        full = full & (over <= 0.0)
        crossed = crowding(low, high, minimum(short, 0.0), maximum(over, LEAST))
        others = where((short <= 0.0) & (over > 0.0), crossed, others)
    # As many as can be answered at most take all places, whatever the numbers between say.
    most = passes.counts[-1]
    full = full | _takes_all(passes, rate)
    others = where(full, most, others)
    count = minimum(most, others + 1.0)
    first = first * within((1.0, passes.slower[-1]), _share(passes, count))
    return Flight(count, others, first, maximum(first, others / rate), full)


def _takes_all(passes: Passes, rate: Any) -> Any:
    """Return whether as many come as can be answered at most."""
    return rate * passes.longest >= passes.counts[-1] * (1.0 - LEAST)


def _others(passes: Passes) -> list[Any]:
    """Return the requests in flight on average where so many are: one more than there are others, but for the last."""
    return [*(count - 1.0 for count in passes.counts[:-1]), passes.counts[-1]]


def _beyond(prompts: Prompts, passes: Passes, rate: Any) -> tuple[Any, list[Any]]:
    """Return the time to first token beside none, and by how much numbers exceed those that come while one stays."""
    plain = passes.plain[0]
    alone = _reading(prompts, rate, 0.0 * plain, plain, (passes.single[0], passes.full[0]))
    first, found = _request(prompts, 0.0, plain, alone).first, []
    for others, plain, slower in zip(_others(passes), passes.plain, passes.slower, strict=True):
        # Beside others who decode, passes that read are slower.
        longer = slower * first
        token = _token(prompts, plain, slower * alone.time, alone.often, longer)
        found.append(others - rate * (longer + prompts.steps * token))
    return first, found


def run_at(engine: Engine, passes: Passes, rate: Any, found: Flight) -> tuple[Request, Pass, Pass]:
    """Return what a request sees of the passes that run with so many in flight, and these passes.

    Parameters
    ----------
    engine : Engine
        What runs the passes.
    passes : Passes
        What passes take.
    rate : float or array, count/s
        Arrivals at the engine.
    found : Flight
        As :func:`settled` returned.

    Returns
    -------
    seen : Request
        What a request sees.
    cycle : Pass
        All passes from one of its tokens to the next.
    reading : Pass
        A pass that reads prompts.
    """
    prompts, is_mixed = prompts_of(engine), engine.columns["mixed"]
    count, others, stages = found.count, found.others, engine.columns.get("pipeline", 1.0)
    plain, share, free = decoding_pass(engine, count, stages), _share(passes, count), room_for_prompts(prompts, others)
    between = within(passes.single, share), within(passes.full, share)
    read = _reading(prompts, rate, others, plain.time, between)
    # A thousandth of a request does not fill another tile.
    single = minimum(prompts.prompt, free / prompts.ranks)
    tokens = minimum(free, maximum(single, floor(read.together * single)))
    reading = reading_pass(engine, floor(others) if is_mixed else 0.0, tokens, stages)
    seen = _request(prompts, others, plain.time, read.slower(reading.time / read.time))
    # Where all places are taken, who has one keeps it until as many have come, and waits for prompts of no others.
    kept = others / rate
    least = maximum(0.0, kept - prompts.steps * seen.plain)
    least = where(_takes_all(passes, rate), minimum(passes.slowest, least), least)
    own = where(found.full, minimum(seen.own, least), seen.own)
    seen = seen._replace(late=where(found.full, minimum(seen.late, least - own), seen.late), own=own, full=found.full)
    token = where(found.full, (kept - seen.first) / maximum(1.0, prompts.steps), seen.token)
    seen = seen._replace(token=only(prompts.steps > 0.0, maximum(seen.plain, token)))
    more = maximum(LEAST, reading.time - plain.time) if is_mixed else reading.time
    share = where(prompts.steps > 0.0, maximum(0.0, seen.token - plain.time) / more, 1.0)
    share = minimum(1.0, share) if is_mixed else share
    often = 1.0 - share if is_mixed else minimum(1.0, prompts.steps)
    return seen, joined(plain, often, reading, share), reading
