"""Can every file be read, and is every name unique?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlsysim.errors import Fault, MlsysimError
from mlsysim.records import KINDS, singular
from mlsysim.entities import Registry

from .finding import Finding, catalogs, place

__all__ = ["names", "schema"]

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
                        yield _finding("schema", fault, paths[0])


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
            yield from _aliases(catalog.files(kind), catalog.names(kind), kind)


def _aliases(files: object, claimed: object, kind: str) -> Iterator[Finding]:
    """Compare names as users type them: case, spaces and underscores do not count."""
    assert isinstance(files, dict)
    assert isinstance(claimed, dict)
    owners: dict[str, set[str]] = {_fold(key): {key} for key in files}
    for alias, keys in claimed.items():
        owners.setdefault(_fold(alias), set()).update(keys)
    for alias, keys in sorted(owners.items()):
        if len(keys) > 1:
            path = files[sorted(keys)[-1]][0]
            yield Finding("fault", "names", place(path, "aliases"),
                          f"{alias!r} means the {singular(kind)} {' and the '.join(sorted(keys))}",
                          "Keep the name in one of them")  # fmt: skip


def _fold(name: str) -> str:
    return name.casefold().replace("_", "-").replace(" ", "-")


def _finding(check: str, fault: Fault, path: str) -> Finding:
    return Finding("fault", check, fault.where or path, fault.what, fault.remedy)
