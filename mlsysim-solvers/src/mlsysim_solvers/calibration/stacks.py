"""Fitting the constants of one stack, and scoring the fit on what it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import attrs
import numpy as np

from mlsysim.entities import Entry, today
from mlsysim.errors import ConfigError
from mlsysim.names import did_you_mean
from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.records.stack import Calibration

from ..formulas.constants import INTERVAL_QUANTILE, WITHIN_STACK_LOG_SD
from ..validation.tables import SHAPES, packaged_tables, read_table
from .fitting import Fit, Prior, fit
from .problem import Point, predictions, prepare
from .writing import write_stack

__all__ = ["CONSTANTS", "LEAST_ROWS", "Calibrated", "calibrate_stack", "left_out_residuals", "write_calibration"]

CONSTANTS = ("compute", "memory", "overhead")
"""What may be fitted for time."""

LEAST_ROWS = 3
"""Fewest rows on which constants are fitted."""

_DIGITS = 4
_FIRST_SIGMA = 0.1
_NORMAL_MAD = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""


@attrs.frozen
class Calibrated:
    """A calibration with its scores.

    Parameters
    ----------
    entry : Entry
        The stack before.
    calibration : Calibration
        What was found.
    in_sample, left_out : tuple of float, natural-log units
        ln(predicted / measured) of each row: fitted on all rows, and on all but its group.
    covered : float
        Share of the left-out measurements inside their 90 % interval.
    priors : tuple of Prior
        What was known before.
    """

    entry: Entry
    calibration: Calibration
    in_sample: tuple[float, ...]
    left_out: tuple[float, ...]
    covered: float
    priors: tuple[Prior, ...]

    def summary(self) -> str:
        """Write constants and scores.

        Returns
        -------
        str
        """
        c = self.calibration
        lines = [f"{self.entry.key}, device {c.device}, precision {c.precision}: {len(c.rows)} rows"]
        for prior in self.priors:
            value = getattr(c, prior.name)
            lines.append(
                f"  {prior.name:9s} {value:.4g}   (prior {prior.centre:.3g}, factor {math.exp(prior.log_sd):.2f})"
            )
        lines.append(f"  scatter   {c.sigma:.3g}")
        lines.append(f"  median error on the rows fitted     {100 * _ape(self.in_sample):.1f} %")
        if self.left_out:
            lines.append(f"  median error on groups left out     {100 * _ape(self.left_out):.1f} %")
            lines.append(f"  90 % intervals hold of those        {100 * self.covered:.0f} %")
        else:
            lines.append("  one group only: nothing can be left out")
        return "\n".join(lines)


def _spread(residuals: Sequence[float]) -> float:
    """Return the root mean square, with outliers held at three robust standard deviations."""
    limit = 3.0 * _NORMAL_MAD * median(map(abs, residuals))
    return math.sqrt(sum(min(abs(r), limit) ** 2 for r in residuals) / len(residuals))


def _ape(residuals: Sequence[float]) -> float:
    return median(abs(math.expm1(r)) for r in residuals)


def calibrate_stack(
    key: str, on: str, *, device: str = "*", precision: str = "*", file: str | None = None
) -> Calibrated:
    """Fit the constants of a stack.

    Parameters
    ----------
    key : str
        Key of the stack.
    on : str
        Ids of rows, or beginnings of ids, with commas.
    device, precision : str
        What the constants hold for; ``*`` fits all devices or formats together.
    file : str, optional
        A table of the user's own; the packaged ones otherwise.

    Returns
    -------
    Calibrated

    Raises
    ------
    ConfigError
        If fewer than three rows remain.
    UnknownNameError
        If there is no such stack.
    """
    entry = plugins().registry.get("stacks", key, where="stack")
    points = [
        point for point in prepare(_rows(on, file))
        if point.stack == entry.key and device in ("*", point.device) and precision in ("*", point.precision)
    ]  # fmt: skip
    if len(points) < LEAST_ROWS:
        raise ConfigError(
            f"{len(points)} rows of {entry.key} match {on!r}" + ("" if device == "*" else f" on {device}"),
            where="--on",
            remedy=f"A fit needs at least {LEAST_ROWS}; "
            f"`mlsysim validate --source {on.partition(',')[0]}` shows what can be expressed",
        )
    priors = _priors(entry)
    whole = _fit(points, priors)
    values = {name: _rounded(value) for name, value in zip(CONSTANTS, whole.values, strict=True)}
    rounded = predictions(points, values)
    in_sample = tuple(float(np.log(p / q.row.value)) for p, q in zip(rounded, points, strict=True))
    left_out, covered = _leave_out(points, priors, _group_of(device))
    command = f"mlsysim calibrate stack {entry.key} --on {on} --device {device} --precision {precision}"
    calibration = Calibration(
        device=device, precision=precision, rows=tuple(sorted(point.row.id for point in points)),
        command=command.replace("*", "'*'"), version=_version(), date=today().isoformat(),
        sigma=_rounded(whole.sigma), covariance=tuple(tuple(_rounded(v) for v in row) for row in whole.covariance),
        error=_rounded(_ape(in_sample)),
        left_out_error=_rounded(_ape(left_out)) if left_out else None,
        left_out_sd=_rounded(_spread(left_out)) if left_out else None,
        left_out_coverage=_rounded(covered) if left_out else None,
        **values,
    )  # fmt: skip
    return Calibrated(entry, calibration, in_sample, left_out, covered, priors)


def write_calibration(found: Calibrated, out: str | None) -> str:
    """Write a stack with a calibration put in place of the one for the same device and format.

    Parameters
    ----------
    found : Calibrated
        The calibration.
    out : str or None
        File; None or ``-`` prints the table only.

    Returns
    -------
    str
        The file; empty when nothing was written.
    """
    text = write_stack(found.entry, found.calibration)
    if out is None or out == "-":
        print(
            text.partition("[[calibrations]]")[1] + text.partition("[[calibrations]]")[2] if out == "-" else "", end=""
        )
        return ""
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"cannot be written: {problem.strerror or problem}", where=out) from None
    return out


def _rows(on: str, file: str | None) -> list[Measurement]:
    if file:
        rows = read_table(Path(file))
    else:
        tables = packaged_tables()
        rows = [row for name in SHAPES if name in tables for row in read_table(tables[name])]
    wanted = tuple(part.strip() for part in on.split(",") if part.strip())
    chosen = [row for row in rows if row.id.startswith(wanted)]
    if not chosen:
        known = sorted({row.set for row in rows})
        raise ConfigError(f"no measurement's id begins with {on!r}", where="--on", remedy=did_you_mean(on, known))
    return chosen


def _priors(entry: Entry) -> tuple[Prior, ...]:
    """Read centre and spread of each constant from the claims on the stack's ceilings."""
    found = []
    for name in CONSTANTS:
        standing = entry.standing(f"ceilings.{name}")
        centre = getattr(entry.record.ceilings, name)
        low = standing.chosen.low if standing is not None else None
        high = standing.chosen.high if standing is not None else None
        spread = math.log(high / low) / (2.0 * INTERVAL_QUANTILE) if low and high else 0.3
        found.append(Prior(name, centre, spread, math.inf if name == "overhead" else 1.0 if name == "memory" else 3.0))
    return tuple(found)


