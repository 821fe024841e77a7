"""What stands behind each number of the registry: claims, choice, level, freshness, disputes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from mlsysim.errors import MlsysimError, UnknownNameError
from mlsysim.names import did_you_mean
from mlsysim.provenance import Claim, Level, Source, Standing

if TYPE_CHECKING:
    from mlsysim.entities import Entry, Registry

    from .history import Event

__all__ = ["FieldProvenance", "KindTotals", "ProvenanceMap"]


@attrs.frozen
class FieldProvenance:
    """Everything that is known about one number.

    Parameters
    ----------
    entity : str
        ``kind/key``.
    field : str
        Dotted path.
    claims : tuple of Claim
        The chosen one first.
    standing : Standing
        The verdict on them.
    sources : mapping of str to Source
        The documents that the claims name, by id.
    """

    entity: str
    field: str
    claims: tuple[Claim, ...]
    standing: Standing
    sources: Mapping[str, Source] = attrs.field(repr=False, eq=False)

    @property
    def chosen(self) -> Claim:
        """The claim whose value solvers see."""
        return self.standing.chosen

    @property
    def source(self) -> Source | None:
        """The document of the chosen claim; None for an estimate without one."""
        return self.sources.get(self.chosen.source)

    @property
    def why(self) -> str:
        """Why this claim was chosen, and how its level was reached."""
        source = self.source
        if len(self.claims) == 1:
            choice = "the only claim"
        elif source is None:
            choice = f"first of {len(self.claims)} claims"
        else:
            choice = f"{self.chosen.kind} by a {source.tier} source, first of {len(self.claims)} claims"
        return f"{choice}; {self.standing.why}"

    @property
    def level(self) -> Level:
        """Computed support of the chosen value."""
        return self.standing.level

    @property
    def status(self) -> str:
        """``verified``, ``stale``, ``disputed``, both, or empty."""
        if self.standing.verified:
            return "verified"
        return " ".join(name for name in ("stale", "disputed") if getattr(self.standing, name))


@attrs.frozen
class KindTotals:
    """Counts over the entities of one kind.

    Parameters
    ----------
    kind : str
        Plural kind.
    entities, numbers : int, count
        Entities that can be read, and their sourced numbers.
    levels : dict of Level to int
        Numbers by level.
    verified, stale, disputed : int, count
        Numbers with that status.
    """

    kind: str
    entities: int
    numbers: int
    levels: Mapping[Level, int]
    verified: int
    stale: int
    disputed: int

    @property
    def corroborated(self) -> float:
        """Share of numbers that are corroborated or better; 0 when there are none."""
        good = sum(count for level, count in self.levels.items() if level >= Level.CORROBORATED)
        return good / self.numbers if self.numbers else 0.0


class ProvenanceMap(Mapping[tuple[str, str], FieldProvenance]):
    """The map from (entity, field) to what stands behind the number.

    Parameters
    ----------
    registry : Registry
        All data.

    Examples
    --------
    ``ProvenanceMap.of(mlsysim.registry())["devices/h100-sxm", "memory.bandwidth"].level``
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[tuple[str, str], FieldProvenance] = {}

    @classmethod
    def of(cls, registry: Registry | None = None) -> ProvenanceMap:
        """Make the map of a registry.

        Parameters
        ----------
        registry : Registry, optional
            All installed data by default.

        Returns
        -------
        ProvenanceMap
        """
        if registry is None:
            from mlsysim import registry as installed

            registry = installed()
        return cls(registry)

    def __getitem__(self, place: tuple[str, str]) -> FieldProvenance:
        entity, field = place
        if (entity, field) not in self._kept:
            kind, _, key = entity.partition("/")
            try:
                entry = self._registry.get(kind, key)
            except MlsysimError as error:
                raise KeyError(str(error)) from None
            found = _field(entry, field)
            if found is None:
                raise KeyError(f"{entity} has no sourced number {field!r}")
            self._kept[entity, field] = found
        return self._kept[entity, field]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for entry in self.entries():
            for field in entry.claims:
                yield entry.name, field

    def __len__(self) -> int:
        return sum(len(entry.claims) for entry in self.entries())

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        """Yield the entities that can be read.

        Parameters
        ----------
        kind : str, optional
            Plural kind; all kinds by default.

        Yields
        ------
        Entry
        """
        for one in self._registry.kinds() if kind is None else (kind,):
            yield from self._registry.readable(one)

    def entity(self, name: str) -> dict[str, FieldProvenance]:
        """Return what stands behind all numbers of one entity.

        Parameters
        ----------
        name : str
            ``kind/key``; an alias will do.

        Returns
        -------
        dict of str to FieldProvenance
            By field; disputed and stale ones first.

        Raises
        ------
        UnknownNameError
            If there is no such entity.
        """
        kind, _, key = name.partition("/")
        entry = self._registry.get(kind, key)
        found = [self[entry.name, field] for field in entry.claims]
        found.sort(key=lambda item: not (item.standing.disputed or item.standing.stale))
        return {item.field: item for item in found}

    def history(self, entity: str, field: str) -> tuple[Event, ...]:
        """Return what has been said of a number, and when.

        Parameters
        ----------
        entity : str
            ``kind/key``; an alias will do.
        field : str
            Dotted path.

        Returns
        -------
        tuple of Event
            Oldest first: read from a document, refreshed from a live source, found again.

        Raises
        ------
        UnknownNameError
            If there is no such entity, or no such sourced number of it.
        """
        from .history import history_of

        kind, _, key = entity.partition("/")
        entry = self._registry.get(kind, key)
        if field not in entry.claims:
            raise UnknownNameError(f"{entry.name} has no sourced number {field!r}",
                                   remedy=did_you_mean(field, entry.claims))  # fmt: skip
        return history_of(entry, field, self._registry.owners(entry.kind).get(entry.key))

    def disputed(self) -> list[FieldProvenance]:
        """Return the numbers whose claims disagree.

        Returns
        -------
        list of FieldProvenance
        """
        return [item for item in self.values() if item.standing.disputed]

    def stale(self) -> list[FieldProvenance]:
        """Return the numbers whose document was read too long ago.

        Returns
        -------
        list of FieldProvenance
        """
        return [item for item in self.values() if item.standing.stale]

    def totals(self) -> list[KindTotals]:
        """Count entities and numbers by kind and level.

        Returns
        -------
        list of KindTotals
            One for each kind that holds anything.
        """
        return [self._count(kind) for kind in self._registry.kinds()]

    def _count(self, kind: str) -> KindTotals:
        entries = list(self.entries(kind))
        items = [self[entry.name, field] for entry in entries for field in entry.claims]
        return KindTotals(
            kind=kind,
            entities=len(entries),
            numbers=len(items),
            levels={level: sum(item.level is level for item in items) for level in Level},
            verified=sum(item.standing.verified for item in items),
            stale=sum(item.standing.stale for item in items),
            disputed=sum(item.standing.disputed for item in items),
        )


def _field(entry: Entry, field: str) -> FieldProvenance | None:
    standing = entry.standing(field)
    if standing is None:
        return None
    return FieldProvenance(entry.name, field, entry.claims[field], standing, entry.sources)
