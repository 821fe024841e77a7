"""Prefill and decode of whatever generates text."""

from __future__ import annotations

from typing import Any

from mlsysim.numeric import maximum, where

from .attention import Abilities
from .encoder_decoder import EncoderDecoderShape, encoder_decoder_decode, encoder_decoder_prefill
from .operators import Formats, Table
from .parallel import Division, divided
from .shape import TransformerShape, by_heads
from .sparse import sparse_parameters
from .state_space import StateShape, state_decode, state_prefill
from .transformer import NORMS, decode, prefill

__all__ = ["Generator", "first_pass", "next_token", "normed_by_sums", "sharded", "stage"]

Generator = TransformerShape | EncoderDecoderShape | StateShape
"""Shapes that generate text."""

_PREFILL: dict[type, Any] = {
    TransformerShape: prefill,
    EncoderDecoderShape: encoder_decoder_prefill,
    StateShape: state_prefill,
}
_DECODE: dict[type, Any] = {
    TransformerShape: decode,
    EncoderDecoderShape: encoder_decoder_decode,
    StateShape: state_decode,
}


def first_pass(shape: Generator, formats: Formats, abilities: Abilities, batch: Any, input: Any) -> Table:  # noqa: A002
    """Return the pass that reads the prompts and yields the first token of each.

    Parameters
    ----------
    shape : TransformerShape, EncoderDecoderShape or StateShape
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
    table: Table = _PREFILL[type(shape)](shape, formats, abilities, batch, input)
    return table


def next_token(
    shape: Generator, formats: Formats, abilities: Abilities, batch: Any, input: Any, output: Any  # noqa: A002
) -> Table:  # fmt: skip
    """Return the average decode step of an answer.

    Parameters
    ----------
    shape : TransformerShape, EncoderDecoderShape or StateShape
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
    table: Table = _DECODE[type(shape)](shape, formats, abilities, batch, input, output)
    return table


def normed_by_sums(table: Table, shape: TransformerShape, together: Any) -> Table:
    """Return a pass whose sums over devices add the residual and norm, too: as many norms are no kernels of their own.

    Parameters
    ----------
    table : list of Operator
        A pass.
    shape : TransformerShape
        The model.
    together : bool or array of bool
        Whether there are such sums.

    Returns
    -------
    list of Operator
        What norms read and write stays.
    """
    spared = where(together, 1.0 * shape.sums, 0.0)
    return [
        row._replace(kernels=maximum(0.0, row.kernels - spared)) if row.name == NORMS else row for row in table
    ]  # fmt: skip


def sharded(shape: TransformerShape, tensor: Any) -> TransformerShape:
    """Return the part of every layer that one device of a tensor-parallel group holds and computes.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    tensor : float or array, count
        Devices of the group.

    Returns
    -------
    TransformerShape
        Heads, MLP columns, experts' columns and vocabulary divided; key-value heads and their cache divided, and
        copied where the group has more devices than the model has key-value heads; compressed keys and values
        (latent attention), norms and routers copied.

    References
    ----------
    Shoeybi et al. 2019, Megatron-LM, arXiv:1909.08053, section 3.
    """
    own = divided(shape, Division(tensor, 1.0, 1.0, sequence=False))
    # What element-wise operators move is the hidden vector, which all devices have whole, and heads.
    whole = (2.0 * shape.norm_passes + 6.0) * shape.hidden
    cache, compressed = shape.cache_elements + 0.0 * tensor, 0.0
    if shape.latent:
        down = (shape.kv_rank + shape.rope_dim + shape.q_rank) * shape.hidden
        compressed = shape.attention_layers * down
        compressed = compressed + sparse_parameters(shape.sparse) if shape.sparse else compressed
    else:
        cache = shape.cache_elements * (own.kv_heads / shape.kv_heads)
    keys = kept = 0.0
    for part, mine in zip(by_heads(shape), by_heads(own), strict=True):
        projected = 0.0 if shape.latent else part.kv_heads * (part.head_dim + part.values * part.v_dim)
        each = part.attention_layers * shape.hidden * projected
        keys, kept = keys + each, kept + each * (mine.kv_heads / part.kv_heads)
    copied = compressed + shape.layers * shape.norm_passes * shape.hidden
    copied = copied + shape.expert_layers * (shape.experts * shape.hidden + shape.compression)
    divisible = shape.parameters - copied - keys
    return own._replace(
        shared_ffn=own.shared_ffn if shape.shared_ffn else 0.0,
        parameters=divisible / tensor + copied + kept,
        cache_elements=cache,
        stream_elements=whole + (shape.stream_elements - whole) / tensor,
    )


def stage(shape: TransformerShape, share: Any) -> TransformerShape:
    """Return what one stage of a pipeline holds.

    Parameters
    ----------
    shape : TransformerShape
        The model, or one device's part of its layers.
    share : float or array, ratio
        Layers of the fullest stage over all.

    Returns
    -------
    TransformerShape
        Layers and parameters of that share; the ends of the model are counted as evenly spread.
    """
    layers, keeping = shape.layers * share, shape.recurrence
    return shape._replace(
        parameters=shape.parameters * share, layers=layers, full_layers=shape.full_layers * share,
        attention_layers=layers if keeping is None else shape.attention_layers * share,
        window_layers=shape.window_layers * share,
        recurrence=keeping if keeping is None else keeping._replace(layers=keeping.layers * share),
        sparse=tuple(one._replace(layers=one.layers * share, indexed=one.indexed * share) for one in shape.sparse),
    )  # fmt: skip
