"""Where a number comes from, and how far that can be trusted.

A number about the world enters mlsysim only as a :class:`Claim`, and a claim without a
document and a place in it does not construct. Several claims may stand on one field:
:func:`judge` chooses one by a fixed rule, computes its level and shows disagreement.
Levels are never typed by hand.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Literal

import attrs

from .errors import ConfigError, RegistryError
from .intervals import INTERVAL_QUANTILE

__all__ = [
    "MEASURED_HERE",
    "Claim",
    "ClaimKind",
    "Level",
    "Source",
    "Standing",
    "independent",
    "judge",
    "lineage",
    "preferred_first",
    "today",
]

ClaimKind = Literal["stated", "measured", "derived", "estimate"]
SourceKind = Literal["datasheet", "standard", "paper", "api", "dataset", "benchmark", "filing", "code", "page"]
Tier = Literal["primary", "secondary", "tertiary"]

TIME_TO_LIVE: Mapping[str, int] = {
    "datasheet": 3 * 365, "standard": 3 * 365, "paper": 36500, "benchmark": 36500, "code": 36500,
    "api": 30, "dataset": 400, "filing": 548, "page": 365,
}  # fmt: skip
"""Days after which a claim from each kind of document is shown as stale."""

MEASURED_HERE = "urn:mlsysim:measured:"
"""Beginning of the address of a document that is a measurement of one's own: nobody else has printed it."""


class Level(IntEnum):
    """How well a number is supported, from weakest to strongest."""

    ESTIMATE = 1
    STATED = 2
    ARCHIVED = 3
    CORROBORATED = 4
    MEASURED = 5

    @property
    def label(self) -> str:
        """Lower-case name, as printed."""
        return self.name.lower()


@attrs.frozen
class Source:
    """A document.

    Parameters
    ----------
    id : str
        Key: the name of its file in ``data/sources``.
    title, publisher, url : str
        What it is called, who issued it, where it stands.
    kind : str
        datasheet, standard, paper, api, dataset, benchmark, filing, code or page.
    tier : str
        primary (the maker or operator), secondary (curated), tertiary (aggregator).
    edition, published : str
        Edition, commit or version; date of publication.
    retrieved : str
        ISO date on which it was read.
    licence : str
        Licence of the document or data set, when it states one.
    sha256 : str
        Hash of the archived bytes, when kept; set by ``mlsysim verify``.
    derived_from : tuple of str
        Sources that this one copies; such a pair never corroborates itself.
    note : str
        Anything a reader must know.
    """

    id: str
    title: str
    publisher: str
    url: str
    kind: SourceKind
    tier: Tier
    retrieved: str
    edition: str = ""
    published: str = ""
    licence: str = ""
    sha256: str = ""
    derived_from: tuple[str, ...] = ()
    note: str = ""

    def age_days(self, today: dt.date) -> int:
        """Return the days since the document was read.

        Parameters
        ----------
        today : datetime.date
            The day to count to.

        Returns
        -------
        int
        """
        return (today - dt.date.fromisoformat(self.retrieved)).days


@attrs.frozen(slots=False)  # made by the thousand, in half the time without slots
class Claim:
    """One statement of one number by one document, or an estimate with its reason and range.

    Parameters
    ----------
    field : str
        Path of the field inside the entity, for example ``memory.bandwidth``.
    as_stated : str
        The value exactly as printed.
    value : float
        The value in SI base units.
    unit : str
        Unit that fixes the dimension, for example ``"B/s"``.
    kind : str
        stated, measured, derived or estimate.
    source : str
        Id of the document; an estimate may have none.
    at : str
        Place in the document: page, table, column, key.
    reason : str
        How a derived value or an estimate was reached.
    low, high : float or None
        Range in SI base units; required of an estimate.
    means : str
        What a loosely printed value means, for example ``"520 KiB"`` for "520 KB".
    note : str
        Remark for the reader.
    """

    field: str
    as_stated: str
    value: float
    unit: str
    kind: ClaimKind = "stated"
    source: str = ""
    at: str = ""
    reason: str = ""
    low: float | None = None
    high: float | None = None
    means: str = ""
    note: str = ""

    def __attrs_post_init__(self) -> None:
        if self.kind == "estimate":
            if not self.reason or self.low is None or self.high is None:
                raise RegistryError(
                    f"the estimate of {self.field} lacks a reason or a range",
                    where=self.field,
                    remedy='Write estimate = "why", low = "...", high = "..."',
                )
            if not self.low <= self.value <= self.high:
                raise RegistryError(f"the estimate {self.as_stated!r} is outside its own range", where=self.field)
        elif not (self.source and self.at):
            missing = "source" if not self.source else "place in the source (at)"
            raise RegistryError(
                f"{self.field} = {self.as_stated!r} has no {missing}",
                where=self.field,
                remedy='A number ships with its source: add source = "<id in data/sources>" and at = "page, table"',
            )
        elif self.kind == "derived" and not self.reason:
            raise RegistryError(f"the derived value of {self.field} does not say how", where=self.field)

    @property
    def log_sd(self) -> float | None:
        """Standard deviation of the number's logarithm, by its range (natural-log units); None without one above 0."""
        if self.low is None or self.high is None or self.low <= 0.0:
            return None
        return math.log(self.high / self.low) / (2.0 * INTERVAL_QUANTILE)


