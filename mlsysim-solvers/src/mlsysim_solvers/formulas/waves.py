"""Runs of finitely many requests: those that begin together end together, unless their answers scatter."""

from __future__ import annotations

import math
from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import exp

__all__ = ["kept_together"]


@formula("1", output="1", spread="1", waves="1")
def kept_together(output: Any, spread: Any, waves: Any) -> Any:
    """Return how far requests that began together still end together after so many waves.

    Parameters
    ----------
    output, spread : float or array, count
        Mean and standard deviation of the tokens of an answer.
    waves : float or array, ratio
        Answers that a place in flight has given one after the other.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    exp(-2 pi^2 w (s / O)^2): the first harmonic of the places' phases, which scatter by s sqrt(w) tokens of O. Answers
    of one length stay together.
    """
    apart = spread / output
    return exp(-2.0 * math.pi * math.pi * waves * apart * apart)
