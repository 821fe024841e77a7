"""What each field of a record accepts, worked out once for each class.

Text is no number, true is not 1, and an unknown key is a fault: in a file and in a stored result alike.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import attrs

from ..errors import ConfigError, Fault, MlsysimError
from ..names import did_you_mean

__all__ = ["Field", "Plan", "Reader", "faults_of", "joined", "plan_of", "reader_of"]

Reader = Callable[[Any], Any]
"""Takes plain data, returns what the record holds, raises for what does not fit; places are paths below the data."""


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
        Reads a value in SI, and raises for what does not fit.
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

    def chosen(self, parent: Mapping[str, Any]) -> type:
        """Return the record that another key of the table chooses.

        Parameters
        ----------
        parent : mapping
            The table.

        Returns
        -------
        type

        Raises
        ------
        ConfigError
            If that key is no choice.
        """
        name = parent.get(self.by)
        if isinstance(name, str) and name in self.choices:
            return self.choices[name]
        raise ConfigError(f"{self.by} = {name!r} is not one of the choices",
                          remedy="Choose " + ", ".join(self.choices))  # fmt: skip


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
        read=reader_of(annotation),
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


def joined(path: str, key: str) -> str:
    """Return the path of a key below another path.

    Parameters
    ----------
    path, key : str
        Dotted paths; either may be empty.

    Returns
    -------
    str
    """
    return f"{path}.{key}" if path and key else path or key


def faults_of(error: Exception, step: str = "") -> list[Fault]:
    """Return what a reader refused.

    Parameters
    ----------
    error : Exception
        What it raised.
    step : str
        Key or position of what it read.

    Returns
    -------
    list of Fault
        Each at its path, which begins with the step.
    """
    if isinstance(error, MlsysimError):
        return [fault.at(joined(step, fault.where)) for fault in error.faults]
    return [Fault(str(error), where=step)]


def _each(items: Iterable[tuple[Any, Any]], read: Reader) -> list[Any]:
    """Read items by their keys or positions; the faults of all of them come at once."""
    found: list[Any] = []
    faults: list[Fault] = []
    for step, item in items:
        try:
            found.append(read(item))
        except Exception as error:  # noqa: BLE001 - whatever a value or a record raises is its fault
            faults += faults_of(error, str(step))
    if faults:
        raise ConfigError.from_faults(faults)
    return found


def _scalar(kind: type, accepted: tuple[type, ...], name: str) -> Reader:
    """Make a reader of one type, which converts nothing but whole numbers to numbers."""

    def read(value: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"expected {name}, got {value!r}")
        return value if isinstance(value, kind) else kind(value)

    return read


_SCALARS: Mapping[Any, Reader] = {
    str: _scalar(str, (str,), "text"),
    bool: _scalar(bool, (bool,), "true or false"),
    int: _scalar(int, (int,), "a whole number"),
    float: _scalar(float, (int, float), "a number"),
}


def _choice(kind: Any) -> Reader:
    """Make a reader of a ``Literal``; true is not 1, which Python takes for its equal."""
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


def _int_or_pair(value: Any) -> int | tuple[int, ...]:
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value):
        return tuple(value)
    if type(value) is int:
        return value
    raise TypeError(f"expected a whole number or a pair of them, got {value!r}")


@lru_cache(maxsize=256)
def reader_of(annotation: Any) -> Reader:
    """Make the reader of a record, or of what stands in one.

    Parameters
    ----------
    annotation : type
        A record class, or the type of a field.

    Returns
    -------
    callable
        Takes plain data in SI.
    """
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if annotation in (object, Any):
        return lambda value: value
    if annotation == int | tuple[int, int]:
        return _int_or_pair
    if attrs.has(annotation):
        return _record(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _choice(annotation)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _list(reader_of(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _table(reader_of(arguments[1]))
    if origin in (typing.Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not types.NoneType]
        if len(inner) == 1:
            return _optional(reader_of(inner[0]))
    return _unreadable


def _unreadable(value: Any) -> Any:
    raise TypeError(f"{value!r} cannot be read")


def _optional(inner: Reader) -> Reader:
    return lambda value: None if value is None else inner(value)


def _list(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"expected a list, got {value!r}")
        return tuple(_each(enumerate(value), inner))

    return read


def _table(inner: Reader) -> Reader:
    name = _SCALARS[str]

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"expected a table, got {value!r}")
        return dict(zip(map(name, value), _each(value.items(), inner), strict=True))

    return read


def _record(cls: type) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"expected a table, got {value!r}")
        fields, required = plan_of(cls)  # when it is asked for: a record may hold records of its own class
        made: dict[str, Any] = {}
        faults: list[Fault] = []
        for name, item in value.items():
            field = fields.get(name)
            if field is None:
                what, near = f"there is no field {name!r} here", did_you_mean(str(name), fields)
                faults.append(Fault(what, where=str(name), remedy=near))
                continue
            try:
                made[name] = (reader_of(field.chosen(value)) if field.by else field.read)(item)
            except Exception as error:  # noqa: BLE001 - whatever a value or a record raises is its fault
                faults += faults_of(error, str(name))
        if not required <= value.keys():
            faults += [Fault("it is missing", where=name) for name in fields if name in required - value.keys()]
        if faults:
            raise ConfigError.from_faults(faults)
        try:
            return cls(**made)
        except MlsysimError as error:  # what a record itself refuses is said of the whole
            raise ConfigError.from_faults(fault.at("") for fault in error.faults) from None

    return read
