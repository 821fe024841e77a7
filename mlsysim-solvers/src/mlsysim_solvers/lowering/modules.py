"""What a library runs whose modules spell their operators out one by one, from Python."""

from __future__ import annotations

from typing import Any

from mlsysim.numeric import maximum

from ..formulas.constants import FULL_WIDTH
from ..formulas.elementwise import stream_bytes
from .attention import Abilities
from .operators import Formats, Table, stream
from .shape import TransformerShape, over_layers

__all__ = ["decoded_apart", "spelled_out"]

NORM_OPERATORS = 8.0
"""Operators of a norm over root mean squares: a cast to 32 bits, a square, a mean, a sum, a reciprocal root, a product,
a cast back and a product with the weights. Counted in LlamaRMSNorm.forward of huggingface/transformers,
src/transformers/models/llama/modeling_llama.py at 0022728; RMSNorm.forward of Lightning-AI/litgpt, litgpt/model.py at
0420581, has nine."""

TURN_OPERATORS = 5.0
"""Operators that turn queries, and as many that turn keys: a product with the cosine, a negated half, its union with
the other half, the product with the sine and a sum. Counted in rotate_half and apply_rotary_pos_emb, and in apply_rope,
of the same files; casts are left out."""


def spelled_out(shape: TransformerShape, formats: Formats, rows: Any) -> Table:
    """Return the operators of a layer that a kernel of its own, or a wider product, would do at once.

    Parameters
    ----------
    shape : TransformerShape
        The model, or one device's part of it.
    formats : Formats
        Number formats.
    rows : float or array, count
        Tokens.

    Returns
    -------
    list of Operator
        What comes on top of one operator for each norm, for rotary embedding, for the activation function and for each
        of the two wide products: steps of a norm, five of which pass over the tensor in 32 bits; steps of the rotary
        embedding; products for keys and values, and for the gate, and the product of gate and input.

    References
    ----------
    LlamaAttention and LlamaMLP of huggingface/transformers, src/transformers/models/llama/modeling_llama.py at 0022728.
    """
    norms, narrow, wide = shape.square_norms, formats.activation, maximum(formats.activation, FULL_WIDTH)
    turned = shape.turns * over_layers(shape, lambda one: (one.heads + one.kv_heads) * one.head_dim)
    normed = stream_bytes(rows, norms * shape.hidden, 7.0 * wide + 2.0 * narrow)
    split = 0.0 if shape.latent else 2.0
    table = [
        stream("norms, step by step", shape.layers, normed, (NORM_OPERATORS - 1.0) * norms),
        stream("rotary embedding, step by step", shape.attention_layers, stream_bytes(rows, 8.0 * turned, narrow),
               (2.0 * TURN_OPERATORS - 1.0) * shape.turns),
        stream("projections, one by one", shape.layers, stream_bytes(rows, 0.0, narrow), split),
    ]  # fmt: skip
    if shape.dense_layers:
        gates = 2.0 * (shape.matrices - 1.0)
        moved = stream_bytes(rows, gates * shape.ffn, narrow)
        table.append(stream("gate, one by one", shape.dense_layers, moved, gates))
    return table


def decoded_apart(table: Table, abilities: Abilities) -> Table:
    """Return the operators around the attention of a decode step.

    Parameters
    ----------
    table : list of Operator
        The step, whose attention says how much it reads.
    abilities : Abilities
        What the stack can do.

    Returns
    -------
    list of Operator
        One each puts the keys and the values of its tokens into the cache. Where that makes a new tensor of all, the
        cache is read and written as a whole. Without fused attention scale, mask, softmax and the product with the
        values follow the scores one by one.

    References
    ----------
    DynamicLayer.update of huggingface/transformers, src/transformers/cache_utils.py at 004999d, joins; KVCache.forward
    of Lightning-AI/litgpt, litgpt/model.py at 0420581, copies in place; standard_attention of
    THUDM/SwissArmyTransformer, sat/transformer_defaults.py at 015743b.
    """
    apart = 0.0 if abilities.fused_attention else 4.0
    return [
        stream("keys and values into the cache", row.count, 2.0 * row.cache_bytes if abilities.joins_cache else 0.0,
               2.0 + apart)
        for row in table
        if row.kind == "attention"
    ]  # fmt: skip
