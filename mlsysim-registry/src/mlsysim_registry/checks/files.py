"""Whether every file can be read, and every name is unique."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mlsysim.entities import Registry
from mlsysim.errors import MlsysimError
from mlsysim.names import fold
from mlsysim.records import KINDS, singular

from ..catalog import Catalog
from .finding import Finding, Severity, catalogs, place

__all__ = ["names", "schema", "template"]

_UNFILLED = re.compile(r'^(\w+) = "\.\.\."', re.MULTILINE)
KEY = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def schema(registry: Registry) -> Iterator[Finding]:
    """Read every entity: structure, units, bounds, a document and a place in it for each number.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for catalog in catalogs(registry):
        for kind in KINDS:
            for key, paths in catalog.files(kind).items():
                try:
                    catalog.entry(kind, key)
                except MlsysimError as error:
                    for fault in error.faults:
                        yield Finding("fault", "schema", fault.where or paths[0], fault.what, fault.remedy)


def template(registry: Registry) -> Iterator[Finding]:
    """Look for words that a template left to be filled in.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for catalog in catalogs(registry):
        entities = [path for kind in KINDS for paths in catalog.files(kind).values() for path in paths]
        for path in (*entities, *catalog.sources.files.values()):
            for key in _UNFILLED.findall(Path(path).read_text(encoding="utf-8", errors="replace")):
                yield Finding(
                    "fault", "template", place(path, key), f'{key} is still "..."', "Fill it in, or leave it out"
                )


def names(registry: Registry) -> Iterator[Finding]:
    """Look for two entities with one name, and for names that do not follow the rule.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for kind in KINDS:
        seen: dict[str, str] = {}
        for catalog in catalogs(registry):
            for key, paths in catalog.files(kind).items():
                if not KEY.fullmatch(key):
                    yield Finding("fault", "names", paths[0], f"the key {key!r} is not allowed",
                                  "Name the file in lower case with digits, dots and hyphens")  # fmt: skip
                for path in paths:
                    if key in seen:
                        yield Finding("fault", "names", path, f"the key {key!r} is taken by {seen[key]}",
                                      "Rename one of them")  # fmt: skip
                    seen.setdefault(key, path)
            yield from _aliases(catalog, kind)
        yield from _taken(registry, kind)


def _aliases(catalog: Catalog, kind: str) -> Iterator[Finding]:
    """Compare names as users type them: case, spaces and underscores do not count.

    Two versions of one thing may share their full name: it then leads to neither, unless it is an
    alias of one of them.
    """
    aliases, titles = catalog.names(kind)
    claimed: dict[str, set[str]] = {fold(key): {key} for key in catalog.files(kind)}
    for alias, keys in aliases.items():
        claimed.setdefault(fold(alias), set()).update(keys)
    for alias, keys in sorted(claimed.items()):
        if len(keys) > 1:
            yield _shared("fault", catalog, kind, alias, keys)
    for title, keys in sorted(titles.items()):
        if len(keys) > 1 and fold(title) not in claimed:
            yield _shared("note", catalog, kind, title, keys)


def _taken(registry: Registry, kind: str) -> Iterator[Finding]:
    """Find aliases that lead elsewhere, because an earlier package has them: they would do nothing."""
    owners: dict[str, str] = {}
    for catalog in catalogs(registry):
        aliases, _ = catalog.names(kind)
        own = {fold(key): key for key in catalog.files(kind)}
        for alias, keys in sorted(aliases.items()):
            owner = owners.get(fold(alias))
            if owner is not None and owner not in keys:
                path = catalog.files(kind)[max(keys)][0]
                what = f"{alias!r} means the {singular(kind)} {owner} of another package"
                yield Finding("fault", "names", place(path, "aliases"), what, "Leave it out")
            own.setdefault(fold(alias), max(keys))
        for name, key in own.items():
            owners.setdefault(name, key)


def _shared(severity: Severity, catalog: Catalog, kind: str, name: str, keys: set[str]) -> Finding:
    path = catalog.files(kind)[max(keys)][0]
    what = f"{name!r} means the {singular(kind)} {' and the '.join(sorted(keys))}"
    return Finding(severity, "names", place(path, "aliases"), what, "Make it an alias of one of them")
