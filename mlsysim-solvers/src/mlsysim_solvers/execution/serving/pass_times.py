"""What passes take with few, more and the most requests in flight, whoever comes: a sweep over rates asks it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum

from ...formulas.admission import whole_prompts
from ...formulas.queue_constants import LEAST
from ..device.answers import axis
from ..device.arrays import level
from .attention_copies import own_tokens
from .batching import copies_of_attention, steady
from .passes import Engine, decoding_pass, reading_pass

__all__ = ["Passes", "Prompts", "passes_at", "prompts_of", "room_for_prompts", "within"]


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


def room_for_prompts(prompts: Prompts, others: Any) -> Any:
    """Return the prompt tokens for which a pass has room.

    Parameters
    ----------
    prompts : Prompts
        How the engine reads prompts.
    others : float or array, count
        Requests that decode in the same pass, where passes do both.

    Returns
    -------
    float or array, count
    """
    prompt, steps, budget, ranks = prompts.prompt, prompts.steps, prompts.budget, prompts.ranks
    if not prompts.columns["mixed"]:
        return budget
    free = budget - minimum(others, budget * (steps / (steps + prompt)))
    return free if prompts.columns["chunked"] else ranks * whole_prompts(prompt, free / ranks)


def passes_at(engine: Engine, most: Any, copies: Callable[[int], Engine] | None = None) -> Passes:
    """Return what passes take with few, more and the most requests in flight.

    Parameters
    ----------
    engine : Engine
        What runs the passes.
    most : float or array, count
        Most requests that share passes.
    copies : callable, optional
        From a number of times to the engine of a sweep in which all rows come so often: few rows are asked with all
        numbers in flight at once.

    Returns
    -------
    Passes
    """
    prompts, is_mixed = prompts_of(engine), engine.columns["mixed"]
    # Powers one by one, so that a number that is traced or varies stays what it is.
    counts = [level(most ** (k / (NODES - 1.0))) for k in range(NODES)]
    plain = _each(_decoding, engine, [(count,) for count in counts], copies)
    ends = []
    for count in (counts[0], counts[-1]) if is_mixed else counts[:1]:
        others = count - 1.0 if is_mixed else 0.0 * count
        free = room_for_prompts(prompts, others)
        ends += [(others, minimum(prompts.prompt, free / prompts.ranks)), (others, free)]
    single, full, *last = _each(_reading, engine, ends, copies)
    last_single, last_full = last or (single, full)
    slower: list[Any] = [1.0] * NODES
    if is_mixed:
        slower = [within((1.0, last_single / single), (n - 1.0) / maximum(LEAST, counts[-1] - 1.0)) for n in counts]
    taken = steady(engine.brief(), most, engine.columns.get("pipeline", 1.0), 0.0)
    return Passes(
        tuple(counts), tuple(plain), (single, last_single), (full, last_full), tuple(slower), taken.residence,
        taken.first,
    )  # fmt: skip


def _decoding(engine: Engine, count: Any) -> Any:
    return decoding_pass(engine.brief(), count, engine.columns.get("pipeline", 1.0)).time


def _reading(engine: Engine, others: Any, tokens: Any) -> Any:
    return reading_pass(engine.brief(), others, tokens, engine.columns.get("pipeline", 1.0)).time


def _each(
    run: Callable[..., Any], engine: Engine, numbers: list[tuple[Any, ...]], copies: Callable[[int], Engine] | None
) -> list[Any]:  # fmt: skip
    """Return what passes take at each of some numbers."""
    if copies is None:
        return [run(engine, *one) for one in numbers]
    import numpy as np

    many = copies(len(numbers))
    rows = max(value.size for value in many.columns.values() if isinstance(value, np.ndarray)) // len(numbers)
    columns = [np.concatenate([np.broadcast_to(one, rows) for one in each]) for each in zip(*numbers, strict=True)]
    return list(np.broadcast_to(run(many, *columns), rows * len(numbers)).reshape(len(numbers), rows))


def within(ends: tuple[Any, Any], share: Any) -> Any:
    """Return what lies at a share of the way between two ends.

    Parameters
    ----------
    ends : tuple of float or array, any unit
        The ends.
    share : float or array, ratio
        0 for the first, 1 for the last.

    Returns
    -------
    float or array, any unit
    """
    return ends[0] + (ends[1] - ends[0]) * share
