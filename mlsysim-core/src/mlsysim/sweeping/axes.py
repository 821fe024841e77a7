"""The values of a sweep as columns: numbers in range, combined with each other or point by point."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..structure import MOST
from ..units import format_quantity, parse_quantity
from .chunks import Column

__all__ = ["columns_of"]


def columns_of(vary: Mapping[str, Any], units: Mapping[str, str], answers: int, *, grid: bool) -> dict[str, Column]:
    """Return what varies as columns of one length.

    Parameters
    ----------
    vary : mapping of str to sequence
        Column to values; numbers are SI, text carries its unit.
    units : mapping of str to str
        Unit of each column that may vary.
    answers : int
        How many columns the answers take, for the memory that is needed.
    grid : bool
        Combine every value with every other; False takes the sequences as points, row by row.

    Returns
    -------
    dict of str to array, shape (n,), SI

    Raises
    ------
    ConfigError
        On values that are no numbers, are out of range or unequally many, and on more of them than memory holds.
    """
    axes: dict[str, Column] = {}
    for name, values in vary.items():
        axis = _axis(name, values, units[name])
        if axis.ndim != 1 or axis.size == 0:
            raise ConfigError(f"{name} has no list of values", where="vary", remedy="Give at least one value")
        if not np.all(np.isfinite(axis)) or np.any(axis < 0):
            wrong = axis[~np.isfinite(axis) | (axis < 0)][0]
            raise ConfigError(
                f"{name} = {wrong:g} is negative or not finite", where="vary", remedy="Give values from 0 on"
            )
        far = (axis > MOST) | ((axis > 0.0) & (axis < 1.0 / MOST))
        if far.any():
            raise ConfigError(f"{name} = {axis[far][0]:g} is out of range", where="vary",
                              remedy=f"Give 0, or values from {1.0 / MOST:g} to {MOST:g} in SI")  # fmt: skip
        axes[name] = axis
    if not axes:
        raise ConfigError("nothing varies", where="vary", remedy="Name at least one of " + ", ".join(sorted(units)))
    if grid:
        _check_room(math.prod(axis.size for axis in axes.values()), len(axes) + answers)
        mesh = np.meshgrid(*axes.values(), indexing="ij")
        return {name: part.ravel() for name, part in zip(axes, mesh, strict=True)}
    if len({axis.size for axis in axes.values()}) > 1:
        sizes = ", ".join(f"{name}: {axis.size}" for name, axis in axes.items())
        raise ConfigError(
            f"the lists have unequal lengths ({sizes})", where="vary", remedy="Give equally many, or a grid"
        )
    return axes


def _check_room(rows: int, columns: int) -> None:
    """Refuse a table that the memory of this machine cannot hold: nothing else would tell before it is full."""
    try:
        held = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return
    needed = 8.0 * rows * columns
    if needed > held:
        raise ConfigError(
            f"{rows:,} variations need {format_quantity(needed, 'B', 3)} for their answers", where="vary",
            remedy=f"Vary fewer values: this machine has {format_quantity(held, 'B', 3)}",
        )  # fmt: skip


def _axis(name: str, values: Any, unit: str) -> Column:
    """Return values in SI; int64 would overflow silently in 6 N D, so everything is float64 from here on."""
    if isinstance(values, (str, bytes, int, float)):
        values = [values]
    try:
        if not isinstance(values, np.ndarray):
            values = [parse_quantity(v, unit) if isinstance(v, str) else float(v) for v in values]
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(
            f"{name} has values that are no numbers", where="vary", remedy=f"Give numbers or text in {unit}"
        ) from None
