"""All rows, in parallel over cores, in the order of the tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from mlsysim.executors import process_pool
from mlsysim.records.measurement import Measurement

from .names import names
from .predicting import Outcome, predict, warm_up
from .questions import Refused

__all__ = ["in_processes", "run_rows", "select"]

_CHUNK = 64

Task = TypeVar("Task")
Answer = TypeVar("Answer")


def in_processes(function: Callable[[Task], Answer], tasks: Sequence[Task], jobs: int = 0) -> Iterator[Answer]:
    """Do long tasks in processes, or here where there is one task or one core.

    Parameters
    ----------
    function : callable
        What is done with a task; a process can import it.
    tasks : sequence
        The tasks.
    jobs : int, count
        Processes; 0 takes one per core, and no more than there are tasks.

    Yields
    ------
    object
        The answers, in the order of the tasks.
    """
    workers = min(jobs or os.cpu_count() or 1, len(tasks))
    if workers < 2:
        yield from map(function, tasks)
        return
    with process_pool(workers, long=True) as pool:
        yield from pool.map(function, tasks)


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
    device, model : str
        Part of the published name, or the key that it stands for.
    source : str
        Part of the id of the document, of the set or of the row's id.

    Returns
    -------
    list of Measurement
    """
    known = names()

    def matches(row: Measurement) -> bool:
        return (
            (not kind or kind.casefold() in (row.table, row.kind.casefold()))
            and _is_called(row.device, device, known.device)
            and _is_called(row.model, model, known.model)
            and any(source.casefold() in text.casefold() for text in (row.source, row.set, row.id))
        )

    return [row for row in rows if matches(row)]


def _is_called(name: str, wanted: str, key_of: Callable[[str], str]) -> bool:
    if wanted.casefold() in name.casefold():
        return True
    try:
        return key_of(name) == wanted.casefold()
    except Refused:
        return False


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
    warm_up()
    done: list[Outcome] = []
    # Few rows are predicted before processes have started.
    for outcomes in in_processes(_predict_all, chunks, jobs or (1 if len(rows) < 8 * _CHUNK else 0)):
        done += outcomes
        if progress is not None:
            progress(len(done), len(rows))
    return done
