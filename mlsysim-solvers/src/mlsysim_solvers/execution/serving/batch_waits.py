"""How long requests wait that are served in batches, in the median and at worst, and the rate that keeps a limit."""

from __future__ import annotations

import math
from typing import Any

from mlsysim.numeric import exp, log, maximum, minimum, sqrt, where
from mlsysim.tracing import named

from ...formulas.constants import FULLEST
from ...formulas.queue_constants import (
    EXPONENTIAL_MOST,
    LARGEST_EXPONENT,
    LEAST,
    NORMAL_LOSS,
    SPREAD_OF_TAIL,
)
from .batch_queue import Curve, Queue, queue_at

__all__ = ["largest_rate", "quantile"]

_TRIES = 10
"""Rates that are tried to find the one at which a limit is just kept."""


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
    passes. Where passes scatter as much as they take, the longest waits are exponential instead, with the same mean;
    no quantile is much above such a wait's.
    """
    share, weight, far = SPREAD_OF_TAIL[at]
    q = queue
    waiting = maximum(LEAST, 1.0 - q.idle)
    beyond = minimum(1.0, share / waiting)
    even = -beyond * q.before
    scatter = _scatter(q, far)
    wide = minimum(1.0, scatter / (q.before + q.own))
    scale = maximum(LEAST * q.before, scatter / (NORMAL_LOSS - (NORMAL_LOSS - 1.0) * wide))
    depth = beyond * q.before / scale
    swung = where(
        depth > LARGEST_EXPONENT, even, -scale * log(maximum(LEAST, exp(minimum(depth, LARGEST_EXPONENT)) - 1.0))
    )
    later = where(
        q.late > share, log(maximum(1.0, q.late / share)) / q.decay, -maximum(0.0, beyond - q.late / waiting) * q.before
    )
    apart, behind = maximum(0.0, swung - even), maximum(0.0, later - even)
    rest = named(sqrt(apart * apart + behind * behind), "longer passes, and later ones")
    spread_evenly = named(q.own, "own pass") + named(q.before + even, "rest of the pass under way") + rest
    exponential = q.curve.alone + (q.latency - q.curve.alone) / waiting * log(1.0 / beyond)
    part = weight * wide * (weight * wide)
    exponential = named(exponential, "exponential wait of the same mean")
    mixed = spread_evenly + named(minimum(1.0, part) * (exponential - spread_evenly), "passes that scatter")
    found = minimum(mixed, EXPONENTIAL_MOST * exponential)
    return where(share >= waiting, q.curve.alone, maximum(found, q.curve.alone))


def _scatter(q: Queue, far: Any) -> Any:
    """Return by how much both passes of a request vary, for each of so many standard deviations upwards.

    A larger batch under way takes longer and lets more requests join the next; besides, these come at random.
    """
    drawn = (q.curve.pair(q.rate, q.seen + far * q.deviation) - q.pair) / far
    joined = (q.curve.time(q.came + far * sqrt(q.came - 1.0)) - q.last) / far
    return sqrt(drawn * drawn + joined * joined)


def largest_rate(curve: Curve, limit: Any) -> Any:
    """Return the largest rate at which 99 % of requests are answered within a limit.

    Parameters
    ----------
    curve : Curve
        What passes take.
    limit : float or array, s
        The limit.

    Returns
    -------
    float or array, count/s
        0 where a pass of one takes longer.
    """
    # So few come that no hundredth of them waits, and as many as full batches get through.
    share, top = SPREAD_OF_TAIL["p99"][0], named(curve.most / curve.longest, "rate of full batches")
    least = minimum(0.5 * share / curve.alone, 0.5 * FULLEST * top) + 0.0 * limit
    low, high = log(least / (top - least)), math.log(FULLEST / (1.0 - FULLEST)) + 0.0 * least

    def excess(odds: Any) -> Any:
        found = quantile(queue_at(curve, top / (1.0 + exp(-odds))), "p99")
        return log(found / limit)

    under, over = minimum(-LEAST, log(curve.alone / limit)), 1.0
    odds = 0.5 * (low + high)
    for _try in range(_TRIES):
        found = excess(odds)
        good = found <= 0.0
        # The next rate is where the line between both ends meets the limit; an end that stays counts half.
        under, over = where(good, found, 0.5 * under), where(good, 0.5 * over, found)
        low, high = where(good, odds, low), where(good, high, odds)
        odds = low + (high - low) * (under / (under - maximum(over, LEAST)))
    return where(curve.alone > limit, 0.0 * low, top / (1.0 + exp(-low)))
