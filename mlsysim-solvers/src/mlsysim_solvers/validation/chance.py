"""What chance does to the coverage of a set whose rows go in or out of their intervals together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..formulas.constants import INTERVAL_SHARE

__all__ = ["INSIDE_CORRELATION", "chance_within", "inside_correlation", "inside_distribution", "too_few", "too_many"]

INSIDE_CORRELATION = 0.25
"""Correlation between two rows of a group of lying inside their intervals: :func:`inside_correlation` of the packaged
measurements left out, 0.17 to 0.32 as the physics under the intervals changed."""


def inside_distribution(
    groups: Sequence[int], share: float, correlation: float = INSIDE_CORRELATION
) -> NDArray[np.float64]:
    """Return how probable each number of rows inside their intervals is.

    Parameters
    ----------
    groups : sequence of int
        Rows of each group.
    share : float, ratio
        Probability of one row to lie inside.
    correlation : float, ratio
        Between two rows of a group of lying inside; 0 makes all rows independent.

    Returns
    -------
    ndarray, shape (rows + 1,), ratio

    Notes
    -----
    Groups are independent; within one the number inside is beta-binomial,

        P(k) = C(n, k) B(k + a, n - k + b) / B(a, b), a = p (1 / rho - 1), b = (1 - p) (1 / rho - 1),

    whose mean is n p and whose correlation is rho = 1 / (a + b + 1); the sum over groups is their convolution.

    References
    ----------
    "Beta-binomial distribution", metricgate.com/docs/beta-binomial-distribution: mass function, correlation and
    design effect 1 + (n - 1) rho.
    """
    found = np.ones(1)
    for rows in groups:
        found = np.convolve(found, _of_group(rows, share, correlation))
    return found


def _of_group(rows: int, share: float, correlation: float) -> NDArray[np.float64]:
    ways = [math.lgamma(rows + 1) - math.lgamma(k + 1) - math.lgamma(rows - k + 1) for k in range(rows + 1)]
    if correlation <= 0.0:
        logs = [way + k * math.log(share) + (rows - k) * math.log1p(-share) for k, way in enumerate(ways)]
    else:
        a, b = share * (1.0 / correlation - 1.0), (1.0 - share) * (1.0 / correlation - 1.0)
        logs = [way + _beta(k + a, rows - k + b) - _beta(a, b) for k, way in enumerate(ways)]
    found: NDArray[np.float64] = np.exp(np.array(logs))
    return found


def _beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def chance_within(groups: Sequence[int], low: float, high: float, correlation: float = INSIDE_CORRELATION) -> float:
    """Return how probable it is that right intervals of 90 % hold a share between two bounds.

    Parameters
    ----------
    groups : sequence of int
        Rows of each group.
    low, high : float, ratio
        The bounds; both count.
    correlation : float, ratio
        Between two rows of a group of lying inside.

    Returns
    -------
    float, ratio
    """
    chances = inside_distribution(groups, INTERVAL_SHARE, correlation)
    shares = np.arange(len(chances)) / (len(chances) - 1)
    return float(chances[(shares >= low) & (shares <= high)].sum())


def too_few(groups: Sequence[int], inside: int, share: float, correlation: float = INSIDE_CORRELATION) -> float:
    """Return how probable it is that no more rows lie inside than did.

    Parameters
    ----------
    groups : sequence of int
        Rows of each group.
    inside : int
        Rows that lie inside.
    share : float, ratio
        Probability of one row to lie inside.
    correlation : float, ratio
        Between two rows of a group of lying inside.

    Returns
    -------
    float, ratio
        Small where intervals that hold ``share`` would hardly ever hold so few.
    """
    return float(inside_distribution(groups, share, correlation)[: inside + 1].sum())


def too_many(groups: Sequence[int], inside: int, share: float, correlation: float = INSIDE_CORRELATION) -> float:
    """Return how probable it is that no fewer rows lie inside than did.

    Parameters
    ----------
    groups : sequence of int
        Rows of each group.
    inside : int
        Rows that lie inside.
    share : float, ratio
        Probability of one row to lie inside.
    correlation : float, ratio
        Between two rows of a group of lying inside.

    Returns
    -------
    float, ratio
        Small where intervals that hold ``share`` would hardly ever hold so many.
    """
    return float(inside_distribution(groups, share, correlation)[inside:].sum())


def inside_correlation(groups: Sequence[Sequence[bool]]) -> float:
    """Return the correlation between two rows of a group of lying inside.

    Parameters
    ----------
    groups : sequence of sequence of bool
        Whether each row of each group lies inside.

    Returns
    -------
    float, ratio
        Mean product of two deviations from 90 % over their mean square, every group of two or more counting alike.
    """
    pairs = squares = 0.0
    for group in groups:
        rows = len(group)
        if rows > 1:
            apart = np.array(group, dtype=float) - INTERVAL_SHARE
            own = float((apart * apart).sum())
            pairs += (float(apart.sum()) ** 2 - own) / (rows * (rows - 1.0))
            squares += own / rows
    return pairs / squares if squares else 0.0
