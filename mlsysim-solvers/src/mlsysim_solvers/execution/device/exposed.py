"""Fused attention whose matrix instructions are those of one warp: what its softmax and its operands add."""

from __future__ import annotations

from typing import Any

from mlsysim.records.device import Device

from ...formulas.attention import exposed_share, softmax_clocks
from ...formulas.constants import EXPOSED, OPERAND_FLOP, SOFTMAX_OPERATIONS, SPECIAL_PER_CLOCK
from ...formulas.power import work_per_clock
from ...formulas.roofline import special_rate
from .shares import lanes, warp_share

__all__ = ["exposed_columns"]


def exposed_columns(device: Device, precision: str) -> dict[str, Any]:
    """Return the rates of fused attention that computes and loads by turns.

    Parameters
    ----------
    device : Device
        A device with streaming multiprocessors whose number and clock are known.
    precision : str
        Number format of its matrix products.

    Returns
    -------
    dict of str to float
        attention_peak and attention_achieved, with the time in which warps wait for operands, and special_rate,
        with the other arithmetic of a softmax.
    """
    dense, clock, processors = device.peak_of(precision).dense, device.compute.clock, device.compute.processors
    per_clock = work_per_clock(dense, clock) / processors
    clocks = softmax_clocks(1.0 / SPECIAL_PER_CLOCK, SOFTMAX_OPERATIONS, lanes(device) or SPECIAL_PER_CLOCK)
    return {
        "attention_peak": dense,
        "attention_achieved": exposed_share(warp_share(device, precision), per_clock, OPERAND_FLOP, EXPOSED),
        "special_rate": special_rate(1.0 / (EXPOSED * clocks), processors, clock),
    }
