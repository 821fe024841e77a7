"""Where the members of each parallel group sit, and what links lie between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import where

from ..formulas.collectives import bus_rate, domain_members, node_count, torus_rate

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
    """

    domain: Any
    inner: Any
    outer: Any
    reduced: Any
    inner_links: Any
    dimensions: Any
    ways: tuple[Way, ...]


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
    """

    size: Any
    members: Any
    nodes: Any
    rate: Any
    inner: Any
    outer: Any


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
    ways = tuple(
        Way(c[f"{name}_base"], c[f"{name}_inner_step"], c[f"{name}_outer_step"], c[f"{name}_share"])
        for name in ("short", "long")
    )
    return Network(
        c["domain"], c["inner_rate"], c["outer_rate"], c.get("reduced_rate"), c.get("torus_links"),
        c.get("torus_dimensions"), ways,
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
    members = domain_members(size, stride, network.domain)
    nodes = node_count(size, members)
    inner = network.inner
    if network.dimensions is not None:
        inner = torus_rate(
            network.inner_links,
            inner,
            where(members > 1.0, members, 2.0 * members / members),
            network.domain,
            network.dimensions,
        )
    rate = where(nodes > 1.0, bus_rate(inner, network.outer, members), inner * (size / size))
    return Group(size, members, nodes, rate, inner, network.outer)
