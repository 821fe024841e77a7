"""A newer generation is not slower than the one before it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlsysim.documents import load_document
from mlsysim.entities import Entry, Registry

from .finding import Finding, about, acknowledged, look_up

__all__ = ["generations"]

ROUNDING = 0.01
"""One document prints 989.4, another 989: that is no step back."""
_NUMBERED = re.compile(r"(?P<head>.*?)-(?P<number>\d+)(?P<tail>-x\d+)?$")


@lru_cache(maxsize=1)
def _lines() -> Sequence[Mapping[str, Any]]:
    """Read the packaged lines of products."""
    return tuple(load_document(Path(__file__).parent / "generations.toml").data["line"])


def generations(registry: Registry, lines: Sequence[Mapping[str, Any]] | None = None) -> Iterator[Finding]:
    """Compare each product with its predecessor.

    Links are ordered by the number in their key (``nvlink-3``, ``nvlink-4``); devices by the
    packaged lines of products.

    Parameters
    ----------
    registry : Registry
        All data.
    lines : sequence of mapping, optional
        Rows with ``kind``, ``fields`` and ``keys`` (oldest first); the packaged ones by default.

    Yields
    ------
    Finding
    """
    families: dict[tuple[str, str], list[tuple[int, Entry]]] = {}
    for entry in registry.readable("links"):
        match = _NUMBERED.match(entry.key)
        if match:
            families.setdefault((match["head"], match["tail"] or ""), []).append((int(match["number"]), entry))
    for family in families.values():
        yield from _ordered([entry for _, entry in sorted(family, key=lambda item: item[0])], ["bandwidth"])
    for line in _lines() if lines is None else lines:
        read = (look_up(registry, line["kind"], key) for key in line["keys"] if key in registry.keys(line["kind"]))
        yield from _ordered([known for known in read if known is not None], line["fields"])


def _ordered(line: Sequence[Entry], fields: Sequence[str]) -> Iterator[Finding]:
    for older, newer in itertools.pairwise(line):
        for field in fields:
            old, new = older.claims.get(field), newer.claims.get(field)
            if old and new and new[0].value < (1 - ROUNDING) * old[0].value and not acknowledged(newer, [field]):
                yield about(newer, field, "fault", "generations",
                            f"{new[0].as_stated} is less than the {old[0].as_stated} of its predecessor {older.key}",
                            "One of them is wrong; if it is true, add a note that says so")  # fmt: skip
