"""Arguments for proofs: seeded, positive and of a size that occurs."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

from ..units import BASE_DIMENSIONS, parse_unit

__all__ = ["Draws", "draw_arguments"]

Draws = Mapping[str, "tuple[float, float] | Callable[[random.Random], float]"]
"""By argument: a range, drawn from evenly in the logarithm, or a function of a random source."""

_USUAL: Mapping[str, tuple[float, float]] = {
    "1": (1.0, 128.0), "s": (1e-6, 1e4), "Hz": (1e6, 1e10), "B": (1e3, 1e12), "B/s": (1e8, 1e13),
    "FLOP": (1e6, 1e18), "FLOP/s": (1e9, 1e16), "FLOP/B": (0.1, 1e3), "W": (0.1, 1e5), "J": (1e-3, 1e12),
    "USD": (0.01, 1e7), "USD/s": (1e-6, 1.0), "kg/J": (1e-9, 1e-6), "m^3/J": (1e-12, 1e-9), "m^2": (1e-6, 1e-3),
    "token": (1.0, 32768.0), "sample": (1.0, 1024.0), "B/token": (1e2, 1e6), "token/s": (1.0, 1e6),
}  # fmt: skip
"""Ranges in SI of the quantities that occur in formulas."""

_TYPICAL = dict(zip(BASE_DIMENSIONS, (1e-3, 1e-2, 1.0, 300.0, 1.0, 1e9, 1e12, 1.0, 1e3, 32.0), strict=True))
_DECADES = 2.0


def _range(unit: str) -> tuple[float, float]:
    dimension = parse_unit(unit).dimension
    for usual, bounds in _USUAL.items():
        if parse_unit(usual).dimension == dimension:
            return bounds
    middle = math.prod(_TYPICAL[name] ** power for name, power in zip(BASE_DIMENSIONS, dimension, strict=True))
    return middle * 10**-_DECADES, middle * 10**_DECADES


def _draw(
    unit: str, source: random.Random, how: tuple[float, float] | Callable[[random.Random], float] | None
) -> float:
    if callable(how):
        return float(how(source))
    low, high = how or _range(unit)
    value = low * math.exp(source.random() * math.log(high / low))
    return min(max(value, low), high)


def draw_arguments(units: Mapping[str, str], *, draws: Draws | None = None, seed: int = 0) -> dict[str, float]:
    """Draw one positive number for each argument.

    Parameters
    ----------
    units : mapping of str to str
        Unit of each argument.
    draws : mapping of str to range or callable, optional
        What to draw instead of the usual range of the unit: (low, high) in SI, both positive, or a
        function of a :class:`random.Random`. Give the range of a share: ``{"ceiling": (0.1, 1)}``.
    seed : int
        Same seed, same numbers.

    Returns
    -------
    dict of str to float, SI

    Raises
    ------
    TypeError
        If ``draws`` names an argument that does not exist.

    Examples
    --------
    >>> 1e8 <= draw_arguments({"bandwidth": "B/s"})["bandwidth"] <= 1e13
    True
    """
    given = dict(draws or {})
    if set(given) - set(units):
        raise TypeError(f"draws for {sorted(set(given) - set(units))}, but the arguments are {list(units)}")
    source = random.Random(seed)  # noqa: S311 - repeatable numbers are wanted
    return {name: _draw(unit, source, given.get(name)) for name, unit in units.items()}