@attrs.frozen
class Standing:
    """The verdict on the claims that stand on one field.

    Parameters
    ----------
    chosen : Claim
        The claim whose value solvers see.
    level : Level
        Computed support of the chosen value.
    stale, disputed : bool
        Modifiers: the document was read too long ago; two claims disagree beyond tolerance.
    why : str
        Why this claim was chosen and how the level was reached.
    """

    chosen: Claim
    level: Level
    stale: bool
    disputed: bool
    why: str

    @property
    def verified(self) -> bool:
        """Corroborated or better, not stale, not disputed."""
        return self.level >= Level.CORROBORATED and not (self.stale or self.disputed)

    @property
    def badge(self) -> str:
        """Level with its modifiers, as printed."""
        marks = [name for name, on in (("stale", self.stale), ("disputed", self.disputed)) if on]
        return self.level.label + (f" ({', '.join(marks)})" if marks else "")


_KIND_RANK = {"measured": 0, "stated": 0, "derived": 1, "estimate": 2}
_TIER_RANK = {"primary": 0, "secondary": 1, "tertiary": 2}


def lineage(ids: Iterable[str], sources: Mapping[str, Source]) -> tuple[str, ...]:
    """Return documents and all that they copy, at any remove.

    Parameters
    ----------
    ids : iterable of str
        Ids of the documents.
    sources : mapping of str to Source
        All documents; of one that is missing nothing more is known.

    Returns
    -------
    tuple of str
        Each id once.
    """
    found: dict[str, None] = {}
    pending = list(ids)
    while pending:
        current = pending.pop()
        if current not in found:
            found[current] = None
            source = sources.get(current)
            pending += source.derived_from if source is not None else ()
    return tuple(found)


def independent(a: Source, b: Source, sources: Mapping[str, Source]) -> bool:
    """Tell whether two documents can corroborate each other.

    Parameters
    ----------
    a, b : Source
        The documents.
    sources : mapping of str to Source
        All documents, to follow who copies whom.

    Returns
    -------
    bool
        True when the publishers differ and neither copies the other or a common third.
    """
    if a.publisher.casefold() == b.publisher.casefold():
        return False
    return set(lineage([a.id], sources)).isdisjoint(lineage([b.id], sources))


def _rank(claim: Claim, sources: Mapping[str, Source]) -> tuple[int, int]:
    source = sources.get(claim.source)
    return _KIND_RANK[claim.kind], _TIER_RANK[source.tier] if source else 3


def preferred_first(claims: Sequence[Claim], sources: Mapping[str, Source]) -> tuple[Claim, ...]:
    """Order the claims on one field by the rule of :func:`judge`.

    Parameters
    ----------
    claims : sequence of Claim
        Claims on one field, in file order.
    sources : mapping of str to Source
        All documents by id.

    Returns
    -------
    tuple of Claim
        The chosen one first.
    """
    return tuple(sorted(claims, key=lambda claim: _rank(claim, sources)))


def _agree(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * max(abs(a), abs(b)) * (1 + 1e-12)


def judge(
    claims: Sequence[Claim],
    sources: Mapping[str, Source],
    *,
    tolerance: float,
    today: dt.date,
    cross_checked: bool = False,
) -> Standing:
    """Choose among the claims on one field and compute its level.

    The rule: stated and measured claims before derived ones before estimates; then
    primary before secondary before tertiary documents; then the order in the file. What the user's
    own machine was measured to do needs no second publisher.

    Parameters
    ----------
    claims : sequence of Claim
        At least one claim.
    sources : mapping of str to Source
        All documents by id.
    tolerance : float, dimensionless
        Relative difference up to which two claims agree.
    today : datetime.date
        Day on which freshness is judged.
    cross_checked : bool
        Whether a machine check derived the same value from other sourced numbers.

    Returns
    -------
    Standing
    """
    chosen = min(claims, key=lambda claim: _rank(claim, sources))
    others = [c for c in claims if c is not chosen and c.kind != "estimate"]
    disputed = any(not _agree(chosen.value, c.value, tolerance) for c in others)
    own = sources.get(chosen.source)
    stale = own is not None and own.age_days(today) > TIME_TO_LIVE[own.kind]
    if chosen.kind == "estimate":
        return Standing(chosen, Level.ESTIMATE, stale, disputed, f"estimate: {chosen.reason}")
    backing = [
        c for c in others
        if own and c.source in sources and independent(own, sources[c.source], sources)
        and _agree(chosen.value, c.value, tolerance)
    ]  # fmt: skip
    level, why = Level.STATED, "one document"
    if own is not None and own.sha256 and chosen.kind in ("stated", "measured"):
        level, why = Level.ARCHIVED, "found again in the archived document"
    if backing or cross_checked:
        level = Level.CORROBORATED
        why = (
            f"agrees with {sources[backing[0].source].publisher}"
            if backing
            else "derived from other numbers by machine"
        )
        if any(c.kind == "measured" for c in (chosen, *backing)):
            level, why = Level.MEASURED, why + ", and measured"
    if own is not None and chosen.kind == "measured" and own.url.startswith(MEASURED_HERE):
        level, why = Level.MEASURED, f"measured on {own.publisher}"
    return Standing(chosen, level, stale, disputed, why)


def today() -> dt.date:
    """Return the day on which freshness is judged.

    Returns
    -------
    datetime.date
        ``MLSYSIM_TODAY`` when set (for reproducible output), else the current UTC date.

    Raises
    ------
    ConfigError
        If ``MLSYSIM_TODAY`` is not a date.
    """
    import os

    fixed = os.environ.get("MLSYSIM_TODAY")
    if not fixed:
        return dt.datetime.now(dt.timezone.utc).date()
    try:
        return dt.date.fromisoformat(fixed)
    except ValueError:
        raise ConfigError(f"{fixed!r} is not a date", where="MLSYSIM_TODAY", remedy="Write it as 2026-01-31") from None
