"""Does it fit: weights, caches, activations and model state against usable memory."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import is_array, maximum, minimum, only, where
from mlsysim.tracing import named

from ...formulas.memory import (
    fitting_batch,
    headroom,
    kept_tokens,
    kv_cache_bytes,
    logits_bytes,
    usable_memory,
    workspace_bytes,
)
from ...lowering.recurrence import kept_states
from ...lowering.shape import TransformerShape, by_heads, widest
from ...lowering.sparse import kept_of_sparse

__all__ = [
    "Demand",
    "cache_of",
    "fit",
    "live_elements",
    "serving_demand",
]


class Demand(NamedTuple):
    """What has to fit.

    Parameters
    ----------
    required : float or array, B
        All of it.
    largest : float or array, sample
        Largest batch that would fit.
    """

    required: Any
    largest: Any


def live_elements(shape: TransformerShape) -> Any:
    """Return the elements per token that are alive at the widest point of a layer.

    Parameters
    ----------
    shape : TransformerShape
        The model.

    Returns
    -------
    float, count

    Notes
    -----
    The residual and its norm beside queries, keys, values and outputs, or beside the MLP.
    """
    attention = widest(shape, lambda one: (one.heads + one.kv_heads) * (one.head_dim + one.v_dim))
    attention = named(attention, "queries, keys and values")
    mlp = named((shape.matrices + 1.0) * (shape.ffn if shape.dense_layers else 0.0), "MLP")
    experts = shape.active * ((shape.matrices + 1.0) * shape.expert_ffn + shape.expert_hidden)
    experts = named(experts + (shape.matrices + 1.0) * shape.shared_ffn, "experts")
    most = named(maximum(attention, maximum(mlp, experts)), "widest operator")
    return named(2.0 * shape.hidden, "residual and norm") + most


def cache_of(shape: TransformerShape, tokens: Any, width: Any) -> Any:
    """Return the key-value cache of a sequence.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    tokens : float or array, count
        Tokens of the sequence.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B
        Of all layers; those with a window keep no more than that.
    """
    found: Any = None
    for part in by_heads(shape):
        kept = kept_tokens(tokens, part.window, part.full_layers, part.window_layers)
        cache = kv_cache_bytes(kept, part.cache_elements, width)
        found = cache if found is None else found + cache
    if not shape.sparse:
        return found
    return found + kept_of_sparse(shape.sparse, tokens, shape.window, shape.cache_elements, width)


def serving_demand(
    shape: TransformerShape, fixed: Any, usable: Any, batch: Any, input: Any, output: Any, *,  # noqa: A002
    activation: Any, cache: Any, logit: Any, pass_tokens: Any, scores: Any, cut: bool = False,
) -> Demand:  # fmt: skip
    """Return what serving needs: the caches of all requests at their longest, and one prefill pass.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    fixed : float or array, B
        Weights and what the runtime keeps.
    usable : float or array, B
        What may be filled.
    batch : float or array, count
        Requests.
    input, output : float or array, count
        Tokens of prompt and answer.
    activation, cache, logit : float, B
        Bytes per element.
    pass_tokens : float, count
        Tokens of one prefill pass.
    scores : float, count
        Elements per query-key pair that the stack writes: heads when attention is not fused, else 0.
    cut : bool
        Whether longer prompts take several passes; else they pass whole.

    Returns
    -------
    Demand
    """
    each = cache_of(shape, input + output, cache) + logits_bytes(1.0, shape.vocab, logit)
    if shape.recurrence is not None:
        each = each + kept_states(shape.recurrence, activation)
    elements = live_elements(shape)
    if is_array(scores) or scores:
        elements = elements + scores * input
    longest = pass_tokens if cut else maximum(input, pass_tokens)
    workspace = workspace_bytes(minimum(batch * input, longest), elements, activation)
    required = fixed + named(batch * named(each, "cache and logits of a request"), "caches of all requests") + workspace
    free = named(usable, "usable memory") - named(fixed, "weights and reserve")
    # The workspace grows with the batch until one pass is full: the better of both regimes holds.
    few = fitting_batch(free, each + workspace_bytes(minimum(input, longest), elements, activation))
    many = fitting_batch(named(free, "memory for requests") - workspace_bytes(longest, elements, activation), each)
    return Demand(required, maximum(few, many))


def fit(demand: Demand, capacity: Any, utilisation: Any, stored: Any, storage: Any, within: Any) -> dict[str, Any]:
    """Return the feasibility outputs.

    Parameters
    ----------
    demand : Demand
        What has to fit in memory.
    capacity : float or array, B
        What software can allocate.
    utilisation : float, ratio
        Share that the stack uses at most.
    stored, storage : float or array, B
        Weights that stay in storage and its capacity; None when weights lie in memory.
    within : bool or array of bool
        Whether the workload respects limits other than memory.

    Returns
    -------
    dict of str to number
        Of memory and storage, the one with less left.
    """
    usable = usable_memory(capacity, utilisation)
    required, largest = demand.required, demand.largest
    if storage is not None:
        worse = headroom(storage, stored) < headroom(usable, required)
        required, usable = where(worse, stored, required), where(worse, storage, usable)
        largest = only(stored <= storage, largest)
    left = headroom(usable, required)
    return {
        "feasibility.fits": (left >= 0.0) & within,
        "feasibility.memory_required": required,
        "feasibility.memory_usable": usable,
        "feasibility.headroom": left,
        "feasibility.max_batch": largest,
    }
