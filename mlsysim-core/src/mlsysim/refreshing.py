"""The contract of a live source: pure description of requests, pure parsing of answers.

A live source opens no connection and reads no file or environment variable. Whoever runs it reads the
addresses under limits, checks every number against bounds and against what is known, and shows the
difference; nothing is written before a person has asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .provenance import Source

__all__ = ["Datum", "Refresher"]


class Datum(NamedTuple):
    """One number found in a live source.

    Parameters
    ----------
    entity : str
        ``kind/key``; an alias or the full name of the entity serves as well.
    field : str
        Dotted path of the field.
    as_stated : str
        The value with its unit, as the source gives it.
    at : str
        Place in the answer.
    means : str
        What the print means when it is no quantity yet, for example ``"23.92 USD/h"`` for "2392 cents per hour".
    asof : str
        The source's own date of the number: an ISO date, a time, or a year.
    context : mapping of str to str or float
        What the answer says about the entity itself, by field: region, term, emissions boundary, number of devices. An
        entity that says otherwise is another one, and the number is refused. A context with a ``name`` may describe
        an entity that does not exist yet.
    echo : tuple of (str, str)
        What was asked for and what the answer says it is about; a pair that differs refuses the number.
    """

    entity: str
    field: str
    as_stated: str
    at: str
    means: str = ""
    asof: str = ""
    context: Mapping[str, str | float] = {}
    echo: tuple[tuple[str, str], ...] = ()


class Refresher:
    """A live source, as hooks offer it: a subclass describes itself and its requests, and parses answers.

    Attributes
    ----------
    name : str
        What ``--source`` takes.
    hosts : frozenset of str
        The only hosts that may be read; requests and following pages elsewhere are refused.
    source : Source
        Description of the document; the date of reading is set by whoever reads it.
    kinds : tuple of str
        Plural kinds that it fills.
    env : tuple of str
        Environment variables with secrets that it needs; without them it is left out.
    max_bytes : int, B
        Most bytes of one decoded answer.
    max_pages : int, count
        Most pages that may follow one another.
    fewest : int, count
        Fewest numbers that a complete answer holds; fewer count as a truncated one.
    max_age_days : int, days
        Age of the newest date of the source beyond which the feed may be frozen; 0 does not ask.
    """

    name: str
    hosts: frozenset[str]
    source: Source
    kinds: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    max_bytes: int = 1_000_000
    max_pages: int = 20
    fewest: int = 0
    max_age_days: int = 0

    def requests(self) -> Iterable[str]:
        """Return the addresses to read; no input or output happens here.

        Returns
        -------
        iterable of str
            https addresses without secrets.
        """
        raise NotImplementedError

    def headers(self, secrets: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - for subclasses
        """Return the headers to send; this is the only way for a secret to travel.

        Parameters
        ----------
        secrets : mapping of str to str
            Value of each variable in ``env``.

        Returns
        -------
        mapping of str to str
            Sent to ``hosts`` and to no other.
        """
        return {}

    def following(self, raw: bytes) -> str:  # noqa: ARG002 - for subclasses
        """Return the address of the page after this one.

        Parameters
        ----------
        raw : bytes
            The body of the answer.

        Returns
        -------
        str
            Empty when this is the last one.
        """
        return ""

    def parse(self, raw: bytes) -> Iterable[Datum]:
        """Read the numbers out of one answer.

        Parameters
        ----------
        raw : bytes
            The body of the answer.

        Returns
        -------
        iterable of Datum

        Raises
        ------
        Exception
            Any exception says that the answer is not what it should be; the source then counts as failed.
        """
        raise NotImplementedError
