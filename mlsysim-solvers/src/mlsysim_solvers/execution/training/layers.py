"""Times of one layer and of both ends of a transformer on one device, for one micro-batch.

They depend on few numbers of a layout (tensor, context and expert degree, micro-batch); many layouts are
answered by :mod:`mlsysim_solvers.execution.training.many`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import is_array
from mlsysim.tracing import Traced, named

from ...formulas.elementwise import stream_bytes
from ...lowering.attention import SCORE_ROWS, Abilities
from ...lowering.operators import MATRIX_KINDS, Formats, Table, stream
from ...lowering.parallel import (
    Division,
    adapters,
    dropouts,
    eager_norms,
    expert_biases,
    forward,
    head,
    lookup,
    part_of,
    unpacking,
)
from ...lowering.shape import TransformerShape
from ...lowering.training import backward, gradients, loss, recomputed
from ...lowering.transformer import repeated
from ...lowering.work import ForwardWork
from ..device.engine import Totals, timed
from ..device.machine import Machine, is_plain
from ..device.settling import Settlement, settle

__all__ = ["Layer", "Lowered", "Setup", "layer_times", "lowered", "timed_layer", "work_again"]


_SCORES = SCORE_ROWS | {"attention dropout"}
"""What selective recomputation forms again where attention is not fused."""


_REDONE = {
    "attention": ("attention", "softmax", "attention dropout"),
    "latent": ("query projection", "key-value expansion"),
    "norm": ("norms",),
    "activation": ("activation", "experts activation"),
    "mlp": ("MLP up", "MLP down", "activation", "shared", "router", "routing", "experts"),
}
"""How the names of the operators begin that belong to a part of a layer which is recomputed alone."""


class Layer(NamedTuple):
    """Times of one micro-batch on one device; layers are averaged over dense and expert ones.

    Parameters
    ----------
    forward, inputs, weights, again : float or array, s
        Forward pass, gradients of inputs, gradients of weights and recomputation of one layer.
    embedding, head : float or array, s
        Both passes of either end.
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
    again : frozenset of str
        Parts of a layer that selective recomputation does again; empty follows ``selective``.
    wide_loss : bool
        Whether the loss passes over a copy of the logits in 32 bits.
    pruned : bool
        Whether a compiler drops from what is done again what no gradient needs.
    eager : bool
        Whether norms and rotary embedding run operator by operator.
    scaling : str
        How operands of 8 bits get their scales.
    adapts_mlp : bool
        Whether adapters lie beside MLPs, too.
    unpacked : float, B
        What is read and written of a frozen layer whose weights are stored in fewer bits than products read; else 0.
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
    again: frozenset[str] = frozenset()
    wide_loss: bool = False
    pruned: bool = False
    eager: bool = False
    scaling: str = "delayed"
    adapts_mlp: bool = False
    unpacked: Any = 0.0


_LAST = ("MLP down", "experts down")
"""Products whose results leave the layer: no gradient inside needs them."""


def _again(table: Table, setup: Setup) -> Table:
    if setup.pruned:
        table = [row for row in table if row.name not in _LAST]
    if setup.recompute == "full":
        return recomputed(table)
    if setup.recompute == "selective" and setup.again:
        names = tuple(name for part in sorted(setup.again) for name in _REDONE[part])
        done = [row for row in table if row.name.startswith(names)]
        if "activation" in setup.again and setup.abilities.fused_elementwise and "mlp" not in setup.again:
            done += _activations(table, setup)
        return recomputed(done)
    if setup.recompute == "selective" and setup.selective == "products":
        done = recomputed(table)
        # Every other product is kept: half of them, attention excepted, is done again.
        halves = repeated([row for row in done if row.kind in MATRIX_KINDS], 0.5)
        return halves + [row for row in done if row.kind not in MATRIX_KINDS and row.kind != "attention"]
    if setup.recompute == "selective" and not setup.abilities.fused_attention:
        return recomputed([row for row in table if row.name in _SCORES])
    return []


def work_again(setup: Setup, sequence: Any, work: ForwardWork) -> Any:
    """Return the work of one sample that recomputation adds to a step: that of the products which ``_again`` lists.

    Parameters
    ----------
    setup : Setup
        What is recomputed.
    sequence : float or array, count
        Tokens of the sample.
    work : ForwardWork
        Of its forward pass.

    Returns
    -------
    float or array, FLOP
    """
    if setup.recompute == "none":
        return 0.0
    s, dropped = setup.shape, 0.0
    if setup.pruned:
        last = s.hidden * s.shared_ffn + s.active * s.expert_hidden * s.expert_ffn
        dropped = s.hidden * s.dense_layers * s.ffn + s.expert_layers * last
    if setup.recompute == "full":
        products, attention = work.matrices - dropped + work.states / sequence, 1.0
    elif setup.again:
        products = work.mlp - dropped if "mlp" in setup.again else 0.0
        if "latent" in setup.again:
            unfolded = (s.q_rank or s.hidden) * s.heads * s.head_dim + s.kv_rank * s.heads * (s.nope_dim + s.v_dim)
            products = products + s.layers * unfolded
        attention = 1.0 if "attention" in setup.again else 0.0
    else:
        products = 0.5 * (work.matrices - dropped) if setup.selective == "products" else 0.0
        # Scores are one of the two products of attention.
        scores = s.head_dim / (s.head_dim + s.v_dim)
        attention = 0.0 if setup.abilities.fused_attention else scores
    return setup.formats.flop_per_mac * (sequence * products + attention * work.attention)


