"""The rows that one calibration is fitted on, and those that its stack left out on other devices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from mlsysim.entities import Entry
from mlsysim.plugins import plugins
from mlsysim.records.stack import ANY, Calibration

from ..formulas.constants import GROUP_LOG_SDS, INTERVAL_QUANTILE, NEIGHBOUR_WEIGHT
from ..validation.predicting import predict
from ..validation.tables import packaged_rows
from .fitting import Prior
from .problem import CONSTANTS, Point, prepare
from .scatter import LEAST_ROWS, NOBODY, Sample, Unseen, fit_sample, unseen

__all__ = ["Neighbours", "sample_of"]


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
    priors = _priors(entry)
    # Where the constants are for all devices, a device is left out with its own uncertain numbers.
    bare = Calibration(
        device=device, precision=precision, rows=(), command="", version="", date="", sigma=0.0, devices=(), spread=(),
        covariance=((0.0,) * len(priors),) * len(priors), **{prior.name: prior.centre for prior in priors},
    )  # fmt: skip
    # What remains when neither constants nor stack are in doubt: open choices, the device's numbers, links.
    with plugins().registry.replacing(attrs.evolve(entry, record=attrs.evolve(entry.record, calibrations=(bare,)))):
        loose = np.array([predict(point.row).log_sd ** 2 for point in points])
    return Sample(tuple(points), priors, loose, bare.is_shared)


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


class Neighbours:
    """Groups that the calibrations of a stack left out on other devices: how far a stack strays is its own.

    Parameters
    ----------
    entry : Entry
        The stack.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._found: dict[int, Unseen] = {}

    def of(self, device: str) -> Unseen:
        """Return what a calibration takes from those on other devices.

        Parameters
        ----------
        device : str
            Key of its device; nothing is taken by constants for all devices.

        Returns
        -------
        Unseen
            Rows that count less than its own.
        """
        calibrations = self._entry.record.calibrations
        parts = [
            self._of(i)
            for i, c in enumerate(calibrations)
            if not (device.endswith(ANY) or c.is_shared) and c.device != device
        ]
        return Unseen(*(np.concatenate(part) for part in zip(*parts, strict=True))) if parts else NOBODY

    def _of(self, index: int) -> Unseen:
        if index not in self._found:
            old = self._entry.record.calibrations[index]
            ids = set(old.rows)
            points = [
                p for p in prepare([row for row in packaged_rows() if row.id in ids]) if p.stack == self._entry.key
            ]
            rows = NOBODY
            if len(points) >= LEAST_ROWS:
                sample = sample_of(self._entry, points, old.device, old.precision)
                rows = unseen(fit_sample(sample)[0].without, sample.loose, GROUP_LOG_SDS)
            self._found[index] = rows._replace(weights=NEIGHBOUR_WEIGHT * rows.weights)
        return self._found[index]
