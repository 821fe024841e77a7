"""Where the chunks of a sweep run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

__all__ = ["ExecutorSpec", "process_pool"]


@attrs.frozen
class ExecutorSpec:
    """A place where chunks run.

    Parameters
    ----------
    name : str
        What ``sweep(executor=...)`` takes.
    map : callable
        ``map(function, chunks) -> iterator of results``, in order.
    """

    name: str
    map: Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@contextmanager
def process_pool(workers: int | None = None, *, long: bool = False) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of processes that an interrupt ends at once and without a word from the processes.

    Parameters
    ----------
    workers : int, optional
        How many; one per core without it.
    long : bool
        Whether tasks take seconds: the processes are then started afresh, and an interrupt ends them within a task.

    Yields
    ------
    concurrent.futures.ProcessPoolExecutor
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children, get_context

    others = set(active_children())
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn" if long else None), initializer=_leave_interrupts_to_the_parent
    )
    try:
        with _interrupts_ignored():  # processes that are still being started would answer with a traceback
            pool.submit(int)
        yield pool
    except BaseException:
        # One that is ended while it writes a result never lets go of the pipe: short tasks are waited for instead.
        for process in set(active_children()) - others if long else ():
            process.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _leave_interrupts_to_the_parent() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():  # only the main thread may say so
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
