"""Collectives by size inside one node, answered by the formulas of distributed training."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import attrs

from mlsysim.config.assumptions import node_for
from mlsysim.entities import Entry
from mlsysim.names.matching import likely
from mlsysim.plugins import plugins
from mlsysim.records import Node
from mlsysim.records.measurement import Measurement
from mlsysim.units import parse_quantity

from ..execution.network.communication import all_gather, all_reduce, all_to_all
from ..execution.network.links import network_columns
from ..execution.network.topology import group_of, network_of
from ..formulas.constants import INTERVAL_QUANTILE
from .mapping.networks import node_rate
from .names import Names
from .questions import Assumed, Refused

__all__ = ["CollectiveAnswer", "predict_collective"]

_SIZE = re.compile(r"([\d.]+) ?(?:(B|KiB|MiB|GiB|KB|MB|GB)|([KMG]))(?![A-Za-z])")
"""A size with its unit, or as nccl-tests print it: K, M and G are powers of 1024."""
_LARGE = 16.0 * 2.0**30
_SPREAD = 0.14
"""Spread of measured collectives about the formulas, natural-log units. Estimate: two sweeps over twenty sizes each, of
which it makes 90 % lie inside their intervals; it is least where the links alone set the time."""

_KINDS: dict[str, tuple[Callable[..., Any], float]] = {
    "allreduce": (all_reduce, 2.0), "allgather": (all_gather, 1.0), "alltoall": (all_to_all, 1.0),
}  # fmt: skip
"""Formulas, and how often each byte crosses a link of a ring: what bus bandwidth counts (nccl-tests)."""

_HOST = 30e-6
"""Time in which the benchmark starts a collective from the host of every rank, s. Estimate: a collective inside a
captured graph takes 12 to 17 us where the benchmark shows 38 to 44."""
_LEAST_HOST, _LEAST_QUEUED = 15e-6, 5e-6
"""The least it takes, s, and where nccl-tests and rccl-tests run, which start a collective while the last one runs, or
a graph of many."""
_QUEUED = re.compile(r"\b(?:in|out-of)-place\b|_perf\b|\b[nr]ccl-tests\b", re.IGNORECASE)

_APART = re.compile(r"\b(\d+) nodes? ?[x×] ?(\d+)\b", re.IGNORECASE)
"""Nodes, and the devices of each, as a row's notes print them."""
_NETWORK = re.compile(r"infiniband|\b(?:[hnxef]dr|roce|rdma|ethernet|efa|connectx)\b", re.IGNORECASE)
"""Words that say that a rate in the notes is that of the network between nodes."""
_TOGETHER = re.compile(r"\b(?:one|1|single) node\b", re.IGNORECASE)
"""Notes that say that all devices of a row are in one node, also where that of the registry has fewer."""


@attrs.frozen
class CollectiveAnswer:
    """What is predicted for a collective.

    Parameters
    ----------
    value, ideal : float, B/s
        Bus bandwidth, and that of the bare links.
    time : float, s
        What one collective takes.
    log_sd : float, natural-log units
        Its spread.
    device : str
        Key of the device.
    assumed : tuple of Assumed
        What the row leaves open.
    """

    value: float
    ideal: float
    time: float
    log_sd: float
    device: str
    assumed: tuple[Assumed, ...]


