"""Entry points of installed distributions, read from their metadata folders.

The same as ``importlib.metadata.entry_points``, whose import, with the ``email`` package behind it, would take a
tenth of the time of a cold ``mlsysim eval``. Where Python finds distributions in other ways than as folders on
``sys.path`` (in archives, through a finder of a tool), ``importlib.metadata`` is asked after all.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["EntryPoint", "entry_points"]

_SUFFIXES = (".dist-info", ".egg-info")
_NOT_NAME = re.compile(r"[-_.]+")


class EntryPoint(NamedTuple):
    """One line of an ``entry_points.txt``.

    Parameters
    ----------
    name, value : str
        ``name = module:attribute``.
    distribution, version : str
        Who offers it.
    """

    name: str
    value: str
    distribution: str = ""
    version: str = ""

    def load(self) -> Any:
        """Import what the entry point names.

        Returns
        -------
        object
            The module, or the attribute of it.

        Raises
        ------
        ImportError, AttributeError
            As the import does.
        """
        module, _, attribute = self.value.split("[")[0].strip().partition(":")
        found: Any = import_module(module.strip())
        for part in filter(None, attribute.strip().split(".")):
            found = getattr(found, part)
        return found


def entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of one group, of every distribution that Python finds.

    Parameters
    ----------
    group : str
        Name of the section.

    Returns
    -------
    list of EntryPoint
        In the order of ``sys.path``; of two copies of a distribution the first counts.
    """
    if _only_folders():
        return list(_in_folders(group))
    from importlib import metadata

    return [
        EntryPoint(e.name, e.value, e.dist.name if e.dist else "", e.dist.version if e.dist else "")
        for e in metadata.entry_points(group=group)
    ]


def _only_folders() -> bool:
    others = [f for f in sys.meta_path if f is not PathFinder and hasattr(f, "find_distributions")]
    return not others and not any(Path(place).is_file() for place in sys.path)


def _in_folders(group: str) -> Iterator[EntryPoint]:
    seen: set[str] = set()
    for place in sys.path:
        try:
            with os.scandir(place or ".") as items:
                folders = [item for item in items if item.name.endswith(_SUFFIXES)]
        except OSError:
            continue
        for folder in folders:
            project = _NOT_NAME.sub("-", folder.name.rpartition(".")[0].split("-")[0]).lower()
            if project not in seen:
                seen.add(project)
                yield from _of_one(Path(folder.path), group)


def _of_one(folder: Path, group: str) -> Iterator[EntryPoint]:
    section = ""
    for raw in _lines(folder, "entry_points.txt"):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group and line and line[0] not in "#;":
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip(), *_identity(folder))


def _identity(folder: Path) -> tuple[str, str]:
    """Name and version of a distribution: the head of its METADATA ends at the first empty line."""
    found = {"name": "", "version": ""}
    for line in _lines(folder, "METADATA") or _lines(folder, "PKG-INFO"):
        if not line.strip():
            break
        key, _, value = line.partition(":")
        if key.lower() in found:
            found[key.lower()] = value.strip()
    return found["name"], found["version"]


def _lines(folder: Path, name: str) -> list[str]:
    try:
        return (folder / name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
