"""One device's share of a transformer: the same operators on divided shapes, and the messages between them."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum, where

from ..formulas.elementwise import stream_bytes
from ..formulas.mixture import distinct_experts, rows_per_expert
from .attention import Abilities
from .casts import casts
from .operators import ONCE, Formats, Table, gemm, stream
from .shape import TransformerShape
from .transformer import decoder_tail, embedding, forward_layers

__all__ = [
    "Division",
    "adapters",
    "divided",
    "dropouts",
    "eager_norms",
    "expert_biases",
    "forward",
    "head",
    "lookup",
]


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
    parts = (
        ceil(shape.heads / t),
        maximum(ceil(shape.kv_heads / t), 1.0 * (t / t)),
        shape.ffn / t,
        shape.shared_ffn / t,
        where(division.expert > 1.0, shape.expert_ffn + 0.0 * t, shape.expert_ffn / t),
        shape.vocab / t,
    )
    fields = list(shape)
    for place, part in zip(_DIVIDED, parts, strict=True):
        fields[place] = part
    return TransformerShape._make(fields)


_DIVIDED = tuple(map(
    TransformerShape._fields.index, ("heads", "kv_heads", "ffn", "shared_ffn", "expert_ffn", "vocab")
))  # fmt: skip
"""Places of what a tensor-parallel group divides."""


def forward(
    shape: TransformerShape, formats: Formats, abilities: Abilities, division: Division, batch: Any, sequence: Any, *,
    narrow: bool, frozen: bool = False, scaling: str = "delayed",
) -> Table:  # fmt: skip
    """Return the forward pass of all layers on one device.

    Parameters
    ----------
    shape : TransformerShape
        The device's part of each layer, from :func:`divided`.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each before they are divided.
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
    # Context parallelism balances causal work: a device does its share of every sequence.
    part = batch / division.context
    rows = part * sequence
    spread = rows / division.tensor if division.sequence else None
    table = forward_layers(shape, formats, abilities, part, sequence, rows, spread, kept=True)
    if shape.expert_layers:
        table = _local_experts(table, shape, formats, division, rows)
    if narrow:
        table = table + casts(table, formats, 1.0 if frozen else 2.0, scaling)
    return table


def _local_experts(table: Table, shape: TransformerShape, formats: Formats, division: Division, rows: Any) -> Table:
    """Replace the experts by those of one device, which receive tokens from the whole expert-parallel group."""
    e = division.expert
    tokens = where(e > 1.0, rows / division.tensor, rows + 0.0 * e)
    reached = distinct_experts(shape.experts, shape.active, tokens * e) / e
    each = rows_per_expert(tokens, shape.active, reached)
    width, up = shape.expert_ffn, shape.matrices * shape.expert_ffn
    # Each local expert is a product of its own, slower than one large product.
    count, local = shape.expert_layers / division.grouped, shape.experts / e
    own = {
        "experts up": gemm("experts up", count, each, up, shape.hidden, formats, reached, kind="grouped_gemm"),
        "experts down": gemm("experts down", count, each, shape.hidden, width, formats, reached, kind="grouped_gemm"),
    }  # fmt: skip
    own = {name: row._replace(kernels=local) for name, row in own.items()}
    return [own.get(row.name, row) for row in table]


def adapters(shape: TransformerShape, formats: Formats, division: Division, rank: Any, rows: Any) -> Table:
    """Return the forward pass of low-rank adapters beside the attention projections.

    Parameters
    ----------
    shape : TransformerShape
        The whole model.
    formats : Formats
        Number formats.
    division : Division
        Degrees.
    rank : float, count
        Inner width of an adapter.
    rows : float or array, count
        Tokens of a micro-batch on one device.

    Returns
    -------
    list of Operator
        Down, up and the sum with what the frozen product wrote, for each of two projections.

    References
    ----------
    Hu et al. 2021, LoRA, arXiv:2106.09685, section 4.
    """
    s, t, table = shape, division.tensor, []
    wide = s.heads * s.head_dim + 2.0 * s.kv_heads * s.head_dim
    for name, inner, outer in (
        ("query-key-value adapter", s.hidden, wide / t), ("output adapter", s.heads * s.v_dim / t, s.hidden)
    ):  # fmt: skip
        table += [
            stream(f"{name}, dropout", s.layers, stream_bytes(rows, 2.0 * inner, formats.activation)),
            gemm(f"{name}, down", s.layers, rows, rank, inner, formats),
            gemm(f"{name}, up", s.layers, rows, outer, rank, formats),
            stream(f"{name}, sum", s.layers, stream_bytes(rows, 3.0 * outer, formats.activation), 2.0),
        ]
    return table


