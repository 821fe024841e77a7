"""Runs of finitely many requests: how they end, and who shares a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.numeric import floor, maximum, minimum, where

from ...formulas.batching import drain_passes
from ...formulas.waves import kept_together
from ..device.answers import axis
from .batching import State, steady
from .passes import Engine

__all__ = ["copies_of", "ending", "shared"]

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


def ending(columns: Columns, engine: Engine, state: State, flying: Any) -> Any:
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

    Returns
    -------
    float or array, s
        Answers of one length end together, and nobody takes the places that the last of them leave free; where
        lengths scatter, the last passes decode for ever fewer.
    """
    output, own = axis(columns, "output"), shared(columns, flying)[0]
    spread, waves = columns["output_variation"] * output, maximum(1.0, axis(columns, "requests") / flying)
    drain = drain_passes(output - 1.0, spread, waves, own)
    lost = drain * maximum(0.0, state.plain.time - 0.5 * state.cycle.time)
    left = (waves - floor(waves)) * flying
    few, active = shared(columns, left)
    alone = steady(engine, few, active, 0.0 * few).residence
    longer = where(left < _NOBODY, 0.0 * alone, maximum(0.0, alone - left / flying * state.residence))
    return lost + kept_together(output, spread, waves) * longer


_NOBODY = 0.5
"""Requests below which the last wave is full: rounding leaves a trace of one."""
