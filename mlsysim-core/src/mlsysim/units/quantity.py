"""Quantities with units at the edges, on pint, built from our own unit table.

pint's default registry is not used: there a byte per second plus a hertz is a number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pint

from . import BASE_DIMENSIONS, dimension_text, parse_quantity, parse_unit, unit_symbols
from .table import BASE_SYMBOLS

__all__ = ["Quantity", "unit_registry"]


@lru_cache(maxsize=1)
def unit_registry() -> pint.UnitRegistry[Any]:
    """Return the pint registry that holds exactly the units of mlsysim.

    Returns
    -------
    pint.UnitRegistry
    """
    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(None)
    for symbol, name in zip(BASE_SYMBOLS, BASE_DIMENSIONS, strict=True):
        registry.define(f"{symbol} = [{name}]")
    for symbol, (factor, dimension) in unit_symbols().items():
        if symbol not in BASE_SYMBOLS and symbol.isidentifier() and any(dimension):
            registry.define(f"{symbol} = {factor!r} * {_product(dimension)}")
    return registry


def _product(dimension: tuple[int, ...]) -> str:
    """Write a dimension in base units as pint reads it."""
    return " * ".join(f"{base}**{power}" for base, power in zip(BASE_SYMBOLS, dimension, strict=True) if power)


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
    return unit_registry().Quantity(value, _product(parse_unit(unit).dimension))
