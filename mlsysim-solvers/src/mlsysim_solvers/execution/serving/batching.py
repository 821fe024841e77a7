"""The steady state of an engine that batches in flight, by the way in which it reads prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum, where
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

__all__ = ["State", "front_of", "intake_of", "steady"]


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
    return front_time(intake_of(c), axis(c, "output"), axis(c, "answer_token"))


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
    c = engine.columns
    steps, interval = axis(c, "output") - 1.0, maximum(1.0, axis(c, "interval"))
    arrivals, hold = own / (maximum(1.0, steps) + gap), axis(c, "hold")
    wait, gathered = admission_wait(arrivals, hold, interval), gathered_prompts(arrivals, hold, interval)
    # Each copy of attention has the tokens of a pass for itself.
    ranks = 1.0 if engine.place is None or engine.place.sharing is None else engine.place.sharing.attention
    if "rank_wait" in c:
        window = gathering_passes(ranks, arrivals, axis(c, "rank_wait"))
        # Half of the window passes before the average prompt comes.
        wait, gathered = wait + 0.5 * window, gathered + arrivals * window
    waves = None
    if "requests" in c and c["arrivals"] == "concurrency":
        waves = maximum(1.0, axis(c, "requests") / (own * active * c.get("data", 1.0)))
    case = Case(
        own, gap + wait, steps, axis(c, "input") * (1.0 - c["cached"]), own_tokens(c) * ranks,
        # Random arrivals keep no request together with another.
        APART if c["arrivals"] == "rate" else c["output_variation"] * axis(c, "output"), ranks,
        minimum(own, gathered), interval, c["chunked"], waves,
    )  # fmt: skip
    return _in_one_pass(engine, case, active) if c["mixed"] else _in_turn(engine, case, active)


def _in_one_pass(engine: Engine, case: Case, active: Any) -> State:
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
    cycle = _cycle(plain, maximum(0.0, 1.0 - share), reading, share)
    passes, turns = prompt_passes(prompt, free / ranks), own / admitted
    seen = shared_tokens(together * prompt, others * prompt, free)
    # A group that more than fills a pass does not end with it: half of its prompts end in the next.
    ends = passes + 0.5 * (1.0 - 1.0 / together) * maximum(0.0, 1.0 - free / (own * prompt))
    read = ends * named(reading.time, "pass that reads") + (seen / taken - 1.0) * (reading.time - plain.time)
    behind = lockstep_passes(gap + handed, maximum(1.0, own / together), spread)
    passing = plain.time + minimum(1.0, around * prompt / taken) * (reading.time - plain.time)
    waits = (turns - steps - passes) * named(passing, "mean pass") + behind * (reading.time - plain.time)
    return _state(case, cycle, plain, reading, waits, read, taken, turns)


def _in_turn(engine: Engine, case: Case, active: Any) -> State:
    """Stop decoding while prompts are read."""
    own, gap, steps, prompt, budget, spread, ranks, gathered, interval, *_ = case
    admitted = own / (maximum(1.0, steps) + gap)
    together = together_prompts(minimum(own, budget / prompt), spread)
    taken = phase_tokens(maximum(admitted, gathered), together, prompt, budget)
    share = admitted * prompt / taken
    plain = decoding_pass(engine, admitted * steps, active)
    reading = reading_pass(engine, 0.0, taken, active)
    cycle = _cycle(plain, minimum(1.0, steps), reading, share)
    passes = prompt_passes(prompt, budget / ranks)
    # All that came together are read before anybody decodes on, and half of them before the average one.
    phase = maximum(share * interval, together_prompts(own, spread) * prompt / budget)
    read = (passes + 0.5 * maximum(0.0, phase - passes)) * named(reading.time, "pass that reads")
    waits = gap * named(cycle.time, "mean pass")
    return _state(case, cycle, plain, reading, waits, read, taken, own / admitted)


def _state(case: Case, cycle: Pass, plain: Pass, reading: Pass, waits: Any, read: Any, taken: Any, turns: Any) -> State:
    residence = turns * cycle.time
    # Whoever decodes takes a plain pass for each token at least.
    first = minimum(waits + read, residence - case.steps * plain.time)
    # The only token of an answer is its last.
    first = where(case.steps > 0.0, first, residence)
    return State(cycle, plain, reading, residence, first, minimum(read, first), taken)


def _cycle(plain: Pass, others: Any, reading: Pass, share: Any) -> Pass:
    both = joined(plain, others, reading, share)
    return both._replace(time=cycle_time(plain.time, reading.time, others, share))
