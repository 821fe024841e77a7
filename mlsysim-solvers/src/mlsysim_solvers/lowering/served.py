"""What a server runs beside the operators of a transformer: the small kernels of a layer."""

from __future__ import annotations

from typing import Any

from mlsysim.numeric import maximum

from ..formulas.elementwise import stream_bytes
from .attention import Abilities
from .operators import Formats, Table, stream
from .shape import TransformerShape, over_layers

__all__ = ["STREAM_KERNELS", "assembled", "beside", "served_kernels"]


def assembled(shape: TransformerShape, formats: Formats, abilities: Abilities, rows: Any) -> Table:
    """Return how a server puts unfolded keys and values of latent attention together where a pass reads prompts.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    rows : float or array, count
        Prompt tokens of the pass.

    Returns
    -------
    list of Operator
        Compressed keys and their rotary part are joined for the cache; keys are put together from what was unfolded
        and the rotary part that all heads share, and values are set apart from them. Nothing without latent attention,
        or for a stack that fuses nothing.
    """
    if shape.direct or not (shape.latent and abilities.fused_elementwise):
        return []
    each = shape.heads * (shape.head_dim + shape.v_dim) + shape.kv_rank + shape.rope_dim
    moved = stream_bytes(rows, 2.0 * each, formats.activation)
    return [stream("unfolded keys and values", shape.attention_layers, moved, ASSEMBLY_KERNELS)]


ASSEMBLY_KERNELS = 4.0
"""Kernels that :func:`assembled` counts: a join, two copies into keys, and one of values. Estimate, range 2 to 8."""


STREAM_KERNELS = 3.0
"""Kernels for each norm where a token has several residual vectors: weights of the mixture, what enters, and what comes
back (hyper-connections; DeepseekV4HyperConnection of huggingface/transformers at 02356fe). Estimate, range 2 to 6."""


def served_kernels(shape: TransformerShape, formats: Formats, abilities: Abilities, rows: Any) -> Table:
    """Return the element-wise kernels that a server runs beside norms, however much it fuses.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    rows : float or array, count
        Tokens of the pass.

    Returns
    -------
    list of Operator
        Queries and keys are normed, turned and written to the cache, compressed ones normed; the activation function
        of an MLP runs on its own, that of routed experts in their products. Operands in blocks with scales of their
        own are formed in a kernel where no norm or activation function comes before. Nothing for a stack that fuses
        nothing: it counts these among all others.
    """
    if not abilities.fused_elementwise:
        return []
    kernels = maximum(1.0, shape.stream_kernels - shape.norm_passes - 2.0)
    if shape.latent:
        kernels = kernels + 1.0
    kernels = kernels + formats.casts
    moved = stream_bytes(rows, 2.0 * over_layers(shape, _turned_and_cached), formats.activation)
    table = [stream("rotary embedding and cache", shape.attention_layers, moved, kernels)]
    if shape.dense_layers:
        moved = stream_bytes(rows, (shape.matrices + 1.0) * shape.ffn, formats.activation)
        table.append(stream("activation", shape.dense_layers, moved))
    return table


def _turned_and_cached(s: TransformerShape) -> Any:
    """Return the elements of queries, keys and values per token; those of latent attention are turned in part."""
    if s.latent:
        return s.heads * s.rope_dim + (s.kv_rank + s.rope_dim)
    return s.heads * s.head_dim + s.kv_heads * (s.head_dim + s.v_dim)


def beside(table: Table, shape: TransformerShape) -> Table:
    """Return a table whose shared experts start beside the routed ones, on a stream of their own.

    Parameters
    ----------
    table : list of Operator
        A pass.
    shape : TransformerShape
        The model.

    Returns
    -------
    list of Operator
        Their kernels take no time of their own; their traffic and arithmetic do.
    """
    if not shape.expert_layers:
        return table
    return [
        row._replace(kernels=0.0) if row.count is shape.expert_layers and row.name in ("MLP up", "MLP down") else row
        for row in table
    ]
