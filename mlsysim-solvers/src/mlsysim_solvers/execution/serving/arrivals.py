"""Requests that arrive at random: how many are in flight, and who waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from mlsysim.numeric import is_array, maximum, minimum, only

from ...formulas.queue_constants import EXCEEDED, FULLEST, LEAST
from ...formulas.queueing import (
    crowding,
    mean_delay,
    occupied_share,
    tail_quantile,
    wait_probability,
    wait_quantile,
)
from ..device.arrays import level
from ..device.sharing import Alike

__all__ = [
    "ARRIVING",
    "Line",
    "Points",
    "balanced",
    "in_flight_at",
    "line_of",
    "quantiles",
    "stays_at",
    "stays_of_kinds",
]

NODES = 6
"""Numbers in flight, from one to the most, between which the time that a request stays is interpolated."""

ARRIVING = frozenset({"rate", "concurrency", "requests", "assumptions"})
"""Columns on which the time that a request stays does not depend: how many come, and notes."""

Points = list[tuple[Any, Any]]
"""Numbers in flight, and the time that each stays."""


class Line(NamedTuple):
    """Who waits for a place in flight.

    Parameters
    ----------
    probability : float or array, ratio
        Chance that all places are taken.
    delay, wait : float or array, s
        Mean wait of those that wait, and of all.
    """

    probability: Any
    delay: Any
    wait: Any

    def quantile(self, exceeded: Any) -> Any:
        """Return the wait that a share of requests exceeds.

        Parameters
        ----------
        exceeded : float, ratio
            The share.

        Returns
        -------
        float or array, s
        """
        return wait_quantile(self.probability, self.delay, exceeded)


def in_flight_at(rate: Any, points: Points) -> tuple[Any, Any]:
    """Return how many requests are in flight on average when they arrive at random.

    Parameters
    ----------
    rate : float or array, count/s
        Arrivals at one engine.
    points : list of tuple of number
        As :func:`stays_at` returned: numbers in flight there, and the time that each stays.

    Returns
    -------
    found : float or array, count
        Between 1 and the last number.
    longest : float or array, s
        How long each stays when all places are taken.

    Notes
    -----
    b = lambda t(b), by Little's law; t is interpolated between numbers in flight in geometric steps.
    """
    return balanced(points, [node - rate * stay for node, stay in points])[0], points[-1][1]


def balanced(points: Points, beyond: list[Any]) -> tuple[Any, Any]:
    """Return the number in flight at which as many are in flight as come.

    Parameters
    ----------
    points : list of tuple of number
        Numbers in flight; in ascending order.
    beyond : list of float or array, count
        By how many each is above those that come.

    Returns
    -------
    found : float or array, count
        Between 1 and the last number.
    full : bool or array of bool
        Whether more come than the last number.
    """
    last, full, left = points[-1][0], beyond[-1] <= 0.0, beyond[-1] > 0.0
    found = only(full, last)
    for ((high, _), over), ((low, _), short) in pairwise(zip(reversed(points), reversed(beyond), strict=True)):
        # Where the line crosses nothing, what it gives is not used; of several crossings the last counts.
        crossed = crowding(low, high, minimum(short, 0.0), maximum(over, LEAST))
        found = found + only(left & (short <= 0.0) & (over > 0.0), crossed)
        left = left & ((short > 0.0) | (over <= 0.0))
    return minimum(found + only(left, 1.0), last), full


def stays_at(most: Any, residence: Callable[[Any], Any]) -> Points:
    """Return how long a request stays with few, more and the most requests in flight.

    Parameters
    ----------
    most : float or array, count
        Most requests in flight.
    residence : callable
        From requests in flight to the time that each stays.

    Returns
    -------
    list of tuple of number
        Numbers in flight in geometric steps from one to the most, and the times.
    """
    # Powers one by one, so that a number that is traced or varies stays what it is.
    return [(node, residence(node)) for node in (level(most ** (k / (NODES - 1.0))) for k in range(NODES))]


def stays_of_kinds(kinds: Alike, ends: Callable[[Mapping[str, Any]], tuple[Any, Callable[[Any], Any]]]) -> Points:
    """Return what :func:`stays_at` does for the rows of a sweep of which many are alike, each kind asked once.

    Parameters
    ----------
    kinds : Alike
        The different rows, but for how requests arrive.
    ends : callable
        From columns to the most requests in flight, and from requests in flight to the time that each stays.

    Returns
    -------
    list of tuple of number
    """
    if kinds.size == 1:
        return stays_at(*ends(kinds.columns))
    import numpy as np

    # All numbers in flight of all kinds are one sweep.
    every = {name: np.tile(value, NODES) if is_array(value) else value for name, value in kinds.columns.items()}
    most, residence = ends(every)
    count = kinds.size
    nodes = most ** np.repeat([k / (NODES - 1.0) for k in range(NODES)], count)
    stays = np.broadcast_to(residence(nodes), nodes.shape)
    points: Points = kinds.rows(list(zip(nodes.reshape(NODES, count), stays.reshape(NODES, count), strict=True)))
    return points


def line_of(taken: Any, places: Any, residence: Any, variation: Any) -> Line:
    """Return who waits for a place in flight.

    Parameters
    ----------
    taken, places : float or array, count
        Requests in flight on average, and the most that may be.
    residence : float or array, s
        How long a request stays when all places are taken.
    variation : float or array, ratio
        Standard deviation of that over its mean.

    Returns
    -------
    Line
        A line that grows without end is counted as one that is almost that long.
    """
    occupation = occupied_share(taken, places, FULLEST)
    probability = wait_probability(occupation, places)
    delay = mean_delay(residence, places, occupation, 1.0, variation * variation)
    return Line(probability, delay, probability * delay)


def quantiles(times: Mapping[str, tuple[Any, Any]], wait: Any, line: Callable[[float], Any]) -> dict[str, Any]:
    """Return the quantiles of times of the same requests.

    Parameters
    ----------
    times : mapping of str to pair of float or array, s
        By output: mean and standard deviation of the part that is no wait.
    wait : float or array, s
        Mean of a wait that is exponential.
    line : callable
        From a share of requests to the other waits that so many exceed.

    Returns
    -------
    dict of str to number
    """
    found = {}
    for at, (exceeded, deviations) in EXCEEDED.items():
        queue = line(exceeded)
        for name, (sure, scattered) in times.items():
            found[f"{name}_{at}"] = tail_quantile(sure, scattered, deviations, wait, queue, exceeded)
    return found
