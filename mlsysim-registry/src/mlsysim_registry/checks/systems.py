"""Entities that name each other: the others must exist, and the numbers on both sides agree."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlsysim.entities import Entry, Registry
from mlsysim.errors import MlsysimError, UnitError
from mlsysim.names import did_you_mean
from mlsysim.provenance import Claim
from mlsysim.records import singular
from mlsysim.units import format_quantity, parse_quantity

from .finding import Finding, about, acknowledged, look_up

__all__ = ["link_totals", "node_devices", "prices", "references"]

REFERENCES: tuple[tuple[str, str, str], ...] = (
    ("devices", "ports.*.link", "links"),
    ("switches", "link", "links"),
    ("nodes", "device", "devices"),
    ("nodes", "inner", "links"),
    ("nodes", "outer", "links"),
    ("nodes", "host", "links"),
    ("racks", "node", "nodes"),
    ("fabrics", "link", "links"),
    ("clusters", "node", "nodes"),
    ("clusters", "fabric", "fabrics"),
    ("clusters", "site", "sites"),
    ("clusters", "far", "links"),
    ("fleets", "clusters.*", "clusters"),
    ("sites", "grid", "grids"),
    ("prices", "device", "devices"),
    ("stacks", "calibrations.*.device", "devices"),
    ("scenarios", "workload.model", "models"),
    ("scenarios", "system.device", "devices"),
    ("scenarios", "system.stack", "stacks"),
    ("scenarios", "system.node", "nodes"),
    ("scenarios", "system.battery", "batteries"),
    ("scenarios", "place.grid", "grids"),
    ("scenarios", "place.site", "sites"),
    ("scenarios", "place.price", "prices"),
)
"""Kind, field and the kind that the field names."""

TOTAL_TOLERANCE = 0.01


def references(registry: Registry) -> Iterator[Finding]:
    """Look up every entity that another one names.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for kind, path, target in REFERENCES:
        known = set(registry.keys(target))
        for entry in registry.readable(kind):
            for field, name in _values(entry.record, path.split("."), ""):
                if kind == "stacks" and name.endswith("*"):  # constants fitted on several devices together
                    yield from _maker(registry, entry, field, name)
                    continue
                if kind == "nodes" and field == "device" and entry.record.general:
                    yield from _takers(registry, entry)
                    continue
                if name and name not in known and not (kind == "scenarios" and look_up(registry, target, name)):
                    yield about(entry, field, "fault", "references", f"there is no {singular(target)} {name!r}",
                                did_you_mean(name, known))  # fmt: skip
    for entry in registry.readable("scenarios"):
        yield from _precision(registry, entry)


def _maker(registry: Registry, entry: Entry, field: str, name: str) -> Iterator[Finding]:
    """Find constants for all devices of a maker that has none."""
    maker, _, _ = name.rpartition("/")
    known = {device.record.vendor for device in registry.readable("devices")}
    if maker and maker not in known:
        yield about(entry, field, "fault", "references", f"no device is made by {maker!r}", did_you_mean(maker, known))


def _takers(registry: Registry, entry: Entry) -> Iterator[Finding]:
    """Find nodes of cards of several kinds that would hold none."""
    if not any(entry.record.takes(device.record) for device in registry.readable("devices")):
        yield about(entry, "device", "fault", "references", f"no device called {entry.record.device!r} fits its slots",
                    "Correct the pattern, or the link to the host")  # fmt: skip


def _values(record: object, path: list[str], at: str) -> Iterator[tuple[str, str]]:
    """Yield the places and texts that a path with ``*`` reaches."""
    if not path:
        if isinstance(record, str):
            yield at, record
        return
    first, *rest = path
    if first == "*" and isinstance(record, tuple):
        for i, item in enumerate(record):
            yield from _values(item, rest, f"{at}.{i}")
    elif first != "*":
        yield from _values(getattr(record, first, None), rest, f"{at}.{first}" if at else first)


def _precision(registry: Registry, entry: Entry) -> Iterator[Finding]:
    device = look_up(registry, "devices", entry.record.system.device)
    if device is not None:
        try:
            device.record.peak_of(entry.record.workload.precision)
        except MlsysimError as error:
            yield about(entry, "workload.precision", "fault", "references", error.what, error.remedy)


