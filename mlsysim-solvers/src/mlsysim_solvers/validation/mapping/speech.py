"""Rows of models that hear: how much audio a request has, and which part of the model was timed."""

from __future__ import annotations

import re

from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement

from ..questions import Refused
from .common import cell

__all__ = ["audio_of", "is_encoder"]

_AUDIO = re.compile(r"(?:window of )?([\d.]+) ?(s|min)(?:ec(?:ond)?s?|utes?)?\b(?: of audio| of speech)?")
_SECONDS = {"s": 1.0, "min": 60.0}


def audio_of(row: Measurement, model: str) -> float:
    """Return the audio of one request.

    Parameters
    ----------
    row : Measurement
        The row.
    model : str
        Its model.

    Returns
    -------
    float, s
        0 for models that read text. One token of a decoder is asked for after one window.

    Raises
    ------
    Refused
        If the model hears and the row does not say how much.
    """
    pair = plugins().registry.get("models", model).record.pair
    if pair is None or not pair.bins:
        return 0.0
    found = _AUDIO.search(cell(row, "notes"))
    if found:
        return float(found[1]) * _SECONDS[found[2]]
    if row.name == "tpot_ms":
        return float(pair.span)
    raise Refused("the length of the audio is not published")


def is_encoder(row: Measurement) -> bool:
    """Tell whether the time of a row is that of the encoder alone.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    bool
    """
    return row.metric.quantity == "time" and cell(row, "notes").startswith("encoder")
