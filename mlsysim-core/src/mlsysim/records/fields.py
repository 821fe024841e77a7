"""How a record declares the unit and the nature of each of its numbers, and finding one by its dotted path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["fact", "field_at", "setting", "value_at"]


def fact(
    unit: str, *, default: Any = attrs.NOTHING, tolerance: float = 0.01, minimum: float = 0.0, zero: bool = False
) -> Any:
    """Declare a number about the world: in a registry file it must carry its source.

    Parameters
    ----------
    unit : str
        Unit that fixes the dimension; the record holds the SI value.
    default : float or None
        None makes the fact optional.
    tolerance : float, dimensionless
        Relative difference up to which two claims on the field agree.
    minimum : float, SI
        Lower bound.
    zero : bool
        Whether the bound itself is allowed.

    Returns
    -------
    Any
        An attrs field.
    """
    metadata = {"unit": unit, "fact": True, "tolerance": tolerance, "minimum": minimum, "zero": zero}
    return attrs.field(default=default, metadata=metadata)


def setting(unit: str, *, default: Any = attrs.NOTHING, zero: bool = False) -> Any:
    """Declare a number that a user chooses: it needs a unit, but no source.

    Parameters
    ----------
    unit : str
        Unit that fixes the dimension; the record holds the SI value.
    default : float or None
        None makes the setting optional.
    zero : bool
        Whether 0 is allowed.

    Returns
    -------
    Any
        An attrs field.
    """
    metadata = {"unit": unit, "fact": False, "zero": zero}
    return attrs.field(default=default, metadata=metadata)


def value_at(record: Any, path: str) -> Any:
    """Follow a dotted path into a record.

    Parameters
    ----------
    record : object
        A record.
    path : str
        For example ``"memory.bandwidth"``; empty for the record itself.

    Returns
    -------
    object or None
        None where the path ends early.
    """
    for part in filter(None, path.split(".")):
        if record is None:
            return None
        if isinstance(record, Mapping):
            record = record.get(part)
        elif isinstance(record, tuple):
            record = record[int(part)] if part.isdigit() and int(part) < len(record) else None
        else:
            record = getattr(record, part, None)
    return record


def field_at(record: Any, path: str) -> attrs.Attribute[Any] | None:
    """Return what a record declares about the field at a dotted path.

    Parameters
    ----------
    record : object
        A record.
    path : str
        Dotted path of the field.

    Returns
    -------
    attrs.Attribute or None
        None where no record has such a field.
    """
    part, _, name = path.rpartition(".")
    cls = type(value_at(record, part))
    return attrs.fields_dict(cls).get(name) if attrs.has(cls) else None
