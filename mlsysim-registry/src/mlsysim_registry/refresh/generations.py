"""The refreshed numbers of this user: numbered files that never change, and a pointer to the one in force.

``current.toml`` names a generation and its hash and is written last, so that a reader sees a whole generation or the
one before. The packaged data are never written.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs

from mlsysim.errors import MlsysimError, RegistryError
from mlsysim.provenance import Source

from .store import POINTER, check_overlay, overlay_folder

__all__ = ["DATED", "EMPTY", "Generation", "Number", "current", "generation_file", "read_generation"]

DATED: Mapping[str, str] = {"grids": "year", "prices": "date"}
"""Kinds whose numbers change with time, and the field that says when; a newer number replaces an older one."""

_NAME = re.compile(r"\d{6}")
_FORMAT = 1
_REMEDY = "Run `mlsysim registry refresh rollback`, or remove the folder to use the packaged data alone"


@attrs.frozen
class Number:
    """One refreshed number.

    Parameters
    ----------
    entity, field : str
        ``kind/key`` and dotted path.
    value, means, source, at, note : str
        As in a claim of a data file.
    dated : str
        Date or year that the entity takes on with the number.
    asof : str
        The source's own date.
    text : dict of str to str
        Text fields of an entity that the packaged data do not have; empty for one that they have.
    """

    entity: str
    field: str
    value: str
    source: str
    at: str
    means: str = ""
    note: str = ""
    dated: str = ""
    asof: str = ""
    text: dict[str, str] = attrs.field(factory=dict)

    @property
    def claim(self) -> dict[str, str]:
        """The number as a claim of a data file."""
        parts = {name: getattr(self, name) for name in ("value", "means", "source", "at", "note")}
        return {name: part for name, part in parts.items() if part}


@attrs.frozen
class Generation:
    """All refreshed numbers at one time.

    Parameters
    ----------
    name : str
        Six digits; empty when nothing was refreshed.
    sha256 : str
        Hash of its file.
    applied : str
        ISO date.
    previous, previous_sha256 : str
        The generation before.
    numbers : tuple of Number
        At most one for a field of an entity.
    sources : dict of str to Source
        The documents as read, by id with the date of reading.
    """

    name: str = ""
    sha256: str = ""
    applied: str = ""
    previous: str = ""
    previous_sha256: str = ""
    numbers: tuple[Number, ...] = ()
    sources: dict[str, Source] = attrs.field(factory=dict)

    def of(self, kind: str, key: str) -> tuple[Number, ...]:
        """Return the numbers of an entity.

        Parameters
        ----------
        kind, key : str
            The entity.

        Returns
        -------
        tuple of Number
        """
        return tuple(number for number in self.numbers if number.entity == f"{kind}/{key}")


EMPTY = Generation()


def current() -> Generation:
    """Return the generation in force.

    Returns
    -------
    Generation
        :data:`EMPTY` when nothing was refreshed.

    Raises
    ------
    RegistryError
        If the pointer or the generation is damaged, changed by hand, or a link, or the folder holds something else.
    """
    pointer = overlay_folder() / POINTER
    try:
        seen = pointer.lstat()
    except OSError:
        check_overlay(pointer.parent)
        return EMPTY
    return _current(pointer, seen.st_mtime_ns, seen.st_ino)


@lru_cache(maxsize=4)
def _current(pointer: Path, _changed: int, _inode: int) -> Generation:
    data = _toml(pointer)
    name, sha256 = data.get("generation"), data.get("sha256")
    if not (isinstance(name, str) and isinstance(sha256, str)):
        raise RegistryError("names no generation", where=str(pointer), remedy=_REMEDY)
    return read_generation(name, sha256, pointer.parent)


def generation_file(name: str, folder: Path) -> Path:
    """Return the file of a generation.

    Parameters
    ----------
    name : str
        Six digits.
    folder : Path
        The overlay.

    Returns
    -------
    Path

    Raises
    ------
    RegistryError
        If the name is none: it never leads out of the folder.
    """
    if not _NAME.fullmatch(name):
        raise RegistryError(f"{name!r} is not the name of a generation", where=str(folder / POINTER), remedy=_REMEDY)
    return folder / f"{name}.toml"


def read_generation(name: str, sha256: str, folder: Path) -> Generation:
    """Read a generation strictly.

    Parameters
    ----------
    name : str
        Six digits.
    sha256 : str
        Hash that its bytes must have; empty does not ask.
    folder : Path
        The overlay.

    Returns
    -------
    Generation

    Raises
    ------
    RegistryError
        If it is damaged, changed by hand, or a link.
    """
    from mlsysim.structure import read_plain

    path = generation_file(name, folder)
    data = _toml(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 and found != sha256:
        raise RegistryError("was changed by hand, or damaged", where=str(path), remedy=_REMEDY)
    if data.pop("format", None) != _FORMAT:
        raise RegistryError("was written by another version of mlsysim", where=str(path), remedy=_REMEDY)
    try:
        sources = {key: {**row, "id": key} for key, row in data.pop("sources", {}).items()}
        return read_plain(Generation, {**data, "sources": sources, "name": name, "sha256": found})
    except (MlsysimError, AttributeError, TypeError):  # the last two: documents that are no table of tables
        raise RegistryError("is damaged", where=str(path), remedy=_REMEDY) from None


def _toml(path: Path) -> dict[str, Any]:
    """Parse a regular file: a link could lead to a file of somebody else."""
    from mlsysim.documents import load_document

    try:
        regular = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        regular = False
    if not regular:
        raise RegistryError("is missing, or is a link", where=str(path), remedy=_REMEDY)
    try:
        return load_document(path, error=RegistryError).data
    except MlsysimError as error:
        raise RegistryError(f"is damaged: {error.what}", where=str(path), remedy=_REMEDY) from None
