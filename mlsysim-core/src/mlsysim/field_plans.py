"""What each field of a record accepts, worked out once for each class.

Text is no number, true is not 1.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import attrs

from .errors import ConfigError, Fault

__all__ = ["Field", "Plan", "Reader", "plan_of"]

Reader = Callable[[Any], Any]
"""Takes plain data, returns what the record holds, refuses with :class:`ConfigError` what does not fit."""


class Field(NamedTuple):
    """What reading one field of a record needs to know.

    Parameters
    ----------
    required : bool
        Whether it has no default.
    unit : str or None
        Unit of a quantity; None for what is no quantity.
    fact : bool
        Whether a registry file must give it as a claim.
    whole : bool
        Whether the number is a whole one.
    minimum : float, SI
        Lower bound.
    zero : bool
        Whether the bound itself is allowed.
    by : str
        Key beside it that chooses its record; empty where the record is fixed.
    choices : mapping of str to type
        The records to choose from.
    record : type or None
        Class of the records inside.
    container : type or None
        ``dict`` or ``tuple`` around those records.
    exact : type or None
        Type of values that stand in the record as they are.
    read : callable
        Reads a value without records and units.
    """

    required: bool
    unit: str | None
    fact: bool
    whole: bool
    minimum: float
    zero: bool
    by: str
    choices: Mapping[str, type]
    record: type | None
    container: type | None
    exact: type | None
    read: Reader


class Plan(NamedTuple):
    """The fields of a record class.

    Parameters
    ----------
    fields : dict of str to Field
        By name, in the order of the class.
    required : frozenset of str
        Those without a default.
    """

    fields: dict[str, Field]
    required: frozenset[str]


@lru_cache(maxsize=256)
def plan_of(cls: type) -> Plan:
    """Work out how a record class is read.

    Parameters
    ----------
    cls : type
        A record class.

    Returns
    -------
    Plan
    """
    fields = {field.name: _field(field) for field in attrs.fields(attrs.resolve_types(cls))}
    return Plan(fields, frozenset(name for name, field in fields.items() if field.required))


def _field(field: attrs.Attribute[Any]) -> Field:
    annotation: Any = field.type
    known = field.metadata
    record, container = _record_inside(annotation)
    unit = known.get("unit")
    return Field(
        required=field.default is attrs.NOTHING,
        unit=unit,
        fact=known.get("fact", False),
        whole=annotation is int or int in typing.get_args(annotation),
        minimum=known.get("minimum", 0.0),
        zero=known.get("zero", False),
        by=known.get("by", ""),
        choices=known.get("choices", {}),
        record=record,
        container=container,
        exact=_EXACT.get(annotation) if unit is None else None,
        read=_reader(annotation),
    )


_EXACT: Mapping[Any, type] = {str: str, bool: bool, int: int, int | tuple[int, int]: int}


def _record_inside(annotation: Any) -> tuple[type | None, type | None]:
    """Find the record class in ``X``, ``X | None``, ``dict[str, X]`` or ``tuple[X, ...]``."""
    if attrs.has(annotation):
        return annotation, None
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        records = [a for a in arguments if attrs.has(a)]
        return (records[0], None) if len(records) == 1 else (None, None)
    if origin in (dict, tuple):
        for argument in arguments:
            if attrs.has(argument):
                return argument, origin
    return None, None


def _strict(kind: type, accepted: tuple[type, ...], name: str) -> Reader:
    """Make a reader of one type, which converts nothing but whole numbers to numbers."""

    def read(value: Any) -> Any:
        if isinstance(value, accepted) and (kind is bool or not isinstance(value, bool)):
            with suppress(OverflowError):
                return value if isinstance(value, kind) else kind(value)
        raise ConfigError(f"expected {name}, got {value!r}")

    return read


_SCALARS: Mapping[Any, Reader] = {
    str: _strict(str, (str,), "text"),
    bool: _strict(bool, (bool,), "true or false"),
    int: _strict(int, (int,), "a whole number"),
    float: _strict(float, (int, float), "a number"),
    object: lambda value: value,
    Any: lambda value: value,
}


@lru_cache(maxsize=256)
def _reader(annotation: Any) -> Reader:
    """Make the reader of what holds no record and no unit."""
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if annotation == int | tuple[int, int]:
        return _int_or_pair
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _choice(arguments)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _list(_reader(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _table(_reader(arguments[1]))
    if types.NoneType in arguments:
        return _optional(_reader(typing.Union[tuple(a for a in arguments if a is not types.NoneType)]))  # noqa: UP007
    return _no_table


def _no_table(value: Any) -> Any:
    """Refuse what stands in the place of a record; tables themselves are read key by key."""
    raise ConfigError(f"expected a table, got {value!r}")


def _optional(inner: Reader) -> Reader:
    return lambda value: None if value is None else inner(value)


def _choice(choices: tuple[Any, ...]) -> Reader:
    """Make a reader of a ``Literal``; true is not 1, which Python takes for its equal."""
    known = {(type(choice), choice) for choice in choices}
    texts = frozenset(choice for choice in choices if isinstance(choice, str))

    def read(value: Any) -> Any:
        if type(value) is str and value in texts:
            return value
        if not isinstance(value, Hashable) or (type(value), value) not in known:
            shown = str(value).lower() if isinstance(value, bool) else value
            # The empty choice is the one of a key that is left out.
            offered = ", ".join(str(choice) for choice in choices if choice != "")
            raise ConfigError(f"{shown} is not one of the choices", remedy=f"Choose {offered}")
        return value

    return read


def _int_or_pair(value: Any) -> Any:
    """Read a whole number, or a list of two."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(type(v) is int for v in value):
        return tuple(value)
    if type(value) is int:
        return value
    raise ConfigError(f"expected a whole number or a pair of them, got {value!r}")


def _list(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"expected a list, got {value!r}")
        return tuple(_each(inner, enumerate(value)))

    return read


def _table(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return _no_table(value)
        return dict(zip(map(_SCALARS[str], value), _each(inner, value.items()), strict=True))

    return read


def _each(inner: Reader, items: Iterable[tuple[object, Any]]) -> list[Any]:
    """Read items one by one; the faults of all come at once, each with its place."""
    found: list[Any] = []
    faults: list[Fault] = []
    for place, item in items:
        try:
            found.append(inner(item))
        except ConfigError as error:
            faults += [fault.at(f"{place}.{fault.where}".rstrip(".")) for fault in error.faults]
    if faults:
        raise ConfigError.from_faults(faults)
    return found
