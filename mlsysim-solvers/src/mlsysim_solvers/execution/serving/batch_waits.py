"""How long requests wait that are served in batches, in the median and at worst, and the rate that keeps a limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from mlsysim.numeric import exp, is_array, log, maximum, minimum, only, sqrt, where
from mlsysim.tracing import named

from ...formulas.queue_constants import (
    EXPONENTIAL_MOST,
    FULLEST,
    LARGEST_EXPONENT,
    LEAST,
    NORMAL_LOSS,
    SPREAD_OF_TAIL,
)
from ..device.sharing import Alike
from .batch_queue import Curve, Queue, curves_of_rows, queue_at

__all__ = ["largest_rate", "quantile"]

_HALVINGS = 10
"""Rates that are tried to find the one at which a limit is just kept."""

_PARTS = 2.0**_HALVINGS
"""Parts into which they divide the range of rates."""

_AT_ONCE = 2048
"""Latencies that are found together in hardly more time than one alone."""

_JUMP = 0.12
"""Step of the logarithm of the latency from one part to the next that no continuous growth makes."""

_HIGH = math.log(FULLEST / (1.0 - FULLEST))
"""Logarithm of the largest load over what is left of it."""


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


def largest_rate(curve: Curve, limit: Any, kinds: Alike | None = None) -> Any:
    """Return the largest rate at which 99 % of requests are answered within a limit.

    Parameters
    ----------
    curve : Curve
        What passes take.
    limit : float or array, s
        The limit.
    kinds : Alike, optional
        Which curve each limit belongs to; without it each has its own, or all the same.

    Returns
    -------
    float or array, count/s
        0 where a pass of one takes longer.

    Notes
    -----
    The range of rates, evenly divided in the logarithm of load over what is left of it, is halved ten times; within
    the last of its 1024 parts the logarithm of the latency counts as a straight line, unless the limit would be broken
    there: then the lower end of the part holds, which keeps it. The rates at which it is halved first are the same for
    every limit: many limits of one curve share what is found there. Where rows are few, all places that the next
    halvings may look at are asked for at once.

    Half of the rates are within 1e-5 of where the latency meets the limit, 99 % within 0.2 %. Where it jumps over the
    limit the rate is the one before, up to a part of the range too low.
    """
    search, end = _search(curve), 0
    if kinds is not None:
        end = min(_HALVINGS, int(math.log2(kinds.codes.size / kinds.size)))
        known = _table(search, 0.0, (0, end), kinds.size, kinds.codes)
        search = _Search(curves_of_rows(curve, kinds), *kinds.rows((search.top, search.low)))
    target = log(limit / search.curve.alone)
    place = 0.0 * target
    under, over = place, target + 1.0 / LEAST
    for halving in range(_HALVINGS):
        if halving == end:
            end = min(_HALVINGS, halving + _together(target))
            known = _table(search, place, (halving, end), target.size) if end > halving + 1 else search.latency
        half = 0.5 * _PARTS / 2**halving
        value = known(place + half)
        good = value <= target
        place, under, over = place + only(good, half), where(good, value, under), where(good, over, value)
    # Where the first requests wait, the latency jumps.
    within = where(over - under < _JUMP, maximum(0.0, target - under) / maximum(over - under, LEAST), 0.0 * place)
    keeps = search.latency(place + within) <= target
    return where(search.curve.alone > limit, 0.0 * place, search.rate(where(keeps, place + within, place)))


class _Search(NamedTuple):
    """Where the rate is looked for: from so few that no hundredth of them waits to as many as full batches allow."""

    curve: Curve
    top: Any
    low: Any

    def rate(self, place: Any) -> Any:
        return self.top / (1.0 + exp(-(self.low + (_HIGH - self.low) * (place / _PARTS))))

    def latency(self, place: Any) -> Any:
        return log(quantile(queue_at(self.curve, self.rate(place)), "p99") / self.curve.alone)


def _search(curve: Curve) -> _Search:
    share, top = SPREAD_OF_TAIL["p99"][0], named(curve.most / curve.longest, "rate of full batches")
    least = minimum(0.5 * share / curve.alone, 0.5 * FULLEST * top)
    return _Search(curve, top, log(least / (top - least)))


def _together(target: Any) -> int:
    """Return how many halvings are answered together: more than one where rows are so few that calls take the time."""
    return max(1, int(math.log2(_AT_ONCE / target.size))) if is_array(target) else 1


def _table(
    search: _Search, place: Any, halvings: tuple[int, int], curves: int, codes: Any = None
) -> Callable[[Any], Any]:  # fmt: skip
    """Answer each curve wherever so many halvings may look beyond a place, all of them together.

    ``codes`` tell which curve each row has; without them each has its own.
    """
    import numpy as np

    first, end = halvings
    parts, width = 2 ** (end - first), _PARTS / 2**end
    found = search.latency(place + np.arange(parts)[:, None] * width)
    every = np.broadcast_to(found, (parts, curves)).ravel()
    codes = np.arange(curves) if codes is None else codes
    return lambda middle: every.take(((middle - place) * (1.0 / width)).astype(np.intp) * curves + codes)
