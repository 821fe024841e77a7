"""A plan: what the sources say now, what of it would change, and a file that holds exactly that."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mlsysim.errors import ConfigError, RegistryError
from mlsysim.provenance import Source
from mlsysim.refreshing import Datum, Refresher
from mlsysim.structure import read_plain

from .generations import current
from .reviewing import Row, review
from .running import Outcome

if TYPE_CHECKING:
    from mlsysim.entities import Registry

__all__ = ["Plan", "dump", "load", "make"]

_FORMAT = 1
_MAX_BYTES = 20_000_000
_EXIT = {"same": 0, "unknown": 0, "not newer": 0, "change": 2, "new": 2, "blocked": 3}
_FAILED = 4


@attrs.frozen
class Plan:
    """What a refresh would do.

    Parameters
    ----------
    made : str
        ISO date of reading.
    generation : str
        Hash of the refreshed numbers in force when it was made; empty when there were none.
    rows : tuple of Row
        Every number that was found.
    documents : dict of str to Source
        Documents as read, by id.
    failed, skipped : dict of str to str
        Sources that gave nothing, and why.
    warnings : tuple of str
        What a reader should know about the sources.
    """

    made: str
    generation: str
    rows: tuple[Row, ...]
    documents: dict[str, Source]
    failed: dict[str, str] = attrs.field(factory=dict)
    skipped: dict[str, str] = attrs.field(factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 no change, 2 changes pending, 3 some are blocked, 4 a source failed."""
        return _FAILED if self.failed else max((_EXIT[row.status] for row in self.rows), default=0)

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows by status."""
        return Counter(row.status for row in self.rows)


def make(outcomes: Iterable[Outcome], refreshers: Mapping[str, Refresher], registry: Registry, day: str) -> Plan:
    """Compare what sources gave with what is known.

    Parameters
    ----------
    outcomes : iterable of Outcome
        One for each source.
    refreshers : mapping of str to Refresher
        The sources by name.
    registry : Registry
        What is known.
    day : str
        ISO date of reading.

    Returns
    -------
    Plan

    Raises
    ------
    RegistryError
        If the refreshed numbers in force are damaged.
    """
    generation = current()
    outcomes = list(outcomes)
    documents: dict[str, Source] = {}
    found: list[tuple[Source, Datum]] = []
    warnings: list[str] = []
    for outcome in outcomes:
        if outcome.problem or outcome.skipped:
            continue
        refresher = refreshers[outcome.name]
        source = attrs.evolve(refresher.source, id=f"{refresher.source.id}-{day}", retrieved=day)
        documents[source.id] = source
        found += [(source, datum) for datum in outcome.found]
        warnings += _warnings(refresher, outcome, day)
    return Plan(
        day, generation.sha256, review(found, registry, generation, day), documents,
        {outcome.name: outcome.problem for outcome in outcomes if outcome.problem},
        {outcome.name: outcome.skipped for outcome in outcomes if outcome.skipped},
        tuple(warnings),
    )  # fmt: skip


def _warnings(refresher: Refresher, outcome: Outcome, day: str) -> list[str]:
    """Notice a feed that answers and no longer changes: no error ever says so."""
    import datetime as dt

    if not outcome.found:
        return [f"{refresher.name}: the answer holds no number"]
    newest = max(datum.asof for datum in outcome.found)
    if not (refresher.max_age_days and newest):
        return []
    padded = f"{newest}-12-31" if len(newest) == len("2026") else newest[:10]
    try:
        age = (dt.date.fromisoformat(day) - dt.date.fromisoformat(padded)).days
    except ValueError:
        return [f"{refresher.name}: {newest!r} is not a date"]
    if age > refresher.max_age_days:
        return [f"{refresher.name}: its newest number is of {newest}; the feed may be frozen"]
    return []


def dump(plan: Plan) -> str:
    """Write a plan as JSON with its own hash.

    Parameters
    ----------
    plan : Plan
        The plan.

    Returns
    -------
    str
    """
    data = _plain(plan)
    return json.dumps({**data, "sha256": _hash(data)}, indent=1, ensure_ascii=False) + "\n"


def _plain(plan: Plan) -> dict[str, Any]:
    rows = [{**attrs.asdict(row, recurse=False), "datum": row.datum._asdict()} for row in plan.rows]
    documents = {key: attrs.asdict(source) for key, source in plan.documents.items()}
    data = {**attrs.asdict(plan, recurse=False), "rows": rows, "documents": documents, "format": _FORMAT}
    made: dict[str, Any] = json.loads(json.dumps(data))  # tuples become lists, as a reader will find them
    return made


def _hash(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def load(path: Path, registry: Registry) -> Plan:
    """Read a plan, and look whether it still fits the data.

    Parameters
    ----------
    path : Path
        Its file.
    registry : Registry
        What is known now.

    Returns
    -------
    Plan

    Raises
    ------
    ConfigError
        If the file is no plan or was changed.
    RegistryError
        If the data have changed since it was made.
    """
    data = _read(path)
    stated = data.pop("sha256", None)
    if data.get("format") != _FORMAT or stated != _hash(data):
        raise ConfigError("is not a plan of this version, or was changed", where=str(path), remedy=_AGAIN)
    try:
        documents = {key: read_plain(Source, row) for key, row in data["documents"].items()}
        found = [(documents[row["source"]], _datum(row["datum"])) for row in data["rows"]]
        made = str(data["made"])
    except Exception:  # noqa: BLE001 - the plan may be anything
        raise ConfigError("is not a plan", where=str(path), remedy=_AGAIN) from None
    generation = current()
    plan = Plan(made, generation.sha256, review(found, registry, generation, made), documents)
    if _plain(plan)["rows"] != data["rows"] or generation.sha256 != data["generation"]:
        raise RegistryError("the data have changed since the plan was made", where=str(path), remedy=_AGAIN)
    return plan


_AGAIN = "Make a new one: mlsysim registry refresh plan --out plan.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path), remedy=_AGAIN) from None
    try:
        data = json.loads(raw) if len(raw) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ConfigError("is not a plan", where=str(path), remedy=_AGAIN)
    return data


def _datum(row: Mapping[str, Any]) -> Datum:
    echo = tuple((str(asked), str(answered)) for asked, answered in row["echo"])
    return Datum(**{**row, "echo": echo})
