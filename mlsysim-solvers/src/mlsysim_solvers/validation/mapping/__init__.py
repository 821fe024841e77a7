"""From a measurement to the question that predicts it."""

from __future__ import annotations

from mlsysim.records.measurement import Measurement

from ..names import Names
from ..questions import Question
from .inference import inference_question
from .serving import serving_question
from .training import training_question

__all__ = ["question_for"]

_BY_TABLE = {"inference": inference_question, "serving_silicon": serving_question, "training": training_question}


def question_for(row: Measurement, known: Names) -> Question:
    """Return what is asked for a measurement of a whole model.

    Parameters
    ----------
    row : Measurement
        From the tables training, inference or serving_silicon.
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
    return _BY_TABLE[row.table](row, known)
