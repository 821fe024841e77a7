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
    layer_activation_bytes,
    logits_bytes,
    usable_memory,
    workspace_bytes,
)
from ...formulas.recomputation import recomputed_activation_bytes
from ...lowering.network import NetworkShape
from ...lowering.shape import TransformerShape

__all__ = [
    "MODULES",
    "Demand",
    "Widths",
    "fit",
    "live_elements",
    "serving_demand",
    "training_activations",
    "transformer_activations",
]

MODULES = ("attention", "latent", "norm", "activation", "mlp")
"""Parts of a layer that selective recomputation may do again."""


class Widths(NamedTuple):
    """Bytes per element of what training keeps.

    Parameters
    ----------
    activation, mask, statistic : float, B
        Activations, dropout masks, softmax statistics and logits.
    """

    activation: Any
    mask: Any
    statistic: Any


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
    attention = named((shape.heads + shape.kv_heads) * (shape.head_dim + shape.v_dim), "queries, keys and values")
    mlp = named((shape.matrices + 1.0) * (shape.ffn if shape.dense_layers else 0.0), "MLP")
    experts = shape.active * ((shape.matrices + 1.0) * shape.expert_ffn + shape.hidden)
    experts = named(experts + (shape.matrices + 1.0) * shape.shared_ffn, "experts")
    widest = named(maximum(attention, maximum(mlp, experts)), "widest operator")
    return named(2.0 * shape.hidden, "residual and norm") + widest


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
    kept = kept_tokens(input + output, shape.window, shape.full_layers, shape.window_layers)
    each = kv_cache_bytes(kept, shape.cache_elements, cache) + logits_bytes(1.0, shape.vocab, logit)
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


def transformer_activations(
    shape: TransformerShape, widths: Widths, batch: Any, sequence: Any, recompute: str, *, fused_attention: bool,
    dropout: Any = 0.0, tensor: Any = 1.0, sequence_shards: Any = 1.0, layers: Any = None,
    again: frozenset[str] = frozenset(),
) -> Any:  # fmt: skip
    """Return the activations of all layers that the backward pass needs.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    widths : Widths
        Bytes per element.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each.
    recompute : str
        none, selective (scores are formed again) or full (a layer keeps its input only).
    fused_attention : bool
        Whether attention keeps statistics instead of scores.
    dropout : float
        1 when dropout masks are kept, else 0.
    tensor : float, count
        Tensor-parallel degree.
    sequence_shards : float, count
        The same with sequence parallelism, else 1.
    layers : float, count
        Layers held at once; all by default.
    again : frozenset of str
        Parts of a layer that are done again, of :data:`MODULES`: what they write is not kept.

    Returns
    -------
    float or array, B
    """
    rows = batch * sequence
    held = shape.layers if layers is None else layers
    if recompute == "full":
        return held * recomputed_activation_bytes(rows, shape.hidden, widths.activation)
    keeps_scores = not fused_attention and recompute == "none" and "attention" not in again
    # The MLP keeps what its activation function reads and what the last matrix reads; done again, neither.
    wide = 0.0 if "mlp" in again else shape.matrices if "activation" in again else shape.matrices + 1.0
    norms = 2.0 if "norm" in again else shape.norm_passes + 2.0
    # Queries, keys and values, the input of the output projection, and compressed vectors.
    attention = (shape.heads + shape.kv_heads) * (shape.head_dim + shape.v_dim) + shape.kv_rank + shape.q_rank
    if "latent" in again and shape.latent:
        # Queries, keys and values are unfolded once more from the compressed vectors.
        attention = shape.heads * shape.v_dim + shape.kv_rank + shape.q_rank + shape.rope_dim
    # On average over the layers.
    mlp = wide * (shape.dense_layers * shape.ffn + shape.expert_layers * shape.shared_ffn)
    copies = 0.0 if "mlp" in again else shape.hidden
    routed = shape.active * (wide * shape.expert_ffn + copies) + shape.experts
    one = layer_activation_bytes(
        tokens=rows,
        replicated=norms * shape.hidden,
        sharded=attention + (mlp + shape.expert_layers * routed) / shape.layers,
        replicated_masks=2.0 * dropout * shape.hidden,
        pairs=shape.heads * rows * sequence if keeps_scores else 0.0,
        pair_elements=1.0 + dropout,
        pair_masks=dropout,
        statistics=shape.heads if fused_attention else 0.0,
        width=widths.activation,
        mask_width=widths.mask,
        statistic_width=widths.statistic,
        tensor=tensor,
        sequence_shards=sequence_shards,
    )
    return held * one


def training_activations(
    shape: TransformerShape | NetworkShape, widths: Widths, batch: Any, sequence: Any, recompute: str, *,
    fused_attention: bool, dropout: Any, logits: bool = True,
) -> Any:  # fmt: skip
    """Return all activations that a training step needs.

    Parameters
    ----------
    shape : TransformerShape or NetworkShape
        The model.
    widths : Widths
        Bytes per element.
    batch, sequence : float or array, count
        Samples and tokens of each.
    recompute : str
        none, selective or full.
    fused_attention : bool
        Whether attention keeps statistics instead of scores.
    dropout : float
        1 when dropout masks are kept, else 0.
    logits : bool
        Whether logits exist as a whole.

    Returns
    -------
    float or array, B
    """
    if isinstance(shape, NetworkShape):
        return workspace_bytes(batch, shape.kept, widths.activation)
    layers = transformer_activations(
        shape, widths, batch, sequence, recompute, fused_attention=fused_attention, dropout=dropout
    )
    if recompute == "full":
        # While a layer is recomputed, everything that it would keep is alive.
        layers = layers + transformer_activations(
            shape, widths, batch, sequence, "none", fused_attention=fused_attention, dropout=dropout, layers=1.0
        )
    rows = batch * sequence
    tail = workspace_bytes(rows, 2.0 * shape.hidden, widths.activation)
    whole = logits_bytes(rows, shape.vocab, widths.statistic) if shape.head and logits else 0.0
    return named(layers, "activations of all layers") + tail + whole


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
