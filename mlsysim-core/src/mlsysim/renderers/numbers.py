"""Numbers as people write them."""

from __future__ import annotations

from ..units import format_quantity, parse_unit

__all__ = ["quantity"]

_SMALL = 0.1
"""Below so many kilograms or kilowatt-hours the prefix is dropped."""

_LARGE = {"kWh": (("GWh", 1e6), ("MWh", 1e3)), "kgCO2e": (("tCO2e", 1e3),)}
"""Units that take the place of thousands of others."""


def quantity(value: float, unit: str, digits: int = 4, *, whole: bool = True) -> str:
    """Write a number for people.

    Parameters
    ----------
    value : float, SI
        The number.
    unit : str
        Its unit.
    digits : int
        Significant digits.
    whole : bool
        Whether large numbers keep all digits before the point.

    Returns
    -------
    str
        As :func:`format_quantity`, with plural counts, and in grams and watt-hours where there is
        little of them, megawatt-hours and tonnes where there is much.
    """
    if unit.startswith(("kg", "kWh")) and 0 < abs(value) < _SMALL * parse_unit(unit).factor:
        unit = unit[1:]
    of, slash, per = unit.partition("/")
    larger = (name for name, size in _LARGE.get(of, ()) if abs(value) >= size * parse_unit(unit).factor)
    if name := next(larger, ""):
        unit = name + slash + per
        return f"{format_quantity(value / parse_unit(unit).factor, '1', digits, whole=whole)} {unit}"
    text = format_quantity(value + 0.0, unit, digits, whole=whole)  # adding zero makes a zero of -0.0
    return f"{text}s" if unit in ("token", "sample") and value != 1 else text
