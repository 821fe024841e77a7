"""Layers of a transformer that keep a state in place of keys and values, as operators: delta rule and Mamba-2."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum
from mlsysim.records.model import Transformer
from mlsysim.shapes import state_layers

from ..formulas.constants import DELTA_CHUNK, FULL_WIDTH
from ..formulas.delta_rule import delta_chunk_elements, delta_chunk_flops, delta_step_flops
from ..formulas.elementwise import stream_bytes
from ..formulas.state_space import chunk_flops, kept_elements, scan_flops, state_bytes
from ..formulas.vision import conv_flops
from .operators import Formats, Operator, Table, gemm, spared, stream

__all__ = [
    "STATE_ROWS", "Recurrence", "around_states", "causal_convolution", "chunk_scan", "kept_for_gradients",
    "kept_states", "recurrence_of", "recurrent_parameters", "shared_recurrence", "state_update", "state_work",
    "states_over_sequence",
]  # fmt: skip

DELTA_KERNELS = 5.0
"""Kernels of the delta rule over a pass: running sum of the decays, inverted triangles, transformed keys and values,
states, output (fla-org/flash-linear-attention, fla/ops/gated_delta_rule/chunk.py)."""

STATE_ROWS = frozenset({"chunk scan", "delta rule in chunks"})
"""States of whole sequences, whose kernels form half of their products again for the gradients, as fused attention
does: those inside a chunk that gradients need, and the states that chunks leave (state-spaces/mamba at e9594ce,
mamba_ssm/ops/triton/ssd_combined.py, _mamba_chunk_scan_combined_bwd; fla-org/flash-linear-attention at bc3b101,
fla/ops/gated_delta_rule/chunk.py, chunk_gated_delta_rule_bwd)."""


class Recurrence(NamedTuple):
    """Layers that keep a state; counts.

    Parameters
    ----------
    layers : float or array
        So many of the model's.
    heads, width : float or array
        Heads of values, each with a state, and their width: the columns of a state.
    groups, depth : float or array
        Groups of heads that share keys (delta rule) or input matrices (Mamba-2), as queries and output matrices are
        shared; and how wide these are: the rows of a state.
    conv, chunk : float
        Taps of the convolution; tokens that a pass works on as one product.
    delta : bool
        Whether a token corrects what the state holds for its key (delta rule), or adds to it (Mamba-2).
    """

    layers: Any
    heads: Any
    width: Any
    groups: Any
    depth: Any
    conv: Any
    chunk: Any
    delta: bool

    @property
    def values(self) -> Any:
        """Width of the output of all heads, and of the gate on it."""
        return self.heads * self.width

    @property
    def mixed(self) -> Any:
        """Channels of the convolution: values, and what is shared."""
        return self.values + 2.0 * self.groups * self.depth

    @property
    def steered(self) -> Any:
        """Numbers that steer the states of a token: a decay for each head, and for the delta rule a step."""
        return (2.0 if self.delta else 1.0) * self.heads


def recurrence_of(transformer: Transformer) -> Recurrence | None:
    """Flatten the layers of a transformer that keep a state.

    Parameters
    ----------
    transformer : Transformer
        Its shape.

    Returns
    -------
    Recurrence or None
        None where every layer attends.
    """
    layers, s, d = state_layers(transformer), transformer.states, transformer.delta
    if s is not None:
        return _flat(False, layers, s.heads, s.head_dim, s.groups, s.state, s.conv, s.chunk)
    if d is not None:
        return _flat(True, layers, d.heads, d.value_dim, d.key_heads, d.key_dim, d.conv, DELTA_CHUNK)
    return None


def _flat(delta: bool, *numbers: float) -> Recurrence:
    layers, heads, width, groups, depth, conv, chunk = (float(number) for number in numbers)
    return Recurrence(layers, heads, width, groups, depth, conv, chunk, delta)


def shared_recurrence(recurrence: Recurrence, tensor: Any) -> Recurrence:
    """Return the part of these layers that one device of a tensor-parallel group computes: some of the heads.

    Parameters
    ----------
    recurrence : Recurrence
        The layers.
    tensor : float or array, count
        Devices of the group.

    Returns
    -------
    Recurrence
        Heads that are left over rounded up, and one group at least.
    """
    groups = maximum(ceil(recurrence.groups / tensor), 1.0 * (tensor / tensor))
    return recurrence._replace(heads=ceil(recurrence.heads / tensor), groups=groups)


def recurrent_parameters(recurrence: Recurrence, hidden: Any) -> Any:
    """Return the weights of the matrix products of one layer.

    Parameters
    ----------
    recurrence : Recurrence
        The layers.
    hidden : float, count
        Width of the model.

    Returns
    -------
    float or array, count
    """
    r = recurrence
    return hidden * (r.mixed + 2.0 * r.values + r.steered)


def kept_for_gradients(recurrence: Recurrence) -> Any:
    """Return what one layer keeps of a token for its backward pass.

    Parameters
    ----------
    recurrence : Recurrence
        The layers.

    Returns
    -------
    float or array, count
        Elements: what the projections wrote, the output of the states and that of the gated norm. What the convolution
        writes is formed again by Mamba-2; the delta rule keeps it, queries and keys once for each head, and the
        inverted triangle of a chunk.

    References
    ----------
    state-spaces/mamba at e9594ce, mamba_ssm/ops/triton/ssd_combined.py, MambaSplitConv1dScanCombinedFn.forward: zxbcdt
    and out_x; fla-org/flash-linear-attention at bc3b101, fla/ops/gated_delta_rule/chunk.py,
    ChunkGatedDeltaRuleFunction.forward: q, k, v and A.
    """
    r = recurrence
    written = r.mixed + r.values + r.steered + 2.0 * r.values
    return written + r.heads * (2.0 * r.depth + r.width + r.chunk) if r.delta else written


def kept_states(recurrence: Recurrence, activation: Any) -> Any:
    """Return what all these layers keep of one sequence, however long it is.

    Parameters
    ----------
    recurrence : Recurrence
        The layers.
    activation : float, B
        Bytes of an activation, in which the window of the convolution is kept; states are kept in 32 bits.

    Returns
    -------
    float or array, B
    """
    return state_bytes(1.0, recurrence.layers * _each(recurrence, activation), 1.0, FULL_WIDTH)


def _each(recurrence: Recurrence, activation: Any) -> Any:
    """Return what one layer keeps of one sequence, in elements of 32 bits."""
    r = recurrence
    return kept_elements(r.values, r.depth, r.mixed, r.conv, activation / FULL_WIDTH)


def around_states(recurrence: Recurrence, hidden: Any, formats: Formats, rows: Any) -> Table:
    """Return what stands around the states: projections, convolution, gates, and the gated norm of the output.

    Parameters
    ----------
    recurrence : Recurrence
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
    Servers of the delta rule project decays and steps apart, cut what the other projection returns into its parts in
    one kernel, and form decays and steps in another.

    References
    ----------
    huggingface/transformers, src/transformers/models/qwen3_next/modular_qwen3_next.py, Qwen3NextGatedDeltaNet; vLLM,
    vllm/model_executor/models/qwen3_next.py, fused_qkvzba_split_reshape_cat and fused_gdn_gating.
    """
    r = recurrence
    outer, kind = spared(formats, formats.outer)
    first = r.mixed + r.values + (0.0 if r.delta else r.steered)
    table = [gemm("state projection", r.layers, rows, first, hidden, outer, kind=kind)]
    if r.delta:
        table.append(gemm("decay and step projection", r.layers, rows, r.steered, hidden, outer, kind=kind))
        parts = stream_bytes(rows, 2.0 * (r.mixed + r.values), formats.activation)
        table.append(stream("parts and gates", r.layers, parts, 2.0))
    return [
        *table,
        causal_convolution(r.layers, rows, r.conv, r.mixed, formats),
        stream("gated norm", r.layers, stream_bytes(rows, 3.0 * r.values, formats.activation)),
        gemm("state output projection", r.layers, rows, hidden, r.values, outer, kind=kind),
    ]


def states_over_sequence(recurrence: Recurrence, formats: Formats, rows: Any) -> Operator:
    """Return the states of whole sequences, in chunks of matrix products.

    Parameters
    ----------
    recurrence : Recurrence
        The layers.
    formats : Formats
        Number formats.
    rows : float or array, count
        Tokens.

    Returns
    -------
    Operator
    """
    r = recurrence
    if not r.delta:
        elements = 2.0 * r.mixed + r.heads + 2.0 * r.values * r.depth / r.chunk
        return chunk_scan(r.layers, rows, r.chunk, r.values, r.depth, r.groups, elements, formats)
    work = state_work(r, rows, formats.flop_per_mac)
    moved = delta_chunk_elements(rows, r.heads, r.depth, r.width, r.chunk) * formats.activation
    found = Operator("delta rule in chunks", "attention", r.layers, rows, 1.0, 1.0, 1.0, work, 0.0, moved)
    return found._replace(kernels=DELTA_KERNELS, work=work)


def state_work(recurrence: Recurrence, rows: Any, flop_per_mac: Any) -> Any:
    """Return the work of the states of one layer over whole sequences.

    Parameters
    ----------
    recurrence : Recurrence
        The layers.
    rows : float or array, count
        Tokens.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP
    """
    r = recurrence
    if r.delta:
        return delta_chunk_flops(rows, r.heads, r.depth, r.width, r.chunk, flop_per_mac)
    return chunk_flops(rows, r.chunk, r.values, r.depth, r.groups, flop_per_mac)


def state_update(recurrence: Recurrence, formats: Formats, batch: Any) -> Operator:
    """Return how states take up one token each, the same at every position.

    Parameters
    ----------
    recurrence : Recurrence
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
    r = recurrence
    if r.delta:
        work = delta_step_flops(batch, r.heads, r.depth, r.width, formats.flop_per_mac)
    else:
        work = scan_flops(batch, r.values, r.depth, formats.flop_per_mac)
    own = stream_bytes(batch, r.mixed + r.values, formats.activation)
    found = Operator("state update", "attention", r.layers, batch, 1.0, 1.0, 1.0, work, 0.0, own)
    return found._replace(cache_bytes=state_bytes(batch, _each(r, formats.activation), 2.0, FULL_WIDTH), work=work)


