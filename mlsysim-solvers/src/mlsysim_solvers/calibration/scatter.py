"""Rows that are fitted together, and how far stacks stray from what was fitted without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from ..formulas.constants import (
    GROUP_CORRELATION,
    INTERVAL_QUANTILE,
    INTERVAL_SHARE,
    STACK_LOG_SD,
    UNKNOWN_SCATTER,
)
from ..formulas.uncertainty import effective_rows, student_tail
from .fitting import Array, Fit, Prior, fit_many
from .problem import Point, predictions

Mask = NDArray[np.bool_]

__all__ = [
    "FIRST_SIGMA",
    "LEAST_ROWS",
    "SHRINKAGE",
    "Mask",
    "Residuals",
    "Sample",
    "fit_sample",
    "likelihoods",
    "predictive_factor",
    "row_weights",
    "stack_scatter",
]  # fmt: skip

LEAST_ROWS = 3
"""Fewest rows on which constants are fitted."""

SHRINKAGE = (INTERVAL_QUANTILE / 1.9431802805153022) ** 2
"""Squared scale of Student's t with six degrees of freedom over the variance of the normal distribution that has the
same 90 % interval: the quantiles of 95 % of both."""

FIRST_SIGMA = 0.1
_FACTORS = np.linspace(-1.6, 1.6, 65)
"""Logarithms of the factors that are tried."""


@attrs.frozen(eq=False)
class Sample:
    """Rows of one stack that are fitted together.

    Parameters
    ----------
    points : tuple of Point
        The rows.
    priors : tuple of Prior
        What is known of the constants before.
    loose : ndarray, shape (n,), squared natural-log units
        Variance of each prediction that comes neither from the constants nor from the stack: open choices of the
        row and links; numbers of the device too, where a device is left out at a time.
    across : bool
        Whether the constants are for all devices: then a device is left out at a time.
    """

    points: tuple[Point, ...]
    priors: tuple[Prior, ...]
    loose: Array
    across: bool

    def folds(self, kept: Mask) -> list[Mask]:
        """Tell what can be left out of some of the rows.

        Parameters
        ----------
        kept : ndarray of bool, shape (n,)
            Rows that are there.

        Returns
        -------
        list of ndarray of bool, shape (n,)
            One device each where the constants are for all; else one set, model and device. At least three rows
            remain without each.
        """
        names = [(point.device,) if self.across else point.group for point in self.points]
        found = [np.array([n == name for n in names]) & kept for name in sorted(set(names))]
        return [rows for rows in found if rows.any() and (kept & ~rows).sum() >= LEAST_ROWS]


def fit_sample(
    sample: Sample, kept: Sequence[Mask] = (), priors: Sequence[tuple[Prior, ...]] = ()
) -> list[Fit]:  # fmt: skip
    """Fit constants on some of the rows.

    Parameters
    ----------
    sample : Sample
        At least three rows.
    kept : sequence of ndarray of bool, shape (n,)
        The rows of each fit, at least three; none means one fit on all.
    priors : sequence of tuple of Prior
        What is known before each fit; none means that of the sample.

    Returns
    -------
    list of Fit
        One for each of ``kept``.
    """
    kept = kept or [np.ones(len(sample.points), dtype=bool)]
    # All fits go down in step: a row is predicted for all of them at once.
    known = priors or [sample.priors] * len(kept)
    used = {(rows.tobytes(), before): rows for rows, before in zip(kept, known, strict=True)}
    measured = np.array([point.row.value for point in sample.points])
    worth = row_weights([point.device for point in sample.points]) if sample.across else None
    fits = fit_many(
        lambda x: predictions(sample.points, x), measured, [before for _, before in used], FIRST_SIGMA,
        np.stack(list(used.values())), worth,
    )  # fmt: skip
    by_rows = dict(zip(used, fits, strict=True))
    return [by_rows[rows.tobytes(), before] for rows, before in zip(kept, known, strict=True)]


class Residuals(NamedTuple):
    """How far rows lie from predictions that have not seen their group.

    Parameters
    ----------
    residuals : ndarray, shape (m,), natural-log units
        ln(predicted / measured).
    own : ndarray, shape (m,), squared natural-log units
        Variance of each prediction under the general scales.
    known : ndarray, shape (m,), squared natural-log units
        Variance from what the row leaves open, which no stack changes.
    weights : ndarray, shape (m,), count
        Independent rows that each is worth.
    """

    residuals: Array
    own: Array
    known: Array
    weights: Array


def row_weights(groups: Sequence[Hashable], correlation: float = GROUP_CORRELATION) -> Array:
    """Return how many independent rows each row is worth.

    Parameters
    ----------
    groups : sequence of hashable, length m
        What each row belongs to.
    correlation : float, ratio
        Of two rows of a group.

    Returns
    -------
    ndarray, shape (m,), count
    """
    sizes = Counter(groups)
    return np.array([float(effective_rows(float(sizes[g]), correlation)) / sizes[g] for g in groups])


def likelihoods(rows: Residuals, factors: Array) -> Array:
    """Return the logarithm of each row's likelihood under each factor of its stack.

    Parameters
    ----------
    rows : Residuals
        The rows.
    factors : ndarray, shape (k,), natural-log units
        Logarithms of the factors.

    Returns
    -------
    ndarray, shape (m, k), natural-log units
        Up to a constant, weighted.

    Notes
    -----
    -w (ln v / 2 + (7/2) ln(1 + r^2 / (6 v))), v = c (k^2 o + u): Student's t with six degrees of freedom whose 90 %
    interval is that of a normal distribution with the variance k^2 o + u, for the own variance o and the known one u.
    The residuals have such tails: with four degrees the intervals hold a percentage point more than they say, and a
    normal distribution, which outliers rule, fits worse.

    References
    ----------
    Ng, Zhu, Zhang and Reid 2026, "Robust regression with Student's t", arXiv:2603.00269, abstract: the error as
    Student's t makes an estimate robust and efficient, with fixed or estimated degrees of freedom.
    """
    scale = SHRINKAGE * (rows.own[:, None] * np.exp(2.0 * factors) + rows.known[:, None])
    found: Array = rows.residuals[:, None] ** 2 / (6.0 * scale)
    return -rows.weights[:, None] * (0.5 * np.log(scale) + 3.5 * np.log1p(found))


def stack_scatter(rows: Residuals) -> float:
    """Return how far the measurements of one stack stray, over what is usual.

    Parameters
    ----------
    rows : Residuals
        Its rows; there may be none.

    Returns
    -------
    float, ratio
        That of an unknown stack where there are none.

    Notes
    -----
    That of :func:`predictive_factor` under the posterior of ln k, which is proportional to the product of the rows'
    likelihoods and of exp(-(ln k)^2 / (2 tau^2)), where tau is the spread of ln k between stacks. Few rows leave it
    near that of an unknown stack, many take it to where their own residuals are: what they do not tell widens.

    References
    ----------
    "Hierarchical and empirical Bayes", formalstatistics.com/topics/hierarchical-bayes-and-partial-pooling, section
    28.1: partial pooling, which has groups share a common distribution and shrinks the small ones towards it.
    """
    if not len(rows.residuals):
        return UNKNOWN_SCATTER
    total = likelihoods(rows, _FACTORS).sum(axis=0) - _FACTORS**2 / (2.0 * STACK_LOG_SD**2)
    return predictive_factor(_FACTORS, np.exp(total - total.max()))


def predictive_factor(logs: Array, chances: Array) -> float:
    """Return the factor whose intervals hold nine of ten where the true one is known as a distribution only.

    Parameters
    ----------
    logs : ndarray, shape (k,), natural-log units
        Logarithms of factors.
    chances : ndarray, shape (k,), ratio
        How probable each is, up to a constant.

    Returns
    -------
    float, ratio

    Notes
    -----
    The k at which the mean of T(q k exp(-x)) over x is 1 - 0.9, where T is the tail of Student's t with six degrees of
    freedom, and q its quantile of 95 %.
    """
    quantile, sure = INTERVAL_QUANTILE / SHRINKAGE**0.5, chances / chances.sum()
    low, high = 0.1, 10.0
    for _ in range(40):
        k = (low * high) ** 0.5
        outside = float((sure * student_tail(quantile * k * np.exp(-logs))).sum())
        low, high = (k, high) if outside > 1.0 - INTERVAL_SHARE else (low, k)
    return high
