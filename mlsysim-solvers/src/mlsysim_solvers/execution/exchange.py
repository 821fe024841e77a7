"""Communication of one step, by kind of parallelism: what it takes, and what computation does not hide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum, minimum, where

from ..formulas import parallel_constants as constants
from ..formulas.mixture import distinct_experts
from ..formulas.overlap import exposed_time, slowed_time
from .communication import all_gather, all_reduce, all_to_all, message
from .layers import Layer
from .schedule import Layout
from .topology import Group, Network, group_of, strides

__all__ = ["Exchange", "Near", "Wire", "layer_exchange", "near_of", "replica_exchange", "stage_message", "wire_of"]


class Near(NamedTuple):
    """Groups that exchange within a layer.

    Parameters
    ----------
    network : Network
        The network.
    tensor, context, expert : Group
        By kind of parallelism.
    """

    network: Network
    tensor: Group
    context: Group
    expert: Group


class Wire(NamedTuple):
    """Groups that exchange between layers.

    Parameters
    ----------
    network : Network
        The network.
    replica, pipeline : Group
        All devices that hold the same part of the model, and the stages.
    """

    network: Network
    replica: Group
    pipeline: Group


class Exchange(NamedTuple):
    """Exposed communication of one layer and one micro-batch.

    Parameters
    ----------
    tensor, context, expert : float or array, s
        By kind of parallelism.
    ahead, behind : float or array, s
        All of it, in the forward and in the backward pass.
    """

    tensor: Any
    context: Any
    expert: Any
    ahead: Any
    behind: Any


def _strides(layout: Layout, placement: tuple[str, ...]) -> dict[str, Any]:
    return strides(
        placement,
        {"tensor": layout.tensor, "context": layout.context, "data": layout.data, "pipeline": layout.pipeline},
    )


def near_of(network: Network, layout: Layout, placement: tuple[str, ...]) -> Near:
    """Place the groups that exchange within a layer.

    Parameters
    ----------
    network : Network
        The network.
    layout : Layout
        The layout.
    placement : tuple of str
        Dimensions from the nearest devices to the farthest.

    Returns
    -------
    Near
        Experts spread over the devices next to each other, tensor-parallel ranks included.
    """
    stride = _strides(layout, placement)
    return Near(
        network, group_of(network, layout.tensor, stride["tensor"]),
        group_of(network, layout.context, stride["context"]), group_of(network, layout.expert, 1.0),
    )  # fmt: skip


def wire_of(network: Network, layout: Layout, placement: tuple[str, ...]) -> Wire:
    """Place the groups that exchange between layers.

    Parameters
    ----------
    network : Network
        The network.
    layout : Layout
        The layout.
    placement : tuple of str
        Dimensions from the nearest devices to the farthest.

    Returns
    -------
    Wire
    """
    stride = _strides(layout, placement)
    near = placement[min(placement.index("context"), placement.index("data"))]
    return Wire(
        network, group_of(network, layout.data * layout.context, stride[near]),
        group_of(network, layout.pipeline, stride["pipeline"]),
    )  # fmt: skip


def _slowdown(c: Mapping[str, Any], group: Group) -> Any:
    return where(group.nodes > 1.0, c["outer_occupancy"], c["inner_occupancy"])


def _visible(c: Mapping[str, Any], able: bool, hidden: float, compute: Any, time: Any, group: Group) -> Any:
    """Return exposed communication, and what the computation beside it loses."""
    if not able:
        return time
    return exposed_time(compute, time, hidden) + slowed_time(compute, time, hidden, _slowdown(c, group))


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
    """
    shape, features, width = c["shape"], c["features"], c["activation_width"]
    again = 1.0 if c["recompute"] == "full" else 0.0
    volume = rows * shape.hidden * width
    fore, back = layer.forward, layer.inputs + layer.weights
    able, hidden, group = features.overlap_tensor, constants.HIDDEN_TENSOR, wire.tensor
    # Two sums over the group in each direction: after attention and after the MLP.
    if c["sequence_parallel"]:
        one = all_gather(wire.network, group, volume)
        ahead, behind = (
            _visible(c, able, hidden, fore, 4.0 * one, group),
            _visible(c, able, hidden, back, 4.0 * one, group),
        )
        if not c["frozen"]:
            # Gathered inputs are dropped and gathered once more for the gradients of weights, beside other products.
            behind = behind + exposed_time(back + behind, 2.0 * one, hidden)
    else:
        one = all_reduce(wire.network, group, volume)
        ahead, behind = (
            _visible(c, able, hidden, fore, 2.0 * one, group),
            _visible(c, able, hidden, back, 2.0 * one, group),
        )
    # What is exposed is time in which the next kind of communication can hide: each rides on those before it.
    near = _context(c, wire, layout, fore + ahead, back + behind, rows)
    far = _expert(c, wire, layout, layer, fore + ahead + near[0], back + behind + near[1], rows)
    return Exchange(
        ahead * (1.0 + again) + behind, near[0] * (1.0 + again) + near[1], far[0] * (1.0 + again) + far[1] + far[2],
        ahead + near[0] + far[0], behind + near[1] + far[1],
    )  # fmt: skip


