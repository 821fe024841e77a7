"""The general scales of intervals, found from all packaged measurements, each predicted without its group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import attrs
import numpy as np

from mlsysim.plugins import plugins
from mlsysim.records import Device, Stack
from mlsysim.records.measurement import Measurement

from ..execution.device.answers import log_sd
from ..execution.device.ceilings import scatter_of
from ..formulas import constants
from ..formulas.constants import COMMUNICATION_LOG_SD, FIRST_TOKEN_LOG_SD, LAYOUT_LOG_SD
from ..formulas.uncertainty import unseen_variance
from ..validation.predicting import Outcome, predict, rescaled
from ..validation.running import run_rows
from ..validation.tables import packaged_rows
from .fitting import Array
from .left_out import scatters, under_refits
from .problem import CONSTANTS, Point, prepare
from .scatter import Residuals, likelihoods, predictive_factor, row_weights
from .writing import write_scatter

__all__ = [
    "NAMES", "Estimate", "Terms", "estimate_spreads", "fitted_scales", "general_coverage", "row_correlation",
    "terms_of", "unknown_scatter",
]  # fmt: skip

NAMES = (
    *(f"{kind} {name}" for kind in ("group", "device") for name in (*CONSTANTS, "whole")),
    "communication", "layout", "first token",
)  # fmt: skip
"""What the scales are of."""

_UNITS = ("var_compute", "var_memory", "var_overhead", "scatter", "var_talk", "var_layout", "var_first")
_COVARIANCES = ("cov_cm", "cov_co", "cov_mo")
_LEAST, _MOST, _FIRST = 0.01, 1.0, 0.1
_FIRST_TAU, _FIRST_CORRELATION = 0.35, 0.3
_FIRST_STEP, _LAST_STEP, _ROUNDS = 0.6, 0.02, 4
_FACTORS = np.linspace(-1.6, 1.6, 33)
_CLIP = 3.0


class Terms(NamedTuple):
    """What the interval of one prediction consists of, which has not seen its group.

    Parameters
    ----------
    stack : str
        Key of the stack.
    group : tuple
        Set, model, device and metric: rows that are alike.
    residual : float, natural-log units
        ln(predicted / measured).
    known : float, squared natural-log units
        Variance from what the row leaves open.
    fixed : float, squared natural-log units
        Variance from the constants and from the device's numbers.
    slopes : ndarray, shape (11,), dimensionless
        Squared derivatives by each of :data:`NAMES`.
    """

    stack: str
    group: tuple[str, ...]
    residual: float
    known: float
    fixed: float
    slopes: Array


@attrs.frozen(eq=False)
class Estimate:
    """General scales, and how far each stack strays.

    Parameters
    ----------
    scales : tuple of float, natural-log units
        Of each of :data:`NAMES`.
    between : float, natural-log units
        Spread of the logarithm of the factors of stacks.
    unknown : float, ratio
        Factor of a stack that was compared with nothing.
    correlation : float, ratio
        Of two rows of a group.
    rows, stacks : int
        What they come from.
    factors : dict of str to float
        How far each stack strays, under the scales that the program has now.
    """

    scales: tuple[float, ...]
    between: float
    unknown: float
    correlation: float
    rows: int
    stacks: int
    factors: dict[str, float]

    @property
    def constants(self) -> dict[str, float | tuple[float, ...]]:
        """The estimates under the names that the program gives them, to two digits."""
        scales = tuple(map(_two_digits, self.scales))
        return {
            "GROUP_LOG_SDS": scales[:4], "DEVICE_LOG_SDS": scales[4:8], "COMMUNICATION_LOG_SD": scales[8],
            "LAYOUT_LOG_SD": scales[9], "FIRST_TOKEN_LOG_SD": scales[10], "STACK_LOG_SD": _two_digits(self.between),
            "UNKNOWN_SCATTER": round(self.unknown, 2), "GROUP_CORRELATION": _two_digits(self.correlation),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Write them.

        Returns
        -------
        list of str
        """
        found = [f"from {self.rows} rows of {self.stacks} stacks, each predicted without its group:"]
        for name, value in self.constants.items():
            now = getattr(constants, name)
            found.append(f"  {name} = {value}" + ("" if value == now else f"   (the program has {now})"))
        return found

    def write(self, folder: str) -> list[str]:
        """Write the files of the stacks with their factors.

        Parameters
        ----------
        folder : str
            Where to.

        Returns
        -------
        list of str
            Names of the files.
        """
        found = []
        for entry in plugins().registry.entries("stacks"):
            path = Path(entry.path)
            (Path(folder) / path.name).write_text(write_scatter(entry, self.factors.get(entry.key)), encoding="utf-8")
            found.append(path.name)
        return found


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def terms_of(row: Measurement) -> tuple[Outcome, Terms | None]:
    """Predict a row, and take its interval apart.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    outcome : Outcome
        The prediction, in a stack that strays as far as is usual.
    terms : Terms or None
        None where the interval is not that of a time or rate of a stack.
    """
    outcome = predict(row)
    points = prepare([row], judged=True) if outcome.predicted and outcome.own_sd and outcome.stack else []
    if not points:
        return _usual(outcome), None
    registry = plugins().registry
    device: Device = registry.get("devices", outcome.device).record
    alike = device.alike(outcome.precision)
    stack: Stack = registry.get("stacks", outcome.stack).record
    found = stack.calibration_for(outcome.device, outcome.precision, device.vendor, alike)
    usual = _usual(outcome)
    still = {**points[0].columns, **dict.fromkeys((*_UNITS, *_COVARIANCES), 0.0)}
    units = np.array([_variance(points[0], {**still, name: 1.0}) for name in _UNITS])
    slopes, now = np.zeros(len(NAMES)), np.zeros(len(NAMES))
    slopes[8:], now[8:] = units[4:], (COMMUNICATION_LOG_SD, LAYOUT_LOG_SD, FIRST_TOKEN_LOG_SD)
    if found is not None and found.spread:
        own = slice(4, 8) if found.is_shared else slice(0, 4)
        slopes[own], now[own] = units[:4], (*found.spread, found.sigma)
        slopes[own][:3] *= unseen_variance(1.0, float(len(found.devices))) if found.devices else 1.0
    fixed = max(0.0, usual.own_sd**2 - float(slopes @ np.square(now)))
    group = (row.set, outcome.model or row.kind, outcome.device, row.name)
    residual = float(np.log((outcome.predicted or 1.0) / row.value))
    return usual, Terms(outcome.stack, group, residual, usual.log_sd**2 - usual.own_sd**2, fixed, slopes)


