"""What a layer keeps of a micro-batch for its backward pass, and what is done again instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum

from ...formulas.memory import layer_activation_bytes, workspace_bytes
from ...formulas.recomputation import (
    block_activation_bytes,
    group_activation_bytes,
    recomputed_activation_bytes,
    recomputed_share,
)
from ...lowering.recurrence import kept_for_gradients
from ...lowering.shape import TransformerShape, over_layers
from .schedule import Layout

__all__ = ["MODULES", "Keeping", "Kept", "Widths", "kept_by_layer", "layer_activations", "share_again", "waiting"]


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


class Keeping(NamedTuple):
    """How the activations of a layer are kept, and divided by a tensor-parallel group.

    Parameters
    ----------
    widths : Widths
        Bytes per element.
    recompute : str
        none, selective (scores are formed again) or full (a layer keeps its input only).
    fused_attention : bool
        Whether attention keeps statistics instead of scores.
    dropout : float
        1 when dropout masks are kept, else 0.
    again : frozenset of str
        Parts of a layer that are done again, of :data:`MODULES`: what they write is not kept.
    tensor : float, count
        Tensor-parallel degree.
    sequence_shards : float, count
        The same with sequence parallelism, else 1.
    """

    widths: Widths
    recompute: str
    fused_attention: bool
    dropout: Any = 0.0
    again: frozenset[str] = frozenset()
    tensor: Any = 1.0
    sequence_shards: Any = 1.0


def layer_activations(shape: TransformerShape, how: Keeping, batch: Any, sequence: Any) -> Any:
    """Return the activations of one layer that the backward pass needs.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    how : Keeping
        What is kept, and in how many bytes.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each.

    Returns
    -------
    float or array, B
    """
    own = _own_activations(shape, how, batch, sequence)
    if shape.source is None:
        return own
    source = shape.source
    own = own + shape.encoders * layer_activations(source.shape, how, batch, source.tokens)
    if how.recompute == "full":
        return own
    return own + _cross_activations(shape, how, batch, sequence)


def _cross_activations(shape: TransformerShape, how: Keeping, batch: Any, sequence: Any) -> Any:
    """Return what cross-attention keeps: both sides of its norm, queries and outputs, and keys and values."""
    s, widths, tokens = shape, how.widths, shape.source.tokens if shape.source else 0.0
    rows, each = batch * sequence, s.head_dim + s.v_dim
    keeps_scores = not how.fused_attention and how.recompute == "none" and "attention" not in how.again
    asked = layer_activation_bytes(
        tokens=rows, replicated=2.0 * s.hidden, sharded=s.heads * each, replicated_masks=how.dropout * s.hidden,
        pairs=s.heads * rows * tokens if keeps_scores else 0.0, pair_elements=1.0 + how.dropout,
        pair_masks=how.dropout, statistics=s.heads if how.fused_attention else 0.0, width=widths.activation,
        mask_width=widths.mask, statistic_width=widths.statistic, tensor=how.tensor,
        sequence_shards=how.sequence_shards,
    )  # fmt: skip
    return asked + workspace_bytes(batch * tokens / how.tensor, s.kv_heads * each, widths.activation)


def _own_activations(shape: TransformerShape, how: Keeping, batch: Any, sequence: Any) -> Any:
    """Return the activations of one layer without those of an encoder that it stands for."""
    rows = batch * sequence
    widths, again, dropout = how.widths, how.again, how.dropout
    if how.recompute == "full":
        return recomputed_activation_bytes(rows, shape.hidden, widths.activation)
    keeps_scores = not how.fused_attention and how.recompute == "none" and "attention" not in again
    wide = _kept_of_mlp(shape, again)
    norms = 2.0 if "norm" in again else shape.norm_passes + 2.0
    # Queries, keys and values, the input of the output projection, and compressed vectors.
    attention = over_layers(shape, lambda one: (one.heads + one.kv_heads) * (one.head_dim + one.v_dim))
    attention = attention + shape.kv_rank + shape.q_rank
    if "latent" in again and shape.latent:
        # Queries, keys and values are unfolded once more from the compressed vectors.
        attention = shape.heads * shape.v_dim + shape.kv_rank + shape.q_rank + shape.rope_dim
    # On average over the layers, as what follows.
    attending, mixing, heads = shape.attention_layers / shape.layers, 0.0, over_layers(shape, lambda one: one.heads)
    if shape.recurrence is not None:
        attention = attention + 2.0 * shape.gate * shape.heads * shape.v_dim
        mixing = shape.recurrence.layers / shape.layers * kept_for_gradients(shape.recurrence)
    mlp = wide * (shape.dense_layers * shape.ffn + shape.expert_layers * shape.shared_ffn)
    copies = 0.0 if "mlp" in again else shape.expert_hidden
    compressed = 2.0 * copies if shape.compression else 0.0
    routed = shape.active * (wide * shape.expert_ffn + copies) + shape.experts + compressed
    return layer_activation_bytes(
        tokens=rows,
        replicated=norms * shape.hidden,
        sharded=attending * attention + mixing + (mlp + shape.expert_layers * routed) / shape.layers,
        replicated_masks=2.0 * dropout * shape.hidden,
        pairs=attending * heads * rows * sequence if keeps_scores else 0.0,
        pair_elements=1.0 + dropout,
        pair_masks=dropout,
        statistics=attending * heads if how.fused_attention else 0.0,
        width=widths.activation,
        mask_width=widths.mask,
        statistic_width=widths.statistic,
        tensor=how.tensor,
        sequence_shards=how.sequence_shards,
    )


def _kept_of_mlp(shape: TransformerShape, again: frozenset[str]) -> Any:
    """Return what an MLP keeps, in its own widths: what its activation function and its last matrix read."""
    return 0.0 if "mlp" in again else shape.matrices if "activation" in again else shape.matrices + 1.0


class Kept(NamedTuple):
    """Activations of one micro-batch on one device.

    Parameters
    ----------
    each : float or array, B
        What every layer in flight keeps.
    live : float or array, B
        What the layer that is done again keeps meanwhile.
    """

    each: Any
    live: Any


def kept_by_layer(c: Mapping[str, Any], layout: Layout) -> Kept:
    """Return the activations of one layer.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        Degrees and micro-batch.

    Returns
    -------
    Kept
    """
    shape, features, recompute, tensor = c["shape"], c["features"], c["recompute"], layout.tensor
    batch = layout.micro / layout.context
    rows = batch * c["sequence"]
    again = c["again"] if recompute == "selective" else frozenset()
    widths = Widths(c["activation_width"], c["mask_width"], c["full_width"])
    shards = tensor if c["sequence_parallel"] else 1.0
    how = Keeping(widths, recompute, features.fused_attention, c["dropout"], again, tensor, shards)
    products = recompute == "selective" and features.selective == "products" and not again
    if recompute != "full" and not products:
        each = _unrepeated(c, how, batch)
        if "mlp" not in again:
            return Kept(each, 0.0 * rows)
        # While an MLP is done again, everything that it would keep is alive.
        return Kept(each, _unrepeated(c, how._replace(again=frozenset()), batch) - each)
    # Layers of an encoder and of its decoder are done again one by one.
    live = _unrepeated(c, how._replace(recompute="none"), batch) / (1.0 + shape.encoders)
    if products:
        written = rows * (shape.hidden * 2.0 + 0.5 * _products(shape))
        if shape.source is not None:
            encoder, read = shape.source.shape, batch * shape.source.tokens
            written = written + shape.encoders * read * (encoder.hidden * 2.0 + 0.5 * _products(encoder))
            written = written + rows * (shape.hidden + 0.5 * shape.heads * shape.head_dim)
            written = written + read * shape.kv_heads * shape.head_dim
        return Kept(workspace_bytes(written / tensor, 1.0, c["activation_width"]), live)
    # Each layer keeps its input; while one is done again, everything that it would keep is alive.
    return Kept(layer_activations(shape, how, batch, c["sequence"]) / shards, live)


def _mlp_width(s: TransformerShape) -> Any:
    """Return the elements per token between the matrices of an MLP, in all layers."""
    return s.dense_layers * s.ffn + s.expert_layers * (s.active * s.expert_ffn + s.shared_ffn)


def _products(s: TransformerShape) -> Any:
    """Elements per token that the matrix products of a layer write."""
    written = over_layers(s, lambda one: one.projected)
    if s.recurrence is not None:
        r = s.recurrence
        written = (s.attention_layers * written + r.layers * r.written) / s.layers
    return written + 2.0 * s.hidden + s.matrices * _mlp_width(s) / s.layers


def _unrepeated(c: Mapping[str, Any], how: Keeping, batch: Any) -> Any:
    """Return what a layer keeps whose passes are not done again."""
    shape, features, width = c["shape"], c["features"], c["activation_width"]
    whole = layer_activations(shape, how, batch, c["sequence"])
    narrow = features.narrow_storage and c["narrow"]
    if not (c["frozen"] or narrow):
        return whole
    rows = batch * c["sequence"]
    # Of what the MLP keeps: all, or without what its activation function writes, or nothing.
    wide, mlp = _kept_of_mlp(shape, how.again), _mlp_width(shape) / shape.layers
    norms = 0.0 if "norm" in how.again else shape.norm_passes
    saved = width - c["operand_width"] if narrow else 0.0
    if not c["frozen"]:
        return whole - workspace_bytes(
            rows, norms * shape.hidden / how.sequence_shards + wide * mlp / how.tensor, saved
        )
    if c["adapts_mlp"]:
        # Adapters have gradients, for which what they read is needed again.
        return whole
    # Frozen weights have no gradients: inputs of the MLP's products are not needed again.
    entry, inner = minimum(norms, 1.0) * shape.hidden / how.sequence_shards, minimum(wide, 1.0) * mlp / how.tensor
    less = workspace_bytes(rows, entry + inner, width)
    return whole - (less + saved * rows * (entry + maximum(wide - 1.0, 0.0) * mlp / how.tensor))


def share_again(c: Mapping[str, Any], layers: Any) -> Any:
    """Return the share of a stage's layers in which recomputation takes place.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layers : float or array, count
        Layers of the stage.

    Returns
    -------
    float or array, ratio
        Below 1 only where some layers are recomputed whole and others not at all.
    """
    if c["recompute"] != "full" or c["recompute_method"] != "block":
        return 1.0
    return recomputed_share(layers, c["recompute_layers"])


def waiting(c: Mapping[str, Any], kept: Kept, flight: Any, layers: Any) -> tuple[Any, Any]:
    """Return what waits for the backward pass, and what is alive beside it while layers are done again.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    kept : Kept
        Activations of one layer.
    flight, layers : float or array, count
        Layers in flight, counted once for each micro-batch, and layers of the stage.

    Returns
    -------
    waits, live : float or array, B
    """
    count = c["recompute_layers"]
    if c["recompute"] != "full":
        return flight * kept.each, kept.live
    if c["recompute_method"] == "uniform":
        return group_activation_bytes(flight, count, kept.each), count * kept.live
    return block_activation_bytes(flight, recomputed_share(layers, count), kept.live, kept.each), kept.live
