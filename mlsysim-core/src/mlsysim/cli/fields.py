"""Reading records for display: values by dotted path, with the unit their field declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ..renderers.numbers import quantity

__all__ = ["count", "given", "plain_fields", "shown", "unit_at", "value_at"]

_COUNTS = ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k"))


def value_at(record: Any, path: str) -> Any:
    """Follow a dotted path into a record.

    Parameters
    ----------
    record : object
        A record.
    path : str
        For example ``"memory.bandwidth"``.

    Returns
    -------
    object or None
        None where the path ends early.
    """
    for part in path.split("."):
        if record is None:
            return None
        if isinstance(record, Mapping):
            record = record.get(part)
        elif isinstance(record, tuple):
            record = record[int(part)] if part.isdigit() and int(part) < len(record) else None
        else:
            record = getattr(record, part, None)
    return record


def unit_at(record: Any, path: str) -> str:
    """Return the unit that a field declares.

    Parameters
    ----------
    record : object
        A record.
    path : str
        Dotted path of the field.

    Returns
    -------
    str
        Empty for a field without one.
    """
    parents, _, last = path.rpartition(".")
    holder = value_at(record, parents) if parents else record
    if not attrs.has(type(holder)):
        return ""
    field = attrs.fields_dict(type(holder)).get(last)
    return str(field.metadata.get("unit", "")) if field is not None else ""


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
    value = value_at(record, path)
    if value in (None, "", ()):
        return False
    parents, _, last = path.rpartition(".")
    holder = value_at(record, parents) if parents else record
    if not attrs.has(type(holder)):
        return True
    fields = attrs.fields(type(holder))
    if parents and all(getattr(holder, field.name) == field.default for field in fields):
        return False
    default = next((field.default for field in fields if field.name == last), None)
    return not (value == default == 0 and not isinstance(value, bool))


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
    value, unit = value_at(record, path), unit_at(record, path)
    if value in (None, "", ()):
        return "-"
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
