"""One page per entity, with every number, its badge and its document; index tables above them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlsysim import registry
from mlsysim.entities import Entry
from mlsysim.provenance import Level, Standing
from mlsysim.units import format_quantity

__all__ = ["pages"]

FEW = 5
"""Kinds whose entities have no more numbers than this on average share one page."""

_COLOURS = {
    Level.ESTIMATE: "warning",
    Level.STATED: "secondary",
    Level.ARCHIVED: "info",
    Level.CORROBORATED: "success",
    Level.MEASURED: "success",
}


def cell(text: str) -> str:
    """Make text safe inside a table cell.

    Parameters
    ----------
    text : str
        Anything.

    Returns
    -------
    str
    """
    clean = " ".join(str(text).split())
    for mark in "\\`*_[]<>|$":
        clean = clean.replace(mark, f"\\{mark}")
    return clean.replace("{", "&#123;")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a Markdown table.

    Parameters
    ----------
    head : iterable of str
        Titles of the columns.
    rows : iterable of iterable of str
        Cells, safe already.

    Returns
    -------
    str
    """
    titles = list(head)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def badge(standing: Standing) -> str:
    """Write a coloured badge.

    Parameters
    ----------
    standing : Standing
        What is known about a number.

    Returns
    -------
    str
    """
    colour = "danger" if standing.disputed else "warning" if standing.stale else _COLOURS[standing.level]
    return f"{{bdg-{colour}}}`{standing.badge}`"


def pages() -> dict[str, str]:
    """Write the catalog.

    Returns
    -------
    dict of str to str
        File name to Markdown.
    """
    found: dict[str, str] = {}
    overview: list[list[str]] = []
    documents: dict[str, Any] = {}
    for kind in registry().kinds():
        entries = registry().entries(kind)
        claims = [s for entry in entries for s in _standings(entry).values()]
        if len(claims) <= FEW * len(entries):
            found[f"{kind}/index.md"] = _flat_page(kind, entries)
        else:
            found[f"{kind}/index.md"] = _kind_page(kind, entries)
            found.update({f"{kind}/{entry.key}.md": _entity_page(entry) for entry in entries})
        for entry in entries:
            documents.update(entry.sources)
        verified = sum(s.verified for s in claims)
        overview.append([f"[{kind}]({kind}/index.md)", str(len(entries)), str(len(claims)), str(verified)])
    kinds = "\n".join(f"{kind}/index" for kind in registry().kinds())
    found["index.md"] = (
        "# Catalog\n\nEvery number that ships with mlsysim, with the document behind it. A number is *verified* when "
        "it is corroborated or better, not stale and not disputed; see "
        "[provenance and badges](../explanation/provenance.md).\n\n"
        + table(["kind", "entities", "numbers", "verified"], overview)
        + f"\n```{{toctree}}\n:maxdepth: 1\n:hidden:\n{kinds}\ndocuments\n```\n"
    )
    found["documents.md"] = _documents_page(documents)
    return found


def _standings(entry: Entry) -> dict[str, Standing]:
    found = {field: entry.standing(field) for field in entry.claims}
    return {field: standing for field, standing in found.items() if standing is not None}


def _kind_page(kind: str, entries: list[Entry]) -> str:
    rows = []
    for entry in entries:
        standings = list(_standings(entry).values())
        weakest = min(standings, key=lambda s: (not s.disputed, not s.stale, s.level), default=None)
        rows.append(
            [
                f"[{entry.key}]({entry.key}.md)",
                cell(entry.record.name),
                str(len(standings)),
                str(sum(s.verified for s in standings)),
                badge(weakest) if weakest else "",
                cell(entry.package),
            ]
        )
    head = ["key", "name", "numbers", "verified", "weakest", "package"]
    return f"# {kind.capitalize()}\n\n{table(head, rows)}"


def _flat_page(kind: str, entries: list[Entry]) -> str:
    rows = []
    for entry in entries:
        named = [f"`{entry.key}`", cell(entry.record.name)]
        numbers = [_number(entry, field, standing) for field, standing in _standings(entry).items()]
        rows += [[*named, *number] for number in numbers or [[""] * 5]]
    head = ["key", "name", "field", "value", "as printed", "support", "document"]
    return f"# {kind.capitalize()}\n\n{table(head, rows)}"


def _entity_page(entry: Entry) -> str:
    record = entry.record
    parts = ["---\norphan: true\n---\n", f"# {cell(record.name)}\n", f"`{entry.name}` of {cell(entry.package)}"]
    aliases = ", ".join(f"`{alias}`" for alias in getattr(record, "aliases", ()))
    if aliases:
        parts.append(f", also called {aliases}")
    parts.append("\n")
    if getattr(record, "note", ""):
        parts.append(f"\n{cell(record.note)}\n")
    rows = [_number(entry, field, standing) for field, standing in _standings(entry).items()]
    if rows:
        parts.append("\n" + table(["field", "value", "as printed", "support", "document"], rows))
    else:
        parts.append(f"\nIt states no number about the world. `mlsysim show {entry.name}` prints it.\n")
    return "\n".join(parts)


def _number(entry: Entry, field: str, standing: Standing) -> list[str]:
    claim = standing.chosen
    source = entry.sources.get(claim.source)
    where = cell(claim.reason) if claim.reason else ""
    if source is not None:
        link = f"[{cell(source.title)}]({source.url})" if source.url.startswith("http") else cell(source.title)
        where = "; ".join(part for part in (f"{link}, {cell(claim.at)} (read {source.retrieved})", where) if part)
    also = len(entry.claims[field]) - 1
    if also:
        where += f"; {also} further claim{'s' if also > 1 else ''}"
    return [f"`{field}`", cell(format_quantity(claim.value, claim.unit)), cell(claim.as_stated), badge(standing), where]


def _documents_page(documents: dict[str, Any]) -> str:
    rows = [
        [
            f"`{key}`",
            f"[{cell(source.title)}]({source.url})" if source.url.startswith("http") else cell(source.title),
            cell(source.publisher),
            source.kind,
            source.tier,
            source.retrieved,
        ]
        for key, source in sorted(documents.items())
    ]
    text = f"# Documents\n\nThe {len(rows)} documents behind the numbers.\n\n"
    return text + table(["id", "title", "publisher", "kind", "tier", "read"], rows)
