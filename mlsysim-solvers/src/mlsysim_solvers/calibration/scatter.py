"""How far rows lie from predictions whose constants were fitted without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from ..formulas.constants import (
    DEVICE_LOG_SDS,
    GROUP_CORRELATION,
    GROUP_LOG_SDS,
    GROUP_WEIGHT,
    INTERVAL_QUANTILE,
    INTERVAL_SHARE,
)
from ..formulas.uncertainty import effective_rows, student_tail
from .fitting import Array, Fit, Prior, fit_many
from .problem import Point, predictions

Mask = NDArray[np.bool_]

__all__ = ["LEAST_ROWS", "NOBODY", "Fitted", "Mask", "Sample", "Unseen", "fit_sample", "fitted_scale", "unseen"]

LEAST_ROWS = 3
"""Fewest rows on which constants are fitted."""

_FIRST_SIGMA = 0.1
_SCALES = (0.05, 50.0)
_HALVINGS = 40


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

    def holes(self, kept: Mask) -> list[Mask]:
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


@attrs.frozen(eq=False)
class Fitted:
    """Constants with the scatter of what they have not seen.

    Parameters
    ----------
    fit : Fit
        On all rows.
    spread : tuple of float, natural-log units
        How much each constant differs for a group that was not fitted on.
    sigma : float, natural-log units
        Scatter of a row of such a group, whatever sets its time. Both come on top of the uncertainty of the constants
        and of the row's own open choices, and are scaled so that the normal quantile gives the interval.
    without : tuple of (ndarray of bool, Fit)
        For each group that could be left out: its rows, and the fit on the others.
    """

    fit: Fit
    spread: tuple[float, ...]
    sigma: float
    without: tuple[tuple[Mask, Fit], ...]


def fit_sample(sample: Sample, kept: Sequence[Mask] = (), near: Unseen | None = None) -> list[Fitted]:
    """Fit constants on some of the rows, and again without each group of those.

    Parameters
    ----------
    sample : Sample
        At least three rows.
    kept : sequence of ndarray of bool, shape (n,)
        The rows of each fit, at least three; none means one fit on all.
    near : Unseen, optional
        Rows that calibrations of the same stack on other devices left out.

    Returns
    -------
    list of Fitted
        One for each of ``kept``.
    """
    kept = kept or [np.ones(len(sample.points), dtype=bool)]
    holes = [sample.holes(rows) for rows in kept]
    # All fits go down in step: a row is predicted for all of them at once.
    used = {rows.tobytes(): rows for rows in (*kept, *(k & ~out for k, outs in zip(kept, holes, strict=True)
                                                       for out in outs))}  # fmt: skip
    measured = np.array([point.row.value for point in sample.points])
    fits = fit_many(
        lambda x: predictions(sample.points, x), measured, sample.priors, _FIRST_SIGMA, np.stack(list(used.values()))
    )
    by_rows = dict(zip(used, fits, strict=True))
    found = []
    for rows, outs in zip(kept, holes, strict=True):
        without = tuple((out, by_rows[(rows & ~out).tobytes()]) for out in outs)
        whole = by_rows[rows.tobytes()]
        general = DEVICE_LOG_SDS if sample.across else GROUP_LOG_SDS
        own = unseen(without, sample.loose, general)
        scale = fitted_scale(own if near is None else Unseen(*map(np.concatenate, zip(own, near, strict=True))))
        *spread, sigma = (scale * one for one in general)
        found.append(Fitted(whole, tuple(spread), sigma, without))
    return found


class Unseen(NamedTuple):
    """Rows of groups that were left out.

    Parameters
    ----------
    squares : ndarray, shape (m,), squared natural-log units
        Squares of the residuals.
    known : ndarray, shape (m,), squared natural-log units
        Variances from the uncertainty of the constants and from what the rows leave open.
    general : ndarray, shape (m,), squared natural-log units
        Variances from the general scales between groups.
    weights : ndarray, shape (m,), count
        Independent rows that each is worth.
    """

    squares: Array
    known: Array
    general: Array
    weights: Array


def unseen(without: Sequence[tuple[Mask, Fit]], loose: Array, general: Sequence[float]) -> Unseen:
    """Gather the rows of groups that were left out.

    Parameters
    ----------
    without : sequence of (ndarray of bool, Fit)
        Rows left out, and the fit on the others.
    loose : ndarray, shape (n,), squared natural-log units
        Variance of each row that is known beforehand.
    general : sequence of float, natural-log units
        General scales of each constant, and of the whole.

    Returns
    -------
    Unseen
    """
    *scales, whole = general
    parts = [
        (
            fit.residuals[out] ** 2,
            (fit.variances + loose)[out],
            fit.slopes[out] ** 2 @ np.square(scales) + whole**2,
            np.full(out.sum(), effective_rows(float(out.sum()), GROUP_CORRELATION) / out.sum()),
        )
        for out, fit in without
    ]
    return Unseen(*(np.concatenate(part) for part in zip(*parts, strict=True))) if parts else NOBODY


NOBODY = Unseen(*[np.zeros(0)] * 4)
"""No rows."""


def fitted_scale(rows: Unseen) -> float:
    """Return by what the general scales are multiplied for one calibration.

    Parameters
    ----------
    rows : Unseen
        Rows of its groups that were left out; there may be none.

    Returns
    -------
    float, ratio

    Notes
    -----
    The k at which one measurement in ten lies outside its interval,

        w T(z k) + sum of w_i over rows with r_i^2 > z^2 (v_i + k^2 g_i) = (1 - 0.9) (w + sum of w_i),

    where T is the tail of Student's t with four degrees of freedom. What is usual for all stacks counts as w groups,
    and every group left out as its rows are worth: with many groups the interval is the quantile of their own
    residuals, as the jackknife has it; without any it is the general one.
    """
    low, high = _SCALES
    all_ = GROUP_WEIGHT + rows.weights.sum()
    for _ in range(_HALVINGS):
        scale = float(np.sqrt(low * high))
        outside = rows.squares > INTERVAL_QUANTILE**2 * (rows.known + scale**2 * rows.general)
        share = (GROUP_WEIGHT * student_tail(INTERVAL_QUANTILE * scale) + (rows.weights * outside).sum()) / all_
        low, high = (scale, high) if share > 1.0 - INTERVAL_SHARE else (low, scale)
    return high
