"""How a record declares the unit and the nature of each of its numbers."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["fact", "setting"]


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


def setting(unit: str, *, default: Any = attrs.NOTHING, minimum: float = 0.0, zero: bool = False) -> Any:
    """Declare a number that a user chooses: it needs a unit, but no source.

    Parameters
    ----------
    unit : str
        Unit that fixes the dimension; the record holds the SI value.
    default : float or None
        None makes the setting optional.
    minimum : float, SI
        Lower bound.
    zero : bool
        Whether the bound itself is allowed.

    Returns
    -------
    Any
        An attrs field.
    """
    metadata = {"unit": unit, "fact": False, "minimum": minimum, "zero": zero}
    return attrs.field(default=default, metadata=metadata)
