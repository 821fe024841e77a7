"""What is assumed about a device and a stack, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.records.device import Device
from mlsysim.records.stack import ANY, Stack
from mlsysim.units import format_quantity

from .ceilings import counted_format
from .labels import counts_binary
from .shares import product_share

__all__ = ["ceiling_notes", "lone_notes"]


def ceiling_notes(
    claims: Mapping[tuple[str, str], Any],
    device: Device,
    stack: Stack,
    key: str,
    precision: str,
    settings: Mapping[str, float],
) -> list[str]:
    """Say what is assumed about device and stack.

    Parameters
    ----------
    claims : mapping of (role, field) to Standing
        How well each number is supported.
    device : Device
        The device.
    stack : Stack
        The stack.
    key : str
        Key of the device.
    precision : str
        Number format of the arithmetic.
    settings : mapping of str to float
        Overrides.

    Returns
    -------
    list of str
    """
    notes = [
        f"{name} is set to {settings[name]:g} by hand (settings.single-node.{name})"
        for name in ("compute_ceiling", "memory_ceiling", "kernel_overhead")
        if settings.get(name)
    ]
    counted = counted_format(device, stack, precision)
    achieved = product_share(device, counted)[1]
    if achieved:
        notes.append(achieved)
    if counted != precision:
        notes.append(f"{stack.name} multiplies {precision} on vector units in {counted}, at the rate of {counted}")
    narrow = device.compute.peak.get("tf32")
    if precision == "fp32" and stack.features.tf32 and narrow is not None and narrow.dense is not None:
        notes.append(
            f"products in fp32, as asked; {stack.name} multiplies {stack.features.tf32} of 32-bit numbers in tf32 "
            'unless told otherwise: precision = "tf32" answers that'
        )
    found = stack.calibration_for(key, precision, device.vendor, device.alike(precision))
    pooled = [] if found is None else [
        what for what, wide in (
            (f"devices of {device.vendor}" if found.device != ANY else "devices", found.is_shared),
            ("formats", found.precision == ANY),
        ) if wide
    ]  # fmt: skip
    if found is None or pooled:
        held = (
            f"constants fitted on several {' and '.join(pooled)} together hold"
            if pooled
            else "its general ceilings hold"
        )
        notes.append(f"{stack.name} {stack.version} is not calibrated on {key} in {precision}: {held}")
    if stack.tiles and device.compute.processors is None:
        notes.append(f"the number of processors of {device.name} is not known: waves of tiles are not counted")
    if device.memory.usable is None:
        counts = (
            "its label counts GiB, of which software sees 99 %" if counts_binary(device) else "all of its label counts"
        )
        notes.append(f"the usable memory of {device.name} is not known: {counts}")
    field = "memory.capacity" if device.memory.usable is None else "memory.usable"
    chosen: Any = getattr(claims.get(("device", field)), "chosen", None)
    if getattr(chosen, "low", None) is not None:
        notes.append(
            f"{field} of {device.name} is an estimate between {format_quantity(chosen.low, 'B')} and "
            f"{format_quantity(chosen.high, 'B')}: {format_quantity(chosen.value, 'B')} decide what fits"
        )
    return notes


def lone_notes(kind: str, columns: Mapping[str, Any]) -> tuple[str, ...]:
    """Say where a step of few requests cannot take what its memory gives: there bandwidth is not what binds.

    Parameters
    ----------
    kind : str
        Kind of the scenario.
    columns : mapping of str to number or object
        As prepared for it.

    Returns
    -------
    tuple of str
    """
    if "lone_rate" not in columns or kind != "serving":
        return ()
    limit = columns["lone_rate"] * max(1.0, columns["batch"])
    reach = columns["bandwidth"] * columns["memory_ceiling"]
    if limit >= reach:
        return ()
    taken, given = format_quantity(limit, "B/s", 3), format_quantity(reach, "B/s", 3)
    said = f"kernels of so few rows take in {taken} of the {given} that software gets from this memory"
    more = "more bandwidth would not shorten a step, a larger batch uses it (stack.ceilings.lone_issue)"
    return (f"{said}: {more}",)
