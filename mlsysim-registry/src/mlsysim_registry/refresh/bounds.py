"""What a refreshed number may be: inside its physical range, and not far from what is known."""

from __future__ import annotations

import math

from mlsysim.units import parse_quantity

__all__ = ["ACCEPTABLE", "DATASHEET_JUMP", "JUMPS", "out_of_range"]

_RANGES: dict[tuple[str, str], tuple[str, str, str]] = {
    ("prices", "rate"): ("0.001 USD/h", "10000 USD/h", "USD/h"),
    ("prices", "amount"): ("0.1 USD", "10000000 USD", "USD"),
    ("grids", "carbon"): ("0.5 gCO2e/kWh", "2000 gCO2e/kWh", "kgCO2e/kWh"),
}
"""Coal burned at a fifth of its heat emits about 1.7 kg/kWh; a chip and a hall of machines bound the prices."""

JUMPS = {"prices": 0.30, "grids": 0.50}
"""How far a number of a kind may move at once, relative to the known value."""
DATASHEET_JUMP = 0.01
"""The same for what a datasheet states."""

ACCEPTABLE = "jump"
"""The one flag that a person may overrule by name."""


def out_of_range(kind: str, field: str, value: float) -> str:
    """Tell whether a number cannot be true.

    Parameters
    ----------
    kind, field : str
        Plural kind and dotted path.
    value : float, SI
        The number.

    Returns
    -------
    str
        What is wrong; empty when it can be true.
    """
    if not math.isfinite(value):
        return "no finite number"
    if value <= 0:
        return "zero or negative"
    if (kind, field) in _RANGES:
        low, high, unit = _RANGES[kind, field]
        if not parse_quantity(low, unit) <= value <= parse_quantity(high, unit):
            return f"outside {low} to {high}"
    return ""
