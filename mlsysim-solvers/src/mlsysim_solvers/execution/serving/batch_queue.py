"""A queue whose server takes everybody who waits, up to a greatest batch, and needs longer for more of them.

Requests arrive at random. A pass takes s(k) for k of them, and who comes meanwhile waits for the next. The numbers
served by one pass after another form a Markov chain, whose means obey exact balances. What comes during passes is taken
from a small and a large batch around the mean one, so that it may bend in between; how many are left over when a batch
is full is approximated.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from mlsysim.numeric import exp, log, maximum, minimum, sqrt, total, where
from mlsysim.tracing import named

from ...formulas.queue_constants import (
    FULLEST,
    LARGEST_EXPONENT,
    LARGEST_RATIO,
    LEAST,
    MOST_DEVIATIONS,
    NEAR,
    NEAR_FULL,
    NORMAL_CUBIC,
    OVERSHOOT,
    OVERSHOOT_SQUARED,
    TWO_PI,
)
from ..device.sharing import Alike

__all__ = ["Curve", "Near", "Queue", "Service", "curve_of", "curves_of_rows", "queue_at"]

PARTS = 8
"""Steps from one request to the greatest batch, between which the mean batch is interpolated."""

_STEPS = 2
"""Steps of Newton's method, which needs fewer."""


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


class Near(NamedTuple):
    """A small and a large batch around a mean one.

    Parameters
    ----------
    batch : float or array, sample
        The mean.
    share : float or array, ratio
        Share of the large ones.
    few, many : float or array, s
        A pass over either.
    slope : float or array, s
        What a further request adds between them.
    """

    batch: Any
    share: Any
    few: Any
    many: Any
    slope: Any

    def mean(self, value: Callable[[Any], Any]) -> Any:
        """Return the mean over both of what follows from the time of a pass.

        Parameters
        ----------
        value : callable
            From the time to a number.

        Returns
        -------
        float or array
        """
        return (1.0 - self.share) * value(self.few) + self.share * value(self.many)


class Curve(NamedTuple):
    """The time of a pass over any batch, as a straight line that bends upwards or downwards at some sizes.

    Parameters
    ----------
    most : float or array, sample
        The greatest batch.
    alone, longest : float or array, s
        A pass of one, and of the greatest batch.
    start : float or array, s
        Where the line would begin if bends were counted from no requests on.
    slope : float or array, s
        What the next request adds at first.
    bends : tuple of pair of float or array
        Sizes, and how much more the next request adds beyond each.
    around : tuple of Near
        Passes around some mean batches, from one to the greatest.
    crossings : Crossings, or None
        The same for rows that share few curves, ready to be looked up.
    """

    most: Any
    alone: Any
    longest: Any
    start: Any
    slope: Any
    bends: tuple[tuple[Any, Any], ...]
    around: tuple[Near, ...] = ()
    crossings: Any = None

    def time(self, batch: Any) -> Any:
        """Return what a pass takes.

        Parameters
        ----------
        batch : float or array, sample
            Requests; those beyond the greatest batch take their share of further ones.

        Returns
        -------
        float or array, s
        """
        found = self.start + self.slope * batch
        for size, bend in self.bends:
            found = found + bend * maximum(batch, size)
        return found

    def pair(self, rate: Any, batch: Any) -> Any:
        """Return what a pass takes with the next one, over those who come meanwhile.

        Parameters
        ----------
        rate : float or array, count/s
            Arrivals.
        batch : float or array, sample
            Requests of the first pass.

        Returns
        -------
        float or array, s
        """
        time = self.time(batch)
        return time + self.time(1.0 + rate * time)


