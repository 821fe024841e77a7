"""Communication of one step, by kind of parallelism: what it takes, and what computation does not hide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum, minimum, only, where

from ...formulas import parallel_constants as constants
from ...formulas.mixture import reached_groups
from ...formulas.overlap import contended_time, exposed_time, free_window, slowed_time, unhidden_pieces
from ...formulas.pipeline import chunk_passes, fill_share
from ...lowering.shape import TransformerShape, over_layers
from ..network.communication import all_gather, all_reduce, all_to_all, message
from ..network.load import Load, load_of
from ..network.topology import Group, group_of
from .layers import Layer
from .schedule import Layout
from .state import Owned, expert_ranks
from .wires import Near, Wire

__all__ = ["Exchange", "Load", "layer_exchange", "load_of", "replica_exchange", "stage_message"]


Loads = tuple[Load, Load]
"""Of the forward and of the backward pass."""


class Exchange(NamedTuple):
    """Exposed communication of one layer and one micro-batch.

    Parameters
    ----------
    tensor, context, expert : float or array, s
        By kind of parallelism, without what is done again.
    tensor_again, context_again, expert_again : float or array, s
        What passes expose in addition that are done again.
    ahead, behind : float or array, s
        All of it, in the forward and in the backward pass.
    loads : tuple of Load
        How long the links of each tier are busy with it, hidden or not, in the forward and in the backward pass.
    """

    tensor: Any
    context: Any
    expert: Any
    tensor_again: Any
    context_again: Any
    expert_again: Any
    ahead: Any
    behind: Any
    loads: Loads


def _slowdown(c: Mapping[str, Any], group: Group) -> Any:
    outer = where(group.members > 1.0, c["mixed_occupancy"], c["outer_occupancy"])
    return where(group.nodes > 1.0, outer, c["inner_occupancy"])


class _Transfer(NamedTuple):
    """An exchange: who takes part, how long it takes, and the share of it that computation can hide."""

    group: Group
    time: Any
    hidden: Any

    def exposed(self, window: Any, lost: Any) -> Any:
        """Return what is not hidden, and what the computation beside it loses."""
        return exposed_time(window, self.time, self.hidden) + slowed_time(window, self.time, self.hidden, lost)


def _visible(c: Mapping[str, Any], transfer: _Transfer, compute: Any, load: Load | None = None) -> Any:
    """Return exposed communication, and what the computation beside it loses.

    It hides only while no other communication holds the links that it needs.
    """
    if not transfer.hidden:
        return transfer.time
    window = compute if load is None else free_window(compute, load.beside(transfer.group))
    return transfer.exposed(window, _slowdown(c, transfer.group))


class _Passes(NamedTuple):
    """What a layer does forward and backward, communication that shows included, and how it holds the links."""

    ahead: Any
    behind: Any
    loads: Loads

    def then(self, group: Group, shown: tuple[Any, Any], sent: tuple[Any, Any]) -> _Passes:
        """Return the passes with one more communication: what shows of it, and what it takes."""
        ahead, behind = self.loads
        loads = ahead.plus(group, sent[0]), behind.plus(group, sent[1])
        return _Passes(self.ahead + shown[0], self.behind + shown[1], loads)


def layer_exchange(c: Mapping[str, Any], wire: Near, layout: Layout, layer: Layer, rows: Any) -> Exchange:
    """Return what one layer exchanges for one micro-batch.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    wire : Wire
        Groups.
    layout : Layout
        The layout.
    layer : Layer
        Times of its computation.
    rows : float or array, count
        Tokens of a micro-batch on one tensor-parallel group.

    Returns
    -------
    Exchange

    References
    ----------
    Tsang 2022, Review: GPT-NeoX-20B, section 1.2, of Black et al. 2022, arXiv:2204.06745: a residual addition takes one
    all-reduce forward and one backward; parallel attention and MLP are added before a single one.
    """
    shape, features, width = c["shape"], c["features"], c["activation_width"]
    whole = 1.0 if c["recompute"] == "full" else 0.0
    # An MLP that is done again alone gathers and adds up once of twice.
    mlp = 1.0 if c["recompute"] == "selective" and "mlp" in c["again"] else 0.0
    volume = rows * shape.hidden * width
    fore, back = layer.forward, layer.inputs + layer.weights
    group, hidden = wire.tensor, constants.HIDDEN_TENSOR
    # Two sums over the group in each direction: after attention and after the MLP, or one where these are parallel.
    # Divided by the sequence, each is scattered, and gathered where the next product reads it.
    spread, sums = c["sequence_parallel"], shape.sums
    one = (all_gather if spread else all_reduce)(wire.network, group, volume)
    brief = one
    if spread and c["narrow"] and features.narrow_gather:
        brief = all_gather(wire.network, group, rows * shape.hidden * c["operand_width"])
    fore_wire = back_wire = sums * (one + brief) if spread else sums * one
    share = hidden if features.overlap_tensor else 0.0
    ahead = _visible(c, _Transfer(group, fore_wire, share), fore)
    behind = _visible(c, _Transfer(group, back_wire, share), back)
    if features.overlap_backward:
        # What the next product needs at once is gathered in plain view; sums run beside gradients of weights.
        behind = back_wire - sums * one + _visible(c, _Transfer(group, sums * one, hidden), layer.weights)
    if spread and c["frozen"]:
        # Adapters read what is gathered in the wide format, and their gradients of it are summed up: in plain view.
        ahead, behind = ahead + one, behind + one
        fore_wire, back_wire = fore_wire + one, back_wire + one
    elif spread:
        # Gathered inputs are dropped and gathered once more for the gradients of weights, beside other products.
        behind = behind + exposed_time(free_window(back + behind, back_wire), sums * brief, hidden)
        back_wire = back_wire + sums * brief
    loads = load_of(group, fore_wire), load_of(group, back_wire)
    again = whole + mlp / sums
    if features.planned_memory:
        # What nobody needs is not summed up again either: one of four transfers of a layer, or of two.
        again = again - maximum(whole, mlp) / (2.0 * sums)
    # What is exposed is time in which the next kind of communication can hide: each rides on those before it, as far
    # as they leave its links free.
    near, passes = _context(c, wire, layout, rows, _Passes(fore + ahead, back + behind, loads))
    far, passes = _expert(c, wire, layout, layer, rows, passes)
    return Exchange(
        ahead + behind, near[0] + near[1], far[0] + far[1] + far[2],
        again * ahead, whole * near[0], (whole + mlp) * far[0],
        ahead + near[0] + far[0], behind + near[1] + far[1], passes.loads,
    )  # fmt: skip


def _context(
    c: Mapping[str, Any], wire: Near, layout: Layout, rows: Any, passes: _Passes
) -> tuple[tuple[Any, Any], _Passes]:
    """Return what context parallelism exposes, forward and back, and the passes with it."""
    shape, width, hidden = c["shape"], c["activation_width"], constants.HIDDEN_CONTEXT
    degree, network, group = layout.context, wire.network, wire.context
    if type(degree) is float and degree == 1.0:
        none = 0.0 * passes.ahead
        return (none, none), passes

    def keys_of(one: TransformerShape) -> Any:
        heads = one.heads if one.latent else maximum(one.kv_heads / layout.tensor, 1.0)
        return heads * (one.head_dim + one.v_dim)

    block = rows * over_layers(shape, keys_of) * width
    if c["context_kind"] == "all-to-all":
        queries = over_layers(shape, lambda one: one.heads * (one.head_dim + one.v_dim)) / layout.tensor
        one = all_to_all(network, group, rows * queries * width) + all_to_all(network, group, block)
        one = only(degree > 1.0, one)
        return (one, one), passes.then(group, (one, one), (one, one))
    hops = (degree - 1.0) * message(network, group, block)
    # A third of a layer's pass stands for attention, beside which the ring runs; gradients pass on too.
    hops = only(degree > 1.0, hops)
    sent, third = (hops, 2.0 * hops), 1.0 / 3.0
    share = hidden if c["features"].overlap_context else 0.0
    shown = tuple(
        _visible(c, _Transfer(group, time, share), third * done, load.times(third))
        for time, done, load in zip(sent, passes[:2], passes.loads, strict=True)
    )
    return shown, passes.then(group, shown, sent)


def _expert(
    c: Mapping[str, Any], wire: Near, layout: Layout, layer: Layer, rows: Any, passes: _Passes
) -> tuple[tuple[Any, Any, Any], _Passes]:
    """Return what the exchange of tokens exposes, forward and back, the wait for the busiest expert, and the passes."""
    shape, able, group = c["shape"], c["features"].overlap_expert, wire.expert
    none = 0.0 * rows * layout.expert
    if not shape.experts:
        return (none, none, none), passes
    tokens = rows / layout.tensor * shape.active
    volume = tokens * shape.expert_hidden * c["activation_width"]
    share = shape.expert_layers / shape.layers * c["imbalance"]
    if c["features"].merged_exchange:
        # Of the copies that leave a domain only one goes to each other domain.
        reached = reached_groups(group.nodes, shape.experts, shape.active)
        fewer = where(group.nodes > 1.0, reached / shape.active, 1.0 + 0.0 * group.nodes)
        fewer = minimum(fewer, 1.0)
        group = group._replace(outer=group.outer / fewer)
        if group.within is not None:
            group = group._replace(crossing=group.crossing / fewer)
    one = 2.0 * all_to_all(wire.network, group, volume)
    sent = shown = share * one
    if able:
        shown = _paired(c, layout, passes, wire.expert, shown + shown) / 2.0
    spread = layout.expert > 1.0
    late = layer.expert * (c["imbalance"] - 1.0)
    sent, shown = where(spread, sent, none), where(spread, shown, none)
    return (shown, shown, where(spread, late + none, none)), passes.then(wire.expert, (shown, shown), (sent, sent))


def _paired(c: Mapping[str, Any], layout: Layout, passes: _Passes, group: Group, time: Any) -> Any:
    """Return what the exchange of tokens exposes, forward and back, where passes of two micro-batches are paired.

    One goes forward, the other back: not while a pipeline fills and drains.
    """
    hidden = c["hidden_expert"] * (1.0 - fill_share(layout.pipeline, layout.virtual, layout.rounds))
    ahead, behind = passes.loads
    window = free_window(passes.ahead + passes.behind, ahead.beside(group) + behind.beside(group))
    return _Transfer(group, time, hidden).exposed(window, constants.EXPERT_OCCUPANCY)


def stage_message(
    c: Mapping[str, Any], wire: Wire, layout: Layout, rows: Any, beside: Any, load: Load
) -> tuple[Any, Any]:
    """Return the messages of one stage for one micro-batch, forward and back.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    wire : Wire
        Groups.
    layout : Layout
        The layout.
    rows : float or array, count
        Tokens of a micro-batch.
    beside : float or array, s
        Computation of the stage.
    load : Load
        How long its other communication holds the links.

    Returns
    -------
    exposed, sent : float or array, s
        What computation does not hide of them, and what they take.
    """
    volume = rows * c["shape"].hidden * c["activation_width"] / layout.tensor
    one = message(wire.network, wire.pipeline, volume)
    both = 2.0 * layout.virtual * one
    if not c["features"].overlap_pipeline:
        return both, both
    # A message goes over one kind of link and adds nothing up.
    lost = where(wire.pipeline.nodes > 1.0, c["outer_occupancy"], c["inner_occupancy"])
    window = free_window(beside, load.beside(wire.pipeline))
    hidden = _Transfer(wire.pipeline, both, constants.HIDDEN_PIPELINE).exposed(window, lost)
    filling = fill_share(layout.pipeline, layout.virtual, layout.rounds)
    return where(layout.virtual > 1.0, hidden + filling * (both - hidden), both), both


def _buckets(elements: Any, ranks: Any) -> Any:
    return ceil(elements / maximum(constants.BUCKET_ELEMENTS + 0.0 * ranks, constants.BUCKET_PER_RANK * ranks))


def replica_exchange(
    c: Mapping[str, Any], wire: Wire, layout: Layout, layer: Layer, own: Owned, loads: Loads, sent: Load
) -> Any:
    """Return the exposed exchange of gradients and parameters of one step.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    wire : Wire
        Groups.
    layout : Layout
        The layout.
    layer : Layer
        Times of one layer.
    own : Owned
        Trained parameters of a device.
    loads : tuple of Load
        How long the other communication of its layers holds the links, forward and back.
    sent : Load
        How long messages between stages hold the links, in either direction.

    Returns
    -------
    float or array, s

    References
    ----------
    DeepSpeed, pull request 1246: in stage 1 of ZeRO nothing overlaps.
    """
    if c["zero"] == 3:
        loads = loads[0].with_(sent), loads[1].with_(sent)
        return _sharded(c, wire, layout, layer, own, loads)
    network, stage = wire.network, layout.middle
    exposed: Any = 0.0
    parts = [(own.dense, wire.replica)]
    if c["shape"].experts and not c["frozen"]:
        parts.append((own.experts, _expert_replicas(wire, layout)))
    for elements, group in parts:
        count = _buckets(elements, group.size)
        bucket = elements * c["sent_width"] / count
        if c["zero"] == 0:
            back, ahead = count * all_reduce(network, group, bucket), 0.0 * count
        else:
            back = count * all_gather(network, group, bucket)
            same = c["gathered_width"] is c["sent_width"]
            ahead = back if same else count * all_gather(network, group, elements * c["gathered_width"] / count)
        window = stage * (layer.inputs + layer.weights)
        hidden = constants.HIDDEN_DATA if c["features"].overlap_data else 0.0
        exposed = exposed + _by_chunk(c, layout, _Transfer(group, back, hidden), window, loads[1], sent)
        # What an optimizer divided is gathered beside the next forward pass only where it is the own one of the stack.
        hidden = hidden if c["features"].sharded_optimizer else 0.0
        exposed = exposed + _by_chunk(c, layout, _Transfer(group, ahead, hidden), stage * layer.forward, loads[0], sent)
        if len(parts) > 1:
            loads = loads[0].plus(group, ahead), loads[1].plus(group, back)
    return exposed


def _by_chunk(c: Mapping[str, Any], layout: Layout, transfer: _Transfer, compute: Any, load: Load, sent: Load) -> Any:
    """Return what gradients or parameters of a step expose that are exchanged chunk by chunk of a stage.

    The schedule passes p micro-batches through one chunk before it turns to the next, and each chunk has that long.
    Messages between stages, for which a pipeline waits while it fills and drains, lose to the exchange.
    """
    (group, time, hidden), virtual = transfer, layout.virtual
    if not hidden or (type(virtual) is float and virtual == 1.0):
        return _visible(c, transfer, compute, load.with_(sent))
    passes, waited = chunk_passes(layout.pipeline, virtual), where(virtual > 1.0, sent.beside(group), 0.0 * compute)
    first = free_window(compute, load.beside(group) + sent.beside(group) - waited)
    exposed = unhidden_pieces(passes * first, first, time, hidden, virtual)
    return exposed + _slowdown(c, group) * (time - exposed) + contended_time(passes * waited, time, passes * compute)


def _expert_replicas(wire: Wire, layout: Layout) -> Group:
    """Place the devices that hold the same experts: from one to the next lie those that hold the others."""
    stride = where(layout.expert > 1.0, layout.expert, layout.tensor)
    return group_of(wire.network, expert_ranks(layout, layout.data * layout.context), stride)


def _sharded(c: Mapping[str, Any], wire: Wire, layout: Layout, layer: Layer, own: Owned, loads: Loads) -> Any:
    """Gather each layer's parameters before it computes, and scatter the sums of its gradients after."""
    network, hidden = wire.network, constants.HIDDEN_DATA if c["features"].overlap_data else 0.0
    shard = where(c["shard"] > 0.0, c["shard"] + 0.0 * layout.data, layout.data * layout.context)
    group = group_of(network, shard, layout.tensor)
    layers = layout.middle
    each = own.dense / layers
    gather = layers * all_gather(network, group, each * c["gathered_width"])
    scatter = layers * all_gather(network, group, each * c["sent_width"])
    copies = layout.data * layout.context / shard
    spread = group_of(network, copies, layout.tensor * shard)
    scatter = scatter + where(
        copies > 1.0, all_reduce(network, spread, own.dense * c["sent_width"] / shard), 0.0 * copies
    )
    if c["shape"].experts:
        same, each = _expert_replicas(wire, layout), own.experts / layers
        gather = gather + layers * all_gather(network, same, each * c["gathered_width"])
        scatter = scatter + layers * all_gather(network, same, each * c["sent_width"])
    ahead = _visible(c, _Transfer(group, gather, hidden), layers * layer.forward, loads[0])
    work = layers * (layer.inputs + layer.weights + layer.again)
    regather = gather if c["reshard"] else 0.0 * gather
    full = _visible(c, _Transfer(group, regather + scatter, hidden), work, loads[1])
    # Shards of gradients are all that is kept, so each micro-batch is summed.
    return layout.rounds * (ahead + full)
