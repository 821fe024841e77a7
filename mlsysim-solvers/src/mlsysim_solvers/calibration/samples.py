"""The rows that one calibration is fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from mlsysim.entities import Entry
from mlsysim.plugins import plugins
from mlsysim.records.stack import Calibration

from ..validation.predicting import predict
from .pooling import priors_of
from .problem import Point
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
