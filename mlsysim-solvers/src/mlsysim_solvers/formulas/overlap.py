"""What of a communication stays visible beside computation."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import maximum, minimum

__all__ = ["contended_time", "exposed_time", "free_window", "slowed_time", "unhidden_pieces"]


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


@formula("s", window="s", busy="s")
def free_window(window: Any, busy: Any) -> Any:
    """Return how long links are free during a window in which other communication uses them too.

    Parameters
    ----------
    window : float or array, s
        Time of what runs meanwhile: computation, and communication that it does not hide.
    busy : float or array, s
        How long the same links carry something else in that time.

    Returns
    -------
    float or array, s

    Notes
    -----
    max(W - b, 0). What hides in no more than that leaves a window of at least b + M, the time in which the links
    carry all bytes at their full rate.
    """
    return maximum(window - busy, 0.0 * window)


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


@formula("s", window="s", first="s", time="s", hidden="1", pieces="1")
def unhidden_pieces(window: Any, first: Any, time: Any, hidden: Any, pieces: Any) -> Any:
    """Return what stays visible of a communication that is sent piece by piece while computation goes on.

    Parameters
    ----------
    window, first : float or array, s
        Computation beside which all pieces run, and that of one piece times their count.
    time : float or array, s
        All of the communication.
    hidden : float, ratio
        Share of the shorter one that disappears behind the longer.
    pieces : float or array, count
        Equal pieces, one for each chunk of a stage.

    Returns
    -------
    float or array, s

    Notes
    -----
    max(M - o min(W, M), (M - o min(w, M)) / v): the links must carry all in time, and the piece that computation
    meets last has only its own pass to hide behind. One piece hides in one window: M - o min(W, M).

    References
    ----------
    NVIDIA NeMo, documentation, "Communication Overlap": one chunk of the data-parallel communication stays exposed,
    and with interleaved pipelines a chunk is the layers of a virtual stage.
    """
    return maximum(time - hidden * minimum(window, time), (time - hidden * minimum(first, time)) / pieces)


@formula("s", time="s", other="s", window="s")
def contended_time(time: Any, other: Any, window: Any) -> Any:
    """Return what messages that somebody waits for lose to a bulk exchange over the same links.

    Parameters
    ----------
    time : float or array, s
        The messages alone.
    other : float or array, s
        The exchange alone.
    window : float or array, s
        Computation beside which the exchange runs, during which the messages are sent.

    Returns
    -------
    float or array, s

    Notes
    -----
    T min(1, X / W): two flows share a link evenly, so that a message takes twice as long while the exchange is under
    way; without an exchange nothing is lost.
    """
    return time * minimum(other / window, 1.0 * (window / window))
