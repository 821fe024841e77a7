"""How far rows lie from predictions whose constants were fitted without them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from ..formulas.constants import (
    DEVICE_LOG_SD,
    GROUP_LOG_SD,
    GROUP_WEIGHT,
    INTERVAL_QUANTILE,
    INTERVAL_SHARE,
    ROW_WEIGHT,
    WITHIN_STACK_LOG_SD,
)
from ..formulas.uncertainty import pooled_variance, student_ratio
from .fitting import Array, Fit, Prior, fit_many
from .problem import Point, predictions

Mask = NDArray[np.bool_]

__all__ = ["LEAST_ROWS", "Fitted", "Mask", "Sample", "fit_sample", "fitted_scatter"]

LEAST_ROWS = 3
"""Fewest rows on which constants are fitted."""

_FIRST_SIGMA = 0.1


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
        row, the device's own numbers, links.
    across : bool
        Whether the constants are for all devices: then a device is left out at a time, where there are two.
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
            One device each where the constants are for all and two are there; else one set, model and device. At
            least three rows remain without each.
        """
        here = [point for point, there in zip(self.points, kept, strict=True) if there]
        devices = self.across and len({point.device for point in here}) > 1
        names = [(point.device,) if devices else point.group for point in self.points]
        found = [np.array([n == name for n in names]) & kept for name in sorted(set(names))]
        return [rows for rows in found if rows.any() and (kept & ~rows).sum() >= LEAST_ROWS]


@attrs.frozen(eq=False)
class Fitted:
    """Constants with the scatter of what they have not seen.

    Parameters
    ----------
    fit : Fit
        On all rows.
    sigma : float, natural-log units
        Scatter of a row of another group about its prediction, beyond what the uncertainty of the constants and
        the row's own open choices explain; scaled so that the normal quantile gives the interval of Student's t.
    without : tuple of (ndarray of bool, Fit)
        For each group that could be left out: its rows, and the fit on the others.
    """

    fit: Fit
    sigma: float
    without: tuple[tuple[Mask, Fit], ...]


def fit_sample(sample: Sample, kept: Sequence[Mask] = ()) -> list[Fitted]:
    """Fit constants on some of the rows, and again without each group of those.

    Parameters
    ----------
    sample : Sample
        At least three rows.
    kept : sequence of ndarray of bool, shape (n,)
        The rows of each fit, at least three; none means one fit on all.

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
        spread = DEVICE_LOG_SD if sample.across else GROUP_LOG_SD
        found.append(Fitted(whole, fitted_scatter(whole, without, sample.loose, spread), without))
    return found


def fitted_scatter(
    whole: Fit, without: Sequence[tuple[Mask, Fit]], loose: Array, spread: float = GROUP_LOG_SD
) -> float:
    """Return the scatter of a row of a group that was not fitted on.

    Parameters
    ----------
    whole : Fit
        On all rows.
    without : sequence of (ndarray of bool, Fit)
        Rows left out, and the fit on the others.
    loose : ndarray, shape (n,), squared natural-log units
        Variance of each row that is known beforehand.
    spread : float, natural-log units
        General spread between groups.

    Returns
    -------
    float, natural-log units

    Notes
    -----
    Two estimates are pooled, weighted by the groups behind them: what is expected (the scatter about the fit, and
    the general spread between groups), and what the groups left out show: the variance at which 90 % of their
    residuals lie inside. With few groups Student's t widens it.
    """
    rows = float(whole.used.sum())
    # The data, and not the priors, set as many constants as this; each costs a row.
    spent = min(float((whole.variances[whole.used] / whole.sigma**2).sum()), rows - 1.0)
    inner = rows * max(0.0, whole.sigma**2 - float(loose[whole.used].mean())) / (rows - spent)
    inner = pooled_variance(WITHIN_STACK_LOG_SD**2, inner, ROW_WEIGHT, rows - spent)
    seen = 0.0
    if without:
        excess = [(fit.residuals**2 / INTERVAL_QUANTILE**2 - fit.variances - loose)[out] for out, fit in without]
        seen = max(0.0, float(np.quantile(np.concatenate(excess), INTERVAL_SHARE)))
    groups = float(len(without))
    variance = pooled_variance(inner + spread**2, seen, GROUP_WEIGHT, groups)
    return float(np.sqrt(variance) * student_ratio(INTERVAL_QUANTILE, GROUP_WEIGHT + groups))
