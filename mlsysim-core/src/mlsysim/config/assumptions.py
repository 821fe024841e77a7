"""What is assumed where a scenario is silent: always visible, always replaceable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..names.matching import variants
from ..units import format_quantity

if TYPE_CHECKING:
    from ..entities import Entry, Registry
    from ..records import Scenario

__all__ = ["assume", "node_for"]

DEFAULT_GRID = "world"
NOBODY = "any"
"""Maker of a stack that stands for all software of which nothing is known."""


def assume(
    scenario: Scenario, entries: Mapping[str, Entry], registry: Registry
) -> tuple[dict[str, Entry], tuple[str, ...]]:
    """Fill the roles that a scenario leaves open and that have an honest default.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    entries : mapping of str to Entry
        The roles that it names.
    registry : Registry
        Where defaults are looked for.

    Returns
    -------
    entries : dict of str to Entry
        With the assumed ones added.
    assumptions : tuple of str
        One sentence each, with the key that replaces it.

    Raises
    ------
    ConfigError
        If no stack is known for the device.
    """
    filled = dict(entries)
    left_out: list[str] = []
    said = _said_of_names(scenario, filled, registry)
    if "stack" not in filled:
        filled["stack"] = _stack_for(scenario.kind, filled["device"], registry, left_out)
        stack, device = filled["stack"], filled["device"]
        nobodys = stack.record.vendor == NOBODY
        what = f"as none is known to be usual on {device.key}" if nobodys else f"the usual one for {device.key}"
        said.append(f"stack: {stack.key}, {what} (set system.stack)")
    if scenario.system.devices > 1 and "node" not in filled:
        node = node_for(filled["device"], scenario.system.devices, registry, left_out)
        if node is not None:
            filled["node"] = node
            said.append(f"node: {node.record.name} (set system.node or system.cluster)")
    if "grid" not in filled:
        grid = _grid_for(filled, registry)
        if grid is not None:
            filled["grid"] = grid
            said.append(f"grid: {grid.record.name}, {grid.record.year} average (set place.grid)")
    if "price" not in filled:
        joined = min(scenario.system.devices, filled["node"].record.devices) if "node" in filled else 1
        price = _cheapest(filled["device"].key, registry, left_out, joined)
        if price is not None:
            filled["price"] = price
            cost = price.record.rate if price.record.rate is not None else price.record.amount
            unit = "USD/h" if price.record.rate is not None else "USD"
            lone = f"; no offer of {joined:g} joined in a node is known" if price.record.devices < joined else ""
            said.append(
                f"price: {price.record.name}, {format_quantity(cost, unit)} for {price.record.devices:g} "
                f"device(s), {price.record.date}{lone} (set place.price)"
            )
    if "site" not in filled:
        said.append("site: none, so energy is that of the machine alone, PUE 1 (set place.site)")
    if left_out:
        said.append(f"left out, because their files are at fault (see mlsysim doctor): {', '.join(left_out)}")
    return filled, tuple(said)


def _said_of_names(scenario: Scenario, entries: Mapping[str, Entry], registry: Registry) -> list[str]:
    """Say what the names of a device and a stack were taken for, and what of a model its shape leaves out."""
    said: list[str] = []
    named, device, model = scenario.system.device, entries["device"], entries.get("model")
    others = variants(registry, named, device.key) if named != device.key else []
    if others:
        said.append(f"device: {device.key}; {named} may also be {', '.join(others)} (set system.device)")
    said += _said_of_stack(scenario, entries.get("stack"), registry)
    if model is not None and model.record.unmodelled:
        said.append(f"model: {model.record.unmodelled}")
    return said


def _said_of_stack(scenario: Scenario, stack: Entry | None, registry: Registry) -> list[str]:
    """Say which version of a stack a bare name was taken for, where others begin with it."""
    named = (scenario.system.stack or "").lower()
    if stack is None or named in registry.keys("stacks"):
        return []
    near = (key for key in registry.keys("stacks") if key != stack.key and key.startswith(f"{named}-"))
    others = sorted(key for key in near if registry.get("stacks", key).record.runs(scenario.kind))
    return [f"stack: {stack.key}; {named} may also be {', '.join(others)} (set system.stack)"] if others else []


def _stack_for(kind: str, device: Entry, registry: Registry, left_out: list[str]) -> Entry:
    stacks = [entry for entry in registry.readable("stacks", left_out=left_out) if entry.record.runs(kind)]
    usual = "serving" if kind == "traffic" else kind
    for wanted in (f"{usual}/{device.key}", f"{usual}/{device.record.vendor}", f"{usual}/{device.record.tier}", usual):
        for entry in stacks:
            if wanted in entry.record.assumed_for:
                return entry
    raise ConfigError(
        f"no software stack is known to run {kind} scenarios on {device.record.name}",
        where="system.stack",
        remedy="Name one: " + (", ".join(e.key for e in stacks) or "none is registered"),
    )


def node_for(device: Entry, devices: int, registry: Registry, left_out: list[str] | None = None) -> Entry | None:
    """Return the node that holds a device where nothing names one.

    Parameters
    ----------
    device : Entry
        The device.
    devices : int
        How many are wanted.
    registry : Registry
        Where nodes are looked for.
    left_out : list of str, optional
        Takes the names of those that cannot be read.

    Returns
    -------
    Entry or None
        One with several cards for several, the maker's own first, then by name; for a device that no node names, a
        node of cards of several kinds, the one that says most about their names. None if there is neither.
    """
    every = list(registry.readable("nodes", left_out=left_out))
    nodes = [entry for entry in every if entry.record.device == device.key]
    if not nodes:
        taking = [entry for entry in every if entry.record.takes(device.record)]
        return max(taking, key=lambda e: (len(e.record.device), e.key), default=None)
    maker = device.record.vendor
    return min(nodes, key=lambda e: (devices > 1 >= e.record.devices, e.record.vendor != maker, e.key))


def _grid_for(entries: Mapping[str, Entry], registry: Registry) -> Entry | None:
    site = entries.get("site")
    key = site.record.grid if site is not None and site.record.grid else DEFAULT_GRID
    return registry.get("grids", key) if key in registry.keys("grids") else None


def _cheapest(device: str, registry: Registry, left_out: list[str], joined: float) -> Entry | None:
    """Return the cheapest on-demand rental of a device, of so many joined if there is one, else a purchase."""
    near = registry.readable("prices", mentioning=device, left_out=left_out)
    offers = [entry for entry in near if entry.record.device == device]
    rented = [e for e in offers if e.record.term == "on-demand" and e.record.rate is not None]
    bought = [e for e in offers if e.record.term == "purchase" and e.record.amount is not None]
    rented = [e for e in rented if e.record.devices >= joined] or rented
    if rented:
        return min(rented, key=lambda e: e.record.rate / e.record.devices)
    return min(bought, key=lambda e: e.record.amount / e.record.devices) if bought else None