def causal_convolution(layers: Any, rows: Any, taps: Any, channels: Any, formats: Formats) -> Operator:
    """Return the convolution of each channel over the tokens before.

    Parameters
    ----------
    layers : float or array, count
        Layers that have it.
    rows : float or array, count
        Tokens.
    taps, channels : float or array, count
        Tokens that it sees, and channels.
    formats : Formats
        Number formats.

    Returns
    -------
    Operator
    """
    work = conv_flops(rows, taps * channels, formats.flop_per_mac)
    moved = stream_bytes(rows, 2.0 * channels, formats.activation)
    weights = taps * channels * formats.weight
    found = Operator("causal convolution", "depthwise", layers, rows, 1.0, 1.0, 1.0, work, weights, moved)
    return found._replace(work=work)


def chunk_scan(
    layers: Any, rows: Any, chunk: Any, inner: Any, state: Any, groups: Any, elements: Any, formats: Formats
) -> Operator:
    """Return the chunked products of Mamba-2.

    Parameters
    ----------
    layers : float or array, count
        Layers that have them.
    rows : float or array, count
        Tokens.
    chunk, inner, state, groups : float or array, count
        Tokens of a chunk; channels, states of each, groups that share input and output matrices.
    elements : float or array, count
        Elements that a token moves.
    formats : Formats
        Number formats.

    Returns
    -------
    Operator
    """
    work = chunk_flops(rows, chunk, inner, state, groups, formats.flop_per_mac)
    moved = stream_bytes(rows, elements, formats.activation)
    found = Operator("chunk scan", "attention", layers, rows, 1.0, 1.0, 1.0, work, 0.0, moved)
    return found._replace(work=work)
