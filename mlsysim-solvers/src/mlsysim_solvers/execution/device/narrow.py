"""What products of narrow operands cost beside their arithmetic: scales of blocks, and weights that are unpacked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.records.device import Device
from mlsysim.records.precision import bytes_per_element
from mlsysim.records.scenario import Inference, Serving, Training
from mlsysim.records.stack import Stack

from ...formulas.constants import WARP_SHARE
from ...formulas.loads import stored_share
from .shares import warp_share

__all__ = ["SCALE_SLOTS", "block_columns", "stored_columns", "unpacked_columns"]

APART_RATIO = 22.0
"""Peak of matrix units on 16 bits over that of vector units on 32 from which results of the former lie in a memory of
their own, not in the registers of the latter. Estimate, range 17 to 28: 15 on a H100, where they do not, and 30 on a
B200, where they do."""

SCALE_SLOTS = 4.0
"""Multiply-adds of vector units that take as long as scaling one partial sum that lies in such a memory: it is loaded,
waited for, multiplied by two scales and added. Estimate, range 2 to 7: products of 8-bit operands in blocks of 128 x
128 reach 0.58 to 0.97 of the rate of those in 16 bits on a B200 (flashinfer-ai/flashinfer, issue 2146, Cutlass), where
this gives 0.8. Residuals of two mixtures under three servers, in view when it was chosen, ask for as much."""


def block_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many instructions of vector units scale one partial sum of a product in blocks, as a column.

    Parameters
    ----------
    columns : mapping of str to number or object
        Rates and formats.

    Returns
    -------
    dict of str to float
        Nothing where no operand comes in blocks with a scale each that vector units apply.
    """
    if "scale_block" not in columns:
        return {}
    if "vector_peak" not in columns:
        return {"scale_slots": 1.0}
    wide = columns.get("attention_peak", columns["peak"]) / columns["vector_peak"]
    return {"scale_slots": SCALE_SLOTS if wide > APART_RATIO else 1.0}


def unpacked_columns(
    device: Device, precision: str, workload: Serving | Training | Inference, columns: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the rate of products whose weights are stored in fewer bits than the units multiply.

    Parameters
    ----------
    device : Device
        The device.
    precision : str
        Number format of the products.
    workload : Serving, Training or Inference
        What runs.
    columns : mapping of str to number or object
        Rates and formats.

    Returns
    -------
    dict of str to number
        A share of the peak for these products, and the old one for all others. Nothing where the units read the
        stored format, or another as narrow, where weights are expanded before they are multiplied, or where
        instructions of one warp are the fastest ones.

    Notes
    -----
    Weights that are unpacked into registers are not where matrix instructions of several warps look for them. Such
    kernels are taken to reach what instructions of one warp do: an estimate that residuals of one mixture on one device
    under one server bear out, seen before it was made.
    """
    stored = workload.weights if isinstance(workload, Serving) else ""
    if not stored or stored in device.compute.peak or columns["weight_width"] >= columns["operand_width"]:
        return {}
    if columns["expands"] or device.architecture not in WARP_SHARE:
        return {}
    if any(bytes_per_element(name) <= bytes_per_element(stored) for name in device.compute.peak):
        return {}  # its instructions read operands so narrow, and those with wide ones beside them
    kept = columns.get("attention_achieved", columns["achieved"])
    return {"achieved": warp_share(device, precision), "attention_achieved": kept, "narrow_products": True}


def stored_columns(device: Device, stack: Stack, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rate of products of a stack that multiplies weights as they are stored.

    Parameters
    ----------
    device : Device
        The device.
    stack : Stack
        The stack.
    columns : mapping of str to number or object
        Rates and formats.

    Returns
    -------
    dict of str to number
        A share of the peak for these products, and the old one for attention. Nothing where weights are as wide as the
        arithmetic, or processors and clock are not known.
    """
    work, clock, processors = stack.ceilings.stored_work, device.compute.clock, device.compute.processors
    if work is None or clock is None or processors is None or columns["weight_width"] >= columns["operand_width"]:
        return {}
    achieved, plain = columns["achieved"], columns["peak"] * columns["achieved"] * columns["compute_ceiling"]
    share = stored_share(work, processors, clock, plain)
    return {"achieved": achieved * share, "attention_achieved": columns.get("attention_achieved", achieved)}
