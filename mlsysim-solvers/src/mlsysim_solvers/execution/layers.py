"""Times of one layer and of both ends of a transformer on one device, for one micro-batch.

They depend on few numbers of a layout (tensor, context and expert degree, micro-batch), so arrays of
layouts are answered from a small table of distinct combinations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import is_array
from mlsysim.tracing import named

from ..lowering.attention import SCORE_ROWS, Abilities
from ..lowering.operators import MATRIX_KINDS, Formats, Table
from ..lowering.parallel import Division, adapters, dropouts, forward, head, lookup
from ..lowering.shape import TransformerShape
from ..lowering.training import backward, loss, recomputed
from .engine import Machine, Totals, run

__all__ = ["Layer", "Setup", "combinations", "is_common", "layer_times", "rates_of", "table_of"]


_SCORES = SCORE_ROWS | {"attention dropout"}
"""What selective recomputation forms again where attention is not fused."""


_BITS = 16
"""Bits of a packed number of a layout: degrees and micro-batches stay far below 65,536."""

_MASK = 65535
"""The largest number of so many bits."""


class Layer(NamedTuple):
    """Times of one micro-batch on one device; layers are averaged over dense and expert ones.

    Parameters
    ----------
    forward, inputs, weights, again : float or array, s
        Forward pass, gradients of inputs, gradients of weights and recomputation of one layer.
    embedding, head : float or array, s
        Both passes of either end.
    head_forward : float or array, s
        Forward part of the head.
    compute, overhead : float or array, s
        Parts of a layer's time that arithmetic and kernels set.
    expert : float or array, s
        Part of forward and backward that the experts' products take.
    """

    forward: Any
    inputs: Any
    weights: Any
    again: Any
    embedding: Any
    head: Any
    head_forward: Any
    compute: Any
    overhead: Any
    expert: Any


class Setup(NamedTuple):
    """What is common to all layouts of one question.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats, plain : Formats
        Number formats of layers, and of what stays in 16 bits.
    abilities : Abilities
        What the stack can do.
    machine, plain_machine : Machine
        Rates in either.
    recompute : str
        none, selective or full.
    full_width : float, B
        Bytes of a logit.
    adapter : float, count
        Rank of adapters beside a frozen model.
    frozen : bool
        Whether the model itself stays as it is.
    selective : str
        What selective recomputation does again.
    narrow : bool
        Whether products run in fewer bits than activations are kept in.
    dropout : float
        1 when dropout is used.
    drops : bool
        Whether it may be.
    mask_width : float, B
        Bytes of one entry of its mask.
    """

    shape: TransformerShape
    formats: Formats
    plain: Formats
    abilities: Abilities
    machine: Machine
    plain_machine: Machine
    recompute: str
    full_width: Any
    adapter: Any
    frozen: bool
    selective: str
    narrow: bool
    dropout: Any
    drops: bool
    mask_width: Any


def _split(table: Table) -> tuple[Table, Table]:
    """Part a backward pass into gradients of inputs and of weights."""
    weights = [row for row in table if row.name.endswith(": weight gradient")]
    return [row for row in table if not row.name.endswith(": weight gradient")], weights


def _again(table: Table, setup: Setup) -> Table:
    if setup.recompute == "full":
        return recomputed(table)
    if setup.recompute == "selective" and setup.selective == "products":
        done = recomputed(table)
        # Every other product is kept: half of them, attention excepted, is done again.
        return [row._replace(count=0.5 * row.count) if row.kind in MATRIX_KINDS else row for row in done
                if row.kind != "attention"]  # fmt: skip
    if setup.recompute == "selective" and not setup.abilities.fused_attention:
        return recomputed([row for row in table if row.name in _SCORES])
    return []


def _time(table: Table, machine: Machine) -> Totals:
    return run(table, machine) if table else Totals(*(0.0,) * 7)


def _direct(setup: Setup, division: Division, batch: Any, sequence: Any) -> Layer:
    """Run the tables as they are."""
    shape, machine = setup.shape, setup.machine
    table = forward(shape, setup.formats, setup.abilities, division, batch, sequence, narrow=setup.narrow)
    fused = setup.abilities.fused_attention
    if setup.drops:
        table = table + dropouts(
            shape, setup.formats, division, batch, sequence, setup.mask_width, setup.dropout, scores=not fused
        )
    inputs, weights = _split(backward(table, fused_attention=fused))
    if setup.frozen:
        # The model's own weights have no gradients; the adapters' have.
        beside = adapters(shape, setup.plain, division, setup.adapter, batch / division.context * sequence)
        more, weights = _split(backward(beside, fused_attention=fused))
        table, inputs = table + beside, inputs + more
    ahead, back, own, again = (_time(part, machine) for part in (table, inputs, weights, _again(table, setup)))
    n = shape.layers
    first = lookup(shape, setup.plain, division, batch, sequence)
    first = first + backward(first, fused_attention=fused)
    last = head(shape, setup.plain, division, batch, sequence)
    rows = batch / division.context * sequence
    tail = [loss(rows, shape.vocab / division.tensor, setup.full_width)] if shape.head else []
    ends = run(first, setup.plain_machine).time
    out = run(last, setup.plain_machine).time
    behind = run(backward(last, fused_attention=fused) + tail, setup.plain_machine).time
    mixed = [row for row in (*table, *inputs, *weights) if row.kind == "grouped_gemm"]
    return Layer(
        named(ahead.time / n, "layer, forward"), named(back.time / n, "layer, gradients of inputs"),
        named(own.time / n, "layer, gradients of weights"), named(again.time / n, "layer, recomputed"),
        named(ends, "embedding"),
        named(out + behind, "output projection and loss"), out,
        (ahead.compute + back.compute + own.compute + again.compute) / n,
        (ahead.overhead + back.overhead + own.overhead + again.overhead) / n,
        _time(mixed, machine).time / n if mixed else 0.0,
    )  # fmt: skip


def _slice(setup: Setup, rows: Any) -> Setup:
    """Return the setup for some rows of a sweep."""

    def _part(record: Any) -> Any:
        return type(record)(*(v[rows] if is_array(v) else v for v in record))

    return setup._replace(machine=_part(setup.machine), plain_machine=_part(setup.plain_machine))


def layer_times(setup: Setup, division: Division, batch: Any, sequence: Any, known: dict[Any, Layer]) -> Layer:
    """Return the times of one layer.

    Parameters
    ----------
    setup : Setup
        What is common.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each.
    known : dict
        Times already found for single combinations; filled.

    Returns
    -------
    Layer
    """
    keys = (division.tensor, division.context, division.expert, batch, sequence)
    if is_common(setup, division, sequence):
        if not any(map(is_array, keys)):
            return _single(setup, division, batch, sequence, known)
        return _by_rates(setup, division, batch, sequence, known)
    return _direct(setup, division, batch, sequence)


def is_common(setup: Setup, division: Division, sequence: Any) -> bool:
    """Tell whether all layouts share everything but degrees, micro-batch and rates.

    Parameters
    ----------
    setup : Setup
        What is common.
    division : Division
        Degrees.
    sequence : float or array, count
        Tokens of a sample.

    Returns
    -------
    bool
    """
    given = (
        sequence,
        division.grouped,
        setup.full_width,
        setup.adapter,
        setup.dropout,
        setup.mask_width,
        *setup.formats,
        *setup.plain,
    )
    return not any(map(is_array, given))


def rates_of(setup: Setup) -> list[Any]:
    """Return the rates that vary.

    Parameters
    ----------
    setup : Setup
        What is common.

    Returns
    -------
    list of array
    """
    return [v for m in (setup.machine, setup.plain_machine) for v in m if is_array(v)]


def _single(setup: Setup, division: Division, batch: Any, sequence: Any, known: dict[Any, Layer]) -> Layer:
    keys = (division.tensor, division.context, division.expert, batch, sequence)
    if rates_of(setup) or type(setup.machine.bandwidth) is not float or any(type(k) is not float for k in keys):
        return _direct(setup, division, batch, sequence)
    m, plain = setup.machine, setup.plain_machine
    key = (
        *keys, division.grouped, setup.adapter, setup.formats, setup.full_width, m.matrix_rate, m.attention_rate,
        m.vector_rate, m.bandwidth, m.overhead, m.processors, plain.matrix_rate,
    )  # fmt: skip
    if key not in known:
        known[key] = _direct(setup, division, batch, sequence)
    return known[key]


def combinations(division: Division, batch: Any) -> tuple[list[tuple[float, float, float, float]], Any]:
    """Return the distinct combinations of degrees and micro-batch, and which of them each layout has.

    Parameters
    ----------
    division : Division
        Degrees, at least one or the batch an array.
    batch : float or array, count
        Micro-batch.

    Returns
    -------
    list of (tensor, context, expert, batch)
    codes : array of int, shape (n,)
    """
    import numpy as np

    packed: Any = 0
    for value in (division.tensor, division.context, division.expert, batch):
        packed = packed * (_MASK + 1) + (value.astype(np.int64) if is_array(value) else int(value))
    distinct, codes = np.unique(packed, return_inverse=True)
    found = [
        tuple(float((code >> shift) & _MASK) for shift in (3 * _BITS, 2 * _BITS, _BITS, 0))
        for code in distinct.tolist()
    ]
    return found, codes  # type: ignore[return-value]


def table_of(
    setup: Setup, division: Division, distinct: list[tuple[float, float, float, float]], sequence: Any,
    known: dict[Any, Layer],
) -> Layer:  # fmt: skip
    """Return the times of some combinations as arrays.

    Parameters
    ----------
    setup : Setup
        What is common.
    division : Division
        What does not vary of the division.
    distinct : list of (tensor, context, expert, batch)
        The combinations.
    sequence : float, count
        Tokens of a sample.
    known : dict
        Times already found; filled.

    Returns
    -------
    Layer
    """
    import numpy as np

    rows = [
        _single(setup, division._replace(tensor=t, context=c, expert=e), b, sequence, known) for t, c, e, b in distinct
    ]
    return Layer._make(np.array(rows).T)


def _by_rates(setup: Setup, division: Division, batch: Any, sequence: Any, known: dict[Any, Layer]) -> Layer:
    """Run each combination once, on all layouts that have it."""
    import numpy as np

    distinct, codes = combinations(division, batch)
    if not rates_of(setup):
        return Layer._make(column.take(codes) for column in table_of(setup, division, distinct, sequence, known))
    size = max(codes.size, *(v.size for v in rates_of(setup)))
    out = [np.empty(size) for _ in Layer._fields]
    for i, (t, c, e, b) in enumerate(distinct):
        rows = np.flatnonzero(codes == i)
        own = division._replace(tensor=t, context=c, expert=e)
        for column, value in zip(out, _direct(_slice(setup, rows), own, b, sequence), strict=True):
            column[rows] = value
    return Layer._make(out)