def dropouts(
    shape: TransformerShape, formats: Formats, division: Division, batch: Any, sequence: Any, mask: Any, share: Any, *,
    scores: bool,
) -> Table:  # fmt: skip
    """Return what dropout moves: masks after attention and after the MLP, and scores where they are written at all.

    Parameters
    ----------
    shape : TransformerShape
        The whole model.
    formats : Formats
        Number formats.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each before they are divided.
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
    rows = batch / division.context * sequence
    table = [
        stream(
            "dropout masks", shape.layers, stream_bytes(rows / division.shards, 2.0 * shape.hidden, mask * share), share
        )
    ]
    if scores:
        pairs = rows * sequence * (shape.heads / division.tensor)
        traffic = stream_bytes(pairs, 1.0, (2.0 * formats.activation + mask) * share)
        table.append(stream("attention dropout", shape.layers, traffic, share))
    return table


def eager_norms(
    shape: TransformerShape, formats: Formats, division: Division, batch: Any, sequence: Any, wide: Any
) -> Table:  # fmt: skip
    """Return what norms and rotary embedding move beyond one reading and one writing when operators run one by one.

    Parameters
    ----------
    shape : TransformerShape
        The device's part of each layer, from :func:`divided`.
    formats : Formats
        Number formats.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each before they are divided.
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
    rows = batch / division.context * sequence
    norms = shape.norm_passes
    turned = (shape.heads + shape.kv_heads) * shape.head_dim
    each = 7.0 * wide + 2.0 * formats.activation
    return [
        stream("norms, one by one", shape.layers, stream_bytes(rows / division.shards, norms * shape.hidden, each),
               5.0 * norms),
        stream("rotary embedding, one by one", shape.layers, stream_bytes(rows, turned, 4.0 * wide), 4.0),
    ]  # fmt: skip


def expert_biases(
    shape: TransformerShape, formats: Formats, division: Division, batch: Any, sequence: Any, wide: Any
) -> Table:  # fmt: skip
    """Return what adding the bias of the experts' last product moves where a framework does it operator by operator.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each before they are divided.
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
    routed = batch / division.context * sequence * shape.active
    rows = where(division.expert > 1.0, routed / division.tensor, routed + 0.0 * division.expert)
    traffic = stream_bytes(rows, shape.hidden, 2.0 * formats.activation + 6.0 * wide)
    kernels = 2.0 * (shape.experts / division.expert) + 2.0
    return [stream("experts, bias", shape.expert_layers, traffic, kernels)]


def lookup(shape: TransformerShape, formats: Formats, division: Division, batch: Any, sequence: Any) -> Table:
    """Return the embedding on the first stage.

    Parameters
    ----------
    shape : TransformerShape
        The whole model.
    formats : Formats
        Number formats.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each before they are divided.

    Returns
    -------
    list of Operator
    """
    part = batch / division.context
    return embedding(shape, formats, part, part * sequence)


def head(shape: TransformerShape, formats: Formats, division: Division, batch: Any, sequence: Any) -> Table:
    """Return final norm and output projection on the last stage.

    Parameters
    ----------
    shape : TransformerShape
        The device's part of the model, from :func:`divided`.
    formats : Formats
        Number formats.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each before they are divided.

    Returns
    -------
    list of Operator
    """
    part = batch / division.context
    rows = part * sequence
    table = decoder_tail(shape, formats, part, rows, rows / division.tensor if division.sequence else None)
    return table or [stream("nothing", ONCE, 0.0, 0.0)]
