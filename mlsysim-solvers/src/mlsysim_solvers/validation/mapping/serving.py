"""Rows of servers under a closed loop of requests."""

from __future__ import annotations

from mlsysim.records.measurement import Measurement

from ..names import Names
from ..questions import Question, Refused
from .common import device_of

__all__ = ["serving_question"]


def serving_question(row: Measurement, known: Names) -> Question:
    """Return what is asked for a row of the serving table.

    Parameters
    ----------
    row : Measurement
        The row.
    known : Names
        Names as published.

    Returns
    -------
    Question

    Raises
    ------
    Refused
        With the reason why nothing can be asked.
    """
    device_of(row, known)
    known.model(row.model)
    raise Refused("closed loop of requests: no installed solver expresses in-flight batching")
