"""One device's share of a transformer: the same operators on divided shapes, and the messages between them."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum, where

from ..formulas.elementwise import stream_bytes
from ..formulas.mixture import distinct_experts, rows_per_expert
from .attention import Abilities
from .casts import casts
from .operators import ONCE, Formats, Table, gemm, stream
from .recurrence import shared_recurrence
from .shape import Heads, TransformerShape, over_layers
from .transformer import decoder_tail, embedding, forward_layers

__all__ = [
    "Division", "Part", "adapters", "divided", "dropouts", "eager_norms", "expert_biases", "forward", "head", "lookup",
    "part_of", "unpacking",
]  # fmt: skip


class Division(NamedTuple):
    """How one micro-batch is divided over devices.

    Parameters
    ----------
    tensor, context, expert : float or array, count
        Degrees.
    sequence : bool
        Whether norms are divided over the tensor-parallel group too.
    grouped : float, ratio
        Rate of experts' products over that of single ones.
    """

    tensor: Any
    context: Any
    expert: Any
    sequence: bool
    grouped: Any = 1.0

    @property
    def shards(self) -> Any:
        """Devices over which norms and their activations are divided."""
        return self.tensor if self.sequence else 1.0


class Part(NamedTuple):
    """What one device computes of a micro-batch.

    Parameters
    ----------
    whole, own : TransformerShape
        The model, and the device's part of each layer, from :func:`divided`.
    formats : Formats
        Number formats.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences, and tokens of each: context parallelism balances causal work by a share of every sequence, which
        counts as so many fewer sequences.
    """

    whole: TransformerShape
    own: TransformerShape
    formats: Formats
    division: Division
    batch: Any
    sequence: Any

    @property
    def rows(self) -> Any:
        """Tokens."""
        return self.batch * self.sequence


def part_of(shape: TransformerShape, formats: Formats, division: Division, batch: Any, sequence: Any) -> Part:
    """Return what one device computes of a micro-batch.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of the micro-batch, and tokens of each.

    Returns
    -------
    Part
    """
    return Part(shape, divided(shape, division), formats, division, batch / division.context, sequence)


def _source_of(part: Part) -> Part:
    """Return what a device computes of the encoder of a decoder."""
    whole, own = part.whole.source, part.own.source
    assert whole is not None
    assert own is not None
    return part._replace(whole=whole.shape, own=own.shape, sequence=whole.tokens)


def divided(shape: TransformerShape, division: Division) -> TransformerShape:
    """Return the part of each layer that one device of a tensor-parallel group computes.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    division : Division
        Degrees.

    Returns
    -------
    TransformerShape
        Heads and MLP columns divided, heads that are left over rounded up: whoever divides them so pads them. At least
        one key-value head each, so that more devices than key-value heads keep copies. Experts are divided like an MLP
        unless expert parallelism spreads them.

    References
    ----------
    Shoeybi et al. 2019, Megatron-LM, arXiv:1909.08053, section 3.
    """
    t = division.tensor
    if type(t) is float and t == 1.0:
        return shape
    expert_ffn = where(division.expert > 1.0, shape.expert_ffn + 0.0 * t, shape.expert_ffn / t)
    parts = (*_each_device(shape, t), shape.ffn / t, shape.shared_ffn / t, expert_ffn, shape.vocab / t)
    fields = list(shape)
    for place, part in zip(_DIVIDED, parts, strict=True):
        fields[place] = part
    own = TransformerShape._make(fields)
    own = own if shape.full_heads is None else own._replace(full_heads=_divided_heads(shape.full_heads, t))
    own = own._replace(o_groups=ceil(shape.o_groups / t)) if shape.o_groups else own
    if own.source is not None:
        own = own._replace(source=own.source._replace(shape=divided(own.source.shape, division)))
    return own if own.recurrence is None else own._replace(recurrence=shared_recurrence(own.recurrence, t))


def _each_device(heads: TransformerShape | Heads, t: Any) -> tuple[Any, Any]:
    return ceil(heads.heads / t), maximum(ceil(heads.kv_heads / t), 1.0 * (t / t))


def _divided_heads(full: Heads, t: Any) -> Heads:
    heads, kv_heads = _each_device(full, t)
    cache = full.cache_elements * (kv_heads / full.kv_heads)
    return full._replace(heads=heads, kv_heads=kv_heads, cache_elements=cache)


_DIVIDED = tuple(map(
    TransformerShape._fields.index, ("heads", "kv_heads", "ffn", "shared_ffn", "expert_ffn", "vocab")
))  # fmt: skip
"""Places of what a tensor-parallel group divides."""


def forward(
    part: Part, abilities: Abilities, *, narrow: bool, frozen: bool = False, scaling: str = "delayed"
) -> Table:  # fmt: skip
    """Return the forward pass of all layers on one device.

    Parameters
    ----------
    part : Part
        The device's.
    abilities : Abilities
        What the stack can do.
    narrow : bool
        Whether products run in fewer bits than activations are kept in.
    frozen : bool
        Whether no gradients of weights follow.
    scaling : str
        How operands of 8 bits get their scales: delayed, tensor, rows, block, or transformed for 4 bits.

    Returns
    -------
    list of Operator
    """
    _, shape, formats, division, batch, sequence = part
    rows = part.rows
    spread = rows / division.tensor if division.sequence else None
    table = forward_layers(shape, formats, abilities, batch, sequence, rows, spread, kept=True)
    if shape.expert_layers:
        table = _local_experts(table, part)
    if narrow:
        table = table + casts(table, formats, 1.0 if frozen else 2.0, scaling)
    return table


def _local_experts(table: Table, part: Part) -> Table:
    """Replace the experts by those of one device, which receive tokens from the whole expert-parallel group."""
    shape, formats, division, e = part.own, part.formats, part.division, part.division.expert
    tokens = where(e > 1.0, part.rows / division.tensor, part.rows + 0.0 * e)
    reached = distinct_experts(shape.experts, shape.active, tokens * e) / e
    each = rows_per_expert(tokens, shape.active, reached)
    width, up, inner = shape.expert_ffn, shape.matrices * shape.expert_ffn, shape.expert_hidden
    # Each local expert is a product of its own, slower than one large product.
    count, local = shape.expert_layers / division.grouped, shape.experts / e
    own = {
        "experts up": gemm("experts up", count, each, up, inner, formats, reached, kind="grouped_gemm"),
        "experts down": gemm("experts down", count, each, inner, width, formats, reached, kind="grouped_gemm"),
    }  # fmt: skip
    own = {name: row._replace(kernels=local) for name, row in own.items()}
    return [own.get(row.name, row) for row in table]


def adapters(part: Part, rank: Any, *, mlp: bool = False) -> Table:
    """Return the forward pass of low-rank adapters beside the projections of attention, and of MLPs if asked for.

    Parameters
    ----------
    part : Part
        The device's.
    rank : float, count
        Inner width of an adapter.
    mlp : bool
        Whether dense MLPs and shared experts have adapters, too; routed experts have none.

    Returns
    -------
    list of Operator
        Down, up and the sum with what the frozen product wrote, for each projection, those that read the same together.

    References
    ----------
    Hu et al. 2021, LoRA, arXiv:2106.09685, section 4.
    """
    s, t, formats, rows, table = part.whole, part.division.tensor, part.formats, part.rows, []
    wide = over_layers(s, lambda one: one.projected)
    output = over_layers(s, lambda one: one.heads * one.v_dim)
    beside = [
        ("query-key-value adapter", s.attention_layers, s.hidden, wide / t),
        ("output adapter", s.attention_layers, output / t, s.hidden),
    ]
    mlps = (("MLP", s.dense_layers, s.ffn), ("shared experts", s.expert_layers, s.shared_ffn)) if mlp else ()
    for kind, layers, ffn in mlps:
        if layers and ffn:
            beside += [
                (f"{kind}, first adapter", layers, s.hidden, s.matrices * ffn / t),
                (f"{kind}, last adapter", layers, ffn / t, s.hidden),
            ]
    for name, layers, inner, outer in beside:
        table += [
            stream(f"{name}, dropout", layers, stream_bytes(rows, 2.0 * inner, formats.activation)),
            gemm(f"{name}, down", layers, rows, rank, inner, formats),
            gemm(f"{name}, up", layers, rows, outer, rank, formats),
            stream(f"{name}, sum", layers, stream_bytes(rows, 3.0 * outer, formats.activation), 2.0),
        ]
    return table


def unpacking(part: Part, weights: Any) -> Table:
    """Return what writes the weights of frozen layers out in 16 bits before a pass multiplies by them.

    Parameters
    ----------
    part : Part
        The device's.
    weights : float, B
        What is read and written of one layer's weights.

    Returns
    -------
    list of Operator

    References
    ----------
    pytorch/ao, torchao/dtypes/nf4tensor.py at 0598012, LinearNF4: the forward and the backward pass convert the weight
    to the format of what they multiply it by.
    """
    return [stream("weights, unpacked", part.whole.layers, weights / part.division.tensor)]


def dropouts(part: Part, mask: Any, share: Any, *, scores: bool) -> Table:
    """Return what dropout moves: masks after attention and after the MLP, and scores where they are written at all.

    Parameters
    ----------
    part : Part
        The device's.
    mask : float, B
        Bytes of one entry of a mask.
    share : float
        1 when dropout is used.
    scores : bool
        Whether attention writes its scores.

    Returns
    -------
    list of Operator

    References
    ----------
    Korthikanti et al. 2022, arXiv:2205.05198, section 4.1: which masks are kept.
    """
    shape, division = part.whole, part.division
    masks = stream_bytes(part.rows / division.shards, 2.0 * shape.hidden, mask * share)
    table = [] if shape.source is None else dropouts(_source_of(part), mask, share, scores=scores)
    table += [stream("dropout masks", shape.layers, masks, share)]
    if scores:
        pairs = part.rows * part.sequence * (over_layers(shape, lambda one: one.heads) / division.tensor)
        traffic = stream_bytes(pairs, 1.0, (2.0 * part.formats.activation + mask) * share)
        table.append(stream("attention dropout", shape.attention_layers, traffic, share))
    return table


def eager_norms(part: Part, wide: Any) -> Table:
    """Return what norms and rotary embedding move beyond one reading and one writing when operators run one by one.

    Parameters
    ----------
    part : Part
        The device's.
    wide : float, B
        Bytes per element of what is computed in between.

    Returns
    -------
    list of Operator
        A norm casts to 32 bits, squares, averages, multiplies, casts back and multiplies by its weights: seven passes
        over the wide tensor and four over the narrow one, two of which are counted as the norm itself. Queries and
        keys are cast, rotated and cast back: four passes over the wide tensor.

    References
    ----------
    PyTorch, aten/src/ATen/native/layer_norm.cpp, rms_norm: an operator each; and apply_rotary_emb of Llama, which
    multiplies complex numbers of 32 bits.
    """
    shape, rows, norms = part.own, part.rows, part.own.norm_passes
    turned = over_layers(shape, lambda one: (one.heads + one.kv_heads) * one.head_dim)
    each = 7.0 * wide + 2.0 * part.formats.activation
    return [
        *([] if shape.source is None else eager_norms(_source_of(part), wide)),
        stream("norms, one by one", shape.layers, stream_bytes(rows / part.division.shards, norms * shape.hidden, each),
               5.0 * norms),
        stream("rotary embedding, one by one", shape.attention_layers, stream_bytes(rows, turned, 4.0 * wide), 4.0),
    ]  # fmt: skip


def expert_biases(part: Part, wide: Any) -> Table:
    """Return what adding the bias of the experts' last product moves where a framework does it operator by operator.

    Parameters
    ----------
    part : Part
        The device's.
    wide : float, B
        Bytes per element of what is computed in between.

    Returns
    -------
    list of Operator
        The bias of each expert is multiplied by the weights of its tokens, which are kept in 32 bits, added to the
        result, the parts of all experts are joined and narrowed: six passes over the wide tensor and two over the
        narrow one.

    References
    ----------
    NVIDIA Megatron-LM, megatron/core/transformer/moe/experts.py, TEGroupedMLP._apply_bias.
    """
    shape, division = part.own, part.division
    routed = part.rows * shape.active
    rows = where(division.expert > 1.0, routed / division.tensor, routed + 0.0 * division.expert)
    traffic = stream_bytes(rows, shape.hidden, 2.0 * part.formats.activation + 6.0 * wide)
    kernels = 2.0 * (shape.experts / division.expert) + 2.0
    return [stream("experts, bias", shape.expert_layers, traffic, kernels)]


def lookup(part: Part) -> Table:
    """Return the embedding on the first stage.

    Parameters
    ----------
    part : Part
        The device's.

    Returns
    -------
    list of Operator
    """
    return embedding(part.whole, part.formats, part.batch, part.rows)


def head(part: Part) -> Table:
    """Return final norm and output projection on the last stage.

    Parameters
    ----------
    part : Part
        The device's.

    Returns
    -------
    list of Operator
    """
    spread = part.rows / part.division.tensor if part.division.sequence else None
    return decoder_tail(part.own, part.formats, part.batch, part.rows, spread) or [stream("nothing", ONCE, 0.0, 0.0)]
