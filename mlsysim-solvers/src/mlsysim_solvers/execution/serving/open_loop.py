"""An engine whose requests arrive at random: what passes take, and what a request sees of them.

What passes take with more and more requests in flight does not depend on how many come, so that a sweep over rates asks
it once. The rest is closed form: at each number in flight a request stays for so long, and the engine settles where as
many are in flight as come in that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from mlsysim.numeric import exp, maximum, minimum, only, where

from ...formulas.admission import whole_prompts
from ...formulas.batching import prompt_passes
from ...formulas.open_loop import broken_passes, delayed_token, gathered, mixed_token, residual_wait, roomy
from ...formulas.queue_constants import FULLEST, LEAST
from ...formulas.queueing import crowding
from ..device.answers import axis
from ..device.arrays import level
from .arrivals import Line, line_of
from .attention_copies import own_tokens
from .batching import copies_of_attention, held_back, steady
from .passes import Engine, Pass, decoding_pass, joined, reading_pass

__all__ = ["Flight", "Passes", "Prompts", "Request", "passes_at", "prompts_of", "run_at", "settled"]


NODES = 5
"""Numbers in flight, from one to the most, between which what a pass takes is interpolated."""


class Passes(NamedTuple):
    """What passes take with so many requests in flight.

    Parameters
    ----------
    counts : tuple of float or array, count
        Numbers in flight, in geometric steps from one to the most.
    plain : tuple of float or array, s
        A pass that decodes for so many.
    single, full : tuple of float or array, s
        A pass that reads one prompt, and one that reads as many as it has room for, with one and with the most.
    slower : tuple of float or array, ratio
        By how much a pass that reads takes longer beside so many than beside none.
    longest, slowest : float or array, s
        How long a request stays, and until its first token, when all places are always taken.
    """

    counts: tuple[Any, ...]
    plain: tuple[Any, ...]
    single: tuple[Any, Any]
    full: tuple[Any, Any]
    slower: tuple[Any, ...]
    longest: Any
    slowest: Any


class Prompts(NamedTuple):
    """How an engine reads prompts.

    Parameters
    ----------
    prompt, steps : float or array, count
        Tokens of a prompt that are read, and of an answer after the first.
    variation : float or array, ratio
        Standard deviation of prompts over their mean.
    budget : float or array, count
        Tokens of a pass at most.
    ranks : float or array, count
        Copies of attention, one of which reads a prompt.
    columns : mapping of str to number or object
        All columns.
    """

    prompt: Any
    steps: Any
    variation: Any
    budget: Any
    ranks: Any
    columns: Mapping[str, Any]


class Request(NamedTuple):
    """What a request sees on average.

    Parameters
    ----------
    others : float or array, count
        Requests in flight beside it.
    together : float or array, count
        Prompts of a pass that reads.
    plain, reading : float or array, s
        A pass that decodes, and one that reads so many prompts.
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
    together: Any
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


def prompts_of(engine: Engine) -> Prompts:
    """Return how an engine reads prompts.

    Parameters
    ----------
    engine : Engine
        What runs the passes.

    Returns
    -------
    Prompts
    """
    c = engine.columns
    ranks = copies_of_attention(engine)
    prompt = axis(c, "input") * (1.0 - c["cached"])
    return Prompts(prompt, axis(c, "output") - 1.0, c["input_variation"], own_tokens(c) * ranks, ranks, c)


def _room(prompts: Prompts, others: Any) -> Any:
    """Return the prompt tokens for which a pass has room."""
    prompt, steps, budget, ranks = prompts.prompt, prompts.steps, prompts.budget, prompts.ranks
    if not prompts.columns["mixed"]:
        return budget
    free = budget - minimum(others, budget * (steps / (steps + prompt)))
    return free if prompts.columns["chunked"] else ranks * whole_prompts(prompt, free / ranks)


def passes_at(engine: Engine, most: Any, stages: Any) -> Passes:
    """Return what passes take with few, more and the most requests in flight.

    Parameters
    ----------
    engine : Engine
        What runs the passes.
    most : float or array, count
        Most requests that share passes.
    stages : float or array, count
        Batches that the stages of a pipeline work on in turn.

    Returns
    -------
    Passes
    """
    prompts, brief, is_mixed = prompts_of(engine), engine.brief(), engine.columns["mixed"]
    # Powers one by one, so that a number that is traced or varies stays what it is.
    counts = tuple(level(most ** (k / (NODES - 1.0))) for k in range(NODES))
    plain = tuple(decoding_pass(brief, count, stages).time for count in counts)
    ends = []
    for count in (counts[0], counts[-1]) if is_mixed else counts[:1]:
        others = count - 1.0 if is_mixed else 0.0
        free = _room(prompts, others)
        sizes = minimum(prompts.prompt, free / prompts.ranks), free
        ends.append([reading_pass(brief, others, tokens, stages).time for tokens in sizes])
    (single, full), (last_single, last_full) = ends[0], ends[-1]
    slower: list[Any] = [1.0] * NODES
    if is_mixed:
        slower = [_within((1.0, last_single / single), (n - 1.0) / maximum(LEAST, counts[-1] - 1.0)) for n in counts]
    taken = steady(brief, most, stages, 0.0)
    return Passes(
        counts, plain, (single, last_single), (full, last_full), tuple(slower), taken.residence, taken.first
    )  # fmt: skip


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
    free = _room(prompts, others)
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
    together, time, along, often, load, queue, own, shared = reading
    busy = maximum(load, 1.0 - exp(-others))
    late = residual_wait(load, busy, along, plain, prompts.variation) + queue.wait
    token = _token(prompts, plain, time, often, late + own - shared)
    return Request(others, together, plain, time, load, busy, along, late, queue, own, token, False)


def _within(ends: tuple[Any, Any], share: Any) -> Any:
    return ends[0] + (ends[1] - ends[0]) * share


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
    first = first * _within((1.0, passes.slower[-1]), _share(passes, count))
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


def run_at(engine: Engine, passes: Passes, rate: Any, found: Flight, stages: Any) -> tuple[Request, Pass, Pass]:
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
    stages : float or array, count
        Batches that the stages of a pipeline work on in turn.

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
    count, others = found.count, found.others
    plain, share, free = decoding_pass(engine, count, stages), _share(passes, count), _room(prompts, others)
    between = _within(passes.single, share), _within(passes.full, share)
    read = _reading(prompts, rate, others, plain.time, between)
    tokens = minimum(free, read.together * minimum(prompts.prompt, free / prompts.ranks))
    reading = reading_pass(engine, others if is_mixed else 0.0, tokens, stages)
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
