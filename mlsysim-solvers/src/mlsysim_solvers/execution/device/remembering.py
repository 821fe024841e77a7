"""Settled tables, kept for the next solve of the same case at other rates.

Lowering a model takes longer than timing it, and rates do not change it: one case after another finds its table by
its numbers, and one chunk of a sweep after another by its combinations of them (:mod:`.factored`). Arrays that differ
from row to row are lowered anew, and traced numbers must keep their own history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlsysim.tracing import Traced

from .settling import Settlement

__all__ = ["remembered", "same_tuples"]

_RATES = frozenset({
    "peak", "achieved", "vector_peak", "bandwidth", "weight_bandwidth", "compute_ceiling", "memory_ceiling",
    "attention_ceiling", "overhead", "kernel_launch", "turn", "special_rate", "lone_rate", "capacity", "utilisation",
    "reserve", "storage", "rate", "concurrency", "requests", "intake", "intake_token", "answer_token", "delivery",
    "step_request", "between_rate", "between_latency",
    "var_compute", "var_memory", "var_overhead", "cov_cm", "cov_co", "cov_mo", "scatter", "var_talk", "var_layout",
    "var_first", "var_lone", "var_link", "var_reserve", "assumptions",
})  # fmt: skip
"""Columns that no table depends on; whatever is missing here only makes two cases look different."""

_MOST = 256
"""Most tables kept; it bounds memory and changes no answer."""

_tuples: dict[tuple[Any, ...], tuple[Any, ...]] = {}
"""Tuples of earlier cases, by column, type and value."""

_names: dict[tuple[str, ...], int] = {}
"""A number for each set of columns that cases have."""

_chunks: dict[str, tuple[tuple[Any, ...], Settlement, tuple[Any, ...]]] = {}
"""The table of the last chunk of a sweep, by part; one each, since arrays are large."""

_kept: dict[tuple[Any, ...], tuple[Settlement, tuple[Any, ...]]] = {}


def same_tuples(columns: dict[str, Any]) -> dict[str, Any]:
    """Return columns whose tuples are those of an earlier case with equal ones, so that the case is known again.

    Parameters
    ----------
    columns : dict of str to number or object
        As they are when a case is prepared: shapes and lists of tiles are tuples.

    Returns
    -------
    dict of str to number or object
        The same dictionary, with a number for the names in it under ``names``: equal numbers under other names are
        another case. As it is where numbers are traced, which keep their own history.
    """
    if any(isinstance(value, Traced) for value in columns.values()):
        return columns
    if len(_tuples) >= _MOST:
        _tuples.clear()
    columns["names"] = _names.setdefault(tuple(columns), len(_names))
    for name, value in columns.items():
        if isinstance(value, tuple) and name not in _RATES:
            columns[name] = _tuples.setdefault((name, type(value), value), value)
    return columns


def remembered(columns: Mapping[str, Any], part: str, build: Callable[[], Settlement]) -> Settlement:
    """Return settled rows, from an earlier solve when nothing but rates differs.

    Parameters
    ----------
    columns : mapping of str to number or object
        The case. Objects are the same when they are identical, numbers when they are equal.
    part : str
        Which table of the case.
    build : callable
        Works the rows out.

    Returns
    -------
    Settlement
    """
    key: list[Any] = [part]
    objects: list[Any] = []
    shared: Any = None
    for name, value in columns.items():
        if name in _RATES:
            continue
        kind = type(value)
        if kind is float or kind is int or kind is bool:
            key.append(value)
        elif hasattr(value, "dtype"):
            from .arrays import keep_memory

            keep_memory()
            return build()
        elif hasattr(value, "shared"):
            key += name, value.values.tobytes()
            shared = value.shared
        elif isinstance(value, float):
            return build()
        else:
            key.append(id(value))
            objects.append(value)
    exact = tuple(key)
    if shared is not None:
        return _of_many(part, exact, tuple(objects), build, shared)
    found = _kept.get(exact)
    if found is None:
        if len(_kept) >= _MOST:
            _kept.clear()
        # The objects are kept alive, so that no other one can take their identity.
        found = _kept[exact] = (build(), tuple(objects))
    return found[0]


def _of_many(
    part: str, key: tuple[Any, ...], objects: tuple[Any, ...], build: Callable[[], Settlement], shared: Any
) -> Settlement:
    """Return the table of a chunk of a sweep, from the chunk before when its rows have the same combinations."""
    from .arrays import keep_memory
    from .ranking import rebound

    keep_memory()
    found = _chunks.get(part)
    if found is not None and found[0] == key:
        return rebound(found[1], shared)
    table = build()
    _chunks[part] = (key, table, objects)
    return table
