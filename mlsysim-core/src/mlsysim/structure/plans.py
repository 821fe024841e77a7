"""What each field of a record accepts, worked out once for each class.

Text is no number, true is not 1. The readers of single values are those of :mod:`~.converting` too, so that a file
and a stored result are judged alike.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import attrs

from ..errors import ConfigError

__all__ = ["SCALARS", "Field", "Plan", "Reader", "plan_of", "read_choice", "read_int_or_pair", "strict"]

Reader = Callable[[Any], Any]
"""Takes plain data, returns what the record holds, raises for what does not fit."""


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
    raw : type or tuple of type or None
        What raw data must be for a list or a table.
    record : type or None
        Class of the records inside.
    container : type or None
        ``dict`` or ``tuple`` around those records.
    exact : type or None
        Type of values that stand in the record as they are.
    read : callable
        Reads a value without records and units, and raises for what does not fit.
    """

    required: bool
    unit: str | None
    fact: bool
    whole: bool
    minimum: float
    zero: bool
    by: str
    choices: Mapping[str, type]
    raw: Any
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
        raw={tuple: (list, tuple), dict: dict}.get(typing.get_origin(annotation)),
        record=record,
        container=container,
        exact=_EXACT.get(annotation) if unit is None else None,
        read=_value_reader(annotation),
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


def strict(kind: type, accepted: tuple[type, ...], name: str) -> Reader:
    """Make a reader of one type, which converts nothing but whole numbers to numbers.

    Parameters
    ----------
    kind : type
        What the record holds.
    accepted : tuple of type
        What plain data may be.
    name : str
        What the message calls it.

    Returns
    -------
    callable
        Raises TypeError for anything else.
    """

    def read(value: Any) -> Any:
        if isinstance(value, bool) and kind is not bool:
            raise TypeError(f"expected {name}, got {value!r}")
        if not isinstance(value, accepted):
            raise TypeError(f"expected {name}, got {value!r}")
        return value if isinstance(value, kind) else kind(value)

    return read


SCALARS: Mapping[type, Reader] = {
    str: strict(str, (str,), "text"),
    bool: strict(bool, (bool,), "true or false"),
    int: strict(int, (int,), "a whole number"),
    float: strict(float, (int, float), "a number"),
}
"""Readers of single values."""


def read_choice(kind: Any) -> Reader:
    """Make a reader of a ``Literal``; true is not 1, which Python takes for its equal.

    Parameters
    ----------
    kind : type
        The ``Literal``.

    Returns
    -------
    callable
        Raises ConfigError for what is not one of the choices.
    """
    choices = typing.get_args(kind)
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


def read_int_or_pair(value: Any) -> int | tuple[int, ...]:
    """Read a whole number, or a list of two.

    Parameters
    ----------
    value : object
        Plain data.

    Returns
    -------
    int or tuple of int

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value):
        return tuple(value)
    if type(value) is int:
        return value
    raise TypeError(f"expected a whole number or a pair of them, got {value!r}")


@lru_cache(maxsize=256)
def _value_reader(annotation: Any) -> Reader:
    """Make the reader of what holds no record and no unit; what it cannot read it leaves to the converter."""
    if annotation in SCALARS:
        return SCALARS[annotation]
    if annotation is object:
        return lambda value: value
    if annotation == int | tuple[int, int]:
        return read_int_or_pair
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return read_choice(annotation)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _list_reader(_value_reader(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _table_reader(_value_reader(arguments[1]))
    return _leave


def _leave(value: Any) -> Any:
    raise TypeError(f"{value!r} is left to the converter")


def _list_reader(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"expected a list, got {value!r}")
        return tuple([inner(item) for item in value])

    return read


def _table_reader(inner: Reader) -> Reader:
    name = SCALARS[str]

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"expected a table, got {value!r}")
        return {name(key): inner(item) for key, item in value.items()}

    return read