class Queue(NamedTuple):
    """Who waits, and how long.

    Parameters
    ----------
    curve : Curve
        What passes take.
    rate : float or array, count/s
        Arrivals, below what full batches get through.
    batch, deviation : float or array, count
        Mean and standard deviation of the batches.
    seen, came : float or array, count
        The batch that a request finds under way, and the one that it joins, as if it were never full.
    pair, last : float or array, s
        What both passes take, and what the second takes.
    idle : float or array, ratio
        Share of requests that find the server idle.
    before, own : float or array, s
        The pass that a request finds under way, and its own.
    late : float or array, ratio
        Share of requests that a full batch leaves for a later pass.
    decay : float or array, 1/s
        Rate at which longer waits for later passes become rarer.
    busy : float or array, ratio
        Share of the time in which a pass runs.
    latency : float or array, s
        Mean from arrival to answer.
    """

    curve: Curve
    rate: Any
    batch: Any
    deviation: Any
    seen: Any
    came: Any
    pair: Any
    last: Any
    idle: Any
    before: Any
    own: Any
    late: Any
    decay: Any
    busy: Any
    latency: Any


def curve_of(service: Service) -> Curve:
    """Return the time of a pass between the batches at which it is known.

    Parameters
    ----------
    service : Service
        What passes take; a larger batch counts as taking no less than a smaller one.

    Returns
    -------
    Curve
    """
    size, alone = service.sizes[0], service.times[0]
    time, slopes = alone, []
    for larger, given in zip(service.sizes[1:], service.times[1:], strict=True):
        longer = maximum(time, given)
        slopes.append((longer - time) / maximum(larger - size, LEAST * larger) * (1.0 * (larger > size)))
        size, time = larger, longer
    slopes.append(time / size)
    bends = tuple(zip(service.sizes[1:], (after - before for before, after in pairwise(slopes)), strict=True))
    start = alone - service.sizes[0] * slopes[0] - total(bend * at for at, bend in bends)
    curve = Curve(size, alone, time, start, slopes[0], bends)
    means = (size ** (part / PARTS) for part in range(PARTS + 1))
    return curve._replace(around=tuple(_around(curve, mean, NEAR) for mean in means))


def _around(curve: Curve, mean: Any, wide: Any) -> Near:
    """Return a small and a large batch around a mean, so many times as far as random arrivals deviate."""
    deviation = wide * sqrt(mean)
    low, high = maximum(1.0, mean - deviation), minimum(curve.most, mean + deviation)
    width = maximum(LEAST, high - low)
    few, many = curve.time(low), curve.time(high)
    return Near(mean, (mean - low) / width, few, many, (many - few) / width)


