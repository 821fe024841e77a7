"""Operators that only move data: norms, activations, residuals, look-ups; and results written one by one."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["lookup_bytes", "result_rate", "stream_bytes"]


@formula("B", rows="1", elements="1", width="B")
def stream_bytes(rows: Any, elements: Any, width: Any) -> Any:
    """Return the traffic of element-wise operators.

    Parameters
    ----------
    rows : float or array, count
        Tokens, pixels or samples.
    elements : float, count
        Elements read and written per row: 2 h for a norm, 3 h for a residual, 3 f for a gated activation.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q = n e w.
    """
    return width * elements * rows


@formula("B", rows="1", columns="1", width="B", written="B")
def lookup_bytes(rows: Any, columns: Any, width: Any, written: Any) -> Any:
    """Return the traffic of reading rows of a table.

    Parameters
    ----------
    rows : float or array, count
        Rows read.
    columns : float, count
        Elements per row.
    width, written : float, B
        Bytes per element in the table, and of the copy.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q = n h (w_table + w_copy): it does not depend on the length of the table.
    """
    return (width + written) * columns * rows


@formula("1/s", rate="FLOP/s", work="FLOP")
def result_rate(rate: Any, work: Any) -> Any:
    """Return the rate at which a processor turns sums of products into results.

    Parameters
    ----------
    rate : float or array, FLOP/s
        Its effective rate in instructions of this kind.
    work : float, FLOP
        Work that takes as long as one result: bias, scaling, clamping, storing.

    Returns
    -------
    float or array, 1/s

    Notes
    -----
    R = P_eff / w.
    """
    return rate / work
