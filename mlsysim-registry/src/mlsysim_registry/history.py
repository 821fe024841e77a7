"""What has been said of one number, and when: read, refreshed, found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from mlsysim.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlsysim.entities import Entry, RegistrySource
    from mlsysim.provenance import Claim, Source

__all__ = ["Event", "history_of"]


@attrs.frozen
class Event:
    """One thing that happened to a number.

    Parameters
    ----------
    date : str
        ISO date; empty for an estimate, which no document dates.
    what : str
        ``read`` from its document, ``estimated``, ``refreshed`` from a live source on this machine, ``found again``
        in its document by ``mlsysim verify``, or ``not found again``.
    value : str
        As stated then.
    source : str
        Id of the document; empty for an estimate.
    in_force : bool
        Whether solvers see it now.
    """

    date: str
    what: str
    value: str
    source: str = ""
    in_force: bool = False


def history_of(entry: Entry, field: str, owner: RegistrySource | None = None) -> tuple[Event, ...]:
    """Return what has been said of a number.

    Parameters
    ----------
    entry : Entry
        The entity.
    field : str
        Dotted path of a sourced number.
    owner : RegistrySource, optional
        The package of the entity: its file may say what a refreshed number replaced.

    Returns
    -------
    tuple of Event
        Oldest first; what is not dated comes before all. Corrections of the packaged data themselves stand in the
        history of the repository.
    """
    chosen = entry.claims[field][0]
    packaged, sources = _packaged(entry, field, owner)
    events = [
        Event(*_when(claim, sources), claim.as_stated, claim.source, in_force=_same(claim, chosen))
        for claim in packaged
    ]
    events += _refreshed(entry, field, chosen)
    events += _verified(entry, field, {(claim.source, claim.as_stated) for claim in packaged})
    return tuple(sorted(events, key=lambda event: event.date))


def _same(claim: Claim, chosen: Claim) -> bool:
    return (claim.source, claim.at, claim.as_stated) == (chosen.source, chosen.at, chosen.as_stated)


def _when(claim: Claim, sources: Mapping[str, Source]) -> tuple[str, str]:
    source = sources.get(claim.source)
    if source is None:
        return "", "estimated"
    return source.retrieved, "estimated" if claim.kind == "estimate" else "read"


def _packaged(entry: Entry, field: str, owner: RegistrySource | None) -> tuple[tuple[Claim, ...], Mapping[str, Source]]:
    """Claims of the data file itself, without the refreshed numbers that stand over them in the entry."""
    from mlsysim.records import KINDS
    from mlsysim.structure import read_facts

    from .catalog import Catalog
    from .refresh.layering import Refreshed

    if isinstance(owner, Refreshed):
        return (), {}
    if not isinstance(owner, Catalog):
        return entry.claims[field], entry.sources
    _, claims = read_facts(KINDS[entry.kind], owner.document(entry.kind, entry.key), owner.sources)
    return claims.get(field, ()), owner.sources


def _refreshed(entry: Entry, field: str, chosen: Claim) -> list[Event]:
    """Walk the generations that are kept, newest first; a number that one took over unchanged is as old as before."""
    from .refresh.generations import current, read_generation
    from .refresh.store import any_refreshed, overlay_folder

    found: list[Event] = []
    generation = current() if any_refreshed() else None
    in_force = True
    while generation is not None and generation.name:
        for number in generation.of(entry.kind, entry.key):
            if number.field == field:
                seen = in_force and (number.source, number.value) == (chosen.source, chosen.as_stated)
                event = Event(generation.applied, "refreshed", number.value, number.source, in_force=seen)
                if found and (found[-1].value, found[-1].source) == (event.value, event.source):
                    event = attrs.evolve(found.pop(), date=event.date)
                found.append(event)
        in_force = False
        try:
            generation = read_generation(generation.previous, generation.previous_sha256, overlay_folder())
        except RegistryError:  # the first one, or older ones were cleared away
            generation = None
    return found


def _verified(entry: Entry, field: str, stated: set[tuple[str, str]]) -> Iterator[Event]:
    from .refresh.store import any_verified
    from .refresh.verified import load

    known = load() if any_verified() else {}
    for source, value in sorted(stated):
        seen = known.get(source)
        name = f"{entry.name} {field}"
        if seen is not None and name in seen.found:
            yield Event(seen.date, "found again", value, source)
        elif seen is not None and name in seen.missing:
            yield Event(seen.date, "not found again", value, source)
