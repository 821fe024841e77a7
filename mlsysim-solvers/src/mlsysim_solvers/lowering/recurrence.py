"""Layers of a transformer that keep a state in place of keys and values, as operators."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum
from mlsysim.records.model import Transformer
from mlsysim.shapes.state_layers import Mixer, mixer_of, state_products

from ..formulas.constants import DELTA_CHUNK, FULL_WIDTH
from ..formulas.delta_rule import delta_chunk_elements, delta_chunk_flops, delta_step_flops
from ..formulas.elementwise import stream_bytes
from ..formulas.state_space import chunk_flops, kept_elements, scan_flops, state_bytes
from ..formulas.vision import conv_flops
from .operators import Formats, Operator, Table, gemm, spared, stream

__all__ = [
    "STATE_ROWS", "Recurrence", "around_states", "causal_convolution", "chunk_scan", "kept_for_gradients",
    "kept_states", "recurrence_of", "scan", "shared_recurrence", "state_update", "state_work",
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
    mixer : Mixer
        One of them.
    chunk : float
        Tokens that a pass works on as one product.
    """

    layers: Any
    mixer: Mixer
    chunk: Any

    @property
    def delta(self) -> bool:
        """Whether a token corrects what the state holds for its key, or adds to it."""
        return self.mixer.kind in ("gated-delta", "kimi-delta")

    @property
    def written(self) -> Any:
        """Width of what the projections of a layer write ahead of its states."""
        return sum(one.columns for one in state_products(self.mixer)[:-1])

    @property
    def widest(self) -> Any:
        """Width of the widest of these projections."""
        return state_products(self.mixer)[0].columns


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
    s, mixer = transformer.states, mixer_of(transformer)
    if s is None or mixer is None:
        return None
    flat = Mixer._make(float(one) if type(one) is int else one for one in mixer)
    return Recurrence(float(s.layers), flat, float(s.chunk or DELTA_CHUNK))


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
        Heads that are left over rounded up, and one group at least. What decays and gates are compressed to is formed
        on every device.
    """
    m = recurrence.mixer
    groups = maximum(ceil(m.groups / tensor), 1.0 * (tensor / tensor))
    return recurrence._replace(mixer=m._replace(heads=ceil(m.heads / tensor), groups=groups))


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
    m = recurrence.mixer
    written = recurrence.written + 2.0 * m.values
    return written + m.heads * (2.0 * m.depth + m.width + recurrence.chunk) if recurrence.delta else written


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
    m = recurrence.mixer
    return kept_elements(m.values, m.depth, m.mixed, m.conv, activation / FULL_WIDTH)


def around_states(recurrence: Recurrence, formats: Formats, rows: Any) -> Table:
    """Return what stands around the states: projections, convolution, gates, and the gated norm of the output.

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
    list of Operator

    Notes
    -----
    Servers of the gated delta rule project decays and steps apart, cut what the other projection returns into its parts
    in one kernel, and form decays and steps in another. Mamba norms its time step and both matrices. A short
    convolution stands between two gates and norms nothing.

    References
    ----------
    huggingface/transformers, src/transformers/models/qwen3_next/modular_qwen3_next.py, Qwen3NextGatedDeltaNet, and
    models/lfm2/modular_lfm2.py at 02f4177, Lfm2ShortConv; vLLM, vllm/model_executor/models/qwen3_next.py,
    fused_qkvzba_split_reshape_cat and fused_gdn_gating.
    """
    layers, m, width = recurrence.layers, recurrence.mixer, formats.activation
    outer, kind = spared(formats, formats.outer)
    *entry, last = state_products(m)
    table = [gemm(one.name, layers, rows, one.columns, one.inner, outer, kind=kind) for one in entry]
    if m.kind == "gated-delta":
        table.append(stream("parts and gates", layers, stream_bytes(rows, 2.0 * (m.mixed + m.values), width), 2.0))
    elif m.kind == "mamba":
        table.append(
            stream("norms of the time step", layers, stream_bytes(rows, 2.0 * (m.rank + m.shared), width), 3.0)
        )
    if m.conv:
        apart = 3.0 if m.kind == "kimi-delta" else 1.0
        table.append(causal_convolution(layers, rows, m.conv, m.mixed, formats)._replace(kernels=apart))
    if m.kind == "short-convolution":
        table.append(stream("gates of the convolution", layers, stream_bytes(rows, 6.0 * m.values, width), 2.0))
    elif m.kind != "mamba":
        table.append(stream("gated norm", layers, stream_bytes(rows, 3.0 * m.values, width)))
    return [*table, gemm(last.name, layers, rows, last.columns, last.inner, outer, kind=kind)]


def states_over_sequence(recurrence: Recurrence, formats: Formats, rows: Any) -> Table:
    """Return the states of whole sequences, in chunks of matrix products where their kind allows.

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
    list of Operator
        Empty where a layer keeps no state but the window of its convolution.
    """
    layers, m, chunk = recurrence.layers, recurrence.mixer, recurrence.chunk
    if not m.depth:
        return []
    if m.kind == "mamba":
        return [scan(layers, rows, m.values, m.depth, formats)]
    if not recurrence.delta:
        elements = 2.0 * (m.values + m.shared) + m.heads + 2.0 * m.values * m.depth / chunk
        return [chunk_scan(layers, rows, chunk, m.values, m.depth, m.groups, elements, formats)]
    work = state_work(recurrence, rows, formats.flop_per_mac)
    apart = m.depth if m.kind == "kimi-delta" else 0.0
    moved = delta_chunk_elements(rows, m.heads, m.depth, m.width, chunk, apart) * formats.activation
    found = Operator("delta rule in chunks", "attention", layers, rows, 1.0, 1.0, 1.0, work, 0.0, moved)
    return [found._replace(kernels=DELTA_KERNELS, work=work)]


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
    m, chunk = recurrence.mixer, recurrence.chunk
    if recurrence.delta:
        return delta_chunk_flops(rows, m.heads, m.depth, m.width, chunk, flop_per_mac)
    if m.kind in ("mamba", "short-convolution"):
        return scan_flops(rows, m.values, m.depth, flop_per_mac)
    return chunk_flops(rows, chunk, m.values, m.depth, m.groups, flop_per_mac)


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
    m = recurrence.mixer
    if recurrence.delta:
        work = delta_step_flops(batch, m.heads, m.depth, m.width, formats.flop_per_mac)
    else:
        work = scan_flops(batch, m.values, m.depth, formats.flop_per_mac)
    own = stream_bytes(batch, m.mixed + m.values, formats.activation)
    found = Operator("state update", "attention", recurrence.layers, batch, 1.0, 1.0, 1.0, work, 0.0, own)
    states = state_bytes(batch, _each(recurrence, formats.activation), 2.0, FULL_WIDTH)
    return found._replace(cache_bytes=states, work=work)


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


def scan(layers: Any, rows: Any, inner: Any, state: Any, formats: Formats, *, fused: bool = True) -> Operator:
    """Return the scan of Mamba: time step, input and gate in, output out.

    Parameters
    ----------
    layers : float or array, count
        Layers that have it.
    rows : float or array, count
        Tokens.
    inner, state : float or array, count
        Channels, and states of each.
    formats : Formats
        Number formats.
    fused : bool
        Whether the state stays on chip; else decay and input are written and read for each state, and so is the state.

    Returns
    -------
    Operator
    """
    work = scan_flops(rows, inner, state, formats.flop_per_mac)
    moved = stream_bytes(rows, 4.0 * inner + 2.0 * state, formats.activation)
    if not fused:
        moved = moved + stream_bytes(rows, 6.0 * inner * state, formats.activation)
    return Operator("scan", "depthwise", layers, rows, 1.0, 1.0, 1.0, work, 0.0, moved, work=work)


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
