"""Networks that lie on a chip as a whole: layers side by side, which work as a pipeline."""

from __future__ import annotations

from typing import Any

from mlsysim.numeric import maximum, only

from ..formulas.constants import STAGE_SHARE
from .operators import ONCE, STREAM_KINDS, Operator, Table, stream

__all__ = ["spatial"]


def spatial(table: Table, contexts: Any) -> Table:
    """Return a pass as a pipeline of layers, which runs at the pace of its slowest.

    Parameters
    ----------
    table : list of Operator
        The pass, one kernel after another.
    contexts : float, count
        Parts into which the network is divided; several follow one another, once for each batch.

    Returns
    -------
    list of Operator
        One row in which the arithmetic of all layers stands against the traffic of the one with the largest maps, and
        one for the changes between contexts.

    Notes
    -----
    t = max(sum F / P, max Q_i / (s B)) + n t_c, with n = 0 for a single context. Arithmetic units are dealt out so that
    all layers take the same time; the ports of a layer are its own. Weights stay where they are used.
    """
    flops: Any = 0.0
    work: Any = 0.0
    largest: Any = 0.0
    for row in table:
        flops, work = flops + row.count * row.flops, work + row.count * row.work
        if row.kind not in STREAM_KINDS:
            largest = maximum(largest, row.activation_bytes)
    layers = Operator(
        "layers side by side", "depthwise", ONCE, 1.0, 1.0, 1.0, 1.0, flops, 0.0, largest / STAGE_SHARE, kernels=0.0,
        work=work,
    )  # fmt: skip
    return [layers, stream("changes of contexts", ONCE, 0.0, only(contexts > 1.0, contexts))]
