"""Maximum a posteriori in the logarithms of at most three constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "Prior", "fit"]

Array = NDArray[np.float64]

_STEP = 1e-4
_ROUNDS = 60
_SIGMA_ROUNDS = 4
_SIGMA_FLOOR = 0.03
_HUBER = 2.0


@attrs.frozen
class Prior:
    """What is known of a constant before the fit.

    Parameters
    ----------
    name : str
        compute, memory or overhead.
    centre : float, SI
        Central value.
    log_sd : float, natural-log units
        Spread.
    high : float, SI
        Upper bound, such as 1 for a share of a roof.
    """

    name: str
    centre: float
    log_sd: float
    high: float = np.inf


@attrs.frozen
class Fit:
    """What a fit found.

    Parameters
    ----------
    values : tuple of float, SI
        In the order of the priors.
    covariance : tuple of tuple of float
        Of their logarithms.
    sigma : float, natural-log units
        Scatter of single rows about the fit.
    residuals : tuple of float, natural-log units
        ln(predicted / measured) of each row.
    """

    values: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    sigma: float
    residuals: tuple[float, ...]


def fit(predict: Callable[[Sequence[float]], Array], measured: Array, priors: Sequence[Prior], sigma: float) -> Fit:
    """Fit constants.

    Parameters
    ----------
    predict : callable
        Constants in SI to the predictions of all rows, shape (n,).
    measured : ndarray, shape (n,)
        Measured figures in the same unit.
    priors : sequence of Prior
        At most three.
    sigma : float, natural-log units
        First guess of the scatter of single rows.

    Returns
    -------
    Fit

    Notes
    -----
    Minimises sum rho(r_i / s) + sum ((x_j - m_j) / p_j)^2 over x = ln(constants), with
    r_i = ln(predicted / measured) and Huber's rho, by damped Gauss-Newton; the scatter s is then
    set to the root mean square of the residuals and the fit repeated. The covariance is the
    inverse of J' J at the optimum.

    References
    ----------
    Huber 1964, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35(1).
    """
    centre = np.log([prior.centre for prior in priors])
    spread = np.array([prior.log_sd for prior in priors])
    high = np.log([prior.high for prior in priors])
    target = np.log(measured)

    def residuals(x: Array) -> Array:
        return np.log(predict(np.exp(x).tolist())) - target

    x = np.minimum(centre, high)
    scatter = max(sigma, _SIGMA_FLOOR)
    hessian = np.eye(len(x))
    for turn in range(_SIGMA_ROUNDS):
        # Where one term hides another its slope is nought: several starts find the best valley.
        starts = [x] if turn else [np.minimum(centre + shift * spread, high) for shift in _starts(len(x))]
        ends = [_descend(residuals, start, centre, spread, high, scatter) for start in starts]
        x, hessian, _ = min(ends, key=lambda end: end[2])
        found = residuals(x)
        scatter = max(_SIGMA_FLOOR, float(np.sqrt(np.mean(np.minimum(np.abs(found), _HUBER * 1.5 * scatter) ** 2))))
    covariance = np.linalg.inv(hessian)
    return Fit(
        tuple(float(v) for v in np.exp(x)),
        tuple(tuple(float(v) for v in row) for row in covariance),
        scatter,
        tuple(float(v) for v in residuals(x)),
    )


def _starts(size: int) -> list[Array]:
    """Return shifts in units of the prior spread: the centre, and the last constant high and low."""
    shifts = [np.zeros(size) for _ in range(3)]
    shifts[1][-1], shifts[2][-1] = 1.0, -1.0
    return shifts


def _descend(
    residuals: Callable[[Array], Array], x: Array, centre: Array, spread: Array, high: Array, scatter: float
) -> tuple[Array, Array, float]:
    damping = 1e-3

    def cost(at: Array) -> float:
        scaled = np.abs(residuals(at)) / scatter
        robust = np.where(scaled <= _HUBER, scaled**2, 2.0 * _HUBER * scaled - _HUBER**2)
        return float(robust.sum() + (((at - centre) / spread) ** 2).sum())

    best = cost(x)
    hessian = np.eye(len(x))
    for _ in range(_ROUNDS):
        r = residuals(x)
        jacobian = np.empty((len(r), len(x)))
        for j in range(len(x)):
            moved = x.copy()
            moved[j] -= _STEP
            jacobian[:, j] = (r - residuals(moved)) / _STEP
        scaled = np.abs(r) / scatter
        weight = np.where(scaled <= _HUBER, 1.0, _HUBER / np.maximum(scaled, _HUBER)) / scatter**2
        hessian = jacobian.T @ (jacobian * weight[:, None]) + np.diag(1.0 / spread**2)
        gradient = jacobian.T @ (r * weight) + (x - centre) / spread**2
        step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), -gradient)
        trial = np.minimum(x + step, high)
        value = cost(trial)
        if value < best:
            done = best - value < 1e-9 * (1.0 + best)
            x, best, damping = trial, value, damping / 5.0
            if done:
                break
        else:
            damping *= 5.0
            if damping > 1e8:
                break
    return x, hessian, best
