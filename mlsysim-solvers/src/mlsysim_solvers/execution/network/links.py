"""From the records of links and fabrics to columns: the rate of each tier, and where it narrows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mlsysim.errors import SolverError
from mlsysim.records.infrastructure import Fabric, Link, Node
from mlsysim.records.scenario import Scenario

from ...formulas import parallel_constants as constants
from ...formulas.collectives import oversubscribed_rate
from ...lowering.shape import number

__all__ = ["link_rate", "network_columns"]


def link_rate(link: Link, share: float) -> Any:
    """Return the rate of a link: as measured, or a share of the printed one.

    Parameters
    ----------
    link : Link
        The link.
    share : float, ratio
        Share that is reached where nobody measured.

    Returns
    -------
    float, B/s
    """
    return link.bandwidth * share if link.achieved is None else link.achieved


def network_columns(
    records: Mapping[str, Any], scenario: Scenario, devices: Any, settings: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return what joins the devices, as columns.

    Parameters
    ----------
    records : mapping of str to record
        By role: ``node``, ``inner``, ``outer``, ``fabric``.
    scenario : Scenario
        The scenario, for the message.
    devices : float, count
        How many.
    settings : mapping of str to float, optional
        ``network_rate`` (B/s, of a node), ``link_rate`` (B/s, of a device) and ``node_devices`` (count), as printed:
        they go before what the node's record says, and 0 or nothing leaves that.

    Returns
    -------
    dict of str to float

    Raises
    ------
    SolverError
        If a link is missing.
    """
    given = settings or {}
    node, inner, outer, fabric = (records.get(role) for role in ("node", "inner", "outer", "fabric"))
    if devices == 1.0:
        # Alone it exchanges nothing, and no rate counts.
        node, inner = Node(name="one device", device="", devices=1.0), Link(name="none", bandwidth=1.0)
        outer = fabric = None
    elif node is not None and node.devices == 1.0 and inner is None and outer is not None:
        # Every link leaves, and what stays inside narrows nothing.
        inner = attrs.evolve(outer, bandwidth=link_rate(outer, constants.OUTER_SHARE) / constants.INNER_SHARE)
    if node is None or inner is None:
        raise SolverError(
            f"no node of the registry says how {scenario.system.device} devices are joined",
            where="system.node", remedy="Name a node or a cluster that holds this device",
        )  # fmt: skip
    links = node.inner_links if node.inner_links is not None else 1.0
    size = number(given.get("node_devices") or node.devices)
    domain = number(node.domain if node.domain is not None and size == node.devices else size)
    printed = given.get("network_rate", 0.0)
    if devices > domain and outer is None and not printed:
        raise SolverError(
            f"{devices:g} devices need a network, and {node.name} has no link that leaves its domain of {domain:g}",
            where="system.devices", remedy=f"At most {domain:g}, or name a node with an outer link",
        )  # fmt: skip
    torus = inner.name.lower().find("inter-chip") >= 0 or (fabric is not None and fabric.topology == "torus")
    columns = {"domain": domain} | _inside(inner, links, given.get("link_rate", 0.0), torus=torus)
    if torus:
        columns["torus_members"] = min(domain, devices)
    if outer is None and not printed:
        columns["outer_rate"] = columns["inner_rate"]
    else:
        columns["outer_rate"] = _leaving(node, outer, printed) / size
        columns |= _narrowest(fabric, columns["outer_rate"], domain, devices)
    columns |= _between_sites(records, devices)
    columns |= _ways(inner, outer)
    columns["inner_occupancy"] = constants.INNER_OCCUPANCY if inner.occupancy is None else inner.occupancy
    columns["outer_occupancy"] = constants.OUTER_OCCUPANCY
    if outer is not None and outer.occupancy is not None:
        columns["outer_occupancy"] = outer.occupancy
    columns["mixed_occupancy"] = max(constants.MIXED_OCCUPANCY, columns["outer_occupancy"])
    if devices == 1.0 or inner.achieved is not None:
        columns["var_link"] = 0.0
    return columns


