"""Refreshed numbers over the packaged ones: what an entity says when both know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from mlsysim.errors import MlsysimError, RegistryError

from .generations import DATED, Number, current

if TYPE_CHECKING:
    from mlsysim.documents import Document
    from mlsysim.entities import Entry, RegistrySource
    from mlsysim.provenance import Source

__all__ = ["Refreshed", "build", "layered"]


def layered(document: Document, kind: str, key: str, sources: Mapping[str, Source]) -> Document:
    """Put the refreshed numbers of an entity into its data.

    Where numbers change with time (:data:`~.generations.DATED`), a newer one replaces the older one, and the entity
    takes on its date. Elsewhere it stands first among the claims on its field, and the usual rule chooses. A number
    older than the packaged one is left out.

    Parameters
    ----------
    document : Document
        The packaged data.
    kind, key : str
        The entity.
    sources : mapping of str to Source
        Documents of both.

    Returns
    -------
    Document
        The same one when nothing was refreshed.
    """
    numbers = current().of(kind, key)
    if not numbers:
        return document
    data = dict(document.data)
    when = DATED.get(kind, "")
    for number in numbers:
        *parents, last = number.field.split(".")
        table = _table(data, parents)
        if table is None or last not in table or not _newer(number, table[last], str(data.get(when, "")), sources):
            continue
        known = table[last] if isinstance(table[last], list) else [table[last]]
        table[last] = number.claim if when else [number.claim, *known]
        if when and number.dated:
            data[when] = number.dated
    return attrs.evolve(document, data=data)


def _table(data: dict[str, Any], path: Sequence[str]) -> dict[str, Any] | None:
    """Return a table that may be changed: each one on the way is copied."""
    for part in path:
        if not isinstance(data.get(part), dict):
            return None
        data[part] = data = dict(data[part])
    return data


def _newer(number: Number, known: Any, dated: str, sources: Mapping[str, Source]) -> bool:
    """Compare dates of the numbers, then the dates on which the documents were read."""
    first = known[0] if isinstance(known, list) and known else known
    own = sources.get(first.get("source", "")) if isinstance(first, dict) else None
    new = sources.get(number.source)
    return (number.dated, new.retrieved if new else "") >= (dated, own.retrieved if own else "")


class Refreshed:
    """Entities that only a live source knows, as a data package.

    Parameters
    ----------
    packaged : sequence of RegistrySource
        Their entities go before.
    """

    name = "refreshed"

    def __init__(self, packaged: Sequence[RegistrySource]) -> None:
        self._packaged = packaged

    def keys(self, kind: str) -> Sequence[str]:
        """Return the keys of a kind.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        sequence of str
            Empty also when the overlay is damaged: each packaged entity says so.
        """
        try:
            numbers = current().numbers
        except RegistryError:
            return ()
        named = {number.entity.partition("/")[2] for number in numbers
                 if number.text and number.entity.startswith(f"{kind}/")}  # fmt: skip
        return sorted(key for key in named if not any(key in source.keys(kind) for source in self._packaged))

    def aliases(self, kind: str) -> Mapping[str, str]:
        """Return the full names of a kind.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        mapping of str to str
            Name to key.
        """
        return {number.text["name"]: key for key in self.keys(kind) for number in current().of(kind, key)
                if "name" in number.text}  # fmt: skip

    def entry(self, kind: str, key: str) -> Entry:
        """Read one entity.

        Parameters
        ----------
        kind, key : str
            A key that :meth:`keys` lists.

        Returns
        -------
        Entry

        Raises
        ------
        RegistryError
            If its fields do not make an entity of this kind.
        """
        generation = current()
        return build(kind, key, generation.of(kind, key), generation.sources, f"overlay {generation.name}")


def build(kind: str, key: str, numbers: Sequence[Number], sources: Mapping[str, Source], origin: str) -> Entry:
    """Make an entity of its refreshed numbers alone.

    Parameters
    ----------
    kind, key : str
        The entity.
    numbers : sequence of Number
        Its numbers, with its text fields.
    sources : mapping of str to Source
        Their documents.
    origin : str
        Where they stand, for messages.

    Returns
    -------
    Entry

    Raises
    ------
    RegistryError
        If they do not make an entity of this kind.
    """
    from mlsysim.documents import Document
    from mlsysim.entities import Entry
    from mlsysim.records import KINDS
    from mlsysim.structure import read_facts

    data: dict[str, Any] = {}
    for number in numbers:
        data |= {**number.text, number.field: number.claim}
        if number.dated:
            data[DATED[kind]] = number.dated
    cls: type[Any] = KINDS[kind]
    try:
        record, claims = read_facts(cls, Document(f"{origin}: {kind}/{key}", data), sources)
    except MlsysimError as error:
        raise RegistryError.from_faults(error.faults) from None
    used = {claim.source: sources[claim.source] for group in claims.values() for claim in group}
    return Entry(kind, key, record, claims, used, path=origin, package=Refreshed.name)
