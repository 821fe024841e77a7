"""What kernels get out of processors per clock: loads that they ask for, and products of weights as they are stored."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import maximum, minimum

__all__ = ["issue_rate", "loaded_bandwidth", "stored_share"]


@formula("B/s", issue="B", processors="1", clock="1/s")
def issue_rate(issue: Any, processors: Any, clock: Any) -> Any:
    """Return the rate at which all processors together take in weights.

    Parameters
    ----------
    issue : float, B
        Bytes per processor and clock.
    processors : float, count
        Processors.
    clock : float, 1/s
        Clock.

    Returns
    -------
    float, B/s

    Notes
    -----
    R = S f c: loads in flight, not the memory, limit kernels that issue few of them.
    """
    return issue * clock * processors


@formula("B/s", bandwidth="B/s", rate="B/s", rows="1")
def loaded_bandwidth(bandwidth: Any, rate: Any, rows: Any) -> Any:
    """Return the bandwidth that the loads in flight of a pass over few rows leave.

    Parameters
    ----------
    bandwidth : float or array, B/s
        Effective bandwidth.
    rate : float or array, B/s
        What all processors together take in where there is one row.
    rows : float or array, count
        Rows of the pass; fewer than one count as one.

    Returns
    -------
    float or array, B/s

    Notes
    -----
    min(B, R max(1, n)).

    Little's law: the bytes in flight over the latency of memory. Kernels for one row keep what its registers wait for
    in flight; those for several copy whole tiles ahead. That the limit grows with the rows is an estimate: a step
    between one row and two would do as well.

    References
    ----------
    tile-ai/TileOPs, pull request 244: of the products of a matrix and a vector on a H200 those with asynchronous copies
    move up to 4.26 TB/s, those of PyTorch 3.34 to 3.92 TB/s, those without either 2.06 to 2.62 TB/s.
    """
    return minimum(bandwidth, rate * maximum(1.0, rows))


@formula("1", work="FLOP", processors="1", clock="1/s", rate="FLOP/s")
def stored_share(work: Any, processors: Any, clock: Any, rate: Any) -> Any:
    """Return the share of a rate that products of weights reach which kernels multiply as they are stored.

    Parameters
    ----------
    work : float, FLOP
        Work per processor and clock.
    processors : float, count
        Processors.
    clock : float, 1/s
        Clock.
    rate : float or array, FLOP/s
        What products of plain operands reach.

    Returns
    -------
    float or array, ratio
        At most 1.

    Notes
    -----
    min(1, W f c / R): vector units apply the scale of every block to its partial sums, and there are as many of them in
    a processor whose matrix units do four times the work.
    """
    return minimum(1.0, work * clock * processors / rate)
