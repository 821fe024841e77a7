"""The shape of a transformer as plain numbers, ready for formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum
from mlsysim.records.model import Model, Transformer
from mlsysim.shapes import (
    attention_layers,
    full_attention_layers,
    head_kinds,
    kv_elements,
    mlp_layers,
    parameters,
)
from mlsysim.tracing import named

from ..formulas.vision import image_patches
from .recurrence import Recurrence, recurrence_of
from .sparse import SparseLayers, sparse_layers

__all__ = [
    "Heads", "Source", "TransformerShape", "by_heads", "fewest_kv_heads", "number", "over_layers", "transformer_shape",
    "widest",
]  # fmt: skip


class Heads(NamedTuple):
    """Heads of the layers that see the whole context, where those with a window have others; counts.

    Parameters
    ----------
    heads, kv_heads, head_dim, v_dim, values, cache_elements : float
        As in :class:`TransformerShape`.
    """

    heads: Any
    kv_heads: Any
    head_dim: Any
    v_dim: Any
    values: Any
    cache_elements: Any


class Source(NamedTuple):
    """The encoder whose output every layer of a decoder reads by cross-attention.

    Parameters
    ----------
    shape : TransformerShape
        Its layers.
    tokens : float, token
        What it reads of a sample: tokens, or positions of speech.
    bins : float, count
        Frequency bins of speech; 0 for text.
    """

    shape: Any
    tokens: Any
    bins: Any


class TransformerShape(NamedTuple):
    """What lowering needs to know of a transformer; counts unless a flag.

    Parameters
    ----------
    parameters : float
        All stored parameters.
    layers, hidden, heads, kv_heads, head_dim, v_dim, ffn, vocab, context : float
        As in the record; with latent attention head_dim and v_dim are those of keys and values.
    matrices : float
        Input matrices of the MLP: 2 when gated, else 1.
    attention_layers, full_layers, window_layers, window : float
        Layers that keep keys and values; those of them that see everything, those that see a window, and that window.
    cache_elements : float
        What one layer keeps of one token; of heads of two kinds, with ``full_heads``, one with a window.
    dense_layers, expert_layers, experts, active, expert_ffn, shared_ffn : float
        Mixture of experts; dense_layers is all layers without one.
    kv_rank, q_rank, rope_dim, nope_dim : float
        Latent attention; 0 without.
    norm_passes, stream_elements, stream_kernels : float
        Norms of a layer; elements per token that its element-wise operators move, except in the
        MLP; and their kernels. Both for a stack that fuses nothing.
    patches, patch_elements, classes : float
        Patches of an image, elements of one, classes of the head; 0 for text.
    lookups : float
        Tables that are added up to the input of the first layer.
    causal, latent, head, pooler, final_norm : bool
        As in the record.
    expert_bias : bool
        Whether the products of experts add a bias.
    square_norms, turns : float
        Norms of a layer over root mean squares, and whether queries and keys get a rotary embedding (1 or 0).
    sums : float
        Sums of a layer over the devices that share it, in either direction: one where attention and MLP are parallel,
        because their outputs are added before (vLLM, FalconDecoderLayer in falcon.py), else one after each.
    expert_hidden : float
        Width of the vector that routed experts read and write: ``hidden``, or what tokens are compressed to.
    source : Source or None
        Encoder that is trained with a decoder, each of whose layers then stands for its share of the encoder, too.
    gate : float
        Gates on the output of a head of attention (1 or 0), as wide as it.
    recurrence : Recurrence or None
        Layers that keep a state in place of keys and values.
    values : float
        Whether values have a projection of their own (1) or are the projected keys (0).
    full_heads : Heads or None
        Heads of the layers that see everything, where those with a window have others.
    sparse : tuple of SparseLayers
        Layers that see a part of the context; ``full_layers`` and ``window_layers`` are the others.
    direct, o_rank, o_groups : bool, float, float
        As in the record of latent attention.
    streams : float
        Residual vectors of a token.
    """

    parameters: Any
    layers: Any
    hidden: Any
    heads: Any
    kv_heads: Any
    head_dim: Any
    v_dim: Any
    ffn: Any
    vocab: Any
    context: Any
    matrices: Any
    attention_layers: Any
    full_layers: Any
    window_layers: Any
    window: Any
    cache_elements: Any
    dense_layers: Any
    expert_layers: Any
    experts: Any
    active: Any
    expert_ffn: Any
    shared_ffn: Any
    kv_rank: Any
    q_rank: Any
    rope_dim: Any
    nope_dim: Any
    norm_passes: Any
    stream_elements: Any
    stream_kernels: Any
    patches: Any
    patch_elements: Any
    classes: Any
    lookups: Any
    causal: bool
    latent: bool
    head: bool
    pooler: bool
    final_norm: bool
    expert_bias: bool = False
    sums: Any = 2.0
    square_norms: Any = 0.0
    turns: Any = 0.0
    gate: Any = 0.0
    recurrence: Recurrence | None = None
    values: Any = 1.0
    full_heads: Heads | None = None
    expert_hidden: Any = 0.0
    source: Source | None = None
    sparse: tuple[SparseLayers, ...] = ()
    direct: bool = False
    o_rank: Any = 0.0
    o_groups: Any = 0.0
    streams: Any = 1.0

    @property
    def projected(self) -> Any:
        """Width of the queries, gates, keys and values that are projected."""
        queries = self.heads * (self.head_dim + self.gate * self.v_dim)
        return queries + self.kv_heads * (self.head_dim + self.values * self.v_dim)

    @property
    def encoders(self) -> Any:
        """Layers of the encoder for each of these; 0 without one."""
        return 0.0 if self.source is None else self.source.shape.layers / self.layers

    @property
    def compression(self) -> Any:
        """Weights that compress a token for the routed experts of a layer and expand their sum."""
        return 0.0 if self.expert_hidden == self.hidden else 2.0 * self.hidden * self.expert_hidden


def by_heads(shape: TransformerShape) -> tuple[TransformerShape, ...]:
    """Return the layers that attend by their kind of heads.

    Parameters
    ----------
    shape : TransformerShape
        The model, or one device's part of it.

    Returns
    -------
    tuple of TransformerShape
        One, or one with the layers and heads of a window and one with those that see everything.
    """
    full = shape.full_heads
    if full is None:
        return (shape,)
    return (
        shape._replace(full_heads=None, attention_layers=shape.window_layers, full_layers=0.0),
        shape._replace(
            full_heads=None, attention_layers=shape.full_layers, window_layers=0.0, **full._asdict()
        ),
    )  # fmt: skip


def over_layers(shape: TransformerShape, measure: Callable[[TransformerShape], Any]) -> Any:
    """Return what follows from the heads of a layer, on average over the layers that attend.

    Parameters
    ----------
    shape : TransformerShape
        The model, or one device's part of it.
    measure : callable
        What follows from a shape whose heads are of one kind.

    Returns
    -------
    float or array
        In the unit of the measure.
    """
    if shape.full_heads is None:
        return measure(shape)
    return sum(part.attention_layers * measure(part) for part in by_heads(shape)) / shape.attention_layers


def widest(shape: TransformerShape, measure: Callable[[TransformerShape], Any]) -> Any:
    """Return what follows from the heads of a layer, of the layers where it is most.

    Parameters
    ----------
    shape : TransformerShape
        The model, or one device's part of it.
    measure : callable
        What follows from a shape whose heads are of one kind.

    Returns
    -------
    float or array
        In the unit of the measure.
    """
    first, *others = by_heads(shape)
    found = measure(first)
    for part in others:
        found = maximum(found, measure(part))
    return found


def fewest_kv_heads(shape: TransformerShape) -> Any:
    """Return the key-value heads of the layers that have fewest.

    Parameters
    ----------
    shape : TransformerShape
        The model.

    Returns
    -------
    float or array, count
    """
    full = shape.full_heads
    return shape.kv_heads if full is None else minimum(shape.kv_heads, full.kv_heads)


def number(value: Any) -> Any:
    """Return a float for an int, and any other carrier as it is.

    Parameters
    ----------
    value : int, float, array or traced number
        The number.

    Returns
    -------
    float, array or traced number
    """
    return float(value) if type(value) is int else value


def transformer_shape(model: Model, transformer: Transformer) -> TransformerShape:
    """Flatten a transformer.

    Parameters
    ----------
    model : Model
        The model.
    transformer : Transformer
        Its shape.

    Returns
    -------
    TransformerShape
    """
    t, mixture, latent = transformer, transformer.mixture, transformer.latent
    head_dim = latent.nope_dim + latent.rope_dim if latent else t.head_dim
    others = head_kinds(t)[1:]
    # Two kinds of heads without a window: all layers see everything, and no context is longer than the longest.
    window = t.window or (t.context if others else 0)
    attending, full, sparse = attention_layers(t), full_attention_layers(t), sparse_layers(t)
    windowed = attending - full
    if sparse:
        some = sum(int(one.layers) for one in sparse)
        full, windowed = (full, windowed - some) if window else (full - some, windowed)
    expert_layers = named(mlp_layers(t) - mixture.dense_layers, "layers with experts") if mixture else 0
    norms = 1 if t.shared_norm else 4 if t.sandwich_norm else 2
    rotary = 0 if t.positions or t.patch or t.relative else 1
    projected: Any = t.heads * head_dim + t.kv_heads * head_dim
    if others:
        projected = sum(count * (one.heads + one.kv_heads) * one.head_dim for count, one in head_kinds(t)) / attending
    # A norm reads and writes; a residual reads two tensors and writes one; so do rotary embedding
    # and query-key norm on what they touch.
    elements = 2 * norms * t.hidden + 6 * t.hidden + 2 * projected * (rotary + (1 if t.qk_norm else 0))
    values: tuple[Any, ...] = TransformerShape(
        parameters=parameters(model).total, layers=t.layers, hidden=t.hidden, heads=t.heads, kv_heads=t.kv_heads,
        head_dim=head_dim, v_dim=latent.v_dim if latent else t.v_dim or t.head_dim, ffn=t.ffn, vocab=t.vocab,
        context=t.context, matrices=2 if t.gated else 1, attention_layers=attending, full_layers=full,
        window_layers=windowed, window=window,
        cache_elements=kv_elements(t), dense_layers=mlp_layers(t) - expert_layers, expert_layers=expert_layers,
        experts=mixture.experts if mixture else 0, active=mixture.active if mixture else 0,
        expert_ffn=mixture.ffn if mixture else 0, shared_ffn=mixture.shared * mixture.ffn if mixture else 0,
        kv_rank=latent.kv_rank if latent else 0, q_rank=latent.q_rank if latent else 0,
        rope_dim=latent.rope_dim if latent else 0, nope_dim=latent.nope_dim if latent else 0,
        norm_passes=norms, stream_elements=elements,
        stream_kernels=norms + 2 + rotary + (2 if t.qk_norm else 0),
        patches=image_patches(t.image, t.patch) if t.patch else 0, patch_elements=t.channels * t.patch * t.patch,
        classes=t.classes, lookups=(1 if t.vocab else 0) + (1 if t.positions else 0) + (1 if t.token_types else 0),
        causal=t.causal, latent=latent is not None, head=t.head and bool(t.vocab), pooler=t.pooler,
        final_norm=t.final_norm, expert_bias=bool(mixture and t.bias), sums=1 if t.parallel else 2,
        square_norms=(norms if t.norm == "rms" else 0) + (2 if t.qk_norm else 0), turns=rotary,
        gate=1 if t.output_gate else 0, recurrence=recurrence_of(t), values=0 if t.keys_as_values else 1,
        full_heads=_heads(others[0][1]) if others else None,
        expert_hidden=(mixture.latent if mixture else 0) or t.hidden, sparse=sparse,
        direct=latent is not None and latent.direct, o_rank=latent.o_rank if latent else 0,
        o_groups=latent.o_groups if latent else 0, streams=t.streams,
    )  # fmt: skip
    # Equal counts become one object, so that the engine sees which neighbours share their count.
    same: dict[float, float] = {}
    shared: list[Any] = [same.setdefault(v, float(v)) if type(v) in (int, float) else v for v in values]
    return TransformerShape._make(shared)


def _heads(t: Transformer) -> Heads:
    numbers = (t.heads, t.kv_heads, t.head_dim, t.v_dim or t.head_dim, 0 if t.keys_as_values else 1, kv_elements(t))
    return Heads._make(map(number, numbers))