def _usual(outcome: Outcome) -> Outcome:
    stack = outcome.stack
    return rescaled(outcome, 1.0 / scatter_of(plugins().registry.get("stacks", stack).record)) if stack else outcome


def _variance(point: Point, columns: dict[str, object]) -> float:
    if point.kernel is not None:
        return float(log_sd(columns, point.kernel.totals(columns))) ** 2
    assert point.solver is not None
    assert point.question is not None
    return float(point.solver.compute(columns)[f"{point.question.output}.log_sd"]) ** 2


def fitted_scales(rows: Sequence[Terms], correlation: float = _FIRST_CORRELATION) -> tuple[tuple[float, ...], float]:
    """Return the scales under which the residuals are most likely.

    Parameters
    ----------
    rows : sequence of Terms
        At least one.
    correlation : float, ratio
        Of two rows of a group.

    Returns
    -------
    scales : tuple of float, natural-log units
        Of each of :data:`NAMES`; one that no row depends on stays where the search begins.
    between : float, natural-log units
        Spread of the logarithm of the factors of stacks.

    Notes
    -----
    Greatest sum over stacks of

        ln of the integral over x of exp(sum over rows of l_i(x)) phi(x / tau) / tau,

    where l_i(x) is the log-likelihood of a row under the factor exp(x) of its stack, weighted by what it is worth,
    with the own variance f_i + sum J_ij^2 s_j^2; by a search along each axis over the logarithms of the scales, from
    0.01 to 1.
    """
    stacks = sorted({row.stack for row in rows})
    place = np.array([stacks.index(row.stack) for row in rows])
    residuals = _gathered(rows, correlation)
    slopes = np.stack([row.slopes for row in rows])

    def cost(logs: Array) -> float:
        own = residuals.own + slopes @ np.exp(2.0 * logs[:-1])
        total = np.zeros((len(stacks), len(_FACTORS)))
        np.add.at(total, place, likelihoods(residuals._replace(own=own), _FACTORS))
        total -= 0.5 * np.square(_FACTORS / np.exp(logs[-1])) + logs[-1]
        most = total.max(axis=1)
        return -float((most + np.log(np.exp(total - most[:, None]).sum(axis=1))).sum())

    here = np.log(np.array([*[_FIRST] * len(NAMES), _FIRST_TAU]))
    free = [*np.flatnonzero(slopes.any(axis=0)).tolist(), len(here) - 1]
    least, step = cost(here), _FIRST_STEP
    while step > _LAST_STEP:
        before = least
        for axis in free:
            for sign in (step, -step):
                there = here.copy()
                there[axis] = np.clip(here[axis] + sign, np.log(_LEAST), np.log(_MOST))
                found = cost(there)
                if found < least - 1e-9:
                    here, least = there, found
                    break
        if least == before:
            step /= 2.0
    return tuple(float(one) for one in np.exp(here[:-1])), float(np.exp(here[-1]))


