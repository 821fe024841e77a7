"""Collectives on a placed group: the fastest protocol and algorithm for each message."""

from __future__ import annotations

from typing import Any

from mlsysim.numeric import maximum, minimum, only, where

from ...formulas.collectives import (
    crossing_time,
    exchange_time,
    gathered_bytes,
    hop_latency,
    point_to_point_time,
    ring_hops,
    ring_time,
    torus_exchange_time,
    transfer_time,
    tree_latency,
)
from ...formulas.parallel_constants import (
    BEYOND_NODE,
    SWITCH_AHEAD,
    SWITCH_CHANNELS,
    SWITCH_CHUNK,
    SWITCH_PASSES,
    SWITCH_START,
    TREE_OVER_RING,
)
from ...formulas.switched_sums import narrowed_pass, switched_time, widest_pass
from .topology import Group, Network

__all__ = ["all_gather", "all_reduce", "all_to_all", "message", "served_all_reduce"]

TREE_SHARE = 0.9
"""Bandwidth of a double binary tree over that of a ring (NVIDIA NCCL, src/graph/tuning.cc)."""


def _inner_step(group: Group, step: Any, beyond: float) -> Any:
    """Return the time of a hop inside a node: that of a group that leaves it takes longer with the short protocol."""
    return where(group.nodes > 1.0, beyond * step, step) if beyond != 1.0 else step


def _distance(network: Network, group: Group, rounds: float) -> Any:
    """Return the time of hops from site to site: a collective passes all sites of its group once a round."""
    if network.far_step is None or group.within is None:
        return 0.0
    return rounds * (group.size / group.within - 1.0) * network.far_step


def _silent(size: Any, time: Any) -> Any:
    """Let a group of one say nothing."""
    return only(size > 1.0, time)


def all_gather(network: Network, group: Group, volume: Any) -> Any:
    """Return the time of an all-gather or a reduce-scatter.

    Parameters
    ----------
    network : Network
        The network.
    group : Group
        Who takes part.
    volume : float or array, B
        The whole vector.

    Returns
    -------
    float or array, s
    """
    sent = gathered_bytes(volume, group.size)
    inside = ring_hops(group.size, group.nodes)
    best: Any = None
    for (base, inner_step, outer_step, share), beyond in zip(network.ways, BEYOND_NODE, strict=True):
        hops = hop_latency(inside, group.nodes, _inner_step(group, inner_step, beyond), outer_step)
        time = ring_time(base, hops, transfer_time(sent, group.rate, share))
        best = time if best is None else minimum(best, time)
    return _silent(group.size, best + _distance(network, group, 1.0))


def all_reduce(network: Network, group: Group, volume: Any) -> Any:
    """Return the time of an all-reduce: by ring, by tree, or by the switches of one domain.

    Parameters
    ----------
    network : Network
        The network.
    group : Group
        Who takes part.
    volume : float or array, B
        The vector.

    Returns
    -------
    float or array, s

    Notes
    -----
    A tree sends the vector up and down, 2 V, over the slowest link of each node. Of two trees that turn it over half
    each, one goes up and the other down between two nodes: their link carries V each way, and 2 V stay inside.

    References
    ----------
    NVIDIA/nccl, src/graph/tuning.cc at 5067397c, lines 306 and 320: up to two nodes count with the bandwidth inside,
    and trees of switches with twice the bandwidth between.
    """
    sent = 2.0 * gathered_bytes(volume, group.size)
    inside = 2.0 * ring_hops(group.size, group.nodes)
    best: Any = None
    for (base, step, outer_step, share), beyond, tree in zip(network.ways, BEYOND_NODE, TREE_OVER_RING, strict=True):
        hops = hop_latency(inside, 2.0 * group.nodes - 1.0, _inner_step(group, step, beyond), outer_step)
        time = ring_time(base, hops, transfer_time(sent, group.rate, share))
        inner_step = _inner_step(group, step * tree[1], beyond)
        climb = tree_latency(group.members, group.nodes, inner_step, outer_step * tree[2], 2.0)
        climbed = transfer_time(2.0 * volume, group.rate, TREE_SHARE * share)
        paired = maximum(0.5 * climbed, transfer_time(2.0 * volume, group.inner, TREE_SHARE * share))
        sides = where((group.nodes > 1.0) & (group.nodes <= 2.0), paired, climbed)
        time = minimum(time, ring_time(base * tree[0], climb, sides))
        best = time if best is None else minimum(best, time)
    if network.reduced is not None:
        # In-switch reduction needs more than half of the usual eight members to pay, and one domain.
        able = (group.nodes <= 1.0) & (group.size > 4.0)
        best = where(able, minimum(best, _switched(network, group, volume)), best)
    return _silent(group.size, best + _distance(network, group, 2.0))


