"""Maximum a posteriori in the logarithms of at most three constants, for many selections of rows at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Fit", "Predict", "Prior", "fit", "fit_many"]

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]
"""Constants in SI, shape (k, number of constants), to the predictions of all rows, shape (k, n)."""

_STEP = 1e-4
_ROUNDS = 60
_SIGMA_ROUNDS = 4
_SIGMA_FLOOR = 0.03
_HUBER = 2.0
_WORST_DAMPING = 1e8
_SHORT = 1e-6
"""A step that changes no constant by more than this share has arrived: constants are written with four digits."""


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


@attrs.frozen(eq=False)
class Fit:
    """What a fit found.

    Parameters
    ----------
    values : tuple of float, SI
        In the order of the priors.
    covariance : ndarray, shape (q, q)
        Of their logarithms.
    sigma : float, natural-log units
        Scatter of single rows about the fit.
    residuals : ndarray, shape (n,), natural-log units
        ln(predicted / measured) of each row, also of those that were not fitted on.
    slopes : ndarray, shape (n, q), dimensionless
        Derivative of each residual by the logarithm of each constant.
    used : ndarray of bool, shape (n,)
        Which rows were fitted on.
    """

    values: tuple[float, ...]
    covariance: Array
    sigma: float
    residuals: Array
    slopes: Array
    used: NDArray[np.bool_]

    @property
    def variances(self) -> Array:
        """Variance of each row's logarithm that comes from the uncertainty of the constants, shape (n,)."""
        found: Array = np.einsum("ij,jk,ik->i", self.slopes, self.covariance, self.slopes)
        return found


class _State(NamedTuple):
    """Where all fits stand: ``k`` of them, in step."""

    x: Array
    residuals: Array
    slopes: Array
    cost: Array


class _Problem(NamedTuple):
    """What is predicted, and what is known before: centre, spread and bound of each constant of each fit, (k, q)."""

    predict: Predict
    target: Array
    centre: Array
    spread: Array
    high: Array

    def of(self, fits: NDArray[np.intp]) -> _Problem:
        """Return the problem of some of the fits."""
        return self._replace(centre=self.centre[fits], spread=self.spread[fits], high=self.high[fits])

    def linearised(self, x: Array) -> tuple[Array, Array]:
        """Return residuals (k, n) and slopes (k, n, q) at logarithms of constants (k, q)."""
        k, q = x.shape
        moved = np.repeat(x[:, None, :], q + 1, axis=1)
        for j in range(q):
            moved[:, j + 1, j] -= _STEP
        found = np.log(self.predict(np.exp(moved.reshape(-1, q)))).reshape(k, q + 1, -1) - self.target
        return found[:, 0], np.moveaxis((found[:, :1] - found[:, 1:]) / _STEP, 1, 2)

    def cost(self, x: Array, residuals: Array, counted: Array, scatter: Array) -> Array:
        """Return Huber's loss of the rows used, and the distance from the priors."""
        scaled = np.abs(residuals) / scatter[:, None]
        robust = np.where(scaled <= _HUBER, scaled**2, 2.0 * _HUBER * scaled - _HUBER**2)
        found: Array = (robust * counted).sum(axis=1) + (((x - self.centre) / self.spread) ** 2).sum(axis=1)
        return found

    def normal_equations(self, state: _State, counted: Array, scatter: Array) -> tuple[Array, Array]:
        """Return Hessians (k, q, q) and gradients (k, q)."""
        scaled = np.abs(state.residuals) / scatter[:, None]
        weight = counted * np.where(scaled <= _HUBER, 1.0, _HUBER / np.maximum(scaled, _HUBER)) / scatter[:, None] ** 2
        hessian = np.einsum("knq,kn,knp->kqp", state.slopes, weight, state.slopes)
        hessian += np.eye(state.x.shape[1]) / self.spread[:, None, :] ** 2
        gradient = np.einsum("knq,kn->kq", state.slopes, weight * state.residuals)
        return hessian, gradient + (state.x - self.centre) / self.spread**2


