"""What a check reports, and what checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import attrs

from mlsysim.documents import Document
from mlsysim.entities import Entry, Registry
from mlsysim.errors import MlsysimError

from ..catalog import Catalog

__all__ = ["Check", "Finding", "Severity", "about", "acknowledged", "catalogs", "look_up", "place", "within"]

Severity = Literal["fault", "dispute", "note"]


@attrs.frozen
class Finding:
    """One thing that a check noticed.

    Parameters
    ----------
    severity : str
        fault (must be repaired), dispute (recorded disagreement, shown to users) or note.
    check : str
        Name of the check.
    place : str
        ``file:line: key``.
    what : str
        What was found, with the values.
    remedy : str
        What to do about it.
    """

    severity: Severity
    check: str
    place: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: {self.severity} [{self.check}] {self.what}"
        return f"{text}. {self.remedy}" if self.remedy else text


Check = Callable[[Registry], Iterator[Finding]]
"""From all data to what one check noticed."""


def catalogs(registry: Registry) -> list[Catalog]:
    """Return the data packages that are folders of files.

    Parameters
    ----------
    registry : Registry
        All data.

    Returns
    -------
    list of Catalog
    """
    return [source for source in registry.packages if isinstance(source, Catalog)]


def look_up(registry: Registry, kind: str, name: str) -> Entry | None:
    """Return an entity, by its key or an alias, if there is one that can be read.

    Parameters
    ----------
    registry : Registry
        All data.
    kind, name : str
        What to look for.

    Returns
    -------
    Entry or None
    """
    try:
        return registry.get(kind, name)
    except MlsysimError:
        return None


def place(path: str, field: str = "") -> str:
    """Say where a field stands in a file.

    Parameters
    ----------
    path : str
        The file.
    field : str
        Dotted path of the field.

    Returns
    -------
    str
        ``file:line: key`` when the line can be found.
    """
    try:
        text = Path(path).read_text(encoding="utf-8") if field else ""
    except (OSError, UnicodeDecodeError):
        text = ""
    return Document(path, {}, text).place(field)


def about(entry: Entry, field: str, severity: Severity, check: str, what: str, remedy: str = "") -> Finding:
    """Make a finding on a field of an entity.

    Parameters
    ----------
    entry : Entry
        The entity.
    field : str
        Dotted path of the field.
    severity, check, what, remedy : str
        As in :class:`Finding`.

    Returns
    -------
    Finding
    """
    return Finding(severity, check, place(entry.path, field), what, remedy)


def acknowledged(entry: Entry, fields: Iterable[str]) -> str:
    """Return the remark with which a file itself admits that its numbers do not agree.

    Parameters
    ----------
    entry : Entry
        The entity.
    fields : iterable of str
        The fields that do not agree.

    Returns
    -------
    str
        The notes of their claims; empty when there is none. A remark turns a fault into a visible dispute.
    """
    notes = [claim.note for field in fields for claim in entry.claims.get(field, ()) if claim.note]
    return "; ".join(dict.fromkeys(notes))


def within(entry: Entry, field: str, value: float) -> bool:
    """Tell whether a value lies in the range of an estimate.

    Parameters
    ----------
    entry : Entry
        The entity.
    field : str
        Dotted path of the field.
    value : float, SI
        The value to look at.

    Returns
    -------
    bool
        False also when the field is no estimate.
    """
    claims = entry.claims.get(field)
    if not claims or claims[0].low is None or claims[0].high is None:
        return False
    return claims[0].low <= value <= claims[0].high
