"""Encoder-decoder models as operator tables: one pass of the encoder, then decode with cross-attention."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.records.model import EncoderDecoder, Model
from mlsysim.shapes import parameters

from ..formulas.attention import attention_bytes, attention_flops, kv_read_bytes
from ..formulas.elementwise import stream_bytes
from .attention import Abilities
from .cross_attention import audio_stem
from .operators import Formats, Operator, Table, gemm, stream
from .shape import Source, TransformerShape, number, transformer_shape
from .transformer import decode, decoder_tail, embedding, expansion, forward_layers

__all__ = [
    "EncoderDecoderShape", "encoder_decoder_decode", "encoder_decoder_prefill", "encoder_decoder_shape", "trained_pair",
]  # fmt: skip


class EncoderDecoderShape(NamedTuple):
    """What lowering needs to know of an encoder-decoder model.

    Parameters
    ----------
    parameters : float, count
        All stored parameters.
    encoder, decoder : TransformerShape
        The two stacks.
    bins : float, count
        Frequency bins of speech; 0 for text.
    span : float, s
        Speech of one encoder pass.
    """

    parameters: Any
    encoder: TransformerShape
    decoder: TransformerShape
    bins: Any
    span: Any


def encoder_decoder_shape(model: Model, pair: EncoderDecoder) -> EncoderDecoderShape:
    """Flatten an encoder-decoder model.

    Parameters
    ----------
    model : Model
        The model.
    pair : EncoderDecoder
        Its shape.

    Returns
    -------
    EncoderDecoderShape
    """
    # The count belongs to both stacks together; what lowering reads of each stack is its form.
    stacks = [transformer_shape(model, stack) for stack in (pair.encoder, pair.decoder)]
    return EncoderDecoderShape(number(parameters(model).total), stacks[0], stacks[1], number(pair.bins), pair.span)


def trained_pair(model: Model, pair: EncoderDecoder, tokens: Any) -> TransformerShape:
    """Flatten an encoder-decoder for training: the decoder, and the encoder as its source.

    Parameters
    ----------
    model : Model
        The model.
    pair : EncoderDecoder
        Its shape.
    tokens : float, token
        What the encoder reads of a sample.

    Returns
    -------
    TransformerShape
        With the parameters of both.
    """
    encoder, decoder = (transformer_shape(model, stack) for stack in (pair.encoder, pair.decoder))
    return decoder._replace(source=Source(encoder, number(tokens), number(pair.bins)))


def encoder_decoder_prefill(
    shape: EncoderDecoderShape,
    formats: Formats,
    abilities: Abilities,
    batch: Any,
    input: Any,  # noqa: A002
) -> Table:
    """Return the pass that reads the input and yields the first token of each answer.

    Parameters
    ----------
    shape : EncoderDecoderShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Inputs.
    input : float or array, count
        Positions of each: tokens, or frames of speech.

    Returns
    -------
    list of Operator
        The encoder, the keys and values of its output for every layer of the decoder, and the
        decoder on the token that begins the answer.
    """
    encoder, decoder = shape.encoder, shape.decoder
    rows = batch * input
    stored = formats.weight
    first = formats._replace(weight=formats.operand) if abilities.expands_weights else formats
    table = forward_layers(encoder, first, abilities, batch, input, rows)
    keys = 2.0 * decoder.kv_heads * decoder.head_dim
    table.append(gemm("cross-attention keys and values", decoder.layers, rows, keys, encoder.hidden, first))
    if abilities.expands_weights:
        table.append(expansion(table, first, stored))
    if shape.bins:
        table += audio_stem(encoder.hidden, shape.bins, formats, rows)
    else:
        table += embedding(encoder, formats, batch, rows)
    table += decoder_tail(encoder, formats, batch, rows)
    return table + encoder_decoder_decode(shape, formats, abilities, batch, input, 1.0)


def encoder_decoder_decode(
    shape: EncoderDecoderShape, formats: Formats, abilities: Abilities, batch: Any, input: Any, output: Any  # noqa: A002
) -> Table:  # fmt: skip
    """Return the average decode step of an answer.

    Parameters
    ----------
    shape : EncoderDecoderShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Answers, one new token each.
    input, output : float or array, count
        Positions of the input, and tokens of the answer.

    Returns
    -------
    list of Operator
        Self-attention sees the answer so far, cross-attention the whole input at every step.
    """
    d = shape.decoder
    queries = d.heads * d.head_dim
    table = decode(d, formats, abilities, batch, 1.0, output)
    flops = attention_flops(batch * input, d.heads, d.head_dim, d.v_dim, formats.flop_per_mac)
    own = attention_bytes(batch, d.heads * (d.head_dim + d.v_dim), formats.activation)
    cache = kv_read_bytes(batch, input, d.cache_elements, formats.cache)
    # One more norm and residual per layer; fused, they are one kernel.
    elements, kernels = (4.0, 1.0) if abilities.fused_elementwise else (5.0, 2.0)
    cross = Operator("cross-attention", "attention", d.layers, batch, 1.0, 1.0, 1.0, flops, 0.0, own)
    return [
        *table,
        gemm("cross-attention query projection", d.layers, batch, queries, d.hidden, formats),
        gemm("cross-attention output projection", d.layers, batch, d.hidden, queries, formats),
        cross._replace(cache_bytes=cache, work=flops),
        stream("cross-attention norm", d.layers, stream_bytes(batch, elements * d.hidden, formats.activation), kernels),
    ]