def _context(c: Mapping[str, Any], wire: Near, layout: Layout, fore: Any, back: Any, rows: Any) -> tuple[Any, Any]:
    """Return what context parallelism exposes, forward and back."""
    shape, width, able = c["shape"], c["activation_width"], c["features"].overlap_context
    degree, network = layout.context, wire.network
    heads = shape.heads if shape.latent else maximum(shape.kv_heads / layout.tensor, 1.0)
    if c["context_kind"] == "all-to-all":
        query = rows * (shape.heads / layout.tensor) * (shape.head_dim + shape.v_dim) * width
        keys = rows * heads * (shape.head_dim + shape.v_dim) * width
        one = all_to_all(network, wire.context, query) + all_to_all(network, wire.context, keys)
        one = where(degree > 1.0, one, 0.0 * one)
        return one, one
    block = rows * heads * (shape.head_dim + shape.v_dim) * width
    hops = (degree - 1.0) * message(network, wire.context, block)
    hidden = constants.HIDDEN_CONTEXT
    # A third of a layer's pass stands for attention, beside which the ring runs; gradients pass on too.
    ahead = _visible(c, able, hidden, fore / 3.0, hops, wire.context)
    behind = _visible(c, able, hidden, back / 3.0, 2.0 * hops, wire.context)
    return where(degree > 1.0, ahead, 0.0 * hops), where(degree > 1.0, behind, 0.0 * hops)


def _expert(
    c: Mapping[str, Any], wire: Near, layout: Layout, layer: Layer, fore: Any, back: Any, rows: Any
) -> tuple[Any, Any, Any]:
    """Return what the exchange of tokens exposes, forward and back, and the wait for the busiest expert."""
    shape, able, group = c["shape"], c["features"].overlap_expert, wire.expert
    none = 0.0 * rows * layout.expert
    if not shape.experts:
        return none, none, none
    tokens = rows / layout.tensor * shape.active
    volume = tokens * shape.hidden * c["activation_width"]
    share = shape.expert_layers / shape.layers * c["imbalance"]
    if c["features"].merged_exchange:
        # Of the copies that leave a domain only one goes to each other domain.
        reached = distinct_experts(group.nodes, 1.0, shape.active + 0.0 * group.nodes)
        fewer = where(group.nodes > 1.0, reached / shape.active, 1.0 + 0.0 * group.nodes)
        group = group._replace(outer=group.outer / minimum(fewer, 1.0))
    one = 2.0 * all_to_all(wire.network, group, volume)
    hidden = constants.HIDDEN_EXPERT
    ahead = share * _visible(c, able, hidden, fore, one, wire.expert)
    behind = share * _visible(c, able, hidden, back, one, wire.expert)
    spread = layout.expert > 1.0
    late = layer.expert * (c["imbalance"] - 1.0)
    return where(spread, ahead, none), where(spread, behind, none), where(spread, late + none, none)


