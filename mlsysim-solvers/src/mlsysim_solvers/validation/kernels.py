"""Questions about single kernels."""

from __future__ import annotations

import attrs
from mlsysim.records.measurement import Measurement

from .names import Names
from .questions import Assumed, Refused

__all__ = ["KernelAnswer", "predict_kernel"]


@attrs.frozen
class KernelAnswer:
    """What is predicted for a kernel.

    Parameters
    ----------
    value : float
        In SI.
    log_sd : float, natural-log units
        Its spread.
    stack, device, precision : str
        Keys.
    calibrated, in_sample : bool
        As in an outcome.
    assumed : tuple of Assumed
        What the row leaves open.
    """

    value: float
    log_sd: float
    stack: str
    device: str
    precision: str
    calibrated: bool = False
    in_sample: bool = False
    assumed: tuple[Assumed, ...] = ()


def predict_kernel(row: Measurement, known: Names) -> KernelAnswer:
    raise Refused("kernels: not yet")
