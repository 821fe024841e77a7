"""The contract of a live source: pure description of requests, pure parsing of answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

__all__ = ["Datum", "Refresher"]


class Datum(NamedTuple):
    """One number found in a live source.

    Parameters
    ----------
    entity : str
        ``kind/key``.
    field : str
        Dotted path of the field.
    as_stated : str
        The value with its unit, as the source gives it.
    at : str
        Place in the answer.
    """

    entity: str
    field: str
    as_stated: str
    at: str


class Refresher(Protocol):
    """A live source, as hooks offer it; the runner does all input and output."""

    name: str
    hosts: frozenset[str]
    source: str

    def requests(self) -> Iterable[str]:
        """Return the addresses to read; no input or output happens here.

        Returns
        -------
        iterable of str
        """

    def parse(self, raw: bytes) -> Iterable[Datum]:
        """Read the numbers out of one answer.

        Parameters
        ----------
        raw : bytes
            The body of the answer.

        Returns
        -------
        iterable of Datum
        """
