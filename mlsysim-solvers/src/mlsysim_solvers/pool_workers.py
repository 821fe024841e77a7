"""The workers of two pools: those that read prompts, those that decode, and the cache that moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum
from mlsysim.tracing import named

from .execution.device.answers import axis, common_answers
from .execution.device.memory import cache_of
from .execution.serving.attention_copies import own_tokens
from .execution.serving.copies import bound_of
from .execution.serving.passes import Engine, Pass, decoding_pass, engine_of, reading_pass, spread_of_pass
from .execution.serving.pools import pool_of
from .execution.serving.room import completed, room
from .formulas.batching import prompt_passes
from .formulas.disaggregation import (
    cache_transfer_time,
    entry_time,
    exposed_transfer,
    pool_rate,
    prompts_together,
    residual_wait,
)
from .formulas.queueing import occupied_share, wait_probability
from .formulas.state_space import state_bytes
from .lowering.recurrence import kept_states
from .lowering.shape import TransformerShape, fewest_kv_heads

__all__ = ["DecodeWorkers", "PrefillWorkers", "decode_workers_of", "prefill_workers_of", "transfer_time"]

Columns = Mapping[str, Any]


class PrefillWorkers(NamedTuple):
    """The pool that reads.

    Parameters
    ----------
    fit : dict of str to number
        Outputs of feasibility.
    workers : float or array, count
        Workers, times the stages of each that read prompts of their own.
    most : float or array, count
        Prompts of one pass at most.
    alone, added : float or array, s
        Time to read one prompt, and what each further one adds.
    spread, var_first : float or array, natural-log units and their square
        Spread of the time of a pass with as many prompts as it takes, and what first tokens vary beside.
    shares : dict of str to number
        How much of its devices that pass uses, and what binds it.
    capacity : float or array, count/s
        Most prompts per time.
    spacing : float or array, s
        Time between two prompts when all workers are busy.
    """

    fit: dict[str, Any]
    workers: Any
    most: Any
    alone: Any
    added: Any
    spread: Any
    var_first: Any
    shares: dict[str, Any]
    capacity: Any
    spacing: Any

    def reading(self, rate: Any) -> tuple[Any, Any]:
        """Return the time of the pass that reads a prompt, and how long the prompt waits for the one before to end.

        Parameters
        ----------
        rate : float or array, count/s
            Prompts that come to the pool.

        Returns
        -------
        service, late : float or array, s
            A prompt waits if all workers are reading when it comes.
        """
        together = prompts_together(rate / self.workers, self.alone, self.added, self.most)
        service = self.alone + (together - 1.0) * self.added
        reading = occupied_share(rate * service / together, self.workers, 1.0)
        # Where a pass takes one prompt, its end is part of the wait for those before.
        found = wait_probability(reading, self.workers) * (1.0 - 1.0 / self.most)
        return service, residual_wait(found, service)


class DecodeWorkers(NamedTuple):
    """The pool that decodes.

    Parameters
    ----------
    engine : Engine
        One worker.
    hold : callable
        From requests of the pool to outputs of feasibility.
    workers, most : float or array, count
        Workers, and requests of each at most.
    steps : float or array, count
        Tokens of an answer after the first.
    """

    engine: Engine
    hold: Any
    workers: Any
    most: Any
    steps: Any

    def stay(self, own: Any) -> Any:
        """Return how long a request is decoded.

        Parameters
        ----------
        own : float or array, count
            Requests of one worker.

        Returns
        -------
        float or array, s
        """
        return self.steps * self._replace(engine=self.engine.brief()).step(own).time

    def entry(self, stay: Any) -> Any:
        """Return how long a cache that has arrived waits for its first token to be told.

        Parameters
        ----------
        stay : float or array, s
            How long a request is decoded.

        Returns
        -------
        float or array, s
            Half of the pass that runs when it comes, and its own first pass, with which the worker answers.
        """
        return entry_time(stay / maximum(1.0, self.steps))

    def step(self, own: Any) -> Pass:
        """Return the pass that decodes one token of each request.

        Parameters
        ----------
        own : float or array, count
            Requests of one worker.

        Returns
        -------
        Pass
        """
        columns = self.engine.columns
        active = minimum(own, columns["pipeline"]) if "pipeline" in columns else 1.0
        return decoding_pass(self.engine, own / active, active)


def prefill_workers_of(columns: Columns) -> PrefillWorkers:
    """Return the pool that reads.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.

    Returns
    -------
    PrefillWorkers
    """
    pool = completed(pool_of(columns, "prefill"))
    engine = engine_of(pool)
    hold, slots, *_ = room(pool, engine)
    copies = pool["data"] * pool.get("attention", 1.0)
    prompt, budget = axis(pool, "input") * (1.0 - pool["cached"]), own_tokens(pool)
    piece, pieces = minimum(prompt, budget), prompt_passes(prompt, budget)
    # Each copy of attention reads prompts of its own, as many as limit, memory and the tokens of a pass allow.
    most = pool.get("attention", 1.0) * maximum(1.0, minimum(slots / copies, budget / prompt))
    stages = pool.get("pipeline", 1.0)
    one = reading_pass(engine.brief(), 0.0, piece, 1.0)
    full = reading_pass(engine, 0.0, piece * most, stages)
    added = maximum(0.0, pieces * (full.time - one.time)) / maximum(1.0, most - 1.0)
    workers = pool["data"] * stages
    capacity = pool_rate(workers, most, pieces * full.time)
    return PrefillWorkers(
        hold(most * pool["data"]), workers, most, pieces * one.time, added, spread_of_pass(engine, full),
        pool["var_first"], used_by(engine, full), capacity, 1.0 / capacity,
    )  # fmt: skip


def used_by(engine: Engine, done: Pass) -> dict[str, Any]:
    """Return how much of its devices a pass uses, and what binds it.

    Parameters
    ----------
    engine : Engine
        What ran it.
    done : Pass
        The pass.

    Returns
    -------
    dict of str to number
    """
    columns = engine.columns
    if engine.place is None:
        return common_answers(columns, done.totals, done.time)
    return bound_of(columns, done.totals, done.time, done.talk)


def decode_workers_of(columns: Columns) -> DecodeWorkers:
    """Return the pool that decodes.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.

    Returns
    -------
    DecodeWorkers
    """
    pool = completed(pool_of(columns, "decode"))
    engine = engine_of(pool)
    hold, slots, *_ = room(pool, engine)
    return DecodeWorkers(engine, hold, pool["data"], slots / pool["data"], axis(pool, "output") - 1.0)


def transfer_time(columns: Columns, prefill: PrefillWorkers) -> Any:
    """Return how long a request waits for its cache to arrive where it is decoded.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    prefill : PrefillWorkers
        Who sends it.

    Returns
    -------
    float or array, s
    """
    shape, tokens, width = columns["shape"], axis(columns, "input"), columns["kv_width"]
    if not isinstance(shape, TransformerShape):
        cache = state_bytes(1.0, shape.layers * shape.cache_elements, 1.0, width)
        return cache_transfer_time(cache, columns["between_rate"], 1.0, columns["between_latency"])
    cache = named(cache_of(shape, tokens, width), "cache of a prompt")
    if shape.recurrence is not None:
        cache = cache + kept_states(shape.recurrence, columns["activation_width"])
    streams: Any = None
    for pool in ("prefill", "decode"):
        tensor = columns.get(f"{pool}_tensor", 1.0)
        parts = tensor / tensor if shape.latent else minimum(tensor, fewest_kv_heads(shape))
        parts = parts * columns.get(f"{pool}_pipeline", 1.0)
        streams = parts if streams is None else minimum(streams, parts)
    whole = cache_transfer_time(cache, columns["between_rate"], streams, columns["between_latency"])
    return exposed_transfer(whole, prefill.alone, shape.layers) if columns["layerwise"] else whole
