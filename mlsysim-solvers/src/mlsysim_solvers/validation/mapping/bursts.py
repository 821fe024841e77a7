"""What rows say of a run's requests in words: that all come at once, how many there are, how their lengths scatter."""

from __future__ import annotations

import re
from typing import NamedTuple

from mlsysim.plugins import plugins
from mlsysim.records.dataset import Dataset
from mlsysim.records.measurement import Measurement

from ..questions import Assumed
from .common import cell, whole

__all__ = ["Scatter", "at_once", "counted", "is_median", "most_at_once", "scatter_of"]

_AT_ONCE = re.compile(
    r"\b(?:all|requests|prompts|lengths) at once\b|\brate ?= ?inf|\binfinite (?:request )?rate\b"
    r"|\bbench(?:mark)?[ _]throughput\b", re.IGNORECASE
)  # fmt: skip
"""vLLM's offline benchmark begins with all prompts (benchmarks/benchmark_throughput.py at 2f2ea061, run_vllm)."""
_COUNT = re.compile(r"(?<![\w.])(\d[\d,]*) (?:requests|prompts)\b", re.IGNORECASE)
_MOST = re.compile(r"\bmax[-_ ](?:num[-_ ]seqs|running[-_ ]requests)\s*[=:]?\s*(\d+)", re.IGNORECASE)
_MEDIAN = re.compile(r"\b(?:median|p50)\b", re.IGNORECASE)
_MEAN = re.compile(r"\btokens (?:/|over|per|divided by) (?:\d+|requests|prompts)\b|\bnatural lengths\b", re.IGNORECASE)

_NATURAL = 0.25
"""Standard deviation over mean of answers that end when the model ends them, or when it is cut off. Estimate, range 0
to 1: answers that are cut at one length are alike, those of a chat scatter as an exponential law does. 0.5 was tried
first, and lowered when one machine's bursts were seen, whose answers end near one length."""

_UNKNOWN = 0.3
"""How far that may move the rate of a burst (natural-log units). Estimate, range 0.15 to 0.5: with 50 requests the
longest answer is once to four times the mean."""

_LENGTHS = 0.1
"""The same where the data set is known. Estimate, range 0.03 to 0.25."""


class Scatter(NamedTuple):
    """Standard deviations of lengths over their means.

    Parameters
    ----------
    input, output : float, ratio
        Of prompts and of answers.
    """

    input: float = 0.0
    output: float = 0.0


def at_once(row: Measurement) -> int:
    """Return the requests of a run that all come at once to a server, where a row says so.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    int
        0 where it does not.
    """
    said = row.kind == "max_throughput" and _AT_ONCE.search(_words(row))
    return (counted(row) or whole(row, "batch_or_concurrency") or 0) if said else 0


def counted(row: Measurement) -> int:
    """Return the requests of a run, where a row says how many there are.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    int
        0 where it does not.
    """
    found = _COUNT.search(_words(row))
    return int(found[1].replace(",", "")) if found else 0


def most_at_once(row: Measurement) -> int:
    """Return how many requests a server was told to keep in flight at most, where the notes of a row say so.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    int
        0 where they do not.
    """
    found = _MOST.search(_words(row))
    return int(found[1]) if found else 0


def is_median(row: Measurement) -> bool:
    """Tell whether a row prints the median over the requests of a run, and not their mean.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    bool
    """
    return _MEDIAN.search(cell(row, "notes")) is not None


def scatter_of(row: Measurement, assumed: list[Assumed]) -> Scatter | None:
    """Return how the lengths of a row scatter, where it names a data set or prints lengths that are means.

    Parameters
    ----------
    row : Measurement
        The row.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    Scatter or None
        None where the row says nothing of the kind.
    """
    data = _data_of(row)
    if data is not None:
        assumed.append(Assumed(f"lengths that scatter as those of {data.name} do", _LENGTHS))
        return Scatter(float(data.input_variation or 0.0), float(data.output_variation or 0.0))
    if _MEAN.search(_words(row)):
        what = f"answers that scatter by {_NATURAL:g} of their mean: the row prints that alone"
        assumed.append(Assumed(what, _UNKNOWN))
        return Scatter(0.0, _NATURAL)
    return None


def _data_of(row: Measurement) -> Dataset | None:
    """Return the data set that a row names."""
    said = set(re.split(r"[^a-z0-9-]+", _words(row).casefold()))
    for entry in plugins().registry.entries("datasets"):
        record: Dataset = entry.record
        if record.output_variation is not None and said & {alias.casefold() for alias in record.aliases}:
            return record
    return None


def _words(row: Measurement) -> str:
    return f"{cell(row, 'notes')}; {cell(row, 'qps_or_sla')}"
