"""Layers of a transformer that keep a state in place of keys and values, as operators: the gated delta rule."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum
from mlsysim.records.model import Transformer

from ..formulas.constants import FULL_WIDTH
from ..formulas.delta_rule import (
    DELTA_CHUNK,
    delta_chunk_elements,
    delta_chunk_flops,
    delta_state_elements,
    delta_step_flops,
)
from ..formulas.elementwise import stream_bytes
from ..formulas.state_space import state_bytes
from ..formulas.vision import conv_flops
from .operators import Formats, Operator, Table, gemm, spared, stream

__all__ = [
    "DeltaShape", "delta_over_sequence", "delta_parameters", "delta_projections", "delta_shape", "kept_state",
    "shared_delta", "state_update",
]  # fmt: skip

CHUNK_KERNELS = 5.0
"""Kernels of a pass: running sum of the decays, inverted triangles, transformed keys and values, states, output
(fla-org/flash-linear-attention, fla/ops/gated_delta_rule/chunk.py)."""


class DeltaShape(NamedTuple):
    """Layers that keep a state; counts.

    Parameters
    ----------
    layers : float or array
        So many of the model's.
    heads, key_heads, key_dim, value_dim, conv : float or array
        As in the record.
    """

    layers: Any
    heads: Any
    key_heads: Any
    key_dim: Any
    value_dim: Any
    conv: Any

    @property
    def mixed(self) -> Any:
        """Channels of the convolution: queries, keys and values."""
        return 2.0 * self.key_heads * self.key_dim + self.heads * self.value_dim

    @property
    def values(self) -> Any:
        """Width of the output of all heads, and of the gate on it."""
        return self.heads * self.value_dim


def delta_shape(transformer: Transformer, layers: Any) -> DeltaShape | None:
    """Flatten the layers of a transformer that keep a state.

    Parameters
    ----------
    transformer : Transformer
        Its shape.
    layers : float, count
        Layers that keep a state.

    Returns
    -------
    DeltaShape or None
        None where every layer attends.
    """
    r = transformer.delta
    if r is None:
        return None
    return DeltaShape(layers, *(float(n) for n in (r.heads, r.key_heads, r.key_dim, r.value_dim, r.conv)))


def shared_delta(delta: DeltaShape, tensor: Any) -> DeltaShape:
    """Return the part of these layers that one device of a tensor-parallel group computes: some of the heads.

    Parameters
    ----------
    delta : DeltaShape
        The layers.
    tensor : float or array, count
        Devices of the group.

    Returns
    -------
    DeltaShape
        Heads that are left over rounded up, and one key head at least.
    """
    keys = maximum(ceil(delta.key_heads / tensor), 1.0 * (tensor / tensor))
    return delta._replace(heads=ceil(delta.heads / tensor), key_heads=keys)


def delta_parameters(delta: DeltaShape, hidden: Any) -> Any:
    """Return the weights of the matrix products of one layer.

    Parameters
    ----------
    delta : DeltaShape
        The layers.
    hidden : float, count
        Width of the model.

    Returns
    -------
    float or array, count
    """
    return hidden * (delta.mixed + 2.0 * delta.values + 2.0 * delta.heads)


def kept_state(delta: DeltaShape, activation: Any) -> Any:
    """Return what all these layers keep of one sequence.

    Parameters
    ----------
    delta : DeltaShape
        The layers.
    activation : float, B
        Bytes of an activation, in which the window of the convolution is kept.

    Returns
    -------
    float or array, B
    """
    return state_bytes(1.0, delta.layers * _each(delta, activation), 1.0, FULL_WIDTH)


def delta_projections(delta: DeltaShape, hidden: Any, formats: Formats, rows: Any) -> Table:
    """Return what stands around the states: projections, convolution, gates, and the gated norm of the output.

    Parameters
    ----------
    delta : DeltaShape
        The layers.
    hidden : float, count
        Width of the model.
    formats : Formats
        Number formats.
    rows : float or array, count
        Tokens.

    Returns
    -------
    list of Operator

    Notes
    -----
    Servers cut what the projection returns into its parts in one kernel and form decays and steps in another.

    References
    ----------
    huggingface/transformers, src/transformers/models/qwen3_next/modular_qwen3_next.py, Qwen3NextGatedDeltaNet;
    vLLM, vllm/model_executor/models/qwen3_next.py, fused_qkvzba_split_reshape_cat and fused_gdn_gating.
    """
    d = delta
    outer, kind = spared(formats, formats.outer)
    work = conv_flops(rows, d.conv * d.mixed, formats.flop_per_mac)
    conv = Operator(
        "causal convolution", "depthwise", d.layers, rows, 1.0, 1.0, 1.0, work, d.conv * d.mixed * formats.weight,
        stream_bytes(rows, 2.0 * d.mixed, formats.activation), work=work,
    )  # fmt: skip
    return [
        gemm("state projection", d.layers, rows, d.mixed + d.values, hidden, outer, kind=kind),
        gemm("decay and step projection", d.layers, rows, 2.0 * d.heads, hidden, outer, kind=kind),
        stream("parts and gates", d.layers, stream_bytes(rows, 2.0 * (d.mixed + d.values), formats.activation), 2.0),
        conv,
        stream("gated norm", d.layers, stream_bytes(rows, 3.0 * d.values, formats.activation)),
        gemm("state output projection", d.layers, rows, hidden, d.values, outer, kind=kind),
    ]


def delta_over_sequence(delta: DeltaShape, formats: Formats, rows: Any) -> Operator:
    """Return the states of whole sequences, in chunks of matrix products.

    Parameters
    ----------
    delta : DeltaShape
        The layers.
    formats : Formats
        Number formats.
    rows : float or array, count
        Tokens.

    Returns
    -------
    Operator
    """
    d = delta
    work = delta_chunk_flops(rows, d.heads, d.key_dim, d.value_dim, DELTA_CHUNK, formats.flop_per_mac)
    elements = delta_chunk_elements(rows, d.heads, d.key_dim, d.value_dim, DELTA_CHUNK)
    found = Operator("delta rule in chunks", "attention", d.layers, rows, 1.0, 1.0, 1.0, work, 0.0,
                     elements * formats.activation)  # fmt: skip
    return found._replace(kernels=CHUNK_KERNELS, work=work)


def state_update(delta: DeltaShape, formats: Formats, batch: Any) -> Operator:
    """Return how states take up one token each, the same at every position.

    Parameters
    ----------
    delta : DeltaShape
        The layers.
    formats : Formats
        Number formats.
    batch : float or array, count
        Sequences.

    Returns
    -------
    Operator
        States are read from memory and written to it whole, as a cache is read.
    """
    d = delta
    work = delta_step_flops(batch, d.heads, d.key_dim, d.value_dim, formats.flop_per_mac)
    own = stream_bytes(batch, d.mixed + d.values, formats.activation)
    found = Operator("state update", "attention", d.layers, batch, 1.0, 1.0, 1.0, work, 0.0, own)
    return found._replace(cache_bytes=state_bytes(batch, _each(d, formats.activation), 2.0, FULL_WIDTH), work=work)


def _each(delta: DeltaShape, activation: Any) -> Any:
    """Return what one layer keeps of one sequence, in elements of 32 bits."""
    d, width = delta, activation / FULL_WIDTH
    return delta_state_elements(d.heads, d.key_heads, d.key_dim, d.value_dim, d.conv, width)