def fit(predict: Predict, measured: Array, priors: Sequence[Prior], sigma: float) -> Fit:
    """Fit constants on all rows.

    Parameters
    ----------
    predict : callable
        Constants in SI, shape (k, q), to the predictions of all rows, shape (k, n).
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
    return fit_many(predict, measured, [priors], sigma, np.ones((1, len(measured)), dtype=bool))[0]


def fit_many(
    predict: Predict, measured: Array, priors: Sequence[Sequence[Prior]], sigma: float, used: NDArray[np.bool_],
    weights: Array | None = None,
) -> list[Fit]:  # fmt: skip
    """Fit constants on many selections of the same rows, all in step.

    Parameters
    ----------
    predict : callable
        Constants in SI, shape (k, q), to the predictions of all rows, shape (k, n).
    measured : ndarray, shape (n,)
        Measured figures in the same unit.
    priors : sequence of sequence of Prior, length m
        Of each fit, at most three.
    sigma : float, natural-log units
        First guess of the scatter of single rows.
    used : ndarray of bool, shape (m, n)
        The rows of each fit.
    weights : ndarray, shape (n,), count, optional
        Independent rows that each row is worth; one each without them.

    Returns
    -------
    list of Fit
        One for each selection; as :func:`fit` finds it on those rows alone.
    """
    counted: Array = used * (np.ones(len(measured)) if weights is None else weights)
    centre, spread, high = (
        np.array([[getattr(prior, name) for prior in known] for known in priors])
        for name in ("centre", "log_sd", "high")
    )
    problem = _Problem(predict, np.log(measured), np.log(centre), spread, np.log(high))
    scatter = np.full(len(used), max(sigma, _SIGMA_FLOOR))
    # Where one term hides another its slope is nought: several starts find the best valley.
    shifts = _starts(centre.shape[1])
    fits = np.arange(len(used)).repeat(len(shifts))
    tried = problem.of(fits)
    starts = np.minimum(tried.centre + np.tile(shifts, (len(used), 1)) * tried.spread, tried.high)
    first = _levenberg_marquardt(tried, starts, counted[fits], scatter[fits])
    best = first.cost.reshape(len(used), -1).argmin(axis=1) + np.arange(len(used)) * len(shifts)
    state = _State(*(part[best] for part in first))
    for _ in range(_SIGMA_ROUNDS - 1):
        scatter = _scatter(state.residuals, counted, scatter)
        state = _levenberg_marquardt(problem, state.x, counted, scatter)
    hessian, _ = problem.normal_equations(state, counted, scatter)
    sigma_found = _scatter(state.residuals, counted, scatter)
    return [
        Fit(tuple(float(v) for v in np.exp(state.x[i])), np.linalg.inv(hessian[i]), float(sigma_found[i]),
            state.residuals[i], state.slopes[i], used[i])
        for i in range(len(used))
    ]  # fmt: skip


def _scatter(residuals: Array, counted: Array, before: Array) -> Array:
    """Return the root mean square of the residuals used; outliers count as far as Huber's bound."""
    held = np.minimum(np.abs(residuals), _HUBER * 1.5 * before[:, None]) ** 2
    found: Array = np.maximum(_SIGMA_FLOOR, np.sqrt((held * counted).sum(axis=1) / counted.sum(axis=1)))
    return found


def _starts(size: int) -> list[Array]:
    """Return shifts in units of the prior spread: the centre, and the last constant high and low."""
    shifts = [np.zeros(size) for _ in range(3)]
    shifts[1][-1], shifts[2][-1] = 1.0, -1.0
    return shifts


def _levenberg_marquardt(problem: _Problem, x: Array, counted: Array, scatter: Array) -> _State:
    """Take all fits to their optima in step, each with a damping of its own; those that have arrived stay."""
    residuals, slopes = problem.linearised(x)
    state = _State(x, residuals, slopes, problem.cost(x, residuals, counted, scatter))
    damping = np.full(len(x), 1e-3)
    going = np.ones(len(x), dtype=bool)
    for _ in range(_ROUNDS):
        here = np.flatnonzero(going)
        if not len(here):
            break
        now, own = _State(*(part[here] for part in state)), problem.of(here)
        hessian, gradient = own.normal_equations(now, counted[here], scatter[here])
        diagonal = damping[here, None, None] * hessian * np.eye(x.shape[1])
        step = np.linalg.solve(hessian + diagonal, -gradient[..., None])[..., 0]
        trial = np.minimum(now.x + step, own.high)
        residuals, slopes = own.linearised(trial)
        cost = own.cost(trial, residuals, counted[here], scatter[here])
        better = cost < now.cost
        for part, new in zip(state, (trial, residuals, slopes, cost), strict=True):
            part[here[better]] = new[better]
        damping[here] *= np.where(better, 0.2, 5.0)
        arrived = (better & (now.cost - cost < 1e-9 * (1.0 + now.cost))) | (np.abs(step).max(axis=1) < _SHORT)
        going[here[arrived | (damping[here] > _WORST_DAMPING)]] = False
    return state
