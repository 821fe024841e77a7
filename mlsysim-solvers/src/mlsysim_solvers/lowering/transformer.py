"""Transformers as operator tables: decoders, encoders and vision transformers, dense or with experts."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import is_array, minimum

from ..formulas.elementwise import lookup_bytes, stream_bytes
from ..formulas.mixture import distinct_experts, rows_per_expert
from .attention import Abilities, attention_over_cache, attention_over_sequence, projections
from .cross_attention import audio_stem, cross_attention
from .linear import linear
from .modules import decoded_apart, spelled_out
from .operators import MATRIX_KINDS, ONCE, Formats, Table, gemm, spared, stream
from .served import STREAM_KERNELS, assembled, beside, served_kernels
from .shape import TransformerShape

__all__ = [
    "NORMS",
    "PrefillChunk",
    "decode",
    "decoder_tail",
    "embedding",
    "expansion",
    "forward_layers",
    "mixed",
    "prefill",
    "repeated",
]

NORMS = "norms and residuals"
"""Name of these operators where they are fused."""


def prefill(shape: TransformerShape, formats: Formats, abilities: Abilities, batch: Any, input: Any) -> Table:  # noqa: A002
    """Return the pass that reads the prompts and yields the first token of each.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Prompts.
    input : float or array, count
        Tokens of each.

    Returns
    -------
    list of Operator
    """
    rows = linear(batch * input)
    if abilities.expands_weights:
        stored, formats = formats.weight, formats._replace(weight=formats.operand)
    if abilities.pass_tokens is None:
        table = forward_layers(shape, formats, abilities, batch, input, rows)
    else:
        each = minimum(rows, abilities.pass_tokens)
        table = repeated(_without_attention(shape, formats, abilities, each, each), rows / each)
        table += attention_over_sequence(shape, formats, abilities, batch, input)
    if abilities.expands_weights:
        table.append(expansion(table, formats, stored))
    table += embedding(shape, formats, batch, rows)
    return table + decoder_tail(shape, formats, batch, batch)


def repeated(table: Table, passes: Any) -> Table:
    """Return a table run several times.

    Parameters
    ----------
    table : list of Operator
        Rows.
    passes : float or array, count
        How often.

    Returns
    -------
    list of Operator
        Rows of one layer keep one count object, as summing expects.
    """
    counts: dict[int, Any] = {}
    return [row._replace(count=counts.setdefault(id(row.count), row.count * passes)) for row in table]


def expansion(table: Table, formats: Formats, stored: Any) -> Any:
    """Return how weights are read in their stored format and written in that of the arithmetic.

    Parameters
    ----------
    table : list of Operator
        A pass over many rows, with weights in the format of the arithmetic.
    formats : Formats
        Its number formats.
    stored : float, B
        Bytes per element of the stored weights.

    Returns
    -------
    Operator
    """
    rows = [row for row in table if row.kind in MATRIX_KINDS]
    expanded = sum(row.count * row.weight_bytes for row in rows)
    kernels = sum(row.count for row in rows)
    return stream("expansion of weights", ONCE, expanded * ((stored + formats.operand) / formats.operand), kernels)


def decode(
    shape: TransformerShape, formats: Formats, abilities: Abilities, batch: Any, input: Any, output: Any  # noqa: A002
) -> Table:  # fmt: skip
    """Return the average decode step of an answer.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Sequences, one new token each.
    input, output : float or array, count
        Tokens of prompt and answer.

    Returns
    -------
    list of Operator
    """
    batch = linear(batch)
    if abilities.unpacks_weights:
        stored, formats = formats.weight, formats._replace(weight=formats.operand)
    table = projections(shape, formats, batch, absorbed=True)
    table += _mlp(shape, formats, batch, batch, fused=abilities.fused_elementwise)
    table.append(_elementwise(shape, formats, batch, fused=abilities.fused_elementwise))
    table = beside(table, shape) + served_kernels(shape, formats, abilities, batch)
    if abilities.unpacks_weights:
        table.append(expansion(table, formats, stored))
    table += attention_over_cache(shape, formats, abilities, batch, input, output)
    if abilities.one_by_one:
        table += spelled_out(shape, formats, batch) + decoded_apart(table, abilities)
    table += embedding(shape, formats, batch, batch)
    table += decoder_tail(shape, formats, batch, batch)
    if abilities.narrows_inputs:
        # With few rows it is their input that changes its format, in a kernel before each product.
        return [row._replace(kernels=2.0 * row.kernels) if row.kind in MATRIX_KINDS else row for row in table]
    return table


class PrefillChunk(NamedTuple):
    """The prompts of a pass; of a long one a pass may read a part.

    Parameters
    ----------
    tokens : float or array, count
        Prompt tokens that the pass reads.
    prompts : float or array, count
        Prompts that they make up.
    sequences, length : float or array, count
        So many whole prompts of so many tokens have as many query-key pairs.
    """

    tokens: Any
    prompts: Any
    sequences: Any
    length: Any


def mixed(
    shape: TransformerShape, formats: Formats, abilities: Abilities, decoding: Any, input: Any, output: Any,  # noqa: A002
    reading: PrefillChunk,
) -> Table:  # fmt: skip
    """Return a pass that decodes one token of some requests and reads prompts of others: weights are read once.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    decoding : float or array, count
        Requests that get their next token.
    input, output : float or array, count
        Tokens of prompt and answer of these.
    reading : PrefillChunk
        The prompts.

    Returns
    -------
    list of Operator
    """
    rows, tokens, decoding = linear(decoding + reading.tokens), linear(reading.tokens), linear(decoding)
    if abilities.expands_weights:
        stored, formats = formats.weight, formats._replace(weight=formats.operand)
    table = _without_attention(shape, formats, abilities, rows, rows)
    if shape.latent:
        # What is decoded works on compressed keys and values.
        folded = projections(shape, formats, decoding, absorbed=True)
        table += [row for row in folded if row.name in ("query absorption", "value expansion")]
    if abilities.expands_weights:
        table.append(expansion(table, formats, stored))
    table = beside(table, shape) + served_kernels(shape, formats, abilities, rows)
    table += attention_over_cache(shape, formats, abilities, decoding, input, output)
    table += assembled(shape, formats, abilities, tokens)
    table += attention_over_sequence(shape, formats, abilities, reading.sequences, reading.length)
    table += embedding(shape, formats, rows, rows)
    last = linear(decoding + reading.prompts)
    return table + decoder_tail(shape, formats, last, last)


def forward_layers(
    shape: TransformerShape, formats: Formats, abilities: Abilities, batch: Any, sequence: Any, rows: Any,
    spread: Any = None, *, kept: bool = False,
) -> Table:  # fmt: skip
    """Return all layers of a pass over whole sequences.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Sequences.
    sequence : float or array, count
        Tokens of each.
    rows : float or array, count
        Tokens of all.
    spread : float or array, count, optional
        Tokens that pass norms and routing on this device, where sequence parallelism divides them.
    kept : bool
        Whether gradients need what enters the activation functions. A product's epilogue swallows it without a
        backward pass; kept, it is written, the kernel of the activation function reads it, and the next product
        reads what that kernel writes.

    Returns
    -------
    list of Operator
    """
    own = rows if spread is None else spread
    table = _without_attention(shape, formats, abilities, rows, own, kept=kept)
    table += attention_over_sequence(shape, formats, abilities, batch, sequence)
    if shape.source is None:
        return table
    encoder, tokens, _ = shape.source
    read = batch * tokens
    some = None if spread is None else read * (spread / rows)
    table += forward_layers(encoder, formats, abilities, batch, tokens, read, some, kept=kept)
    table += decoder_tail(encoder, formats, batch, read, some)
    return table + cross_attention(shape, formats, abilities, batch, sequence, own)


def _without_attention(
    shape: TransformerShape, formats: Formats, abilities: Abilities, rows: Any, spread: Any, *, kept: bool = False
) -> Table:  # fmt: skip
    table = projections(shape, formats, rows, absorbed=False)
    table += _mlp(shape, formats, rows, spread, fused=abilities.fused_elementwise, kept=kept)
    table.append(_elementwise(shape, formats, spread, fused=abilities.fused_elementwise))
    return table + spelled_out(shape, formats, spread) if abilities.one_by_one else table


def _mlp(
    shape: TransformerShape, formats: Formats, rows: Any, spread: Any, *, fused: bool, kept: bool = False
) -> Table:  # fmt: skip
    table: Table = []
    if shape.dense_layers:
        table += _dense_mlp(shape, formats, rows, shape.dense_layers, shape.ffn, fused=fused, kept=kept)
    if shape.expert_layers:
        table += _experts(shape, formats, rows, spread, fused=fused, kept=kept)
        if is_array(shape.shared_ffn) or shape.shared_ffn:
            table += _dense_mlp(shape, formats, rows, shape.expert_layers, shape.shared_ffn, fused=fused, kept=kept)
    return table


def _dense_mlp(
    shape: TransformerShape, formats: Formats, rows: Any, count: Any, width: Any, *, fused: bool, kept: bool
) -> Table:  # fmt: skip
    up = shape.matrices * width
    table = [gemm("MLP up", count, rows, up, shape.hidden, formats, out=width if fused and not kept else up)]
    if fused and kept:
        table.append(stream("MLP up: activation", count, stream_bytes(rows, up + width, formats.activation)))
    table.append(gemm("MLP down", count, rows, shape.hidden, width, formats))
    if not fused:
        table.append(stream("activation", count, stream_bytes(rows, up + width, formats.activation)))
    return table


def _experts(
    shape: TransformerShape, formats: Formats, rows: Any, spread: Any, *, fused: bool, kept: bool
) -> Table:  # fmt: skip
    """Router, permutation, and one product per reached expert, each padded to its own tiles."""
    count, width, hidden, inner = shape.expert_layers, shape.expert_ffn, shape.hidden, shape.expert_hidden
    outer, kind = spared(formats, formats.outer)
    reached = distinct_experts(shape.experts, shape.active, rows)
    each = rows_per_expert(rows, shape.active, reached)
    up = shape.matrices * width
    out = width if fused and not kept else up
    # Tokens are gathered into expert order and scattered back, weighted and added.
    moved = (4.0 * shape.active + 2.0) * inner + 2.0 * shape.experts
    table = [
        gemm("router", count, rows, shape.experts, hidden, outer, kind=kind),
        stream("routing and permutation", count, stream_bytes(spread, moved, formats.activation), 3.0),
        gemm("experts up", count, each, up, inner, formats, reached, out=out, kind="grouped_gemm"),
        gemm("experts down", count, each, inner, width, formats, reached, kind="grouped_gemm"),
    ]
    if shape.compression:
        table.append(gemm("experts, compression", count, spread, inner, hidden, formats))
        table.append(gemm("experts, expansion", count, spread, hidden, inner, formats))
    if kept or not fused:
        traffic = stream_bytes(rows, shape.active * (up + width), formats.activation)
        table.append(stream("experts up: activation" if fused else "experts activation", count, traffic))
    return table


def _elementwise(shape: TransformerShape, formats: Formats, rows: Any, *, fused: bool) -> Any:
    """Norms, residuals and rotary embedding of a layer, in one row.

    Fused, each norm also adds the residual: two tensors are read and two written, and the rest
    happens inside the neighbours.
    """
    if fused:
        n, norms = shape.streams, shape.norm_passes
        traffic = stream_bytes(rows, (4.0 if n == 1.0 else 2.0 + 2.0 * n) * norms * shape.hidden, formats.activation)
        return stream(NORMS, shape.layers, traffic, norms if n == 1.0 else STREAM_KERNELS * norms)
    traffic = stream_bytes(rows, shape.stream_elements, formats.activation)
    return stream("norms, residuals and rotary embedding", shape.layers, traffic, shape.stream_kernels)


def embedding(shape: TransformerShape, formats: Formats, batch: Any, rows: Any) -> Table:
    """Return how tokens or patches become the input of the first layer.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    batch : float or array, count
        Sequences or images.
    rows : float or array, count
        Tokens of all.

    Returns
    -------
    list of Operator
    """
    if shape.patches:
        return [gemm("patch embedding", ONCE, batch * shape.patches, shape.hidden, shape.patch_elements, formats)]
    stored = formats.weight if formats.head is None else formats.head
    traffic = lookup_bytes(rows, shape.lookups * shape.hidden, stored, formats.activation)
    table = [stream("embedding", ONCE, traffic, shape.lookups, kind="lookup")]
    if shape.source is None:
        return table
    encoder, tokens, bins = shape.source
    read = batch * tokens
    return table + (
        audio_stem(encoder.hidden, bins, formats, read) if bins else embedding(encoder, formats, batch, read)
    )


def decoder_tail(shape: TransformerShape, formats: Formats, batch: Any, rows: Any, spread: Any = None) -> Table:
    """Return what follows the last layer: final norm, pooler, output projection, classifier.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    batch : float or array, count
        Sequences or images.
    rows : float or array, count
        Positions whose successor is wanted.
    spread : float or array, count, optional
        Positions that pass the norm on this device, where sequence parallelism divides them.

    Returns
    -------
    list of Operator
    """
    table: Table = []
    if shape.final_norm:
        normed = rows if spread is None else spread
        table.append(stream("final norm", ONCE, stream_bytes(normed, 2.0 * shape.hidden, formats.activation)))
    if shape.pooler:
        table.append(gemm("pooler", ONCE, batch, shape.hidden, shape.hidden, formats))
    if shape.head:
        head, kind = spared(formats, formats.head)
        table.append(gemm("output projection to vocabulary", ONCE, rows, shape.vocab, shape.hidden, head, kind=kind))
    if shape.classes:
        table.append(gemm("classifier", ONCE, batch, shape.classes, shape.hidden, formats))
    return table
