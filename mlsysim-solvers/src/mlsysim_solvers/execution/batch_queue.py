"""A queue whose server takes everybody who waits, up to a greatest batch, and needs longer for more of them.

Requests arrive at random. A pass takes s(k) = tau + alpha k for k of them; who comes meanwhile waits for the next. The
numbers served by one pass after another form a Markov chain, whose means obey exact balances; how many are left over
when a batch is full, and how passes scatter, is approximated.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from mlsysim.numeric import exp, log, maximum, minimum, sqrt, where

from ..formulas.constants import FULLEST
from ..formulas.queue_constants import (
    BELOW_LEAST,
    HALVINGS,
    LARGEST_EXPONENT,
    LEAST,
    MOST_DEVIATIONS,
    NEAR_FULL,
    NORMAL_CUBIC,
    NORMAL_LOSS,
    OVERSHOOT,
    OVERSHOOT_SQUARED,
    SPREAD_OF_TAIL,
    TWO_PI,
)

__all__ = ["Queue", "Service", "largest_rate", "quantile", "queue_at"]

_ROUNDS = 6
"""Rounds of fixed points and of Newton's method, all of which converge faster."""


class Service(NamedTuple):
    """What passes take.

    Parameters
    ----------
    sizes : tuple of float or array, sample
        Batches in ascending order, from one to the greatest.
    times : tuple of float or array, s
        A pass over each; between them it is interpolated.
    """

    sizes: tuple[Any, ...]
    times: tuple[Any, ...]


class Queue(NamedTuple):
    """Who waits, and how long.

    Parameters
    ----------
    batch : float or array, count
        Mean batch.
    idle : float or array, ratio
        Share of requests that find the server idle.
    alone, before, own : float or array, s
        A pass of one, the pass that a request finds under way, and its own.
    scatter : float or array, s
        Standard deviation of both together.
    late : float or array, ratio
        Share of requests that a full batch leaves for a later pass.
    decay : float or array, 1/s
        Rate at which longer waits for later passes become rarer.
    busy : float or array, ratio
        Share of the time in which a pass runs.
    latency : float or array, s
        Mean from arrival to answer.
    """

    batch: Any
    idle: Any
    alone: Any
    before: Any
    own: Any
    scatter: Any
    late: Any
    decay: Any
    busy: Any
    latency: Any


class _Line(NamedTuple):
    """The pass time around the mean batch: slope and start times the rate, and the slope itself."""

    growth: Any
    start: Any
    slope: Any


def queue_at(service: Service, rate: Any) -> Queue:
    """Return the queue at a rate of arrivals.

    Parameters
    ----------
    service : Service
        What passes take.
    rate : float or array, count/s
        Arrivals; at and above what full batches get through it is counted as just below.

    Returns
    -------
    Queue

    Notes
    -----
    With K served by a pass, X left over, and p the chance that nobody waits at its end: E[K] = lambda E[s(K)] + p and
    E[T] = (E[K s(K)] + s(b) E[X] + lambda E[s(K)^2] / 2) / E[K] are exact; so is the variance of K given E[X].

    References
    ----------
    Little 1961, Operations Research 9(3), for the means; the balances are those of the chain that the module describes.
    """
    most, longest, alone = service.sizes[-1], service.times[-1], service.times[0]
    rate = minimum(rate, FULLEST * (most / longest))
    line = _line_at(service, rate)
    growth, start, slope = line
    full = rate * longest
    gap = most - full
    mean, none = _mean_batch(line, most, gap)
    over = _left_over(mean, most, full, growth)
    square = (start * start + 2.0 * start * growth * mean + mean - 2.0 * gap * over) / (1.0 - growth * growth)
    spread = minimum(maximum(square - mean * mean, 0.0), (mean - 1.0) * (most - mean))
    typical = (growth * mean + start) / rate
    squares = typical * typical + slope * slope * spread
    served = slope * (mean * mean + spread) + start / rate * mean
    latency = (served + longest * over + 0.5 * rate * squares) / mean
    before = squares / typical
    own = minimum(longest, slope * (1.0 + rate * before) + start / rate)
    scatter = slope * sqrt((1.0 + growth) * (1.0 + growth) * spread + rate * before)
    each = most * _decay(most / full)
    late = over / mean * (1.0 - exp(-minimum(each, LARGEST_EXPONENT)))
    return Queue(
        mean, none / mean, alone, before, own, scatter, late, each / longest, minimum(1.0, rate * typical / mean),
        maximum(latency, alone),
    )  # fmt: skip


def _line_at(service: Service, rate: Any) -> _Line:
    """Return the piece of the pass time in which the mean batch lies: the first at whose end fewer come than go."""
    found: _Line | None = None
    taken: Any = None
    for (small, short), (large, long) in pairwise(zip(service.sizes, service.times, strict=True)):
        width = maximum(large - small, LEAST * large)
        slope = maximum(0.0 * short, (long - short) / width) * (1.0 * (large > small))
        # A pass never takes less than nothing, however steep it grows.
        slope = minimum(slope, FULLEST / rate)
        start = maximum(LEAST * long, long - slope * large)
        piece = _Line(rate * slope, rate * start, slope)
        if found is None:
            found = piece
        else:
            found = _Line(*(where(taken, old, new) for old, new in zip(found, piece, strict=True)))
        enough = rate * long + exp(-rate * long) <= large
        taken = enough if taken is None else taken | enough
    assert found is not None
    return found


