"""What the name of a device leaves open: form factor and memory size."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from mlsysim.names.matching import contradicts
from mlsysim.plugins import plugins
from mlsysim.records import Device
from mlsysim.records.measurement import Measurement

from .names import Names

__all__ = ["alternatives", "widest"]

_SOLDERED = re.compile(r"(?<![a-z])(?:dgx|hgx|sxm\d?|nvswitch|nvlink|nvl\d+|selene)(?![a-z])", re.IGNORECASE)
"""Words that tell modules on a board with a switch from cards."""
_SLOTTED = re.compile(r"(?<![a-z])pcie(?![a-z])", re.IGNORECASE)
_BRIDGED = re.compile(r"(?<![a-z])nvl(?![a-z0-9])", re.IGNORECASE)
_STACKED = re.compile(r"(?<![a-z])hbm\d?e?(?![a-z])", re.IGNORECASE)
_TOLD = ("intra_node_link", "notes", "system")


def alternatives(row: Measurement, key: str, known: Names) -> tuple[str, ...]:
    """Name the devices that the published name fits as well as the one that is taken for it.

    Parameters
    ----------
    row : Measurement
        The row.
    key : str
        The device that is taken.
    known : Names
        Names as published.

    Returns
    -------
    tuple of str
        Keys, sorted; none where the row tells which it is.
    """
    if known.told(row.set, row.device) == key:
        return ()
    registry = plugins().registry
    published = row.configuration.get("published", "")
    told = " ".join((row.device, row.at, *(row.configuration.get(name, "") for name in _TOLD)))
    return tuple(
        other
        for other in sorted(known.family(row.device, key))
        if other != key
        and not (published and published < registry.get("devices", other).record.released)
        and not contradicts(row.device, registry.get("devices", other).record, other)
        and other not in known.rare
        and not _excluded(other, registry.get("devices", other).record, row.device, told)
    )


def _excluded(key: str, record: Device, name: str, told: str) -> bool:
    """Tell whether a name, or the rest of a row, speaks against a form factor or a kind of memory."""
    title = f"{key} {record.name}"
    bridged, slotted = bool(_BRIDGED.search(title)), bool(_SLOTTED.search(title))
    module = bool(re.search(r"(?<![a-z])sxm\d?", title, re.IGNORECASE))
    stacked = _STACKED.search(name)
    return (
        (bool(_BRIDGED.search(name)) and not bridged)
        or (bridged and bool(_SLOTTED.search(name)))
        or ((slotted or bridged) and bool(_SOLDERED.search(told)))
        or (module and bool(_SLOTTED.search(told)))
        or (stacked is not None and not record.memory.kind.casefold().startswith(stacked[0].casefold()))
    )


def widest(ratios: Iterable[float]) -> float:
    """Return by how much figures of other devices differ at most from that of the one that is taken.

    Parameters
    ----------
    ratios : iterable of float
        Each over the figure of the device that is taken.

    Returns
    -------
    float, natural-log units
    """
    return max((abs(math.log(ratio)) for ratio in ratios if ratio > 0.0), default=0.0)
