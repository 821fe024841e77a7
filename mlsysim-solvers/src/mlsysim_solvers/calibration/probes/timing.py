"""How long an action takes: warmed up, repeated, with its spread."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

import attrs

__all__ = ["Action", "Stopwatch", "Timing", "summarise", "thread_clock", "time_action", "wall_clock"]

Action = Callable[[], object]
Stopwatch = Callable[[Action, int], float]
"""Runs an action so often and returns the seconds that took."""

SETTLING = 1.0 / 3.0
"""Share of the samples in which a clock may still follow its load: they do not count where it does."""

LEAST_SAMPLES = 3
"""Samples that are taken whatever the budget: a median needs them."""

MOST_SAMPLES = 500
"""Samples after which more tell nothing new."""

SAMPLE_SECONDS = 1e-3
"""A sample lasts at least so long, far above the resolution of clocks and events."""

MOST_RUNS = 2000
"""Runs in one sample at most."""


@attrs.frozen
class Timing:
    """Time of one run of an action.

    Parameters
    ----------
    best : float, s
        Least over the samples: disturbances only ever add.
    median : float, s
        Median over the samples.
    spread : float, ratio
        Half the distance between the quartiles over the median.
    samples : tuple of float, s
        All of them.
    """

    best: float
    median: float
    spread: float
    samples: tuple[float, ...]


def wall_clock(action: Action, runs: int) -> float:
    """Return what some runs of an action take by the clock of the host.

    Parameters
    ----------
    action : callable
        What to run.
    runs : int, count
        How often.

    Returns
    -------
    float, s
    """
    start = time.perf_counter()
    for _ in range(runs):
        action()
    return time.perf_counter() - start


def thread_clock(action: Action, runs: int) -> float:
    """Return what some runs of an action take of the processor's time for this thread.

    On a machine that other programs use, too, it is what an idle machine would take, as long as this
    thread does all the work.

    Parameters
    ----------
    action : callable
        What to run.
    runs : int, count
        How often.

    Returns
    -------
    float, s
    """
    start = time.thread_time()
    for _ in range(runs):
        action()
    return time.thread_time() - start


def time_action(
    action: Action, budget: float, *, stopwatch: Stopwatch = wall_clock,
    clock: Callable[[], float] = time.perf_counter, settles: bool = False,
) -> Timing:  # fmt: skip
    """Time an action: two runs to warm up, then samples until the budget is spent.

    Parameters
    ----------
    action : callable
        What to run.
    budget : float, s
        About how long to sample; three samples are taken in any case.
    stopwatch : callable
        How runs are timed.
    clock : callable
        Clock of the budget.
    settles : bool
        Whether the device's clock follows its load: the first third of the samples is left out.

    Returns
    -------
    Timing
    """
    stopwatch(action, 1)
    once = stopwatch(action, 1)
    runs = min(MOST_RUNS, max(1, math.ceil(SAMPLE_SECONDS / once))) if once > 0.0 else MOST_RUNS
    samples: list[float] = []
    end = clock() + budget
    while len(samples) < LEAST_SAMPLES or (clock() < end and len(samples) < MOST_SAMPLES):
        samples.append(stopwatch(action, runs) / runs)
    early = int(SETTLING * len(samples)) if settles else 0
    return summarise(samples[min(early, len(samples) - LEAST_SAMPLES) :])


def summarise(samples: Sequence[float]) -> Timing:
    """Summarise samples.

    Parameters
    ----------
    samples : sequence of float, s
        Times of one run; at least two.

    Returns
    -------
    Timing
    """
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Timing(min(samples), median, 0.5 * (high - low) / median, tuple(samples))
