"""How far constants may be off for software, and for makers of devices, that they were not measured on."""

from __future__ import annotations

from functools import lru_cache

from mlsysim.plugins import plugins
from mlsysim.records import Device, Stack

from ..formulas.constants import DEVICE_PRIOR_LOG_SDS, VERSION_LOG_SD
from .tables import packaged_rows

__all__ = ["between_makers", "between_versions"]


def between_makers(stack: Stack, device: Device) -> float:
    """Return how much the constants of a stack may differ on a device of a maker on whose devices none were measured.

    Parameters
    ----------
    stack : Stack
        The stack.
    device : Device
        The device.

    Returns
    -------
    float, natural-log units
        How much the compute ceiling of a stack differs between devices; 0 where a device of this maker was measured,
        or none of any, so that the ranges of the stack count.
    """
    registry = plugins().registry
    fitted = {key for one in stack.calibrations for key in (one.device, *one.devices)} & set(registry.keys("devices"))
    makers = {registry.get("devices", key).record.vendor for key in fitted}
    return DEVICE_PRIOR_LOG_SDS[0] if makers and device.vendor not in makers else 0.0


def between_versions(software: str) -> float:
    """Return how much a version of a software may differ from those whose rows gave its constants.

    Parameters
    ----------
    software : str
        As a row names it, with its version or without.

    Returns
    -------
    float, natural-log units
        0 where packaged rows bear that very name: what its versions differ by is in the intervals of the stack.
    """
    return 0.0 if software in _measured() else VERSION_LOG_SD


@lru_cache(maxsize=1)
def _measured() -> frozenset[str]:
    return frozenset(row.software for row in packaged_rows())