def _fit(points: Sequence[Point], priors: Sequence[Prior]) -> Fit:
    measured = np.array([point.row.value for point in points])

    def predicted(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return predictions(points, dict(zip(CONSTANTS, values, strict=True)))

    return fit(predicted, measured, priors, _FIRST_SIGMA)


def _group_of(device: str) -> Callable[[Point], tuple[str, ...]]:
    """Tell what is left out: a device where the constants are for all, else a model on the device."""
    if device == "*":
        return lambda point: (point.device,)
    return lambda point: point.group


def _leave_out(
    points: Sequence[Point], priors: Sequence[Prior], group: Callable[[Point], tuple[str, ...]]
) -> tuple[tuple[float, ...], float]:
    groups = sorted({group(point) for point in points})
    if len(groups) < 2:
        return (), 0.0
    residuals: list[float] = []
    inside = 0
    for name in groups:
        rest = [point for point in points if group(point) != name]
        if len(rest) < LEAST_ROWS:
            continue
        found = _fit(rest, priors)
        values = dict(zip(CONSTANTS, found.values, strict=True))
        for point in (p for p in points if group(p) == name):
            residual = math.log(point.at(values) / point.row.value)
            spread = math.sqrt(found.sigma**2 + _shared(point, values, found))
            residuals.append(residual)
            inside += abs(residual) <= INTERVAL_QUANTILE * spread
    return tuple(residuals), inside / max(1, len(residuals))


def _shared(point: Point, values: dict[str, float], found: Fit) -> float:
    """Return the variance of a prediction that comes from the uncertainty of the constants."""
    base = math.log(point.at(values))
    step = WITHIN_STACK_LOG_SD / 100.0
    slopes = [
        math.log(point.at({**values, n: values[n] * math.exp(-step)}) / math.exp(base)) / -step for n in CONSTANTS
    ]
    return float(np.array(slopes) @ np.array(found.covariance) @ np.array(slopes))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _version() -> str:
    try:
        return version("mlsysim-solvers")
    except PackageNotFoundError:
        return "unknown"


def left_out_residuals(points: Sequence[Point], rest: Sequence[Measurement]) -> tuple[float, ...]:
    """Predict rows with constants fitted on other rows alone.

    Parameters
    ----------
    points : sequence of Point
        The rows; all of one stack.
    rest : sequence of Measurement
        What may be fitted on; rows of ``points`` are taken out of it.

    Returns
    -------
    tuple of float
        ln(predicted / measured) of each row, under the general ceilings of the stack where fewer than
        three rows are left of the same format.
    """
    own = {point.row.id for point in points}
    entry = plugins().registry.get("stacks", points[0].stack)
    others = [p for p in prepare([row for row in rest if row.id not in own]) if p.stack == points[0].stack]
    priors = _priors(entry)
    found: list[float] = []
    fits: dict[tuple[str, str], dict[str, float]] = {}
    for point in points:
        key = (point.device, point.precision)
        if key not in fits:
            same = [p for p in others if p.precision == point.precision]
            near = [p for p in same if p.device == point.device]
            chosen = near if len(near) >= LEAST_ROWS else same
            values = _fit(chosen, priors).values if len(chosen) >= LEAST_ROWS else tuple(p.centre for p in priors)
            fits[key] = dict(zip(CONSTANTS, values, strict=True))
        found.append(math.log(point.at(fits[key]) / point.row.value))
    return tuple(found)