def stage_message(c: Mapping[str, Any], wire: Wire, layout: Layout, rows: Any, beside: Any) -> Any:
    """Return the exposed messages of one stage for one micro-batch, forward and back.

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

    Returns
    -------
    float or array, s
    """
    volume = rows * c["shape"].hidden * c["activation_width"] / layout.tensor
    one = message(wire.network, wire.pipeline, volume)
    both = 2.0 * layout.virtual * one
    if not c["features"].overlap_pipeline:
        return both
    hidden = _visible(c, True, constants.HIDDEN_PIPELINE, beside, both, wire.pipeline)
    return where(layout.virtual > 1.0, hidden, both)


def _buckets(elements: Any, ranks: Any) -> Any:
    return ceil(elements / maximum(constants.BUCKET_ELEMENTS + 0.0 * ranks, constants.BUCKET_PER_RANK * ranks))


def replica_exchange(c: Mapping[str, Any], wire: Wire, layout: Layout, layer: Layer, dense: Any, experts: Any) -> Any:
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
    dense, experts : float or array, count
        Trained parameters of a device outside and inside experts.

    Returns
    -------
    float or array, s
    """
    if c["zero"] == 3:
        return _sharded(c, wire, layout, layer, dense, experts)
    network, able = wire.network, c["features"].overlap_data
    stage = layout.middle
    exposed: Any = 0.0
    parts = [(dense, wire.replica)]
    if c["shape"].experts and not c["frozen"]:
        parts.append((experts, _expert_replicas(wire, layout)))
    for elements, group in parts:
        count = _buckets(elements, group.size)
        sent = elements * c["sent_width"] / count
        if c["zero"] == 0:
            back, ahead = count * all_reduce(network, group, sent), 0.0 * count
        else:
            back = count * all_gather(network, group, sent)
            same = c["gathered_width"] is c["sent_width"]
            ahead = back if same else count * all_gather(network, group, elements * c["gathered_width"] / count)
        window = stage * (layer.inputs + layer.weights)
        exposed = exposed + _visible(c, able, constants.HIDDEN_DATA, window, back, group)
        exposed = exposed + _visible(c, able, constants.HIDDEN_DATA, stage * layer.forward, ahead, group)
    return exposed


def _expert_replicas(wire: Wire, layout: Layout) -> Group:
    size = maximum(layout.data * layout.context * where(layout.expert > 1.0, layout.tensor, 1.0) / layout.expert, 1.0)
    return group_of(wire.network, size, expert_stride(layout))


def expert_stride(layout: Layout) -> Any:
    """Return the distance of devices that hold the same experts.

    Parameters
    ----------
    layout : Layout
        The layout.

    Returns
    -------
    float or array, count
    """
    return where(layout.expert > 1.0, layout.expert, layout.tensor)


def _sharded(c: Mapping[str, Any], wire: Wire, layout: Layout, layer: Layer, dense: Any, experts: Any) -> Any:
    """Gather each layer's parameters before it computes, and scatter the sums of its gradients after."""
    shape, network, able = c["shape"], wire.network, c["features"].overlap_data
    shard = where(c["shard"] > 0.0, c["shard"] + 0.0 * layout.data, layout.data * layout.context)
    group = group_of(network, shard, layout.tensor)
    layers = layout.middle
    each = dense / layers
    gather = layers * all_gather(network, group, each * c["gathered_width"])
    scatter = layers * all_gather(network, group, each * c["sent_width"])
    copies = layout.data * layout.context / shard
    spread = group_of(network, copies, layout.tensor * shard)
    scatter = scatter + where(copies > 1.0, all_reduce(network, spread, dense * c["sent_width"] / shard), 0.0 * copies)
    if shape.experts:
        own = _expert_replicas(wire, layout)
        gather = gather + layers * all_gather(network, own, experts / layers * c["gathered_width"])
        scatter = scatter + layers * all_gather(network, own, experts / layers * c["sent_width"])
    hidden = constants.HIDDEN_DATA
    ahead = _visible(c, able, hidden, layers * layer.forward, gather, group)
    work = layers * (layer.inputs + layer.weights + layer.again)
    regather = gather if c["reshard"] else 0.0 * gather
    full = _visible(c, able, hidden, work, regather + scatter, group)
    quiet = _visible(c, able, hidden, work, regather, group)
    rounds = layout.rounds
    return rounds * ahead + full + (rounds - 1.0) * (quiet if c["features"].local_accumulation else full)
