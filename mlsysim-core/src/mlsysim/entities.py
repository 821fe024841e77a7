"""All data packages as one: look up an entity by key or alias, with its claims.

The files are read by the data packages themselves; the core only knows the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, Protocol

import attrs

from .errors import MlsysimError, RegistryError, UnknownNameError
from .names import did_you_mean, fold
from .provenance import Claim, Source, Standing, judge, today
from .records import KINDS, singular
from .records.fields import field_at

__all__ = ["Entry", "Registry", "RegistrySource", "field_tolerance", "today"]


def field_tolerance(record: object, path: str) -> float:
    """Return the relative difference up to which claims on a field agree.

    Parameters
    ----------
    record : object
        The record that holds the field.
    path : str
        Dotted path of the field.

    Returns
    -------
    float, dimensionless
    """
    field = field_at(record, path)
    return float(field.metadata.get("tolerance", 0.01)) if field is not None else 0.01


@attrs.frozen
class Entry:
    """An entity with everything that is known about its numbers.

    Parameters
    ----------
    kind, key : str
        ``devices`` and ``h100-sxm``.
    record : object
        The record that solvers see.
    claims : mapping of str to tuple of Claim
        By field path; the chosen claim first.
    sources : mapping of str to Source
        The documents that the claims name.
    path : str
        File it came from.
    package : str
        Data package it came from.
    cross_checked : set of str
        Fields whose value a machine check derived from other sourced numbers.
    """

    kind: str
    key: str
    record: Any
    claims: Mapping[str, tuple[Claim, ...]] = attrs.field(factory=dict, eq=False)
    sources: Mapping[str, Source] = attrs.field(factory=dict, eq=False, repr=False)
    path: str = ""
    package: str = ""
    cross_checked: AbstractSet[str] = frozenset()

    @property
    def name(self) -> str:
        """``kind/key``, as a user writes it."""
        return f"{self.kind}/{self.key}"

    def standing(self, field: str) -> Standing | None:
        """Judge the claims on a field.

        Parameters
        ----------
        field : str
            Dotted path, for example ``memory.bandwidth``.

        Returns
        -------
        Standing or None
            None when no claim stands on it.
        """
        claims = self.claims.get(field)
        if not claims:
            return None
        return judge(
            claims,
            self.sources,
            tolerance=field_tolerance(self.record, field),
            today=today(),
            cross_checked=field in self.cross_checked,
        )


class RegistrySource(Protocol):
    """A data package, as hooks offer it."""

    name: str

    def keys(self, kind: str) -> Sequence[str]:
        """Return the keys of a kind, without reading their files.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        sequence of str
        """

    def entry(self, kind: str, key: str) -> Entry:
        """Read one entity.

        Parameters
        ----------
        kind, key : str
            A key that :meth:`keys` lists.

        Returns
        -------
        Entry
        """

    def aliases(self, kind: str) -> Mapping[str, str]:
        """Return what people type instead of a key.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        mapping of str to str
            Alias to key.
        """


class Registry:
    """The union of all data packages.

    Parameters
    ----------
    sources : sequence of RegistrySource
        Data packages, kept as ``packages``; a key that two of them hold is refused.
    resolve : callable
        The ``mlsysim_resolve`` hook, asked for names that no package lists.
    """

    def __init__(self, sources: Sequence[RegistrySource], resolve: Any = None) -> None:
        self.packages = tuple(sources)
        self._resolve = resolve
        self._owners: dict[str, dict[str, RegistrySource]] = {}
        self._instead: dict[tuple[str, str], Entry] = {}

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds that hold at least one entity.

        Returns
        -------
        tuple of str
        """
        return tuple(kind for kind in KINDS if self.keys(kind))

    def keys(self, kind: str) -> tuple[str, ...]:
        """Return the keys of a kind, sorted.

        Parameters
        ----------
        kind : str
            Plural kind, or its singular.

        Returns
        -------
        tuple of str

        Raises
        ------
        UnknownNameError
            If there is no such kind.
        """
        return tuple(sorted(self.owners(self.kind(kind))))

    def kind(self, name: str) -> str:
        """Return the plural kind that a user means.

        Parameters
        ----------
        name : str
            ``devices`` or ``device``, in any case.

        Returns
        -------
        str

        Raises
        ------
        UnknownNameError
            If there is no such kind.
        """
        if name in KINDS:
            return name
        folded = name.casefold()
        for kind in KINDS:
            if folded in (kind, singular(kind)):
                return kind
        raise UnknownNameError(f"there is no kind {name!r}", remedy=did_you_mean(name, KINDS))

    def owners(self, kind: str) -> Mapping[str, RegistrySource]:
        """Return the data package that holds each key of a kind.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        mapping of str to RegistrySource

        Raises
        ------
        RegistryError
            If two packages hold one key.
        """
        if kind not in self._owners:
            owned: dict[str, RegistrySource] = {}
            for source in self.packages:
                for key in source.keys(kind):
                    if owned.setdefault(key, source) is not source:
                        raise RegistryError(
                            f"{kind}/{key} of {source.name} exists already in {owned[key].name}",
                            remedy=f"Rename its file, for example to {key}-mine.toml, and ask for {key}-mine",
                        )
            self._owners[kind] = owned
        return self._owners[kind]

    def get(self, kind: str, name: str, *, where: str = "") -> Entry:
        """Find an entity by key, alias or resolvable name.

        Parameters
        ----------
        kind : str
            Plural kind, or its singular.
        name : str
            What the user wrote; case does not matter.
        where : str
            The argument that holds it, for the message.

        Returns
        -------
        Entry

        Raises
        ------
        UnknownNameError
            If nothing is called so; the remedy suggests the nearest names.
        RegistryError
            If the file of the entity is faulty.
        """
        plural = self.kind(kind)
        owned = self.owners(plural)
        key = name if name in owned else self._key_of(plural, name)
        if key is not None:
            return self._entry(plural, key)
        from .names.matching import housed, likely, the_one

        found = self._resolve(kind=plural, key=name) if self._resolve else None
        if isinstance(found, Entry):
            return found
        only = the_one(plural, name, likely(self, plural, name), where=where)
        if only is not None:
            return self._entry(plural, only)
        node = housed(self, name) if plural == "devices" else ""
        near = node or did_you_mean(name, owned, listing=f"mlsysim list {plural}", aliases=self._aliases(plural))
        raise UnknownNameError(f"there is no {singular(plural)} {name!r}", where=where, remedy=near)

    def find(self, name: str) -> list[tuple[str, str]]:
        """Find what a name without its kind could mean.

        Parameters
        ----------
        name : str
            Key or alias; case does not matter.

        Returns
        -------
        list of (str, str)
            Kind and key of each entity that is called so.
        """
        found = [(kind, self._key_of(kind, name)) for kind in self.kinds()]
        exact = [(kind, key) for kind, key in found if key is not None]
        if exact:
            return exact
        from .names.matching import likely

        return [(kind, key) for kind in self.kinds() for key in likely(self, kind, name)]

    def _key_of(self, kind: str, name: str) -> str | None:
        folded = fold(name)
        for key in self.owners(kind):
            if fold(key) == folded:
                return key
        for alias, key in self._aliases(kind).items():
            if fold(alias) == folded:
                return key
        return None

    def _aliases(self, kind: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in self.packages:
            for alias, key in source.aliases(kind).items():
                found.setdefault(alias, key)
        return found

    def entries(self, kind: str) -> list[Entry]:
        """Read all entities of a kind.

        Parameters
        ----------
        kind : str
            Plural kind, or its singular.

        Returns
        -------
        list of Entry
            In the order of their keys.
        """
        plural = self.kind(kind)
        return [self._entry(plural, key) for key in sorted(self.owners(plural))]

    def readable(self, kind: str, *, mentioning: str = "", left_out: list[str] | None = None) -> Iterator[Entry]:
        """Read the entities of a kind one by one, without those whose file is at fault.

        Parameters
        ----------
        kind : str
            Plural kind, or its singular.
        mentioning : str, optional
            Only those that may mention this, for example the key of a device. A package that can look without
            parsing (an optional method ``mentions(kind, key, text)``) spares the others; none is left out wrongly.
        left_out : list of str, optional
            Takes the names of those that cannot be read.

        Yields
        ------
        Entry
            In the order of their keys.
        """
        plural = self.kind(kind)
        for key, package in sorted(self.owners(plural).items()):
            mentions = getattr(package, "mentions", None) if mentioning else None
            if mentions is not None and not mentions(plural, key, mentioning):
                continue
            try:
                found = self._entry(plural, key)
            except MlsysimError:
                if left_out is not None:
                    left_out.append(f"{plural}/{key}")
            else:
                yield found

    def _entry(self, kind: str, key: str) -> Entry:
        return self._instead.get((kind, key)) or self.owners(kind)[key].entry(kind, key)

    @contextmanager
    def replacing(self, entry: Entry) -> Iterator[None]:
        """Answer with another version of an entity inside a ``with`` block.

        Parameters
        ----------
        entry : Entry
            What stands in for the entity of its kind and key.

        Yields
        ------
        None
        """
        before, self._instead = self._instead, {**self._instead, (entry.kind, entry.key): entry}
        try:
            yield
        finally:
            self._instead = before
