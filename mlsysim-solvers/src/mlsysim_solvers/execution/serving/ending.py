"""Runs of finitely many requests: how they end, and who shares a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlsysim.numeric import floor, maximum, minimum, sqrt, where

from ...formulas.admission import first_decoding, whole_prompts
from ...formulas.waves import empty_passes, kept_together, pass_at_rest
from ..device.answers import axis
from .attention_copies import own_tokens
from .batching import State, time_in_flight
from .passes import Engine, decoding_pass, reading_pass

__all__ = ["at_rest", "copies_of", "ending", "first_reading", "shared"]

Columns = Mapping[str, Any]


def copies_of(columns: Columns) -> Any:
    """Return how many copies of the model answer requests.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.

    Returns
    -------
    float or array, count
    """
    return columns.get("data", 1.0)


def shared(columns: Columns, flying: Any) -> tuple[Any, Any]:
    """Return the requests of one batch, and the batches that a pipeline of stages works on in turn.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    flying : float or array, count
        Requests in flight.

    Returns
    -------
    own, active : float or array, count
    """
    own = maximum(1.0, flying / copies_of(columns))
    active = minimum(own, columns["pipeline"]) if "pipeline" in columns else 1.0
    return own / active, active


def ending(columns: Columns, engine: Engine, state: State, flying: Any, crowded: Any = 0.0) -> Any:
    """Return by how much a run of finitely many requests outlasts their share of the steady state.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns; ``requests`` among them.
    engine : Engine
        What runs the passes.
    state : State
        Its steady state.
    flying : float or array, count
        Requests in flight in it.
    crowded : float or array, count
        Passes for which those outlast the others that had to leave full memory.

    Returns
    -------
    float or array, s
        Answers of one length end together, and nobody takes the places that the last of them leave free; where
        lengths scatter, the last passes decode for ever fewer.
    """
    output, (own, batches), brief = axis(columns, "output"), shared(columns, flying), engine.brief()
    variation, waves = columns["output_variation"], maximum(1.0, axis(columns, "requests") / flying)
    empty = maximum(empty_passes(output, variation, waves, own), crowded)
    lost = empty * at_rest(own, state.plain.time, lambda few: decoding_pass(brief, few, batches).time)
    left = (waves - floor(waves)) * flying
    fewer, active = shared(columns, left)
    alone = time_in_flight(engine, fewer, active, 0.0 * fewer)
    longer = where(left < _NOBODY, 0.0 * alone, maximum(0.0, alone - left / flying * state.residence))
    if not columns["mixed"]:
        # Where reading stops all others, the steady state reads one by one what begins together.
        lost = lost - _read_together(columns, engine, state, flying)
    # Who had to leave memory ends at another time.
    apart = 1.0 - 2.0 * crowded / output
    return lost + kept_together(output, variation * output, waves) * apart * longer


def _read_together(columns: Columns, engine: Engine, state: State, flying: Any) -> Any:
    """Return what the prompts of those that begin together take less than those of others do."""
    prompt, own = axis(columns, "input") * (1.0 - columns["cached"]), shared(columns, flying)[0]
    tokens, time = first_reading(columns, engine, flying)
    return own * prompt * maximum(0.0, state.reading.time / state.taken - time / tokens)


def first_reading(columns: Columns, engine: Engine, flying: Any) -> tuple[Any, Any]:
    """Return a pass that reads prompts of all who begin together, as many as it takes.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    engine : Engine
        What runs the passes.
    flying : float or array, count
        Requests in flight.

    Returns
    -------
    tokens : float or array, count
        Prompt tokens of the pass.
    time : float or array, s
        What it takes.
    """
    own, active = shared(columns, flying)
    prompt = axis(columns, "input") * (1.0 - columns["cached"])
    ranks = 1.0 if engine.place is None or engine.place.sharing is None else engine.place.sharing.attention
    budget = own_tokens(columns)
    # Whoever was read decodes in the passes that read the others.
    decoding = first_decoding(own, prompt, budget * ranks) if columns["mixed"] else 0.0 * own
    free = budget - decoding / ranks
    each = free if columns["chunked"] else whole_prompts(prompt, free)
    tokens = minimum(own * prompt, each * ranks)
    return tokens, reading_pass(engine.brief(), decoding, tokens, active).time


def at_rest(own: Any, full: Any, time: Callable[[Any], Any]) -> Any:
    """Return what a pass takes beside what it takes for each request, while answers end one by one.

    Parameters
    ----------
    own : float or array, count
        Requests of a full pass.
    full : float or array, s
        What it takes.
    time : callable
        From requests to what a pass takes.

    Returns
    -------
    float or array, s
    """
    # Half of that time fewer than their square root are left.
    few = sqrt(own)
    return pass_at_rest(full, time(few), minimum(few / own, _NEARLY))


_NEARLY = 0.999
"""Share of the places that is held below all of them: a single one is its own square root."""

_NOBODY = 0.5
"""Requests below which the last wave is full: rounding leaves a trace of one."""