def predict_collective(
    row: Measurement, known: Names, change: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> CollectiveAnswer:
    """Predict the bus bandwidth of a collective.

    Parameters
    ----------
    row : Measurement
        A row of the table of kernels.
    known : Names
        Names as published.
    change : callable, optional
        Changes the columns of the network, to see what a term buys.

    Returns
    -------
    CollectiveAnswer

    Raises
    ------
    Refused
        With the reason why nothing can be asked.
    """
    if row.kind not in _KINDS:
        raise Refused(f"{row.kind}: no formula for it")
    device = known.device(row.device.split("(")[0].strip())
    node, registry = _node(row, device), plugins().registry
    assumed = [Assumed(f"the node is {node.name}")]
    node = _joined(node, row.configuration.get("notes", ""), row.devices, assumed)
    links = {role: registry.get("links", key).record for role in ("inner", "outer") if (key := getattr(node, role))}
    links.setdefault("inner", links.get("outer"))
    if "outer" not in links and row.devices > (node.domain or node.devices):
        raise Refused(f"{row.kind} over {row.devices} devices: nothing says what joins {node.name} to others")
    # There are links for all devices, so no scenario is needed to say why there would not be.
    columns = network_columns({"node": node, **links}, None, float(row.devices))  # type: ignore[arg-type]
    network = network_of(columns if change is None else change(columns))
    if "NVLS_ENABLE=0" in row.configuration.get("notes", ""):
        network = network._replace(reduced=None)
    text = row.configuration.get("shape_or_size", "")
    size = _SIZE.match(text)
    if size is None and not text.startswith("large"):
        raise Refused(f"the size {text!r} of a collective is not understood")
    volume = parse_quantity(f"{size[1]} {size[2] or f'{size[3]}iB'}", "B") if size else _LARGE
    group = group_of(network, float(row.devices), 1.0)
    formula, twice = _KINDS[row.kind]
    bare = float(formula(network, group, volume))
    time = bare + _HOST
    queued = _QUEUED.search(f"{row.at} {row.configuration.get('notes', '')}")
    started = math.log(time / (bare + (_LEAST_QUEUED if queued else _LEAST_HOST))) / INTERVAL_QUANTILE
    assumed.append(Assumed("each collective is started from the host", max(started, 0.05)))
    share = (row.devices - 1.0) / row.devices * twice
    return CollectiveAnswer(share * volume / time, float(network.inner), time, _SPREAD, device, tuple(assumed))


def _node(row: Measurement, device: str) -> Node:
    """Return the node in which a collective ran: named, of as many devices, or the usual one."""
    registry, notes = plugins().registry, row.configuration.get("notes", "")
    nodes = [e for e in registry.entries("nodes") if e.record.device == device and e.record.devices == row.devices]
    entry = _named_node(row.device, device) or (
        nodes[0] if nodes else node_for(registry.get("devices", device), row.devices, registry)
    )
    split = _APART.search(notes)
    each = int(split[2]) if split and int(split[1]) * int(split[2]) == row.devices else 0
    if entry is None or not (entry.record.inner or (each == 1 and entry.record.outer)):
        raise Refused(f"{row.kind} over {row.devices} devices: no node of the registry holds them")
    node = _part_of(entry.record, each)
    if node.devices < row.devices and _TOGETHER.search(notes):
        return attrs.evolve(node, devices=row.devices, domain=float(row.devices))
    return node


def _part_of(node: Node, devices: int) -> Node:
    """Return the node of a run that takes some of its devices, each with its share of the links that leave it."""
    if not devices or devices >= node.devices:
        return node
    outer = node.outer_links * devices / node.devices if node.outer_links is not None else None
    return attrs.evolve(node, devices=devices, domain=min(node.domain or devices, devices), outer_links=outer)


def _joined(node: Node, notes: str, devices: int, assumed: list[Assumed]) -> Node:
    """Return the node with as many links to others as give the rate that the notes print of the network."""
    parts = [part for part in notes.split(",") if _NETWORK.search(part)]
    if not parts or not node.outer or devices <= (node.domain or node.devices):
        return node
    link = float(plugins().registry.get("links", node.outer).record.bandwidth)
    read = node_rate(parts[0], float(node.devices), node.outer_links or 1.0, link)
    if read is None:
        return node
    assumed.append(Assumed(f"a network of {read[0] / 1e9:.4g} GB/s for each node, as the notes say:{parts[0]}"))
    return attrs.evolve(node, outer_links=read[0] / link)


def _named_node(published: str, device: str) -> Entry | None:
    """Return the node, such as an instance of a cloud, that a published name puts in brackets behind its device."""
    registry = plugins().registry
    for inside in re.findall(r"\(([^)]+)\)", published):
        keys = likely(registry, "nodes", re.sub(r"^\d+\s*[x×]\s*", "", inside.strip()))
        held = [registry.get("nodes", key) for key in keys]
        if len(held) == 1 and held[0].record.device == device:
            return held[0]
    return None
