"""What serving needs in memory, for each kind of model that generates text."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum
from mlsysim.tracing import named

from ...formulas.memory import fitting_batch, kv_cache_bytes, logits_bytes, workspace_bytes
from ...formulas.state_space import state_bytes
from ...lowering.encoder_decoder import EncoderDecoderShape
from ...lowering.serving import Generator
from ...lowering.state_space import StateShape
from .memory import Demand, live_elements, serving_demand

__all__ = ["Room", "generation_demand", "within_context"]


class Room(NamedTuple):
    """Memory and formats of a serving device.

    Parameters
    ----------
    fixed, usable : float or array, B
        Weights and what the runtime keeps; what may be filled.
    activation, cache, logit : float, B
        Bytes per element.
    pass_tokens : float, count
        Tokens of one prefill pass.
    fused : bool
        Whether attention keeps its scores on chip.
    cut : bool
        Whether a longer prompt takes several passes; else it passes whole.
    """

    fixed: Any
    usable: Any
    activation: Any
    cache: Any
    logit: Any
    pass_tokens: Any
    fused: bool
    cut: bool = False


def generation_demand(shape: Generator, room: Room, batch: Any, input: Any, output: Any) -> Demand:  # noqa: A002
    """Return what serving needs: caches or states of all requests, and one prefill pass.

    Parameters
    ----------
    shape : TransformerShape, EncoderDecoderShape or StateShape
        The model.
    room : Room
        Memory and formats.
    batch : float or array, count
        Requests.
    input, output : float or array, count
        Tokens of prompt and answer.

    Returns
    -------
    Demand
    """
    if isinstance(shape, StateShape):
        each = state_bytes(1.0, shape.layers * shape.cache_elements, 1.0, room.cache)
        each = each + logits_bytes(1.0, shape.vocab, room.logit)
        alive = 2.0 * shape.hidden + shape.projected + 2.0 * shape.mixed
        if not (room.fused or shape.heads):
            alive = alive + 3.0 * shape.inner * shape.state
        return _demand(room, each, batch, input, alive)
    if isinstance(shape, EncoderDecoderShape):
        encoder, decoder = shape.encoder, shape.decoder
        # Self-attention keeps the answer, cross-attention the whole input.
        each = kv_cache_bytes(decoder.layers * (input + output), decoder.cache_elements, room.cache)
        each = each + logits_bytes(1.0, decoder.vocab, room.logit)
        alive = live_elements(encoder) + (0.0 if room.fused else encoder.heads * input)
        return _demand(room, each, batch, input, alive)
    return serving_demand(
        shape, room.fixed, room.usable, batch, input, output, activation=room.activation, cache=room.cache,
        logit=room.logit, pass_tokens=room.pass_tokens, scores=0.0 if room.fused else shape.heads,
        cut=room.cut,
    )  # fmt: skip


def _demand(room: Room, each: Any, batch: Any, input: Any, alive: Any) -> Demand:  # noqa: A002
    """Return the demand of requests that keep ``each`` and pass with ``alive`` elements per token."""
    longest = room.pass_tokens if room.cut else maximum(input, room.pass_tokens)
    workspace = workspace_bytes(minimum(batch * input, longest), alive, room.activation)
    free = room.usable - room.fixed
    # The workspace grows with the batch until one pass is full: the better of both regimes holds.
    few = fitting_batch(free, each + workspace_bytes(input, alive, room.activation))
    many = fitting_batch(free - workspace_bytes(longest, alive, room.activation), each)
    caches = named(batch * named(each, "cache and logits of a request"), "caches of all requests")
    return Demand(room.fixed + caches + workspace, maximum(few, many))


def within_context(shape: Generator, input: Any, output: Any) -> Any:  # noqa: A002
    """Return whether prompt and answer are no longer than the model can take.

    Parameters
    ----------
    shape : TransformerShape, EncoderDecoderShape or StateShape
        The model.
    input, output : float or array, count
        Tokens of prompt and answer.

    Returns
    -------
    bool or array of bool
        A state-space model sets no limit.
    """
    if isinstance(shape, StateShape):
        return True
    if isinstance(shape, EncoderDecoderShape):
        return (input <= shape.encoder.context) & (output <= shape.decoder.context)
    return input + output <= shape.context
