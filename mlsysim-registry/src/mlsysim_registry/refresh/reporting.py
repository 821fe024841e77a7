"""A plan in words: the table that a person reads before applying it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping

from mlsysim.refreshing import Refresher

from .planning import Plan
from .reviewing import Row

__all__ = ["lines", "source_lines"]

_SHOWN = ("change", "new", "blocked", "not newer")


def lines(plan: Plan) -> Iterator[str]:
    """Write a plan as text.

    Parameters
    ----------
    plan : Plan
        The plan.

    Yields
    ------
    str
        Lines: a table of what changes or is refused, then counts and sources.
    """
    shown = [row for row in plan.rows if row.status in _SHOWN]
    if shown:
        yield from _table(
            ("ENTITY", "FIELD", "OLD", "NEW", "CHANGE", "SOURCE", "VERDICT"), map(_cells, shown), right=(4,)
        )
        yield ""
    counts = plan.counts
    parts = [f"{counts[status]} {words}" for status, words in _WORDS.items() if counts[status]]
    yield ", ".join(parts) or "no numbers"
    yield from (f"warning: {text}" for text in plan.warnings)
    yield from (f"left out: {name}: {why}" for name, why in plan.skipped.items())
    yield from (f"failed: {name}: {why}" for name, why in plan.failed.items())


_WORDS = {
    "change": "to change", "new": "new", "blocked": "blocked", "not newer": "not newer", "same": "unchanged",
    "unknown": "of entities that the data do not have",
}  # fmt: skip


def _cells(row: Row) -> tuple[str, ...]:
    delta = "" if row.delta is None else f"{row.delta:+.1%}"
    old = f"{row.old} ({row.old_dated})" if row.old_dated else row.old
    new = f"{row.new} ({row.dated})" if row.dated else row.new
    return row.entity, row.field, old, new, delta, row.source, "; ".join((row.status, *row.flags))


def source_rows(refreshers: Mapping[str, Refresher]) -> list[dict[str, str]]:
    """Describe live sources; of a key only whether it is set.

    Parameters
    ----------
    refreshers : mapping of str to Refresher
        By name.

    Returns
    -------
    list of dict
        With name, what they fill, key, publisher, licence and hosts.
    """
    return [
        {"source": name, "fills": ", ".join(item.kinds), "key": _keys(item), "publisher": item.source.publisher,
         "licence": item.source.licence or "not stated", "host": ", ".join(sorted(item.hosts))}
        for name, item in sorted(refreshers.items())
    ]  # fmt: skip


def source_lines(refreshers: Mapping[str, Refresher]) -> list[str]:
    """Lay out :func:`source_rows` as a table.

    Parameters
    ----------
    refreshers : mapping of str to Refresher
        By name.

    Returns
    -------
    list of str
    """
    head = ("source", "fills", "key", "publisher", "licence", "host")
    return _table(tuple(word.upper() for word in head), [tuple(row.values()) for row in source_rows(refreshers)])


def _keys(item: Refresher) -> str:
    states = [f"{name} {'set' if os.environ.get(name) else 'not set'}" for name in item.env]
    return ", ".join(states) or "not needed"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], right: tuple[int, ...] = ()) -> list[str]:
    from mlsysim.cli.printing import table
    from mlsysim.renderers.style import Style

    return table(head, list(rows), Style.of(sys.stdout), right=right)
