"""Where the members of each parallel group sit, and what links lie between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import exp, log, maximum, minimum, where

from ...formulas.collectives import bus_rate, domain_members, node_count, torus_rate
from ...formulas.torus import torus_side

__all__ = ["DIMENSIONS", "Group", "Network", "Way", "group_of", "network_of", "strides"]

DIMENSIONS = ("tensor", "context", "data", "pipeline")
"""Dimensions of a layout, in the order in which most software places them from the nearest devices outwards."""


class Way(NamedTuple):
    """One protocol of the collective library.

    Parameters
    ----------
    base : float, s
        Start of a collective.
    inner_step, outer_step : float, s
        One hop inside and between domains.
    share : float, ratio
        Payload rate over the highest rate.
    """

    base: Any
    inner_step: Any
    outer_step: Any
    share: Any


class Network(NamedTuple):
    """Links of a cluster as rates of one device.

    Parameters
    ----------
    domain : float, count
        Devices that the inner link joins.
    inner, outer : float or array, B/s
        Rate of one device inside its domain, and through its share of the network interfaces.
    reduced : float or array, B/s, or None
        Bus rate of an all-reduce that the switches of the domain add up; None where they cannot.
    inner_links, dimensions : float, count, or None
        Links of a device and dimensions of a torus; None for switches.
    ways : tuple of Way
        Protocols, of which each collective takes the fastest.
    pod : float, count, or None
        Devices below the narrowest tier between domains; None where no tier is narrower than the interfaces.
    crossing : float or array, B/s, or None
        What a device keeps of its rate where all send through that tier at once.
    far_step : float, s, or None
        Time of one hop through that tier, where it joins distant sites; None where it is a hop like others.
    chips : float, count, or None
        Devices of the torus that the job has.
    wrap : float, count, or None
        Fewest members along a dimension of a torus that close a ring; None where all do.
    direct : Way, or None
        All-reduce by kernels that read the memory of all members; None where nobody knows that they can.
    """

    domain: Any
    inner: Any
    outer: Any
    reduced: Any
    inner_links: Any
    dimensions: Any
    ways: tuple[Way, ...]
    pod: Any = None
    crossing: Any = None
    far_step: Any = None
    chips: Any = None
    wrap: Any = None
    direct: Way | None = None


class Group(NamedTuple):
    """A parallel group on a network.

    Parameters
    ----------
    size, members, nodes : float or array, count
        Members, those in one domain, and domains spanned.
    rate : float or array, B/s
        Rate of its rings.
    inner, outer : float or array, B/s
        Rates of one device inside and between domains.
    within : float or array, count, or None
        Members below the narrowest tier together; None where no tier is narrower.
    crossing : float or array, B/s, or None
        Rate of one device through that tier where all send at once.
    side, closed : float or array, count and ratio, or None
        Members along a dimension of a torus, and 1 where they close a ring, else one half; None elsewhere.
    """

    size: Any
    members: Any
    nodes: Any
    rate: Any
    inner: Any
    outer: Any
    within: Any = None
    crossing: Any = None
    side: Any = None
    closed: Any = None


def network_of(columns: Mapping[str, Any]) -> Network:
    """Return the network that the columns describe.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.

    Returns
    -------
    Network
    """
    c = columns
    short = Way(c["short_base"], c["short_inner_step"], c["short_outer_step"], c["short_share"])
    long = Way(c["long_base"], c["long_inner_step"], c["long_outer_step"], c["long_share"])
    direct = None
    if "direct_base" in c:
        direct = Way(c["direct_base"], c["direct_step"], c["direct_step"], c["direct_share"])
    return Network(
        c["domain"], c["inner_rate"], c["outer_rate"], c.get("reduced_rate"), c.get("torus_links"),
        c.get("torus_dimensions"), (short, long), c.get("pod"), c.get("crossing_rate"), c.get("far_step"),
        c.get("torus_members"), c.get("torus_wrap"), direct,
    )  # fmt: skip


def strides(placement: tuple[str, ...], degrees: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many devices lie from one member of each group to the next.

    Parameters
    ----------
    placement : tuple of str
        Dimensions from the nearest devices to the farthest.
    degrees : mapping of str to float or array
        Degree of each dimension.

    Returns
    -------
    dict of str to float or array, count
    """
    found: dict[str, Any] = {}
    stride: Any = 1.0
    for name in placement:
        found[name] = stride
        stride = stride * degrees[name]
    return found


def group_of(network: Network, size: Any, stride: Any) -> Group:
    """Place a group on a network.

    Parameters
    ----------
    network : Network
        The network.
    size, stride : float or array, count
        Members, and devices from one to the next.

    Returns
    -------
    Group
    """
    inner, outer, side, closed = network.inner, network.outer, None, None
    if type(size) is float and size == 1.0:
        # Alone it exchanges nothing, wherever it sits.
        within = None if network.pod is None else size
        return Group(size, size, size, inner, inner, outer, within, network.crossing, size, size)
    members = domain_members(size, stride, network.domain)
    nodes = node_count(size, members)
    if network.dimensions is not None:
        inner, side, closed = _on_torus(network, members)
    if network.pod is None:
        rate = where(nodes > 1.0, bus_rate(inner, outer, members), inner * (size / size))
        return Group(size, members, nodes, rate, inner, outer, None, None, side, closed)
    # Of the members below the narrowest tier one passes a ring, or a message, on through it for all.
    within = domain_members(size, stride, network.pod)
    passing = where(size > within, bus_rate(outer, network.crossing, within), outer * (size / size))
    rate = bus_rate(inner, outer, members)
    rate = where(size > within, minimum(rate, within * network.crossing), rate)
    rate = where(nodes > 1.0, rate, inner * (size / size))
    return Group(size, members, nodes, rate, inner, passing, within, network.crossing, side, closed)


def _on_torus(network: Network, members: Any) -> tuple[Any, Any, Any]:
    """Return the rate of rings on a torus, the members along a dimension, and whether they close a ring."""
    several = where(members > 1.0, members, 2.0 * members / members)
    chips = network.domain if network.chips is None else network.chips
    rate = torus_rate(network.inner_links, network.inner, several, chips, network.dimensions)
    used = rate * network.dimensions / (network.inner * network.inner_links)
    side = exp(log(several) / used)
    if network.wrap is None:
        return rate, side, 1.0
    # A line sends as much as a ring only from its middle: its ends have one link. A part of a dimension is a line.
    whole = maximum(torus_side(chips, network.dimensions), network.wrap)
    closed = where(side > whole - 0.5, 1.0 + 0.0 * side, 0.5 + 0.0 * side)
    return rate * closed, side, closed
