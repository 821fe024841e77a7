"""Memory that software sees of a device, where only its label is known."""

from __future__ import annotations

from typing import Any

from mlsysim.records import Device

from ...formulas.label_constants import GIGA, REPORTED
from ...formulas.memory import labelled_memory

__all__ = ["counts_binary", "usable_of"]


def counts_binary(device: Device) -> bool:
    """Tell whether the memory of a device is known by a label alone whose GB are GiB.

    Parameters
    ----------
    device : Device
        The device.

    Returns
    -------
    bool
        Memory of graphics cards and accelerators is dies of its own. Servers' cards with GDDR set a sixteenth of it
        aside for ECC, which brings them back to their label; what an operating system leaves of other memory is not
        known.
    """
    memory, kind = device.memory, (device.memory.kind or "").upper()
    dies = kind.startswith("HBM") or (kind.startswith("GDDR") and device.tier != "cloud")
    # Documents that print GiB give whole numbers of them.
    return memory.usable is None and dies and memory.capacity % GIGA == 0.0


def usable_of(device: Device) -> Any:
    """Return the memory of a device that software sees.

    Parameters
    ----------
    device : Device
        The device.

    Returns
    -------
    float, B
    """
    if device.memory.usable is not None:
        return device.memory.usable
    label: float = device.memory.capacity
    return label if not counts_binary(device) else labelled_memory(label, REPORTED)