def _switched(network: Network, group: Group, volume: Any) -> Any:
    """Return the time of an all-reduce that the switches of one domain add up."""
    wide = widest_pass(group.size, SWITCH_CHANNELS, SWITCH_CHUNK)
    for passes in SWITCH_PASSES:
        wide = narrowed_pass(volume, wide, passes)
    return switched_time(volume, group.size, wide, network.reduced, SWITCH_START, SWITCH_AHEAD)


def served_all_reduce(network: Network, group: Group, volume: Any) -> Any:
    """Return the time of an all-reduce in a server, whose own kernels read the memory of all members where they can.

    Parameters
    ----------
    network : Network
        The network.
    group : Group
        Who takes part.
    volume : float or array, B
        The vector.

    Returns
    -------
    float or array, s
        By rings and trees of the collective library, or by such a kernel: at one go, or a part each and once more to
        all.

    Notes
    -----
    The library does not add up in switches here: servers do without (SGLang: enable_nccl_nvls is off unless
    asked for), and a user's trace of TensorRT-LLM shows rings (NVIDIA/TensorRT-LLM, issue 2521).
    """
    library, way = all_reduce(network._replace(reduced=None), group, volume), network.direct
    if way is None:
        return library
    others = group.size - 1.0
    once = ring_time(way.base, 0.0, transfer_time(others * volume, group.inner, way.share))
    parts = transfer_time(2.0 * gathered_bytes(volume, group.size), group.inner, way.share)
    own = minimum(once, ring_time(way.base, way.inner_step, parts))
    return where((group.nodes <= 1.0) & (group.size > 1.0), minimum(library, own), library)


def all_to_all(network: Network, group: Group, volume: Any) -> Any:
    """Return the time of an all-to-all.

    Parameters
    ----------
    network : Network
        The network.
    group : Group
        Who takes part.
    volume : float or array, B
        What each member holds before.

    Returns
    -------
    float or array, s
    """
    base, inner_step, outer_step, _ = network.ways[-1]
    hops = where(group.nodes > 1.0, inner_step + outer_step, inner_step)
    bytes_ = exchange_time(volume, group.size, group.members, group.inner, group.outer)
    if network.dimensions is not None:
        # A torus has no path of its own for every pair: its bisection carries what they exchange.
        bytes_ = maximum(bytes_, torus_exchange_time(volume, group.side, network.inner * group.closed))
    if group.within is not None:
        bytes_ = maximum(bytes_, crossing_time(volume, group.size, group.within, group.crossing))
    time = ring_time(base, hops, bytes_) + _distance(network, group, 1.0)
    return _silent(group.size, time)


def message(network: Network, group: Group, volume: Any) -> Any:
    """Return the time of a message from one member of a group to the next.

    Parameters
    ----------
    network : Network
        The network.
    group : Group
        Who takes part; the slowest pair counts.
    volume : float or array, B
        The message.

    Returns
    -------
    float or array, s
    """
    base, inner_step, outer_step, _ = network.ways[-1]
    far = group.nodes > 1.0
    rate = where(far, minimum(group.outer, group.inner), group.inner)
    latency = base + where(far, outer_step, inner_step)
    if network.far_step is not None and group.within is not None:
        latency = latency + only(group.size > group.within, network.far_step + 0.0 * latency)
    time = point_to_point_time(volume, rate, latency)
    return _silent(group.size, maximum(time, 0.0 * time))
