"""Comparing what a source says with what is known: every number becomes one row with a verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from mlsysim.errors import MlsysimError, UnknownNameError
from mlsysim.provenance import Source
from mlsysim.records import KINDS
from mlsysim.refreshing import Datum
from mlsysim.units import parse_quantity

from .bounds import ACCEPTABLE, DATASHEET_JUMP, JUMPS, out_of_range
from .generations import DATED, Generation, Number
from .layering import build

if TYPE_CHECKING:
    from mlsysim.entities import Entry, Registry

__all__ = ["Row", "Status", "review"]

Status = Literal["same", "change", "new", "blocked", "not newer", "unknown"]
_KEY = re.compile(r"[a-z0-9][a-z0-9.\-]*")
_LONG = 300


@attrs.frozen
class Row:
    """One number of a source beside what is known.

    Parameters
    ----------
    entity, field : str
        ``kind/key`` as the data call it, and dotted path.
    status : str
        same, change, new (entity), blocked, not newer (than what is known), or unknown (entity).
    datum : Datum
        What the source says.
    source : str
        Id of the document with the date of reading.
    old, old_source, old_dated : str
        The known value as printed, its document, and the date or year of the entity.
    dated : str
        Date or year that the entity would take on.
    delta : float or None, ratio
        Relative change.
    flags : tuple of str
        Reasons and warnings.
    """

    entity: str
    field: str
    status: Status
    datum: Datum
    source: str
    old: str = ""
    old_source: str = ""
    old_dated: str = ""
    dated: str = ""
    delta: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def overrulable(self) -> bool:
        """Whether a jump is all that blocks it, which a person may accept."""
        return self.status == "blocked" and all(flag.startswith(ACCEPTABLE) for flag in self.flags)

    @property
    def new(self) -> str:
        """The new value, as a quantity."""
        return self.datum.means or self.datum.as_stated

    def number(self) -> Number:
        """Return the row as a refreshed number.

        Returns
        -------
        Number
        """
        datum, created = self.datum, not self.old
        text = {key: str(value) for key, value in datum.context.items()} if created else {}
        before = f" ({self.old_dated})" if self.old_dated else ""
        note = "" if created else f"replaces {self.old} of {self.old_source or 'an estimate'}{before}"
        return Number(
            self.entity,
            self.field,
            datum.as_stated,
            self.source,
            datum.at,
            means=datum.means,
            note=note,
            dated=self.dated,
            asof=datum.asof,
            text=text,
        )


def review(
    found: Iterable[tuple[Source, Datum]], registry: Registry, generation: Generation, day: str
) -> tuple[Row, ...]:
    """Give a verdict on each number.

    Parameters
    ----------
    found : iterable of (Source, Datum)
        The numbers with their documents, as read.
    registry : Registry
        What is known, refreshed numbers included.
    generation : Generation
        The refreshed numbers in force.
    day : str
        ISO date of reading.

    Returns
    -------
    tuple of Row
        By entity and field; of equal numbers on one field the first.
    """
    rows: dict[tuple[str, str], list[Row]] = {}
    for source, datum in found:
        row = _review(source, datum, registry, generation, day)
        rows.setdefault((row.entity, row.field), []).append(row)
    result = []
    for _, group in sorted(rows.items()):
        if len({row.new for row in group}) > 1 and group[0].status != "unknown":
            result += [
                attrs.evolve(r, status="blocked", flags=(*r.flags, "several answers that differ")) for r in group
            ]
        else:
            result.append(group[0])
    return tuple(result)


def _review(source: Source, datum: Datum, registry: Registry, generation: Generation, day: str) -> Row:
    kind, _, key = datum.entity.partition("/")
    bare = Row(_shown(datum.entity), _shown(datum.field), "blocked", datum, source.id)
    texts = (
        datum.entity,
        datum.field,
        datum.as_stated,
        datum.at,
        datum.means,
        datum.asof,
        *map(str, datum.context.values()),
    )
    if any(len(text) > _LONG or not text.isprintable() for text in texts):
        return attrs.evolve(bare, flags=("text with control characters, or too long",))
    if kind not in KINDS or kind == "scenarios" or not key or ":" in key or not datum.at:
        return attrs.evolve(bare, flags=("names no entity, or no place",))
    try:
        entry = registry.get(kind, key)
    except UnknownNameError:
        return (
            _review_new(source, datum, bare, day) if "name" in datum.context else attrs.evolve(bare, status="unknown")
        )
    except MlsysimError as error:
        return attrs.evolve(bare, flags=(f"its file is faulty: {error.what}",))
    return _review_known(datum, entry, attrs.evolve(bare, entity=entry.name), generation, day)


def _review_new(source: Source, datum: Datum, row: Row, day: str) -> Row:
    """Judge a number of an entity that does not exist yet: it must make a whole entity."""
    kind, _, key = datum.entity.partition("/")
    field = attrs.fields_dict(KINDS[kind]).get(datum.field)
    if field is None or "unit" not in field.metadata or not _KEY.fullmatch(key):
        return attrs.evolve(row, flags=("makes no entity",))
    row = attrs.evolve(row, dated=_dated(kind, datum, day))
    problems = _common_problems(kind, datum, field.metadata["unit"], row.dated, day)
    if not problems:
        try:
            build(kind, key, (row.number(),), {source.id: source}, "plan")
        except MlsysimError as error:
            problems = [f"makes no entity: {error.what}"]
    return attrs.evolve(row, status="blocked" if problems else "new", flags=tuple(problems))


def _review_known(datum: Datum, entry: Entry, row: Row, generation: Generation, day: str) -> Row:
    claims = entry.claims.get(datum.field)
    if not claims:
        return attrs.evolve(row, flags=("the entity has no such number",))
    kind, known = entry.kind, claims[0]
    old_dated = str(getattr(entry.record, DATED.get(kind, ""), ""))
    row = attrs.evolve(row, old=known.as_stated, old_source=known.source, old_dated=old_dated,
                       dated=_dated(kind, datum, day))  # fmt: skip
    problems = _common_problems(kind, datum, known.unit, row.dated, day)
    problems += _mismatches(datum.context, entry.record)
    if problems:
        return attrs.evolve(row, flags=tuple(problems))
    value = parse_quantity(row.new, known.unit)
    row = attrs.evolve(row, delta=value / known.value - 1 if known.value else None)
    rounding = _rounding(row.new) if kind == "grids" and row.dated == old_dated else 0.0
    if math.isclose(value, known.value, rel_tol=max(1e-9, rounding)):
        return attrs.evolve(row, status="same")
    if row.dated < old_dated or datum.asof < _last_asof(row, generation):
        return attrs.evolve(row, status="not newer", flags=("not newer than what is known",))
    bound = JUMPS.get(kind, DATASHEET_JUMP)
    if row.delta is None or abs(row.delta) > bound * (1 + 1e-9):
        return attrs.evolve(row, flags=(f"{ACCEPTABLE} of more than {bound:.0%}",))
    revised = kind == "grids" and row.dated == old_dated
    return attrs.evolve(row, status="change", flags=("revised",) if revised else ())


def _rounding(text: str) -> float:
    """Return half a unit of the last printed place, relative: what two prints of one figure may differ by."""
    match = re.match(r"\d+\.(\d+)", text)
    number = float(match[0]) if match else 0.0
    return 0.5 * 10.0 ** -len(match[1]) / number if match and number else 0.0


def _dated(kind: str, datum: Datum, day: str) -> str:
    """Return the date the entity takes on: a price holds on the day of reading, an average for its own year."""
    return {"prices": day, "grids": datum.asof}.get(kind, "")


def _common_problems(kind: str, datum: Datum, unit: str, dated: str, day: str) -> list[str]:
    problems = [
        f"asked for {asked}, answered for {_shown(answered)}" for asked, answered in datum.echo if asked != answered
    ]
    try:
        wrong = out_of_range(kind, datum.field, parse_quantity(datum.means or datum.as_stated, unit))
    except MlsysimError as error:
        wrong = _shown(error.what)
    problems += [wrong] if wrong else []
    if kind in DATED and not dated:
        problems.append("the source gives no date")
    if datum.asof[:10] > day[: len(datum.asof[:10])]:
        problems.append(f"dated in the future: {datum.asof}")
    return problems


def _mismatches(context: Mapping[str, str | float], record: Any) -> list[str]:
    """Compare what the answer says about the entity with what the entity says about itself."""
    problems = []
    for field, said in context.items():
        own = getattr(record, field, None)
        if field == "name" or own == said:
            continue
        problems.append(f"{_shown(field)} is {own!r} here and {said!r} there")
    return problems


def _last_asof(row: Row, generation: Generation) -> str:
    """Return the source's own date of the number in force, when the same source gave it."""
    family = row.source[: -len("-2026-01-31")]
    for number in generation.numbers:
        if (number.entity, number.field) == (row.entity, row.field) and number.source.startswith(family):
            return number.asof
    return ""


def _shown(text: str) -> str:
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean[:_LONG]
