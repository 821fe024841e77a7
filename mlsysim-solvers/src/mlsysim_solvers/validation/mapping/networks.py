"""Networks that a row prints: the rate at which a node sends, and the devices of a node."""

from __future__ import annotations

import re

from mlsysim.config.assumptions import node_for
from mlsysim.entities import Registry
from mlsysim.plugins import plugins
from mlsysim.records import Link, Node
from mlsysim.records.measurement import Measurement

from ..questions import Assumed
from .common import cell, whole

__all__ = ["devices_of_node", "network_settings", "node_rate"]

_RATE = re.compile(
    r"(\d+(?:\.\d+)?)\s*-?\s*([GT])(?:(b|B|bit|bits)(?:ps|/s(?:ec)?)?\b|(bps|Bps)\b|(?:b|ig)?(?:E\b|\s*(?=Ethernet)))"
)
"""A rate: ``400Gb/s``, ``100 Gbps``, ``25 GB/s``, ``100GbE``, ``10G Ethernet``."""
_COUNT = re.compile(r"\b(\d+)\s*[x×*]\s*(?=[A-Za-z\d])")
_PER = re.compile(
    r"\b(?:per|each|a)[ -]?(node|server|machine|host|gpu|device|accelerator|chip|card|nic|port)\b", re.IGNORECASE
)
_OTHER = re.compile(
    r"storage|management|nvlink|nvswitch|xgmi|infinity fabric|pcie|\bici\b|neuronlink|data bandwidth", re.IGNORECASE
)
_COMPUTE = re.compile(r"^\s*compute\s*:", re.IGNORECASE)
_NODES = ("node", "server", "machine", "host")
_DEVICES = ("gpu", "device", "accelerator", "chip")

_SAME = 0.02
"""Rates closer than that to those of the registry's node say nothing new."""

_ADAPTERS = 0.1
"""How much it may move a prediction that a row prints a rate without saying of what (natural-log units; estimate)."""


def node_rate(text: str, size: float, adapters: float, link: float) -> tuple[float, str] | None:
    """Read at which rate a node sends from what is printed of its network.

    Parameters
    ----------
    text : str
        As published: ``4 * 100Gb RoCE``, ``RDMA 400 Gb/s per GPU``, ``8x ConnectX-7 IB NDR 400Gb/s``, ``HDR``.
    size : float, count
        Devices of a node.
    adapters : float, count
        Network interfaces of a node, where the text counts none and the rate is that of one.
    link : float, B/s
        Rate of one of them.

    Returns
    -------
    rate : float, B/s
        Of a node, in one direction.
    open : str
        What the text leaves open; empty where it says all.
    None
        Where the text tells no rate.
    """
    parts = [part for part in re.split(r"[;,+]|\band\b", text) if part.strip()]
    parts = [part for part in parts if _COMPUTE.search(part)] or [part for part in parts if not _OTHER.search(part)]
    for part in parts:
        each = _printed(part) or _named(part)
        if not each:
            continue
        per, count = _PER.search(text), _COUNT.search(part)
        unit = per[1].lower() if per else ""
        if unit in _NODES:
            return each, ""
        if unit in _DEVICES:
            return each * size, ""
        if count:
            return each * int(count[1]), ""
        if unit or not _printed(part) or abs(each / link - 1.0) < _SAME:
            return each * adapters, "" if unit else f"{adapters:g} interfaces"
        return each, "that it is the rate of a node"
    return None


def _printed(part: str) -> float:
    """Return a printed rate; 0 where there is none."""
    found = _RATE.search(part)
    if not found:
        return 0.0
    bytes_ = "B" in (found[3] or found[4] or "")
    return float(found[1]) * {"G": 1e9, "T": 1e12}[found[2]] / (1.0 if bytes_ else 8.0)


def _named(part: str) -> float:
    """Return the rate of a network that is named by its generation alone; 0 for an unknown one."""
    words = set(re.findall(r"[a-z][a-z\d]+", part.casefold()))
    for entry in plugins().registry.readable("links"):
        if words & {alias for alias in entry.record.aliases if "-" not in alias}:
            return float(entry.record.bandwidth)
    return 0.0


def _node(row: Measurement, device: str) -> Node | None:
    """Return the node that a scenario of a device assumes."""
    registry: Registry = plugins().registry
    entry = node_for(registry.get("devices", device), row.devices, registry)
    return None if entry is None else entry.record


def devices_of_node(row: Measurement, device: str) -> int:
    """Return the devices of a node: as printed, unless its links leave the node and join more.

    Parameters
    ----------
    row : Measurement
        The row.
    device : str
        Key of the device.

    Returns
    -------
    int
        1 where neither row nor registry says.
    """
    node, printed = _node(row, device), whole(row, "accel_per_node")
    if node is None:
        return printed or 1
    joined = (node.domain or 0.0) > node.devices
    return int(node.devices) if joined or not printed else printed


def network_settings(row: Measurement, device: str, assumed: list[Assumed]) -> dict[str, object]:
    """Return the settings of the solver for several devices that say what a row prints of its network.

    Parameters
    ----------
    row : Measurement
        The row.
    device : str
        Key of the device.
    assumed : list of Assumed
        Gets what the row states, and what it leaves open.

    Returns
    -------
    dict of str to str
        Empty where the row prints nothing, or what the registry's node has.
    """
    node = _node(row, device)
    if node is None:
        return {}
    found: dict[str, object] = {}
    size, own = float(devices_of_node(row, device)), float(node.devices)
    if size != own:
        found["node_devices"] = f"{size:g}"
        assumed.append(Assumed(f"{size:g} devices in a node, as the row states"))
    text = cell(row, "inter_node_link")
    if not text or row.devices <= (size if found else max(own, float(node.domain or 0.0))):
        return found
    outer: Link | None = plugins().registry.get("links", node.outer).record if node.outer else None
    link, adapters = (0.0, 1.0) if outer is None else (float(outer.bandwidth), float(node.outer_links or 1.0))
    read = node_rate(text, size, adapters, link or 1.0)
    if read is None or abs(read[0] / (link * adapters or 1.0) - 1.0) < _SAME:
        return found
    rate, left = read
    found["network_rate"] = f"{rate:.6g} B/s"
    said = f"a network of {rate / 1e9:.4g} GB/s for each node, as the row prints: {text}"
    assumed.append(Assumed(f"{said}; it leaves open {left}" if left else said, _ADAPTERS if left else 0.0))
    return found
