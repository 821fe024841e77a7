"""What products of few tiles take beside their multiplications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.records.device import Device

from ...formulas.constants import SYSTOLIC_FLOP
from ...formulas.gemm import lone_area
from ...formulas.power import work_per_clock
from ...formulas.tile_constants import STEP_BYTES, STEP_CLOCKS, TENSOR_MEMORY

__all__ = ["few_tiles"]


def few_tiles(device: Device, precision: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what products of few tiles take beside their multiplications on multiprocessors, as columns.

    Parameters
    ----------
    device : Device
        The device.
    precision : str
        Number format of the arithmetic.
    columns : mapping of str to number
        ``peak`` (FLOP/s), ``operand_width`` (B) and ``flop_per_mac`` (FLOP).

    Returns
    -------
    dict of str to float
        ``clock_macs`` (count), multiply-accumulates of a processor in one clock, which tell what it costs to add up the
        parts of a divided product; ``lone_area`` (count) where there are matrix units that wait for warps. Empty where
        processors or their clock are not known, or are no multiprocessors.
    """
    processors, clock = device.compute.processors, device.compute.clock
    if processors is None or clock is None:
        return {}
    work = work_per_clock(columns["peak"], clock) / processors
    if work >= SYSTOLIC_FLOP:
        return {}
    width, mac = columns["operand_width"], columns["flop_per_mac"]
    found = {"clock_macs": work / mac}
    if device.peak_of(precision).engine == "matrix" and device.architecture not in TENSOR_MEMORY:
        found["lone_area"] = lone_area(STEP_CLOCKS, work, width, STEP_BYTES, mac)
    return found