def _mean_batch(line: _Line, most: Any, gap: Any) -> tuple[Any, Any]:
    """Return the mean batch, and the chance that nobody waits when a pass ends.

    That chance is the mean of exp(-lambda s(K)), with K - 1 taken as gamma distributed.
    """
    growth, start, _ = line
    none = minimum(gap, exp(-growth - start))
    for _round in range(_ROUNDS):
        mean = maximum(1.0, minimum(most, (start + none) / (1.0 - growth)))
        spread = (start * start + 2.0 * start * growth * mean + mean) / (1.0 - growth * growth) - mean * mean
        spread, more = maximum(LEAST, spread), maximum(LEAST, mean - 1.0)
        chance = exp(-start - growth - more * more / spread * log(1.0 + growth * spread / more))
        none = minimum(gap, sqrt(none * chance))
    return maximum(1.0, minimum(most, (start + none) / (1.0 - growth))), none


def _left_over(mean: Any, most: Any, full: Any, growth: Any) -> Any:
    """Return how many a pass leaves over on average: a normal number below the greatest batch, exponential above."""
    gap = (most - full) / sqrt(full)
    far = minimum(MOST_DEVIATIONS, (most - mean) / sqrt(mean / (1.0 - growth * growth)))
    near = minimum(MOST_DEVIATIONS, gap)
    continuous = _mass(1.0 / (1.0 - growth * growth), far)
    stepped = (exp(near * (OVERSHOOT + OVERSHOOT_SQUARED * near)) - 1.0) / (2.0 * gap)
    below = maximum(BELOW_LEAST, continuous - (1.0 - growth) * (_mass(1.0, near) - stepped))
    return sqrt(full) / (2.0 * gap) / (1.0 + 2.0 * gap * below)


def _mass(variance: Any, deviations: Any) -> Any:
    """Return the mass of a normal number below a level over its density there."""
    x, (first, third) = deviations, NORMAL_CUBIC
    below = 1.0 / (1.0 + exp(-x * (first + third * x * x)))
    return sqrt(TWO_PI * variance) * below * exp(0.5 * x * x)


def _decay(ratio: Any) -> Any:
    """Return the rate at which longer queues become rarer: exp(d) - 1 = r d, by Newton's method from above."""
    little = log(ratio)
    found = minimum(MOST_DEVIATIONS, 2.0 * little)
    for _round in range(_ROUNDS):
        grown = exp(found)
        found = found - (grown - 1.0 - ratio * found) / maximum(grown - ratio, LEAST)
        found = minimum(maximum(found, LEAST), MOST_DEVIATIONS)
    # Close to 1 the difference above loses its digits, and two terms of the series are exact enough.
    return where(ratio < NEAR_FULL, little * (2.0 - little / 3.0), found)


def quantile(queue: Queue, at: str) -> Any:
    """Return the latency that a given share of requests exceeds.

    Parameters
    ----------
    queue : Queue
        The queue.
    at : str
        p50 or p99.

    Returns
    -------
    float or array, s

    Notes
    -----
    Who finds a pass under way waits for its end, at even chances within it, then for its own; some wait for further
    passes. Where passes scatter as much as they take, waits are exponential instead, with the same mean.
    """
    share, weight = SPREAD_OF_TAIL[at]
    q = queue
    waiting = maximum(LEAST, 1.0 - q.idle)
    beyond = minimum(1.0, share / waiting)
    even = -beyond * q.before
    wide = q.scatter / (q.before + q.own)
    scale = maximum(LEAST * q.before, q.scatter / (NORMAL_LOSS - (NORMAL_LOSS - 1.0) * minimum(1.0, wide)))
    depth = beyond * q.before / scale
    swung = where(
        depth > LARGEST_EXPONENT, even, -scale * log(maximum(LEAST, exp(minimum(depth, LARGEST_EXPONENT)) - 1.0))
    )
    later = where(
        q.late > share, log(maximum(1.0, q.late / share)) / q.decay, -maximum(0.0, beyond - q.late / waiting) * q.before
    )
    apart, behind = maximum(0.0, swung - even), maximum(0.0, later - even)
    spread_evenly = q.own + q.before + even + sqrt(apart * apart + behind * behind)
    exponential = q.alone + (q.latency - q.alone) / waiting * log(1.0 / beyond)
    part = minimum(1.0, weight * wide)
    found = spread_evenly + part * part * (exponential - spread_evenly)
    return where(share >= waiting, q.alone, maximum(found, q.alone))


def largest_rate(service: Service, limit: Any) -> Any:
    """Return the largest rate at which 99 % of requests are answered within a limit.

    Parameters
    ----------
    service : Service
        What passes take.
    limit : float or array, s
        The limit.

    Returns
    -------
    float or array, count/s
        0 where a pass of one takes longer.
    """
    top = service.sizes[-1] / service.times[-1]
    low, high = 0.0 * top, FULLEST * top + 0.0 * limit / service.times[-1] * top
    within = quantile(queue_at(service, high), "p99") <= limit
    low = where(within, high, low + 0.0 * high)
    for _half in range(HALVINGS):
        middle = 0.5 * (low + high)
        good = quantile(queue_at(service, maximum(middle, LEAST * top)), "p99") <= limit
        low, high = where(good, middle, low), where(good, high, middle)
    return where(service.times[0] > limit, 0.0 * low, low)