def _activations(table: Table, setup: Setup) -> Table:
    """Return activation functions as operators of their own, which the forward pass fuses with the first product."""
    each = (setup.shape.matrices + 1.0) / setup.shape.matrices
    return [
        stream("activation", row.count, stream_bytes(row.m * row.batch, each * row.n, setup.formats.activation))
        for row in table
        if row.name in ("MLP up", "experts up")
    ]


class Lowered(NamedTuple):
    """What one micro-batch runs on one device, by part; nothing in it depends on rates.

    Parameters
    ----------
    forward, inputs, weights, again : Settlement
        Of all layers: forward pass, gradients of inputs, gradients of weights, and what is done again.
    embedding, head : Settlement
        Both passes of the embedding, and of the output projection with the loss.
    experts : Settlement
        What experts compute in the first three parts.
    """

    forward: Settlement
    inputs: Settlement
    weights: Settlement
    again: Settlement
    embedding: Settlement
    head: Settlement
    experts: Settlement


def lowered(setup: Setup, division: Division, batch: Any, sequence: Any) -> Lowered:
    """Lower one device's share of a micro-batch.

    Parameters
    ----------
    setup : Setup
        What is common.
    division : Division
        Degrees.
    batch, sequence : float or array, count
        Sequences of a micro-batch, and tokens of each.

    Returns
    -------
    Lowered
    """
    shape, machine, fused = setup.shape, setup.machine, setup.abilities.fused_attention
    part = part_of(shape, setup.formats, division, batch, sequence)
    plain = part._replace(formats=setup.plain)
    table = forward(part, setup.abilities, narrow=setup.narrow, frozen=setup.frozen, scaling=setup.scaling)
    if setup.eager:
        table = table + eager_norms(part, setup.full_width)
    if shape.expert_bias and not setup.pruned:
        table = table + expert_biases(part, setup.full_width)
    if setup.drops:
        table = table + dropouts(part, setup.mask_width, setup.dropout, scores=not fused)
    inputs, weights = gradients(table, fused_attention=fused)
    if setup.frozen:
        # The model's own weights have no gradients; the adapters' have.
        beside = adapters(plain, setup.adapter, mlp=setup.adapts_mlp)
        more, weights = gradients(beside, fused_attention=fused)
        opened = unpacking(part, setup.unpacked) if is_array(setup.unpacked) or setup.unpacked else []
        table, inputs = table + beside + opened, inputs + more + opened
    first, last = lookup(plain), head(plain)
    narrow = setup.plain.activation if setup.wide_loss else None
    tail = [loss(part.rows, shape.vocab / division.tensor, setup.full_width, narrow)] if shape.head else []
    parts = (
        table, inputs, weights, _again(table, setup), first + backward(first, fused_attention=fused),
        last + backward(last, fused_attention=fused) + tail,
    )  # fmt: skip
    done = [settle(part, machine) for part in parts]
    done.append(_of_experts(table, done) if shape.experts else Settlement())
    return Lowered(*done)


def _of_experts(table: Table, done: list[Settlement]) -> Settlement:
    """Return what was settled of the experts' products: they stand under a count of their own."""
    count = next(row.count for row in table if row.kind == "grouped_gemm")
    return Settlement([group for part in done[:3] for group in part if group.count is count])


def timed_layer(parts: Lowered, setup: Setup) -> Layer:
    """Run what was lowered under the rooflines.

    Parameters
    ----------
    parts : Lowered
        One device's share.
    setup : Setup
        Rates.

    Returns
    -------
    Layer
    """
    n, machine = setup.shape.layers, setup.machine
    plain = is_plain(machine)
    ahead, back, own, again = [_time(part, machine, plain) for part in parts[:4]]
    experts = _time(parts.experts, machine, plain).time
    ends, out = _time(parts.embedding, setup.plain_machine).time, _time(parts.head, setup.plain_machine).time
    return Layer(
        named(ahead.time / n, "layer, forward"), named(back.time / n, "layer, gradients of inputs"),
        named(own.time / n, "layer, gradients of weights"), named(again.time / n, "layer, recomputed"),
        named(ends, "embedding"),
        named(out, "output projection and loss"),
        (ahead.compute + back.compute + own.compute + again.compute) / n,
        (ahead.overhead + back.overhead + own.overhead + again.overhead) / n,
        experts / n,
    )  # fmt: skip


def _time(rows: Settlement, machine: Machine, plain: bool | None = None) -> Totals:
    return timed(rows, machine, plain) if rows else _NOTHING


_NOTHING = Totals(*(0.0,) * 7)


def layer_times(setup: Setup, division: Division, batch: Any, sequence: Any, known: dict[Any, Any]) -> Layer:
    """Return the times of one layer.

    Parameters
    ----------
    setup : Setup
        What is common.
    division : Division
        Degrees.
    batch, sequence : float, array or Factored, count
        Sequences of a micro-batch, and tokens of each.
    known : dict
        What was found for single layouts; filled.

    Returns
    -------
    Layer
    """
    key = (setup, division, batch, sequence)
    if isinstance(setup.machine.bandwidth, Traced) or isinstance(batch, Traced) or isinstance(sequence, Traced):
        # Traced numbers keep their own history.
        return timed_layer(lowered(setup, division, batch, sequence), setup)
    try:
        # One look-up: numbers of a layout take longer to hash than to find.
        place: list[Layer] = known.setdefault(key, [])
    except TypeError:
        # Arrays cannot be looked up.
        from .many import times_of_many

        return times_of_many(setup, division, batch, sequence, known)
    if not place:
        place.append(timed_layer(lowered(setup, division, batch, sequence), setup))
    return place[0]
