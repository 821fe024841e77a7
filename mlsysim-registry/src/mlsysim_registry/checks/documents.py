"""Whether documents are described well, who copies whom, and which claims disagree."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from mlsysim.entities import Registry, field_tolerance, today
from mlsysim.errors import RegistryError
from mlsysim.provenance import TIME_TO_LIVE, independent
from mlsysim.provenance import lineage as lineage_of
from mlsysim.records import KINDS

from ..catalog import Catalog
from .finding import Finding, about, catalogs, place

__all__ = ["documents", "freshness", "lineage"]


def documents(registry: Registry) -> Iterator[Finding]:
    """Read every description of a document; refuse dates in the future and addresses that are none.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    cited = {key for kind in KINDS for entry in registry.readable(kind) for key in entry.sources}
    tables = "".join(_table_text(catalog) for catalog in catalogs(registry))
    now = today()
    for catalog in catalogs(registry):
        for key, path in catalog.sources.files.items():
            try:
                source = catalog.sources.read(key)
            except RegistryError as error:
                for fault in error.faults:
                    yield Finding("fault", "documents", fault.where or path, fault.what, fault.remedy)
                continue
            if dt.date.fromisoformat(source.retrieved) > now:
                yield Finding("fault", "documents", place(path, "retrieved"), f"{source.retrieved} is in the future",
                              "Write the day on which the document was read")  # fmt: skip
            # A measurement of one's own machine has no address until somebody publishes it.
            if not source.url.startswith(("https://", "http://", "urn:mlsysim:measured:")):
                yield Finding("fault", "documents", place(path, "url"), f"{source.url!r} is not a public address",
                              "Give the https address at which others find the document")  # fmt: skip
            if key not in cited and key not in tables:
                yield Finding("note", "documents", path, "no number names this document", "Remove it or cite it")


def _table_text(catalog: Catalog) -> str:
    """Return the text of the tables of measurements, which name documents too."""
    folders = ("measurements", "measurements/outside")
    return "".join(path.read_text(encoding="utf-8") for kind in folders for path in catalog.tables(kind).values())


def lineage(registry: Registry) -> Iterator[Finding]:
    """Follow who copies whom; two claims by one publisher or of one origin count once.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for catalog in catalogs(registry):
        for key, path in catalog.sources.files.items():
            source = catalog.sources.get(key)
            for origin in source.derived_from if source else ():
                if origin not in catalog.sources:
                    yield Finding("fault", "lineage", place(path, "derived_from"), f"no document is called {origin!r}",
                                  "Describe it in sources/, or name the right one")  # fmt: skip
            if source is not None and source.id in lineage_of(source.derived_from, catalog.sources):
                yield Finding("fault", "lineage", place(path, "derived_from"), "the document copies itself in a circle",
                              "Remove the link that is wrong")  # fmt: skip
    for kind in KINDS:
        for entry in registry.readable(kind):
            for field, claims in entry.claims.items():
                named = [entry.sources[c.source] for c in claims if c.source in entry.sources]
                if len(named) > 1 and not any(independent(named[0], other, entry.sources) for other in named[1:]):
                    yield about(
                        entry,
                        field,
                        "note",
                        "lineage",
                        f"{len(named)} claims, but all of one origin ({named[0].publisher}): they count once",
                    )


def freshness(registry: Registry) -> Iterator[Finding]:
    """Compare the age of each document with the time for which its kind stays good.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
        One for each document that is too old.
    """
    now = today()
    for catalog in catalogs(registry):
        for key, path in catalog.sources.files.items():
            source = catalog.sources.get(key)
            if source is not None and source.age_days(now) > TIME_TO_LIVE[source.kind]:
                yield Finding("note", "freshness", place(path, "retrieved"),
                              f"read {source.age_days(now)} days ago; a {source.kind} stays good for "
                              f"{TIME_TO_LIVE[source.kind]}", "Read it again and renew the date")  # fmt: skip


def disputes(registry: Registry) -> Iterator[Finding]:
    """Report claims on one field that are further apart than the tolerance of the field.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for kind in KINDS:
        for entry in registry.readable(kind):
            for field, claims in entry.claims.items():
                if len(claims) > 1:
                    standing = entry.standing(field)
                    if standing is not None and standing.disputed:
                        shown = ", ".join(f"{c.as_stated} ({c.source or 'estimate'})" for c in claims)
                        tolerance = field_tolerance(entry.record, field)
                        yield about(
                            entry,
                            field,
                            "dispute",
                            "disputes",
                            f"claims differ by more than {100.0 * tolerance:.3g} %: {shown}; the first is used",
                        )
