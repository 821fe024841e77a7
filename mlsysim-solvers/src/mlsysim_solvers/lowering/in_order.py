"""Processors that do one thing at a time: products, results, and reads of weights follow one another."""

from __future__ import annotations

from typing import Any

from mlsysim.numeric import where

from ..formulas.constants import UNSHARED_WORK, WINDOW_MACS
from ..formulas.vision import gathered_work
from .operators import MATRIX_KINDS, Operator, Table

__all__ = ["in_order"]

_PRODUCTS = MATRIX_KINDS | {"depthwise"}


def in_order(table: Table, batch: Any) -> Table:
    """Return a pass for a core that issues loads, arithmetic and stores through one pipe.

    Parameters
    ----------
    table : list of Operator
        The pass.
    batch : float or array, count
        Samples; a product with one row for each of them shares no operand that it has loaded.

    Returns
    -------
    list of Operator
        Each product in three rows whose times add up: its multiply-accumulates, and the copies of the windows of
        a convolution; its results, each of which takes a bias, a scaling, a clamp and a store; and its weights, read
        from where they lie.

    Notes
    -----
    t = F / P + n_results / R + Q_w / B, where a roofline would take the longest of them: the core hides nothing.
    """
    result: Table = []
    for row in table:
        if row.kind not in _PRODUCTS:
            result.append(row)
            continue
        results = row.m * row.n * row.batch
        slower = where(row.m > batch, 1.0, UNSHARED_WORK)
        if row.kind == "conv":
            slower = slower * gathered_work(row.n, WINDOW_MACS)
        result.append(row._replace(k=slower * row.k, work=slower * row.work, weight_bytes=0.0, activation_bytes=0.0))
        result.append(Operator(
            f"results of {row.name}", "results", row.count, row.m, 1.0, 1.0, results, 0.0, 0.0, row.activation_bytes,
            kernels=0.0,
        ))  # fmt: skip
        result.append(Operator(
            f"weights of {row.name}", "depthwise", row.count, 1.0, 1.0, 1.0, 1.0, 0.0, row.weight_bytes, 0.0,
            kernels=0.0,
        ))  # fmt: skip
    return result