def node_devices(registry: Registry) -> Iterator[Finding]:
    """Compare a node with its devices: links per device, size of the domain, power.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for entry in registry.readable("nodes"):
        node, found = entry.record, look_up(registry, "devices", entry.record.device)
        if node.domain is not None and node.domain < node.devices:
            yield _unless_noted(entry, "domain", f"a domain of {node.domain:g} is smaller than the node of "
                                f"{node.devices:g} devices")  # fmt: skip
        if found is None:
            continue
        ports = {port.link: port.count for port in found.record.ports}
        if node.inner in ports and node.inner_links is not None and ports[node.inner] != node.inner_links:
            yield _unless_noted(entry, "inner_links", f"{node.inner_links:g} links per device, but {found.key} has "
                                f"{ports[node.inner]:g} ports of {node.inner}")  # fmt: skip
        if node.inner and ports and node.inner not in ports:
            yield _unless_noted(entry, "inner", f"{found.key} has no port of {node.inner}, only {', '.join(ports)}")
        power = found.record.power
        if node.power is not None and power is not None and node.power < node.devices * power.tdp:
            yield _unless_noted(entry, "power", f"the node draws {node.power:g} W, less than its {node.devices:g} "
                                f"devices of {power.tdp:g} W together")  # fmt: skip


def _unless_noted(entry: Entry, field: str, what: str) -> Finding:
    note = acknowledged(entry, [field]) or entry.record.note
    if note:
        return about(entry, field, "dispute", "node-devices", f"{what}. Note: {note}")
    return about(entry, field, "fault", "node-devices", what, "Correct one of them, or add a note that explains it")


_BOTH = re.compile(r"bi-?directional|both directions|2 directions|two directions|aggregate", re.IGNORECASE)
_COUNT = re.compile(r"over\s+(\d+)\b|(\d+)\s*(?:links|ports|lanes)", re.IGNORECASE)
_RATE = re.compile(r"\d[\d,.]*\s*[kMGT]?(?:b|B)(?:/s|ps)")


def link_totals(registry: Registry) -> Iterator[Finding]:
    """Check that link rates are per direction and per link, and that a printed total leads to them.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for entry in registry.readable("links"):
        for claim in entry.claims.get("bandwidth", ()):
            if claim.kind == "stated" and _BOTH.search(claim.at) and not claim.note:
                yield about(
                    entry,
                    "bandwidth",
                    "fault",
                    "link-totals",
                    f"{claim.as_stated} stands where both directions are added: {claim.at!r}",
                    'Give the rate per direction, with derived = "... over N links, both directions added"',
                )
            computed = _from_total(claim)
            if computed and abs(computed - claim.value) > TOTAL_TOLERANCE * claim.value:
                yield about(
                    entry,
                    "bandwidth",
                    "fault",
                    "link-totals",
                    f"{claim.as_stated} does not follow from {claim.reason!r}, which gives "
                    f"{format_quantity(computed, 'B/s')}",
                    "Links x 2 directions x rate is the printed total",
                )


def _from_total(claim: Claim) -> float | None:
    """Divide the printed total by what the derivation names; None when it names no total."""
    total = _RATE.search(claim.reason)
    if claim.kind != "derived" or total is None:
        return None
    try:
        value = parse_quantity(total[0], "B/s")
    except UnitError:
        return None
    links = _COUNT.search(claim.reason)
    count = int(links[1] or links[2]) if links else 1
    return value / max(1, count) / (2 if _BOTH.search(claim.reason) else 1)


def prices(registry: Registry) -> Iterator[Finding]:
    """Check that a price is a rate or an amount as its term says, and carries a date.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for entry in registry.readable("prices"):
        price = entry.record
        wanted = "amount" if price.term == "purchase" else "rate"
        other = "rate" if wanted == "amount" else "amount"
        if getattr(price, wanted) is None:
            yield about(
                entry, wanted, "fault", "prices", f"the term {price.term!r} needs the {wanted}", f"Add {wanted}"
            )
        if getattr(price, other) is not None:
            yield about(entry, other, "fault", "prices", f"the term {price.term!r} has no {other}", "Remove it")
        if not re.fullmatch(r"\d{4}(-\d{2}){0,2}", price.date):
            yield about(entry, "date", "fault", "prices", f"{price.date!r} is not a date", 'Write "2026-11-22"')
