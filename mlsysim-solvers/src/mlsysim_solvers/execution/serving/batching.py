"""The steady state of an engine that batches in flight, by the way in which it reads prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import is_array, maximum, minimum, where
from mlsysim.tracing import named

from ...formulas.admission import (
    admission_wait,
    front_time,
    gathered_prompts,
    intake_time,
    lockstep_passes,
    whole_prompts,
)
from ...formulas.batching import (
    admissions,
    crowded_away,
    cycle_time,
    decoding_requests,
    pass_tokens,
    phase_tokens,
    prompt_passes,
    reading_passes,
    shared_tokens,
    together_prompts,
)
from ...formulas.expert_parallel import gathering_passes
from ..device.answers import axis
from .attention_copies import own_tokens
from .passes import Engine, Pass, decoding_pass, joined, reading_pass

__all__ = ["State", "copies_of_attention", "front_of", "held_back", "intake_of", "steady", "time_in_flight"]


APART = 1e9
"""A scatter of answers, in tokens, at which no two requests end in the same pass because they began in one."""


class Case(NamedTuple):
    """One engine and its requests, in passes and tokens.

    Parameters
    ----------
    own : float or array, count
        Requests in flight.
    gap : float or array, count
        Passes between an answer and the next request in its place.
    steps : float or array, count
        Tokens of an answer after the first.
    prompt : float or array, count
        Tokens of a prompt that are read.
    budget : float or array, count
        Tokens of a pass at most.
    spread : float or array, count
        Standard deviation of the tokens of an answer.
    ranks : float or array, count
        Copies of attention, one of which reads a prompt.
    gathered : float or array, count
        Prompts that are brought together by a wait on purpose.
    interval : float or array, count
        Passes that decode between two looks at what has come.
    chunked : bool
        Whether a prompt may be read in parts.
    waves : float or array, ratio, or None
        Answers that a place in flight gives in a run whose clients begin together; None where they did not.
    """

    own: Any
    gap: Any
    steps: Any
    prompt: Any
    budget: Any
    spread: Any
    ranks: Any
    gathered: Any
    interval: Any
    chunked: bool
    waves: Any


class Round(NamedTuple):
    """The passes from one decoded token to the next, as far as they say how long a request stays.

    Parameters
    ----------
    plain, reading : Pass
        A pass that only decodes, and one that reads prompts.
    others, share : float or array, ratio
        How many there are of either.
    admitted, around : float or array, count
        Requests that are admitted in the average pass, and in one that a request of the same group waits for.
    together : float or array, count
        Prompts that come together.
    taken, free : float or array, count
        Prompt tokens of a pass that reads any, and of a full one.
    handed : float or array, count
        Passes that a request spends in the front end.
    """

    plain: Pass
    reading: Pass
    others: Any
    share: Any
    admitted: Any
    around: Any
    together: Any
    taken: Any
    free: Any
    handed: Any


class State(NamedTuple):
    """The mean of a steady state of one engine.

    Parameters
    ----------
    cycle : Pass
        All passes from one decoded token to the next.
    plain, reading : Pass
        A pass that only decodes, and one that reads prompts.
    residence, first : float or array, s
        From the place in flight that an answer leaves to the last and to the first token of the next request.
    own : float or array, s
        The part of ``first`` in which the request's own prompt is read.
    taken : float or array, count
        Prompt tokens of a pass that reads any.
    """

    cycle: Pass
    plain: Pass
    reading: Pass
    residence: Any
    first: Any
    own: Any
    taken: Any


def intake_of(c: Mapping[str, Any]) -> Any:
    """Return what the server's front end takes for a request; a program that asks its own engine has none.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.

    Returns
    -------
    float or array, s
    """
    if c["arrivals"] == "offline":
        return 0.0
    return intake_time(axis(c, "input"), axis(c, "intake"), axis(c, "intake_token"))


def front_of(c: Mapping[str, Any]) -> Any:
    """Return what the server's front end takes for a request and its answer, during which it does nothing else.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.

    Returns
    -------
    float or array, s
    """
    if c["arrivals"] == "offline":
        return 0.0
    return front_time(intake_of(c), axis(c, "intake"), axis(c, "output"), axis(c, "answer_token"))


def steady(engine: Engine, own: Any, active: Any, gap: Any) -> State:
    """Return the mean of the steady state with so many requests in flight.

    Parameters
    ----------
    engine : Engine
        What runs the passes.
    own : float or array, count
        Requests that share passes.
    active : float or array, count
        Batches that the stages of a pipeline work on in turn.
    gap : float or array, count
        Passes between an answer and the next request in its place.

    Returns
    -------
    State
    """
    case = _case(engine, own, active, gap)
    if engine.columns["mixed"]:
        return _in_one_pass(case, _mixed_round(engine, case, active))
    return _in_turn(case, _parted_round(engine, case, active))


def time_in_flight(engine: Engine, own: Any, active: Any, gap: Any) -> Any:
    """Return how long each request stays in the steady state with so many in flight, and nothing else of it.

    Parameters
    ----------
    engine : Engine
        What runs the passes.
    own : float or array, count
        Requests that share passes.
    active : float or array, count
        Batches that the stages of a pipeline work on in turn.
    gap : float or array, count
        Passes between an answer and the next request in its place.

    Returns
    -------
    float or array, s
    """
    case = _case(engine, own, active, gap)
    passes = (_mixed_round if engine.columns["mixed"] else _parted_round)(engine.brief(), case, active)
    return own / passes.admitted * _round_time(passes)


def copies_of_attention(engine: Engine) -> Any:
    """Return the copies of attention, each of which has the tokens of a pass for itself.

    Parameters
    ----------
    engine : Engine
        What runs the passes.

    Returns
    -------
    float or array, count
    """
    return 1.0 if engine.place is None or engine.place.sharing is None else engine.place.sharing.attention


def held_back(c: Mapping[str, Any], ranks: Any, arrivals: Any) -> tuple[Any, Any]:
    """Return the passes for which requests wait on purpose, and the prompts that this brings together.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    ranks : float or array, count
        Copies of attention.
    arrivals : float or array, count
        Requests that come in a pass.

    Returns
    -------
    wait, gathered : float or array, count
    """
    hold, interval = axis(c, "hold"), maximum(1.0, axis(c, "interval"))
    wait, gathered = 0.0, maximum(1.0, arrivals)
    if is_array(hold) or is_array(interval) or hold > 0.0 or interval > 1.0:
        wait, gathered = admission_wait(arrivals, hold, interval), gathered_prompts(arrivals, hold, interval)
    if "rank_wait" in c:
        window = gathering_passes(ranks, arrivals, axis(c, "rank_wait"))
        # Half of the window passes before the average prompt comes.
        wait, gathered = wait + 0.5 * window, gathered + arrivals * window
    return wait, gathered


def _case(engine: Engine, own: Any, active: Any, gap: Any) -> Case:
    c = engine.columns
    steps, interval = axis(c, "output") - 1.0, maximum(1.0, axis(c, "interval"))
    arrivals = own / (maximum(1.0, steps) + gap)
    ranks = copies_of_attention(engine)
    wait, gathered = held_back(c, ranks, arrivals)
    waves = None
    if "requests" in c and c["arrivals"] == "concurrency":
        waves = maximum(1.0, axis(c, "requests") / (own * active * c.get("data", 1.0)))
    return Case(
        own, gap + wait, steps, axis(c, "input") * (1.0 - c["cached"]), own_tokens(c) * ranks,
        # Random arrivals keep no request together with another.
        APART if c["arrivals"] == "rate" else c["output_variation"] * axis(c, "output"), ranks,
        minimum(own, gathered), interval, c["chunked"], waves,
    )  # fmt: skip


def _mixed_round(engine: Engine, case: Case, active: Any) -> Round:
    """Read prompts in the passes that decode."""
    own, gap, steps, prompt, budget, spread, ranks, gathered, _, chunked, waves = case
    free = budget - decoding_requests(own, steps, gap, prompt, budget)
    if not chunked:
        free = ranks * whole_prompts(prompt, free / ranks)
    # Where nobody reads, whoever is not absent decodes; where one reads, the others do as they do on average.
    plain = decoding_pass(engine, minimum(own, budget) * (steps / (maximum(1.0, steps) + gap)), active)
    # Where more wait than there are places for, the next is there at once; who comes at random follows nobody.
    at_random = engine.columns["arrivals"] == "rate"
    handed = 0.0 if at_random else minimum(1.0, gap) * intake_of(engine.columns) / plain.time
    away = steps + gap
    near = away if waves is None else crowded_away(away, own * prompt / free, spread, waves)
    queued = reading_passes(own, near, prompt, free)
    admitted = admissions(own, away + queued, steps, prompt, budget)
    # While a request waits, those that came with it do so too.
    around = admitted if waves is None else maximum(admitted, minimum(own / (near + queued), free / prompt))
    # Who ended together comes back scattered by the front end.
    most = minimum(own, free / prompt)
    together = maximum(together_prompts(most, spread + handed), minimum(gathered, most))
    others = (1.0 - 1.0 / own) * around
    taken = pass_tokens(others, together, prompt, free)
    share = admitted * prompt / taken
    reading = reading_pass(engine, (1.0 - 1.0 / own) * admitted * steps, taken, active)
    often = maximum(0.0, 1.0 - share)
    return Round(plain, reading, often, share, admitted, around, together, taken, free, handed)


def _in_one_pass(case: Case, passing: Round) -> State:
    own, gap, steps, prompt, _, spread, ranks, *_ = case
    plain, reading, _, _, admitted, around, together, taken, free, handed = passing
    others = (1.0 - 1.0 / own) * around
    passes, turns = prompt_passes(prompt, free / ranks), own / admitted
    seen = shared_tokens(together * prompt, others * prompt, free)
    # A group that more than fills a pass does not end with it: half of its prompts end in the next.
    ends = passes + 0.5 * (1.0 - 1.0 / together) * maximum(0.0, 1.0 - free / (own * prompt))
    read = ends * named(reading.time, "pass that reads") + (seen / taken - 1.0) * (reading.time - plain.time)
    behind = lockstep_passes(gap + handed, maximum(1.0, own / together), spread)
    mean = plain.time + minimum(1.0, around * prompt / taken) * (reading.time - plain.time)
    waits = (turns - steps - passes) * named(mean, "mean pass") + behind * (reading.time - plain.time)
    return _state(case, passing, waits, read, turns)


def _parted_round(engine: Engine, case: Case, active: Any) -> Round:
    """Stop decoding while prompts are read."""
    own, gap, steps, prompt, budget, spread, _, gathered, *_ = case
    admitted = own / (maximum(1.0, steps) + gap)
    together = together_prompts(minimum(own, budget / prompt), spread)
    taken = phase_tokens(maximum(admitted, gathered), together, prompt, budget)
    share = admitted * prompt / taken
    plain = decoding_pass(engine, admitted * steps, active)
    reading = reading_pass(engine, 0.0, taken, active)
    often = minimum(1.0, steps)
    return Round(plain, reading, often, share, admitted, admitted, together, taken, budget, 0.0)


def _in_turn(case: Case, passing: Round) -> State:
    own, gap, _, prompt, budget, spread, ranks, _, interval, *_ = case
    passes = prompt_passes(prompt, budget / ranks)
    # All that came together are read before anybody decodes on, and half of them before the average one.
    phase = maximum(passing.share * interval, together_prompts(own, spread) * prompt / budget)
    read = (passes + 0.5 * maximum(0.0, phase - passes)) * named(passing.reading.time, "pass that reads")
    waits = gap * named(_round_time(passing), "mean pass")
    return _state(case, passing, waits, read, own / passing.admitted)


def _state(case: Case, passing: Round, waits: Any, read: Any, turns: Any) -> State:
    plain, others, reading, share = passing.plain, passing.others, passing.reading, passing.share
    cycle = joined(plain, others, reading, share)._replace(time=_round_time(passing))
    residence = turns * cycle.time
    # Whoever decodes takes a plain pass for each token at least.
    first = minimum(waits + read, residence - case.steps * plain.time)
    # The only token of an answer is its last.
    first = where(case.steps > 0.0, first, residence)
    return State(cycle, plain, reading, residence, first, minimum(read, first), passing.taken)


def _round_time(passing: Round) -> Any:
    return cycle_time(passing.plain.time, passing.reading.time, passing.others, passing.share)
