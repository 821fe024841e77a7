"""What of a communication stays visible beside computation."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import minimum

__all__ = ["exposed_time", "slowed_time", "together_time"]


@formula("s", compute="s", communication="s", hidden="1")
def together_time(compute: Any, communication: Any, hidden: Any) -> Any:
    """Return the time of a computation and a communication that may run at once.

    Parameters
    ----------
    compute, communication : float or array, s
        Time of either alone.
    hidden : float, ratio
        Share of the shorter one that disappears behind the longer.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = max(C, M) + (1 - o) min(C, M) = C + M - o min(C, M).
    """
    return compute + communication - hidden * minimum(compute, communication)


@formula("s", compute="s", communication="s", hidden="1")
def exposed_time(compute: Any, communication: Any, hidden: Any) -> Any:
    """Return what a communication adds to the computation beside which it runs.

    Parameters
    ----------
    compute, communication : float or array, s
        Time of either alone.
    hidden : float, ratio
        Share of the shorter one that disappears behind the longer.

    Returns
    -------
    float or array, s

    Notes
    -----
    M - o min(C, M).
    """
    return communication - hidden * minimum(compute, communication)


@formula("s", compute="s", communication="s", hidden="1", occupancy="1")
def slowed_time(compute: Any, communication: Any, hidden: Any, occupancy: Any) -> Any:
    """Return what a computation loses to a communication that takes some of the processors.

    Parameters
    ----------
    compute, communication : float or array, s
        Time of either alone.
    hidden : float, ratio
        Share of the shorter one that runs beside the longer.
    occupancy : float, ratio
        Share of the processors that the communication keeps busy.

    Returns
    -------
    float or array, s

    Notes
    -----
    o min(C, M) x: while both run, the computation loses that share of its rate; to first order.

    References
    ----------
    Isaev et al. 2023, Calculon, SC 23: processor usage of networks.
    """
    return hidden * minimum(compute, communication) * occupancy
