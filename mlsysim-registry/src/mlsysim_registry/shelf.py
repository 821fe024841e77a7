"""The documents of a data package: one file each in ``sources/``, read when a claim names it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

import attrs

from mlsysim.documents import Document, load_document
from mlsysim.errors import ConfigError, Fault, RegistryError
from mlsysim.names import did_you_mean
from mlsysim.provenance import Source
from mlsysim.structure import read_plain

from .files import toml_files
from .refresh.store import any_refreshed, any_verified

__all__ = ["Shelf"]

_T = TypeVar("_T")
_REQUIRED = tuple(a.name for a in attrs.fields(Source) if a.default is attrs.NOTHING and a.name != "id")
_KNOWN = tuple(a.name for a in attrs.fields(Source) if a.name != "id")


class Shelf(Mapping[str, Source]):
    """The documents that claims may name, by id.

    A faulty file is as good as missing to :meth:`get`; :meth:`read` says what is wrong with it.

    Parameters
    ----------
    folder : Path
        Folder of ``<id>.toml`` files; it may be missing.
    shared : mapping of str to Source, optional
        Documents of another package, asked for ids that the folder lacks.
    """

    def __init__(self, folder: Path, shared: Mapping[str, Source] | None = None) -> None:
        self._folder = folder
        self._shared: Mapping[str, Source] = {} if shared is None else shared
        self._read: dict[str, Source | RegistryError] = {}

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Path of each document's file, by id; the shared ones are not among them."""
        return {key: paths[0] for key, paths in toml_files(str(self._folder)).items()}

    def read(self, key: str) -> Source:
        """Return a document.

        Parameters
        ----------
        key : str
            Id: the name of its file.

        Returns
        -------
        Source

        Raises
        ------
        RegistryError
            If there is no such document, or its file is faulty.
        """
        found = self._found(key)
        if isinstance(found, RegistryError):
            raise RegistryError.from_faults(found.faults)
        return found

    def _load(self, key: str) -> Source | RegistryError:
        path = self.files.get(key)
        if path is None:
            if key in self._shared:
                return self._shared[key]
            if any_refreshed():
                from .refresh.generations import current

                refreshed = current().sources.get(key)
                if refreshed is not None:
                    return refreshed
            known = [*self.files, *self._shared]
            return RegistryError(
                f"no document is called {key!r}",
                remedy=did_you_mean(key, known) or f"Describe it in {self._folder / (key + '.toml')}",
            )
        try:
            source = _source(key, load_document(path, error=RegistryError))
            return self._verified(key, source)
        except RegistryError as error:
            return error

    def _verified(self, key: str, source: Source) -> Source:
        """Add what ``mlsysim verify`` found on this machine; most machines have nothing to add."""
        if key not in self._overlay:
            return source
        from .refresh.verified import apply

        return apply(key, source, self._overlay)

    @cached_property
    def _overlay(self) -> Mapping[str, Any]:
        if not any_verified():
            return {}
        from .refresh.verified import load

        return load()

    def _found(self, key: str) -> Source | RegistryError:
        found = self._read.get(key)
        if found is None:
            found = self._read[key] = self._load(key)
        return found

    def __getitem__(self, key: str) -> Source:
        found = self._found(key)
        if isinstance(found, RegistryError):
            raise KeyError(key)
        return found

    @overload
    def get(self, key: str, /) -> Source | None: ...
    @overload
    def get(self, key: str, default: Source | _T, /) -> Source | _T: ...

    def get(self, key: str, default: Any = None, /) -> Any:
        """Return a document, or the default where it is missing or faulty.

        Parameters
        ----------
        key : str
            Id.
        default : object
            What to return instead.

        Returns
        -------
        Source or object
        """
        found = self._found(key)
        return default if isinstance(found, RegistryError) else found

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.files, *self._shared]))

    def __len__(self) -> int:
        return len({*self.files, *self._shared})


def _source(key: str, document: Document) -> Source:
    """Read the description of one document strictly."""
    data: dict[str, Any] = document.data
    faults = [
        Fault(f"a document has no {name!r}", where=document.place(name), remedy=did_you_mean(name, _KNOWN))
        for name in data
        if name not in _KNOWN
    ]
    faults += [Fault(f"{name} is missing", where=document.place("")) for name in _REQUIRED if not data.get(name)]
    for name in ("retrieved", "published"):
        if data.get(name) and not _is_date(data[name], whole=name == "retrieved"):
            faults.append(Fault(f"{name} = {data[name]!r} is not a date", where=document.place(name),
                                remedy='Write it as "2026-11-22"'))  # fmt: skip
    if faults:
        raise RegistryError.from_faults(faults)
    try:
        return read_plain(Source, {**data, "id": key})
    except ConfigError as error:
        raise RegistryError.from_faults(fault.at(document.place(fault.where)) for fault in error.faults) from None


def _is_date(text: object, *, whole: bool) -> bool:
    """Accept an ISO date; also a year or a year and month where the day is not known."""
    if not isinstance(text, str):
        return False
    padded = text if whole else (text + "-01-01")[:10] if len(text) == len("2026") else (text + "-01")[:10]
    try:
        dt.date.fromisoformat(padded)
    except ValueError:
        return False
    return True
