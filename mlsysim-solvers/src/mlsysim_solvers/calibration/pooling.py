"""What the devices that a stack was fitted on tell of the next one, before it is fitted itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlsysim.entities import Entry
from mlsysim.records.stack import Calibration

from ..formulas.constants import DEVICE_PRIOR_LOG_SDS
from ..validation.tables import packaged_rows
from .fitting import Array, Fit, Prior, fit
from .problem import CONSTANTS, predictions, prepare
from .scatter import FIRST_SIGMA, LEAST_ROWS

__all__ = ["card_priors", "pooled", "priors_of"]

_fits: dict[tuple[str, tuple[Prior, ...], tuple[str, ...]], Fit | None] = {}
"""Fits under the card alone, by stack, card and rows."""


_UNKNOWN = 0.3
"""Spread of a ceiling whose card gives no range (natural-log units; estimate)."""


def card_priors(entry: Entry) -> tuple[Prior, ...]:
    """Read centre and spread of each constant from the claims on the stack's ceilings.

    Parameters
    ----------
    entry : Entry
        The stack.

    Returns
    -------
    tuple of Prior
    """
    found = []
    for name in CONSTANTS:
        standing = entry.standing(f"ceilings.{name}")
        centre = getattr(entry.record.ceilings, name)
        spread = (standing and standing.chosen.log_sd) or _UNKNOWN
        found.append(Prior(name, centre, spread, math.inf if name == "overhead" else 1.0 if name == "memory" else 3.0))
    return tuple(found)


def priors_of(entry: Entry, device: str) -> tuple[Prior, ...]:
    """Return what the card of a stack and its fits on other devices tell of one before it is fitted.

    Parameters
    ----------
    entry : Entry
        The stack.
    device : str
        Key of the device; constants for several devices begin with the card alone.

    Returns
    -------
    tuple of Prior
    """
    card = card_priors(entry)
    if "*" in device:
        return card
    others = [c for c in entry.record.calibrations if "*" not in c.device and c.device != device]
    return pooled(card, [found for one in others if (found := _fit_of(entry, card, one)) is not None])


def _fit_of(entry: Entry, card: tuple[Prior, ...], calibration: Calibration) -> Fit | None:
    key = (entry.key, card, calibration.rows)
    if key not in _fits:
        ids = set(key[2])
        points = [p for p in prepare([row for row in packaged_rows() if row.id in ids]) if p.stack == entry.key]
        measured = np.array([point.row.value for point in points])
        enough = len(points) >= LEAST_ROWS
        _fits[key] = fit(lambda x: predictions(points, x), measured, card, FIRST_SIGMA) if enough else None
    return _fits[key]


def pooled(card: Sequence[Prior], fits: Sequence[Fit]) -> tuple[Prior, ...]:
    """Return what is known of the constants of one device from the stack's card and from other devices.

    Parameters
    ----------
    card : sequence of Prior
        What the card says of any device; the fits began with it.
    fits : sequence of Fit
        On other devices; there may be none.

    Returns
    -------
    tuple of Prior
        The card's own where there are no fits.

    Notes
    -----
    With P the precision of the card, c its centre and C_i the covariance of a fit at x_i, its rows alone say
    L_i = C_i^-1 - P with L_i m_i = C_i^-1 x_i - P c. Devices differ by T, so that each counts as (I + L_i T)^-1 L_i;
    their sum and P give the mean of devices, and T comes on top for the next one. What rows cannot tell, a fit does
    not add.

    References
    ----------
    Gelman et al., Bayesian Data Analysis, chapter on hierarchical models.
    """
    if not fits:
        return tuple(card)
    centre, own = np.log([prior.centre for prior in card]), np.array([prior.log_sd for prior in card])
    prior = np.diag(1.0 / own**2)
    between = np.minimum(np.array(DEVICE_PRIOR_LOG_SDS), own) ** 2
    total, weighted = prior.copy(), prior @ centre
    for other in fits:
        inverse = np.linalg.inv(other.covariance)
        told, at = inverse - prior, inverse @ np.log(other.values) - prior @ centre
        shrunk = np.linalg.inv(np.eye(len(card)) + told @ np.diag(between))
        total, weighted = total + shrunk @ told, weighted + shrunk @ at
    covariance = np.linalg.inv(total)
    return tuple(_next(one, *values) for one, *values in zip(card, covariance @ weighted, _spread(covariance, between),
                                                            strict=True))  # fmt: skip


def _spread(covariance: Array, between: Array) -> Array:
    found: Array = np.sqrt(np.diag(covariance) + between)
    return found


def _next(card: Prior, centre: float, log_sd: float) -> Prior:
    # Several fits never tell less of a device than the card, which holds for any.
    return Prior(card.name, min(math.exp(centre), card.high), min(float(log_sd), card.log_sd), card.high)