def _inside(inner: Link, links: Any, printed: float, *, torus: bool) -> dict[str, Any]:
    """Return what joins the devices of a node; a printed rate is that of all links of a device together."""
    rate, reduced = link_rate(inner, constants.INNER_SHARE), inner.reduced
    if printed:
        faster = printed / (links * inner.bandwidth)
        rate, reduced = rate * faster, None if reduced is None else reduced * faster
    columns: dict[str, Any] = {"inner_rate": rate if torus else rate * links}
    if torus:
        columns |= {"torus_links": number(links), "torus_dimensions": 3.0 if links >= 6.0 else 2.0}
        if inner.wrap is not None:
            columns["torus_wrap"] = inner.wrap
    if reduced is not None:
        columns["reduced_rate"] = reduced * links
    return columns


def _leaving(node: Node, outer: Link | None, printed: float) -> Any:
    """Return the rate at which a node sends: as printed, or by its record, at the share that its link reaches."""
    if outer is None:
        return printed * constants.OUTER_SHARE
    rate = link_rate(outer, constants.OUTER_SHARE)
    return printed * (rate / outer.bandwidth) if printed else rate * (node.outer_links or 1.0)


def _narrowest(fabric: Fabric | None, rate: Any, domain: Any, devices: Any) -> dict[str, Any]:
    """Return the tier of a fabric that carries less than the interfaces offer, if it has one."""
    if fabric is None:
        return {}
    loss = fabric.oversubscription or 1.0
    if fabric.topology == "dragonfly":
        loss = loss / constants.DRAGONFLY_SHARE
    # Where the n-th interfaces of all nodes meet, no traffic of a collective leaves the switch that joins them.
    lone = devices if fabric.topology == "rail-optimised" else domain
    pod = number(lone if fabric.pod is None else fabric.pod)
    if loss <= 1.0 or pod >= devices:
        return {}
    return {"pod": pod, "crossing_rate": oversubscribed_rate(rate, loss)}


def _between_sites(records: Mapping[str, Any], devices: Any) -> dict[str, Any]:
    """Return the link between the sites of a cluster as the tier that is narrower than all others."""
    cluster, far = records.get("cluster"), records.get("far")
    if cluster is None or (cluster.sites is None and far is None):
        return {}
    lacking = [name for name in ("sites", "far_links") if getattr(cluster, name) is None]
    lacking += ["far"] if far is None else [] if far.latency is not None else [f"the latency of {far.name}"]
    if lacking:
        raise SolverError(
            f"{cluster.name} is spread over several sites, and nothing says {' or '.join(lacking)}",
            where="system.cluster", remedy="Add it to the registry, or name a cluster of one site",
        )  # fmt: skip
    site = number(cluster.nodes * records["node"].devices / cluster.sites)
    if devices <= site:
        return {}
    assert far is not None
    rate = link_rate(far, constants.OUTER_SHARE) * cluster.far_links / site
    return {"pod": site, "crossing_rate": rate, "far_step": far.latency}


def _ways(inner: Link, outer: Link | None) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    ring = [protocol for protocol in inner.protocols if protocol.name != constants.DIRECT]
    for protocol in inner.protocols:
        if protocol.name == constants.DIRECT:
            columns |= {"direct_base": protocol.base, "direct_step": protocol.step, "direct_share": protocol.share}
    for i, (name, default) in enumerate((("short", constants.SHORT_WAY), ("long", constants.LONG_WAY))):
        base, step, far, share = default
        if len(ring) > i:
            base, step, share = ring[i].base, ring[i].step, ring[i].share
        if outer is not None and len(outer.protocols) > i:
            far = outer.protocols[i].step
        columns |= {f"{name}_base": base, f"{name}_inner_step": step, f"{name}_outer_step": far, f"{name}_share": share}
    return columns
