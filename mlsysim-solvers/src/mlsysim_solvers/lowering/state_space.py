"""State-space models as operator tables: a scan or chunked matrix products over a pass, a state in decode."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.records.model import Model, StateSpace
from mlsysim.shapes import parameters

from ..formulas.elementwise import lookup_bytes, stream_bytes
from ..formulas.state_space import scan_flops, state_bytes
from .attention import Abilities
from .operators import ONCE, Formats, Operator, Table, gemm, stream
from .recurrence import causal_convolution, chunk_scan, scan
from .shape import number
from .transformer import expansion

__all__ = ["StateShape", "state_decode", "state_prefill", "state_shape"]


class StateShape(NamedTuple):
    """What lowering needs to know of a state-space model; counts.

    Parameters
    ----------
    parameters, layers, hidden, inner, state, conv, rank, heads, groups, chunk, vocab : float
        As in the record.
    mixed : float
        Channels of the convolution.
    projected : float
        Columns of the input projection.
    cache_elements : float
        What one layer keeps of one sequence: state, and the window of the convolution.
    """

    parameters: Any
    layers: Any
    hidden: Any
    inner: Any
    state: Any
    conv: Any
    rank: Any
    heads: Any
    groups: Any
    chunk: Any
    vocab: Any
    mixed: Any
    projected: Any
    cache_elements: Any


def state_shape(model: Model, shape: StateSpace) -> StateShape:
    """Flatten a state-space model.

    Parameters
    ----------
    model : Model
        The model.
    shape : StateSpace
        Its shape.

    Returns
    -------
    StateShape
    """
    s = shape
    mixed = s.inner + 2 * s.groups * s.state if s.heads else s.inner
    values = (
        parameters(model).total, s.layers, s.hidden, s.inner, s.state, s.conv, s.rank, s.heads, s.groups, s.chunk,
        s.vocab, mixed, s.inner + mixed + s.heads, s.inner * s.state + mixed * s.conv,
    )  # fmt: skip
    return StateShape._make(number(value) for value in values)


def state_prefill(shape: StateShape, formats: Formats, abilities: Abilities, batch: Any, input: Any) -> Table:  # noqa: A002
    """Return the pass that reads the prompts and yields the first token of each.

    Parameters
    ----------
    shape : StateShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do; with fused attention the scan is one kernel as well.
    batch : float or array, count
        Prompts.
    input : float or array, count
        Tokens of each.

    Returns
    -------
    list of Operator
    """
    rows = batch * input
    stored = formats.weight
    first = formats._replace(weight=formats.operand) if abilities.expands_weights else formats
    table = _projections(shape, first, rows) + _pointwise(shape, first, abilities, rows)
    fused = abilities.fused_attention
    if shape.heads:
        table.append(_chunks(shape, first, abilities, rows))
    else:
        table.append(scan(shape.layers, rows, shape.inner, shape.state, first, fused=fused))
    if abilities.expands_weights:
        table.append(expansion(table, first, stored))
    return table + _ends(shape, formats, rows, batch)


def state_decode(
    shape: StateShape, formats: Formats, abilities: Abilities, batch: Any, input: Any, output: Any  # noqa: A002, ARG001
) -> Table:  # fmt: skip
    """Return a decode step: the same at every position.

    Parameters
    ----------
    shape : StateShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Sequences, one new token each.
    input, output : float or array, count
        Tokens of prompt and answer, which change nothing.

    Returns
    -------
    list of Operator
    """
    table = _projections(shape, formats, batch) + _pointwise(shape, formats, abilities, batch)
    work = scan_flops(batch, shape.inner, shape.state, formats.flop_per_mac)
    own = stream_bytes(batch, 2.0 * shape.inner + 2.0 * shape.state, formats.activation)
    update = Operator("state update", "attention", shape.layers, batch, 1.0, 1.0, 1.0, work, 0.0, own)
    # Kept between steps, so read from memory as a cache is, whatever fits on chip.
    states = state_bytes(batch, shape.cache_elements, 2.0, formats.cache)
    table.append(update._replace(cache_bytes=states, work=work))
    return table + _ends(shape, formats, batch, batch)


def _projections(shape: StateShape, formats: Formats, rows: Any) -> Table:
    layers, inner = shape.layers, shape.inner
    table = [gemm("input projection", layers, rows, shape.projected, shape.hidden, formats)]
    if not shape.heads:
        table.append(gemm("state projection", layers, rows, shape.rank + 2.0 * shape.state, inner, formats))
        table.append(gemm("time-step projection", layers, rows, inner, shape.rank, formats))
    table.append(gemm("output projection", layers, rows, shape.hidden, inner, formats))
    return table


def _pointwise(shape: StateShape, formats: Formats, abilities: Abilities, rows: Any) -> Table:
    """Return convolution, norms, residual and gate of a layer."""
    conv = causal_convolution(shape.layers, rows, shape.conv, shape.mixed, formats)
    # Norm and residual in one kernel when fused; Mamba-2 norms and gates its output once more.
    elements = (4.0 if abilities.fused_elementwise else 5.0) * shape.hidden
    elements = elements + (3.0 * shape.inner if shape.heads else 0.0)
    kernels = (1.0 if abilities.fused_elementwise else 2.0) + (1.0 if shape.heads else 0.0)
    return [conv, stream("norms and residual", shape.layers, stream_bytes(rows, elements, formats.activation), kernels)]


def _chunks(shape: StateShape, formats: Formats, abilities: Abilities, rows: Any) -> Operator:
    """Return the chunked products of Mamba-2; between chunks only states are written and read."""
    elements = 2.0 * shape.mixed + shape.heads + 2.0 * shape.inner * shape.state / shape.chunk
    if not abilities.fused_attention:
        elements = elements + 2.0 * shape.heads * shape.chunk
    return chunk_scan(shape.layers, rows, shape.chunk, shape.inner, shape.state, shape.groups, elements, formats)


def _ends(shape: StateShape, formats: Formats, rows: Any, wanted: Any) -> Table:
    """Return embedding, final norm and output projection."""
    traffic = lookup_bytes(rows, shape.hidden, formats.weight, formats.activation)
    return [
        stream("embedding", ONCE, traffic, kind="lookup"),
        stream("final norm", ONCE, stream_bytes(wanted, 2.0 * shape.hidden, formats.activation)),
        gemm("output projection to vocabulary", ONCE, wanted, shape.vocab, shape.hidden, formats),
    ]
