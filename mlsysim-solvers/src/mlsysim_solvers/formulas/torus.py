"""Shapes of a torus."""

from __future__ import annotations

import math
from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import exp, floor, log

from .constants import ROUNDING

__all__ = ["torus_side"]

_TWO = math.log(2.0)


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
    return exp(_TWO * floor(log(chips) / (_TWO * dimensions) + ROUNDING))
