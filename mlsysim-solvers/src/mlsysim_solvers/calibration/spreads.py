"""The general scales between groups and between devices, found from what all packaged calibrations left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from statistics import fmean
from typing import NamedTuple

import attrs
import numpy as np

from mlsysim.plugins import plugins

from ..formulas.constants import GROUP_CORRELATION, GROUP_LOG_SDS
from ..formulas.uncertainty import effective_rows
from ..validation.predicting import predict
from ..validation.tables import packaged_rows
from .fitting import Array
from .problem import CONSTANTS, prepare
from .samples import sample_of
from .scatter import LEAST_ROWS, fit_sample

__all__ = ["Group", "Spreads", "estimate_spreads", "fitted_scales", "general_coverage", "row_correlation"]

_LEAST, _MOST = 0.01, 1.0
_FIRST_STEP, _LAST_STEP = 0.7, 0.01
_CLIP = 3.0


class Group(NamedTuple):
    """Rows that were left out together.

    Parameters
    ----------
    residuals : ndarray, shape (m,), natural-log units
        ln(predicted / measured).
    known : ndarray, shape (m,), squared natural-log units
        Variances from the constants and from what the rows leave open.
    slopes : ndarray, shape (m, 4), dimensionless
        Squared derivatives by each constant, and 1 for the whole.
    """

    residuals: Array
    known: Array
    slopes: Array


@attrs.frozen
class Spreads:
    """General scales of one kind.

    Parameters
    ----------
    across : bool
        Whether devices were left out, and not groups of one device.
    calibrations, groups, rows : int
        What they come from.
    scales : tuple of float, natural-log units
        Of compute, memory, overhead, and of the whole.
    correlation : float, ratio
        Of two rows of a group.
    """

    across: bool
    calibrations: int
    groups: int
    rows: int
    scales: tuple[float, ...]
    correlation: float

    def line(self) -> str:
        """Write them.

        Returns
        -------
        str
        """
        scales = ", ".join(f"{name} {one:.3f}" for name, one in zip((*CONSTANTS, "whole"), self.scales, strict=True))
        return (
            f"{'between devices' if self.across else 'between groups'}: {scales}; correlation in a group "
            f"{self.correlation:.2f} ({self.rows} rows, {self.groups} left out of {self.calibrations} calibrations)"
        )


def fitted_scales(groups: Sequence[Group]) -> tuple[float, ...]:
    """Return the scales under which groups left out are most likely.

    Parameters
    ----------
    groups : sequence of Group
        At least one.

    Returns
    -------
    tuple of float, natural-log units

    Notes
    -----
    Greatest likelihood of Student's t with four degrees of freedom and the squared scale v_i + sum J_ij^2 s_j^2, each
    group counting as many rows as it is worth; by compass search over the logarithms of the scales, 0.01 to 1.
    """
    residuals, known, slopes = (np.concatenate(part) for part in zip(*groups, strict=True))
    weights = np.concatenate([
        np.full(len(g.residuals), effective_rows(float(len(g.residuals)), GROUP_CORRELATION) / len(g.residuals))
        for g in groups
    ])  # fmt: skip

    def cost(logs: Array) -> float:
        variance = known + slopes @ np.exp(2.0 * logs)
        return float((weights * (0.5 * np.log(variance) + 2.5 * np.log1p(residuals**2 / (4.0 * variance)))).sum())

    here = np.log(np.array(GROUP_LOG_SDS))
    least, step = cost(here), _FIRST_STEP
    while step > _LAST_STEP:
        tries = [
            np.clip(here + sign * step * axis, np.log(_LEAST), np.log(_MOST))
            for axis in np.eye(len(here)) for sign in (1.0, -1.0)
        ]  # fmt: skip
        costs = [cost(one) for one in tries]
        best = int(np.argmin(costs))
        if costs[best] < least - 1e-9:
            here, least = tries[best], costs[best]
        else:
            step /= 2.0
    return tuple(float(one) for one in np.exp(here))


def row_correlation(groups: Sequence[Group], scales: Sequence[float]) -> float:
    """Return the correlation of two rows of one group.

    Parameters
    ----------
    groups : sequence of Group
        Groups left out.
    scales : sequence of float, natural-log units
        Their scales.

    Returns
    -------
    float, ratio
        Mean product of two standardised residuals over their mean square; 0 where no group has two rows.
    """
    pairs = squares = 0.0
    for group in groups:
        size = len(group.residuals)
        spread = np.sqrt(group.known + group.slopes @ np.square(scales))
        z = np.clip(group.residuals / spread, -_CLIP, _CLIP)
        if size > 1:
            pairs += float((z.sum() ** 2 - (z * z).sum()) / (size - 1.0))
            squares += float((z * z).sum())
    return pairs / squares if squares else 0.0


def estimate_spreads(*, jobs: int = 0, progress: Callable[[int, int], None] | None = None) -> list[Spreads]:
    """Find the general scales from the groups that every packaged calibration leaves out.

    Parameters
    ----------
    jobs : int
        Processes; 0 takes one per core.
    progress : callable, optional
        Called with the stacks done and the stacks in all.

    Returns
    -------
    list of Spreads
        Between groups of one device, and between devices; a kind of which nothing was left out is missing.
    """
    keys = [entry.key for entry in plugins().registry.entries("stacks") if entry.record.calibrations]
    found: dict[bool, list[list[Group]]] = {False: [], True: []}
    workers = min(jobs or os.cpu_count() or 1, len(keys))
    for done, each in enumerate(_run(keys, workers), 1):
        for across, groups in each:
            found[across].append(groups)
        if progress is not None:
            progress(done, len(keys))
    return [_spreads(across, each) for across, each in found.items() if each]


def _run(keys: Sequence[str], workers: int) -> Iterator[list[tuple[bool, list[Group]]]]:
    if workers < 2:
        yield from map(_of_stack, keys)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_of_stack, keys)


def _spreads(across: bool, calibrations: Sequence[list[Group]]) -> Spreads:
    groups = [group for each in calibrations for group in each]
    scales = fitted_scales(groups)
    rows = sum(len(group.residuals) for group in groups)
    return Spreads(across, len(calibrations), len(groups), rows, scales, row_correlation(groups, scales))


def _of_stack(key: str) -> list[tuple[bool, list[Group]]]:
    entry = plugins().registry.get("stacks", key)
    found = []
    for old in entry.record.calibrations:
        ids = set(old.rows)
        points = [point for point in prepare([row for row in packaged_rows() if row.id in ids]) if point.stack == key]
        if len(points) < LEAST_ROWS:
            continue
        sample = sample_of(entry, points, old.device, old.precision)
        groups = [
            Group(
                fit.residuals[out],
                (fit.variances + sample.loose)[out],
                np.column_stack([fit.slopes[out] ** 2, np.ones(out.sum())]),
            )
            for out, fit in fit_sample(sample)[0].without
        ]
        if groups:
            found.append((sample.across, groups))
    return found


def general_coverage() -> tuple[float, int, int]:
    """Return how much the intervals hold where no stack had a fitted constant.

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
            bare = attrs.evolve(entry, record=attrs.evolve(entry.record, calibrations=()))
            stack.enter_context(plugins().registry.replacing(bare))
        for outcome in map(predict, packaged_rows()):
            if outcome.low is not None and outcome.high is not None and outcome.stack:
                inside.setdefault(outcome.stack, []).append(outcome.low <= outcome.row.value <= outcome.high)
    return fmean(map(fmean, inside.values())), sum(map(len, inside.values())), len(inside)
