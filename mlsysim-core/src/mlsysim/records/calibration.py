"""Constants of a stack that were fitted on published measurements."""

from __future__ import annotations

import attrs

from .fields import setting

__all__ = ["ANY", "Calibration"]

ANY = "*"
"""All devices, or all number formats, together."""


@attrs.frozen
class Calibration:
    """Constants fitted on published measurements, for one device and precision.

    Parameters
    ----------
    device, precision : str
        What it was fitted for; ``*`` stands for all devices or formats together, ``NVIDIA/*`` for all devices of a
        maker, for which software often has code of its own.
    compute, memory : float, ratio
        As in :class:`mlsysim.records.stack.Ceilings`.
    overhead : float, s
        As in :class:`mlsysim.records.stack.Ceilings`.
    reserve : float, B
        As in :class:`mlsysim.records.stack.Ceilings`.
    sigma : float, natural-log units
        Scatter of a measurement of another group (source, model and device; another device where the constants hold
        for all) about its prediction, whatever sets its time, in a stack that strays as far as is usual.
    spread : tuple of float, natural-log units
        How much (compute, memory, overhead) differ for such a group; none where not found.
    covariance : tuple of tuple of float
        Posterior covariance of the logarithms of (compute, memory, overhead).
    error, left_out_error : float, ratio
        Median error on the rows fitted, and on groups of rows that a fit had not seen; None when
        there was only one group.
    left_out_sd : float, natural-log units
        Root mean square of the errors on groups left out.
    left_out_coverage : float, ratio
        Share of the rows left out inside their 90 % intervals.
    rows : tuple of str
        Ids of the measurements.
    devices : tuple of str
        Keys of their devices, where the constants hold for all.
    command, version, date : str
        What reproduces the numbers.
    """

    device: str
    precision: str
    rows: tuple[str, ...]
    command: str
    version: str
    date: str
    sigma: float = setting("1", zero=True)
    compute: float | None = setting("1", default=None)
    memory: float | None = setting("1", default=None)
    overhead: float | None = setting("s", default=None, zero=True)
    reserve: float | None = setting("B", default=None, zero=True)
    covariance: tuple[tuple[float, ...], ...] = ()
    spread: tuple[float, ...] = ()
    error: float | None = setting("1", default=None, zero=True)
    left_out_error: float | None = setting("1", default=None, zero=True)
    left_out_sd: float | None = setting("1", default=None, zero=True)
    left_out_coverage: float | None = setting("1", default=None, zero=True)
    devices: tuple[str, ...] = ()

    @property
    def is_shared(self) -> bool:
        """Whether it was fitted on several devices together."""
        return self.device.endswith(ANY)
