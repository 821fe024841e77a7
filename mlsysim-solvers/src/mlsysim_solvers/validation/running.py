"""All rows, in parallel over cores, in the order of the tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from mlsysim.executors import process_pool
from mlsysim.records.measurement import Measurement

from .predicting import Outcome, predict, warm_up

__all__ = ["run_rows", "select"]

_CHUNK = 64


def select(
    rows: Sequence[Measurement], *, kind: str = "", device: str = "", model: str = "", source: str = ""
) -> list[Measurement]:
    """Keep the rows that match.

    Parameters
    ----------
    rows : sequence of Measurement
        All rows.
    kind : str
        A table or a kind within one, for example ``training`` or ``gemm``.
    device, model, source : str
        Part of the published name; of the document, also of the set or the id.

    Returns
    -------
    list of Measurement
    """

    def matches(row: Measurement) -> bool:
        return (
            (not kind or kind.casefold() in (row.table, row.kind.casefold()))
            and device.casefold() in row.device.casefold()
            and model.casefold() in row.model.casefold()
            and any(source.casefold() in text.casefold() for text in (row.source, row.set, row.id))
        )

    return [row for row in rows if matches(row)]


def _predict_all(rows: Sequence[Measurement]) -> list[Outcome]:
    return [predict(row) for row in rows]


def run_rows(
    rows: Sequence[Measurement], *, jobs: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[Outcome]:
    """Predict rows.

    Parameters
    ----------
    rows : sequence of Measurement
        The rows.
    jobs : int
        Processes; 0 takes one per core where there are enough rows to gain from it.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    list of Outcome
        In the order of the rows.
    """
    chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    workers = min(jobs or os.cpu_count() or 1, len(chunks))
    done: list[Outcome] = []
    warm_up()

    def note() -> None:
        if progress is not None:
            progress(len(done), len(rows))

    if workers < 2 or (not jobs and len(rows) < 8 * _CHUNK):
        for chunk in chunks:
            done += _predict_all(chunk)
            note()
        return done
    with process_pool(workers, long=True) as pool:
        for outcomes in pool.map(_predict_all, chunks):
            done += outcomes
            note()
    return done
