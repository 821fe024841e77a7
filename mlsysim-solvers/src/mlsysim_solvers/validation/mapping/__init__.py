"""From a measurement to the question that predicts it."""

from __future__ import annotations

import attrs

from mlsysim.records.measurement import METRICS, Measurement

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
    if row.metric.quantity != "power":
        return _BY_TABLE[row.table](row, known)
    tokens = any(row.configuration.get(name) for name in ("input_len", "output_len", "seq_len"))
    counted = "tokens_per_s_total" if tokens else "samples_per_s"
    asked = _BY_TABLE[row.table](attrs.evolve(row, name=counted, metric=METRICS[counted]), known)
    return attrs.evolve(asked, output="macro.device_power", amount=None, share=1.0)
