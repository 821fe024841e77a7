"""Shapes of a torus."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import exp, floor, log

__all__ = ["torus_side"]

_TWO = 0.6931471805599453
"""Natural logarithm of 2."""

_ROUNDING = 1e-9
"""Part of a doubling that a logarithm may be short of a whole number."""


@formula("1", chips="1", dimensions="1")
def torus_side(chips: Any, dimensions: Any) -> Any:
    """Return the members of the shortest dimension of a torus.

    Parameters
    ----------
    chips : float or array, count
        Devices of the torus.
    dimensions : float, count
        Its dimensions.

    Returns
    -------
    float or array, count

    Notes
    -----
    2^floor(log2(N) / D): sides are powers of two, as near to each other as the number of devices allows. A group that
    is shorter than a side lies on a part of it, whose ends no link joins.
    """
    return exp(_TWO * floor(log(chips) / (_TWO * dimensions) + _ROUNDING))
