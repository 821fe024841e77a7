"""The rows that one calibration is fitted on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from mlsysim.entities import Entry
from mlsysim.plugins import plugins
from mlsysim.records.stack import Calibration

from ..formulas.constants import INTERVAL_QUANTILE
from ..validation.predicting import predict
from .fitting import Prior
from .problem import CONSTANTS, Point
from .scatter import Sample

__all__ = ["sample_of"]


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
    record = attrs.evolve(entry.record, calibrations=(bare,), scatter=1.0)
    with plugins().registry.replacing(attrs.evolve(entry, record=record)):
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
