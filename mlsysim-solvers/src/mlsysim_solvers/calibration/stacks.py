"""Fitting the constants of one stack, and scoring the fit on what it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import attrs
import numpy as np

from mlsysim.cli.printing import written
from mlsysim.entities import Entry, today
from mlsysim.errors import ConfigError
from mlsysim.names import did_you_mean
from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.records.stack import ANY, Calibration

from ..formulas.constants import DEVICE_LOG_SDS, GROUP_LOG_SDS, INTERVAL_QUANTILE
from ..validation.predicting import predict
from ..validation.scoring import median_error
from ..validation.tables import packaged_rows, read_table
from .fitting import Array, Fit, Prior
from .pooling import priors_of
from .problem import CONSTANTS, Point, predictions, prepare
from .scatter import LEAST_ROWS, Sample, fit_sample
from .writing import write_stack

__all__ = ["Calibrated", "calibrate_stack", "calibration_of", "sample_of", "write_calibration"]

_DIGITS = 4


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
        Share of the left-out measurements inside the 90 % interval of a stack that strays as far as is usual.
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
        lines.append(f"  scatter   {c.sigma:.3g}   (of a row of another group about its prediction)")
        spread = ", ".join(f"{p.name} {one:.3g}" for p, one in zip(self.priors, c.spread, strict=False))
        lines.append(f"  spread    {spread}   (of the constants between groups)")
        lines.append(f"  median error on the rows fitted     {100 * median_error(self.in_sample):.1f} %")
        if self.left_out:
            lines.append(f"  median error on groups left out     {100 * median_error(self.left_out):.1f} %")
            lines.append(f"  90 % intervals hold of those        {100 * self.covered:.0f} %")
        else:
            lines.append("  one group only: nothing can be left out")
        return "\n".join(lines)


def calibrate_stack(
    key: str, on: str, *, device: str = "*", precision: str = "*", file: str | None = None
) -> Calibrated:  # fmt: skip
    """Fit the constants of a stack.

    Parameters
    ----------
    key : str
        Key of the stack.
    on : str
        Ids of rows, or beginnings of ids, with commas.
    device, precision : str
        What the constants hold for; ``*`` fits all devices or formats together, ``NVIDIA/*`` all devices of a maker.
        Where all rows are of one device they hold for that one alone.
    file : str, optional
        A table of the user's own; the packaged ones otherwise.

    Returns
    -------
    Calibrated

    Raises
    ------
    ConfigError
        If no row's id begins so, or fewer than three rows can be predicted under the stack.
    UnknownNameError
        If there is no such stack.
    """
    entry = plugins().registry.get("stacks", key, where="stack")
    points = [
        point for point in prepare(_rows(on, file))
        if point.stack == entry.key and device in _names(point.device) and precision in (ANY, point.precision)
    ]  # fmt: skip
    if len(points) < LEAST_ROWS:
        raise ConfigError(
            f"{len(points)} rows of {entry.key} match {on!r}" + ("" if device == ANY else f" on {device}"),
            where="--on",
            remedy=f"A fit needs at least {LEAST_ROWS}; "
            f"`mlsysim validate --source {on.partition(',')[0]}` shows what can be expressed",
        )
    if len({point.device for point in points}) == 1:
        device = points[0].device  # one device says nothing about others
    sample = sample_of(entry, points, device, precision)
    all_ = np.ones(len(points), dtype=bool)
    fitted, *others = fit_sample(sample, [all_, *(~out for out in sample.folds(all_))])
    left_out, covered = _left_out(sample, others)
    command = f"mlsysim calibrate stack {entry.key} --on {on} --device {device} --precision {precision}"
    found = calibration_of(sample, fitted, device, precision)
    rounded = predictions(points, np.array([[getattr(found, name) for name in CONSTANTS]]))[0]
    in_sample = tuple(float(np.log(p / q.row.value)) for p, q in zip(rounded, points, strict=True))
    calibration = attrs.evolve(
        found,
        command=command.replace("*", "'*'"), version=_version(), date=today().isoformat(),
        error=_rounded(median_error(in_sample)),
        left_out_error=_rounded(median_error(left_out)) if left_out else None,
        left_out_sd=_rounded(math.sqrt(sum(r * r for r in left_out) / len(left_out))) if left_out else None,
        left_out_coverage=_rounded(covered) if left_out else None,
    )  # fmt: skip
    return Calibrated(entry, calibration, in_sample, left_out, covered, sample.priors)


def sample_of(entry: Entry, points: Sequence[Point], device: str, precision: str) -> Sample:
    """Gather rows that are fitted together.

    Parameters
    ----------
    entry : Entry
        The stack.
    points : sequence of Point
        The rows.
    device, precision : str
        What the constants hold for.

    Returns
    -------
    Sample
    """
    priors = priors_of(entry, device)
    # Where the constants are for all devices, a device is left out with its own uncertain numbers.
    bare = Calibration(
        device=device, precision=precision, rows=(), command="", version="", date="", sigma=0.0, devices=(), spread=(),
        covariance=((0.0,) * len(priors),) * len(priors), **{prior.name: prior.centre for prior in priors},
    )  # fmt: skip
    # What remains when neither constants nor stack are in doubt: open choices, the device's numbers, links.
    record = attrs.evolve(entry.record, calibrations=(bare,), scatter=1.0)
    with plugins().registry.replacing(attrs.evolve(entry, record=record)):
        loose = np.array([predict(point.row).log_sd ** 2 for point in points])
    return Sample(tuple(points), priors, loose, bare.is_shared)


def calibration_of(sample: Sample, fitted: Fit, device: str, precision: str) -> Calibration:
    """Return fitted constants as a calibration without its scores.

    Parameters
    ----------
    sample : Sample
        What was fitted on.
    fitted : Fit
        The fit.
    device, precision : str
        What the constants hold for.

    Returns
    -------
    Calibration
    """
    points = [point for point, used in zip(sample.points, fitted.used, strict=True) if used]
    *spread, sigma = DEVICE_LOG_SDS if sample.across else GROUP_LOG_SDS
    return Calibration(
        device=device, precision=precision, rows=tuple(sorted(point.row.id for point in points)),
        command="", version="", date="",
        devices=tuple(sorted({point.device for point in points})) if device.endswith(ANY) else (),
        sigma=sigma, spread=tuple(spread),
        covariance=tuple(tuple(_rounded(v) for v in row) for row in fitted.covariance),
        **{name: _rounded(value) for name, value in zip(CONSTANTS, fitted.values, strict=True)},
    )  # fmt: skip


def _left_out(sample: Sample, others: Sequence[Fit]) -> tuple[tuple[float, ...], float]:
    """Return the residuals of groups left out, and the share inside the general intervals of the fits without them."""
    *scales, whole = DEVICE_LOG_SDS if sample.across else GROUP_LOG_SDS
    residuals: list[float] = []
    inside = 0
    for fit in others:
        rows = ~fit.used
        unseen = fit.slopes**2 @ np.square(scales) + whole**2
        spread: Array = np.sqrt(fit.variances + sample.loose + unseen)[rows]
        residuals += fit.residuals[rows].tolist()
        inside += int((np.abs(fit.residuals[rows]) <= INTERVAL_QUANTILE * spread).sum())
    return tuple(residuals), inside / max(1, len(residuals))


def write_calibration(found: Calibrated, out: str) -> None:
    """Write a stack with a calibration put in place of the one for the same device and format.

    Parameters
    ----------
    found : Calibrated
        The calibration.
    out : str
        File; ``-`` prints the calibrations only.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    text = write_stack(found.entry, found.calibration)
    if out == "-":
        _, mark, calibrations = text.partition("[[calibrations]]")
        print(mark + calibrations, end="")
        return
    with written(out, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def _names(device: str) -> tuple[str, ...]:
    """Return what constants that hold for a device may be for: itself, its maker's devices, all devices."""
    return (device, f"{plugins().registry.get('devices', device).record.vendor}/{ANY}", ANY)


def _rows(on: str, file: str | None) -> list[Measurement]:
    rows = read_table(Path(file)) if file else packaged_rows()
    wanted = tuple(part.strip() for part in on.split(",") if part.strip())
    chosen = [row for row in rows if row.id.startswith(wanted)]
    if not chosen:
        known = sorted({row.set for row in rows})
        remedy = did_you_mean(on, known) or "`mlsysim validate --json` prints all ids"
        raise ConfigError(f"no measurement's id begins with {on!r}", where="--on", remedy=remedy)
    return chosen


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _version() -> str:
    try:
        return version("mlsysim-solvers")
    except PackageNotFoundError:
        return "unknown"