def _gathered(rows: Sequence[Terms], correlation: float) -> Residuals:
    residuals, known, fixed = (np.array([getattr(row, one) for row in rows]) for one in ("residual", "known", "fixed"))
    return Residuals(residuals, fixed, np.maximum(0.0, known), row_weights([row.group for row in rows], correlation))


def row_correlation(residuals: Array, spreads: Array, groups: Sequence[tuple[str, ...]]) -> float:
    """Return the correlation of two rows of one group.

    Parameters
    ----------
    residuals : ndarray, shape (m,), natural-log units
        ln(predicted / measured).
    spreads : ndarray, shape (m,), natural-log units
        Their standard deviations.
    groups : sequence of tuple of str, length m
        What each row belongs to.

    Returns
    -------
    float, ratio
        Mean product of two standardised residuals over their mean square; 0 where no group has two rows.
    """
    z = np.clip(residuals / spreads, -_CLIP, _CLIP)
    by_group: dict[tuple[str, ...], list[float]] = {}
    for one, group in zip(z.tolist(), groups, strict=True):
        by_group.setdefault(group, []).append(one)
    pairs = squares = 0.0
    for each in by_group.values():
        if len(each) > 1:
            own = sum(one * one for one in each)
            pairs += (sum(each) ** 2 - own) / (len(each) - 1.0)
            squares += own
    return pairs / squares if squares else 0.0


def unknown_scatter(between: float) -> float:
    """Return the factor of a stack that was compared with nothing.

    Parameters
    ----------
    between : float, natural-log units
        Spread of the logarithm of the factors of stacks.

    Returns
    -------
    float, ratio

    Notes
    -----
    That of :func:`predictive_factor` where its logarithm is normal with the spread between stacks.
    """
    x = np.linspace(-4.0, 4.0, 801)
    return predictive_factor(between * x, np.exp(-0.5 * x * x))


def estimate_spreads(*, jobs: int = 0, progress: Callable[[int, int], None] | None = None) -> Estimate:
    """Find the general scales from all packaged measurements, each predicted without its group.

    Parameters
    ----------
    jobs : int
        Processes; 0 takes one per core.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    Estimate
    """
    outcomes = run_rows(packaged_rows(), jobs=jobs, progress=progress)
    refitted = under_refits(outcomes, terms_of, jobs=jobs, progress=progress)
    both = [terms_of(o.row) if found is None else found for o, found in zip(outcomes, refitted, strict=True)]
    rows = [terms for _, terms in both if terms is not None]
    correlation = _FIRST_CORRELATION
    for _ in range(_ROUNDS):
        scales, between = fitted_scales(rows, correlation)
        found = _two_digits(_correlation(rows, scales))
        if found == correlation:
            break
        correlation = found
    factors = scatters([outcome for outcome, _ in both])
    by_stack = {o.stack: f for (o, _), f in zip(both, factors, strict=True) if o.own_sd and o.stack}
    stacks = len({row.stack for row in rows})
    return Estimate(scales, between, unknown_scatter(_two_digits(between)), correlation, len(rows), stacks, by_stack)


def _correlation(rows: Sequence[Terms], scales: Sequence[float]) -> float:
    variances = np.array([row.known + row.fixed + float(row.slopes @ np.square(scales)) for row in rows])
    return row_correlation(np.array([row.residual for row in rows]), np.sqrt(variances), [row.group for row in rows])


def general_coverage() -> tuple[float, int, int]:
    """Return how much the intervals hold where no stack had a fitted constant, nor a factor of its own.

    Returns
    -------
    held : float, ratio
        Share of the measurements inside their intervals, every stack counting alike.
    rows, stacks : int
        How many there are.
    """
    inside: dict[str, list[bool]] = {}
    with ExitStack() as stack:
        for entry in list(plugins().registry.entries("stacks")):
            bare = attrs.evolve(entry, record=attrs.evolve(entry.record, calibrations=(), scatter=None))
            stack.enter_context(plugins().registry.replacing(bare))
        for outcome in map(predict, packaged_rows()):
            if outcome.low is not None and outcome.high is not None and outcome.stack:
                inside.setdefault(outcome.stack, []).append(outcome.low <= outcome.row.value <= outcome.high)
    return fmean(map(fmean, inside.values())), sum(map(len, inside.values())), len(inside)
