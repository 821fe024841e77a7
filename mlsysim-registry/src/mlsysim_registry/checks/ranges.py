"""Whether each number is of a size that such a thing can have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlsysim.documents import load_document
from mlsysim.entities import Entry, Registry
from mlsysim.provenance import MEASURED_HERE
from mlsysim.units import format_quantity, parse_quantity

from .finding import Finding, about

__all__ = ["ranges"]


@lru_cache(maxsize=1)
def _table() -> Sequence[Mapping[str, Any]]:
    """Read the packaged ranges."""
    return tuple(load_document(Path(__file__).parent / "ranges.toml").data["range"])


def ranges(registry: Registry, table: Sequence[Mapping[str, Any]] | None = None) -> Iterator[Finding]:
    """Compare numbers with the plausible range of their kind and tier.

    Parameters
    ----------
    registry : Registry
        All data.
    table : sequence of mapping, optional
        Rows with kind, field (``*`` stands for one name), low, high, reason and, for devices, tier;
        the packaged ones by default.

    Yields
    ------
    Finding
    """
    rows = _table() if table is None else table
    for kind in dict.fromkeys(row["kind"] for row in rows):
        mine = [row for row in rows if row["kind"] == kind]
        for entry in registry.readable(kind):
            tier = getattr(entry.record, "tier", "")
            for row in mine:
                if row.get("tier", tier) != tier:
                    continue
                for field in _fields(entry.claims, row["field"]):
                    claim = entry.claims[field][0]
                    low, high = _bounds(row["low"], row["high"], claim.unit)
                    if not low <= claim.value <= high:
                        yield about(entry, field, "note" if _measured_here(entry, claim) else "fault", "ranges",
                                    f"{claim.as_stated} is {format_quantity(claim.value, claim.unit)}, outside "
                                    f"{row['low']} to {row['high']}: {row['reason']}",
                                    "Look for a wrong prefix or unit")  # fmt: skip


def _measured_here(entry: Entry, claim: Any) -> bool:
    """Tell whether a number is what somebody's own machine did: software may be far below the device."""
    source = entry.sources.get(claim.source)
    return source is not None and source.url.startswith(MEASURED_HERE)


@lru_cache(maxsize=512)
def _bounds(low: str, high: str, unit: str) -> tuple[float, float]:
    return parse_quantity(low, unit), parse_quantity(high, unit)


def _fields(claims: Mapping[str, Any], pattern: str) -> Iterator[str]:
    if "*" not in pattern:
        if pattern in claims:
            yield pattern
        return
    for field in claims:
        if fnmatchcase(field, pattern):
            yield field
