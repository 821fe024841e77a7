"""Records for display: which fields say something, and their values with the unit that the field declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ..records.fields import field_at, value_at
from ..renderers.numbers import quantity

__all__ = ["count", "given", "plain_fields", "shown"]

_COUNTS = ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k"))


def given(record: Any, path: str) -> bool:
    """Tell whether a field says something: an empty one, a zero that means "not given" and a part left out do not.

    Parameters
    ----------
    record : object
        A record.
    path : str
        Dotted path of the field.

    Returns
    -------
    bool
    """
    value, field, part = value_at(record, path), field_at(record, path), path.rpartition(".")[0]
    if value in (None, "", ()):
        return False
    if field is None:
        return True
    holder = value_at(record, part)
    if part and all(getattr(holder, one.name) == one.default for one in attrs.fields(type(holder))):
        return False
    return not (value == field.default == 0 and not isinstance(value, bool))


def shown(record: Any, path: str) -> str:
    """Write a field for people.

    Parameters
    ----------
    record : object
        A record.
    path : str
        Dotted path of the field.

    Returns
    -------
    str
        ``-`` where nothing is known.
    """
    value, field = value_at(record, path), field_at(record, path)
    if value in (None, "", ()):
        return "-"
    unit = "" if field is None else field.metadata.get("unit", "")
    if unit and isinstance(value, (int, float)):
        return quantity(value, unit)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def count(value: float | None) -> str:
    """Write a large count with its usual suffix.

    Parameters
    ----------
    value : float or None, count
        For example ``8.03e9``.

    Returns
    -------
    str
        For example ``"8.03 B"``.
    """
    if value is None:
        return "-"
    for size, suffix in _COUNTS:
        if value >= size:
            return f"{value / size:.4g}{suffix}"
    return f"{value:g}"


def plain_fields(record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Go through the fields of a record and of the records inside it.

    Parameters
    ----------
    record : object
        A record.
    prefix : str
        Path of the record itself.

    Yields
    ------
    path : str
    value : object
        No record, no mapping of records.
    """
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        path = f"{prefix}.{field.name}" if prefix else field.name
        if attrs.has(type(value)):
            yield from plain_fields(value, path)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                yield from (
                    plain_fields(inner, f"{path}.{key}") if attrs.has(type(inner)) else [(f"{path}.{key}", inner)]
                )
        elif isinstance(value, tuple) and value and attrs.has(type(value[0])):
            for position, inner in enumerate(value):
                yield from plain_fields(inner, f"{path}.{position}")
        else:
            yield path, value
