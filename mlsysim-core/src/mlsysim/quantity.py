"""Quantities with units at the edges, on pint, built from our own unit table.

pint's default registry is not used: there a byte per second plus a hertz is a number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pint

from .units import BASE_DIMENSIONS, dimension_text, parse_quantity, parse_unit, unit_symbols

__all__ = ["Quantity", "unit_registry"]

_SYMBOLS = ("s", "m", "kg", "K", "A", "B", "FLOP", "USD", "token", "sample")


@lru_cache(maxsize=1)
def unit_registry() -> pint.UnitRegistry[Any]:
    """Return the pint registry that holds exactly the units of mlsysim.

    Returns
    -------
    pint.UnitRegistry
    """
    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(None)
    for symbol, name in zip(_SYMBOLS, BASE_DIMENSIONS, strict=True):
        registry.define(f"{symbol} = [{name}]")
    for symbol, (factor, dimension) in unit_symbols().items():
        powers = [f"{base}**{power}" for base, power in zip(_SYMBOLS, dimension, strict=True) if power]
        if symbol not in _SYMBOLS and symbol.isidentifier() and powers:
            registry.define(f"{symbol} = {factor!r} * {' * '.join(powers)}")
    return registry


def pint_unit(unit: str) -> Any:
    """Return a unit as a pint quantity of base units.

    Parameters
    ----------
    unit : str
        For example ``"TB/s"``.

    Returns
    -------
    pint.Quantity
        Its SI factor with base units.
    """
    parsed = parse_unit(unit)
    registry = unit_registry()
    result = registry.Quantity(1.0, "")
    for symbol, power in zip(_SYMBOLS, parsed.dimension, strict=True):
        if power:
            result = result * registry.Quantity(1.0, symbol) ** power
    return result * parsed.factor


def Quantity(value: str | float, unit: str = "") -> Any:  # noqa: N802 - reads as the type it returns
    """Make a quantity.

    Parameters
    ----------
    value : str, float or array
        Text with its unit (``"3.35 TB/s"``), or an SI number.
    unit : str
        For a number: the unit whose dimension it has; the number itself is in SI base units.
        For text: the unit it must be convertible to, if given.

    Returns
    -------
    pint.Quantity
        In base units; ``.to("ms")`` converts, arithmetic and comparisons as in pint.

    Raises
    ------
    UnitError
        If the text is no quantity, or has another dimension.

    Examples
    --------
    >>> Quantity("2 GB") / Quantity("1 GB/s")
    <Quantity(2.0, 's')>
    """
    if isinstance(value, str):
        if not unit:
            import re

            tail = re.sub(r"^\s*[+-]?[\d.,_]+(?:[eE][+-]?\d+)?\s*", "", value)
            unit = dimension_text(parse_unit(tail).dimension)
        value = parse_quantity(value, unit)
    parsed = parse_unit(unit)
    base = pint_unit(unit) / parsed.factor
    return value * base