def queue_at(curve: Curve, rate: Any) -> Queue:
    """Return the queue at a rate of arrivals.

    Parameters
    ----------
    curve : Curve
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
    most, longest = curve.most, curve.longest
    rate = named(minimum(rate, FULLEST * (most / longest)), "requests per time")
    full = rate * longest
    gap, load = most - full, full / most
    # Passes that grow with their batch make batches vary more than random arrivals do: the more, the fuller they are.
    wide = 1.0 / sqrt(sqrt(sqrt(1.0 - load * load)))
    mean = named(_mean_batch(curve, rate), "mean batch")
    near = _around(curve, mean, wide)
    none = named(minimum(gap, near.mean(lambda time: exp(-rate * time))), "chance that nobody comes during a pass")
    slope = named(near.slope, "what a further request adds")
    over = named(_left_over(mean, most, full, minimum(load, rate * slope)), "requests left over by a full pass")
    spread = named(_spread(mean, most, load, none, 2.0 * gap * over), "variance of the batches")
    typical = named((mean - none) / rate, "mean pass")
    squares = typical * typical + slope * slope * spread
    latency = named(typical + named(slope * spread / mean, "longer passes hold more requests"), "own pass")
    latency = latency + named(0.5 * rate * squares / mean, "wait for the pass under way")
    latency = latency + named(longest * over / mean, "wait for later passes")
    before = named(squares / typical, "pass under way")
    seen, came = mean + slope * spread / typical, 1.0 + rate * before
    last = named(curve.time(came), "own pass")
    each = most * _decay(most / full)
    late = over / mean * (1.0 - exp(-minimum(each, LARGEST_EXPONENT)))
    return Queue(
        curve, rate, mean, minimum(sqrt(spread), wide * sqrt(mean)), seen, came, curve.pair(rate, seen), last,
        none / mean, before, minimum(last, longest), late, each / longest, minimum(1.0, rate * typical / mean),
        maximum(latency, curve.alone),
    )  # fmt: skip


def _mean_batch(curve: Curve, rate: Any) -> Any:
    """Return the mean batch: the first at which no more requests come during its passes than are in it.

    Slower passes let more come at every size, and
    so never make the batch smaller.
    """
    if curve.crossings is not None:
        found = curve.crossings.mean(rate, _comes)
        return maximum(1.0, minimum(curve.most, found))
    found, last, ahead = 1.0, 1.0, 1.0
    for near in curve.around:
        size = near.batch
        surplus = near.mean(lambda time: _comes(rate, time)) - size
        # As far as where the line to the last size, at which more came, meets what is in the batch.
        found = found + (size - last) * minimum(1.0, ahead / maximum(LEAST, ahead - surplus))
        last, ahead = size, (ahead > 0.0) * maximum(surplus, 0.0)
    return maximum(1.0, minimum(curve.most, found))


def _comes(rate: Any, time: Any) -> Any:
    """Return the batch after a pass: a pass during which nobody comes makes it a batch of one."""
    least = rate * time
    return least + exp(-least)


def curves_of_rows(curve: Curve, kinds: Alike) -> Curve:
    """Return the curve of each row of a sweep in which rows share them.

    Parameters
    ----------
    curve : Curve
        One for each kind.
    kinds : Alike
        Of which kind each row is.

    Returns
    -------
    Curve
        What is known around mean batches stays with the kinds; rows look it up.
    """
    from .crossings import Crossings

    found: Curve = kinds.rows(curve._replace(around=()))
    return found._replace(crossings=Crossings(curve.around, kinds.codes))


def _spread(mean: Any, most: Any, growth: Any, none: Any, lost: Any) -> Any:
    """Return the variance of batches whose mean grows with the batch before, by so much for each request in it."""
    start = (1.0 - growth) * mean - none
    square = (start * start + 2.0 * start * growth * mean + mean - lost) / (1.0 - growth * growth)
    return minimum(maximum(square - mean * mean, 0.0), (mean - 1.0) * (most - mean))


def _left_over(mean: Any, most: Any, full: Any, growth: Any) -> Any:
    """Return how many a pass leaves over on average: a normal number below the greatest batch, exponential above."""
    gap = (most - full) / sqrt(full)
    far = minimum(MOST_DEVIATIONS, (most - mean) / sqrt(mean / (1.0 - growth * growth)))
    near = minimum(MOST_DEVIATIONS, gap)
    continuous = _mass(1.0 / (1.0 - growth * growth), far)
    stepped = (exp(near * (OVERSHOOT + OVERSHOOT_SQUARED * near)) - 1.0) / (2.0 * gap)
    # A queue that is emptied batch by batch, not all the time, is shorter; the more so, the less passes vary.
    below = continuous * (growth + (1.0 - growth) * (stepped / _mass(1.0, near)))
    return sqrt(full) / (2.0 * gap) / (1.0 + 2.0 * gap * below)


def _mass(variance: Any, deviations: Any) -> Any:
    """Return the mass of a normal number below a level over its density there."""
    x, (first, third) = deviations, NORMAL_CUBIC
    below = 1.0 / (1.0 + exp(-x * (first + third * x * x)))
    return sqrt(TWO_PI * variance) * below * exp(0.5 * x * x)


def _decay(ratio: Any) -> Any:
    """Return the rate at which longer queues become rarer: exp(d) - 1 = r d, by Newton's method from above."""
    ratio = minimum(ratio, LARGEST_RATIO)
    little = log(ratio)
    # The first guess is within four per cent wherever it is used.
    found = little + log(1.0 + little)
    for _step in range(_STEPS):
        grown = exp(found)
        found = found - (grown - 1.0 - ratio * found) / maximum(grown - ratio, LEAST)
    # Close to 1 the difference above loses its digits, and two terms of the series are exact enough.
    return where(ratio < NEAR_FULL, little * (2.0 - little / 3.0), found)
