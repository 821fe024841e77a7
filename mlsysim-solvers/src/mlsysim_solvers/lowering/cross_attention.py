"""What an encoder-decoder trains beside two stacks of layers: convolutions over speech, and cross-attention."""

from __future__ import annotations

from typing import Any

from ..formulas.attention import attention_bytes, attention_flops
from ..formulas.elementwise import stream_bytes
from ..formulas.gemm import matmul_activation_bytes, matmul_flops
from .attention import Abilities
from .operators import ONCE, Formats, Operator, Table, gemm, stream
from .shape import TransformerShape

__all__ = ["audio_stem", "cross_attention"]

_TAPS = 3.0
_STRIDE = 2.0


def audio_stem(hidden: Any, bins: Any, formats: Formats, rows: Any) -> Table:
    """Return the two convolutions that turn a spectrogram into positions.

    Parameters
    ----------
    hidden : float, count
        Width of the encoder.
    bins : float, count
        Frequency bins.
    formats : Formats
        Number formats.
    rows : float or array, count
        Positions.

    Returns
    -------
    list of Operator
    """
    return [
        gemm("audio convolution", ONCE, _STRIDE * rows, hidden, _TAPS * bins, formats),
        gemm("strided audio convolution", ONCE, rows, hidden, _TAPS * hidden, formats),
    ]


def cross_attention(
    shape: TransformerShape, formats: Formats, abilities: Abilities, batch: Any, sequence: Any, spread: Any
) -> Table:
    """Return how whole sequences of a decoder attend to all that its encoder returned.

    Parameters
    ----------
    shape : TransformerShape
        The decoder, with its source.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch, sequence : float or array, count
        Sequences, and tokens of each.
    spread : float or array, count
        Tokens that pass the norm on this device.

    Returns
    -------
    list of Operator
    """
    s, source = shape, shape.source
    assert source is not None
    rows, read, n = batch * sequence, batch * source.tokens, s.layers
    queries, width = s.heads * s.head_dim, formats.activation
    elements, kernels = (4.0, 1.0) if abilities.fused_elementwise else (5.0, 2.0)
    table = [
        gemm("cross-attention query projection", n, rows, queries, s.hidden, formats),
        gemm("cross-attention keys and values", n, read, 2.0 * s.kv_heads * s.head_dim, source.shape.hidden, formats),
        gemm("cross-attention output projection", n, rows, s.hidden, queries, formats),
        stream("norms of cross-attention", n, stream_bytes(spread, elements * s.hidden, width), kernels),
    ]
    work = attention_flops(rows * source.tokens, s.heads, s.head_dim, s.v_dim, formats.flop_per_mac)
    if abilities.fused_attention:
        moved = attention_bytes(rows, s.heads * (s.head_dim + s.v_dim), width)
        moved = moved + attention_bytes(read, s.kv_heads * (s.head_dim + s.v_dim), width)
        pairs = s.heads * rows * source.tokens
        own = Operator("attention to the encoder", "attention", n, rows, 1.0, 1.0, pairs, work, 0.0, moved)
        return [*table, own._replace(work=work)]
    products, half = batch * s.heads, 0.5 * work
    for name, wide, deep, each in (("attention scores", source.tokens, s.head_dim, s.head_dim),
                                   ("attention values", s.v_dim, source.tokens, s.v_dim)):  # fmt: skip
        # What the encoder returned is the right operand, and nobody's weights.
        moved = attention_bytes(products * source.tokens, each, width)
        moved = moved + matmul_activation_bytes(sequence, wide, deep, products, width, width)
        done = matmul_flops(sequence, wide, deep, products, formats.flop_per_mac)
        row = Operator(name, "gemm", n, sequence, wide, deep, products, half, 0.0, moved)
        table.append(row._replace(work=done))
    scores = stream_bytes(products * sequence, source.tokens, 2.0 * width)
    return [*table, stream("softmax", n, scores)]
