"""What a device draws while it works: from its arithmetic and its traffic, where both are answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.numeric import minimum
from mlsysim.records import Training
from mlsysim.records.device import Device
from mlsysim.solving import Columns, Request
from mlsysim.tracing import named

from .formulas.energy import draw_log_sd, machine_power, memory_share, working_share
from .formulas.power_constants import BIT_ENERGY, DRAW_LOG_SD, FLOOR_SHARE, FULL_LOAD, TRAINING_DRAW
from .formulas.roofline import achieved_share

__all__ = ["drawing_of", "drawn_power"]

_BITS = 8.0


def drawing_of(request: Request, full: Any) -> tuple[Columns, tuple[str, ...]]:
    """Return what tells the power of the device at work, and what is assumed.

    Parameters
    ----------
    request : Request
        With the role ``device``, and shares of peak and bandwidth where the performance solver answers them.
    full : float, W
        Sustained power per device, with its share of the host where that is counted.

    Returns
    -------
    columns : dict of str to float
        Ratios: ``rated``, the device's own part of the power; of training ``drawn``, what it draws over its sustained
        maximum; else ``floor`` and ``memory`` likewise, and ``full_load``, the share of the peak at which it draws
        that maximum. Empty where the maximum is taken.
    assumptions : tuple of str
    """
    device: Device = request.records["device"]
    upper = ("energy: a busy device draws its sustained maximum, an upper figure",)
    if request.settings["power"]:
        return {}, ()
    if device.power is None or not _energy(device):
        return {}, upper
    rated, workload = device.power.tdp / full, request.scenario.workload
    if isinstance(workload, Training):
        said = f"energy: a training device draws {TRAINING_DRAW:.0%} of its sustained maximum while it computes"
        return {"rated": rated, "drawn": TRAINING_DRAW}, (said,)
    if not {"performance.utilisation", "performance.bandwidth_utilisation"} <= set(request.inputs):
        return {}, upper
    bandwidth = (device.memory.bandwidth or 0.0) * _BITS
    return {
        "rated": rated,
        "floor": FLOOR_SHARE,
        "memory": memory_share(_energy(device), bandwidth, device.power.tdp),
        "full_load": FULL_LOAD,
    }, ("energy: what a device draws follows from its arithmetic and its traffic",)


def _energy(device: Device) -> float:
    """Return the energy of a bit of its memory; 0 where none is known."""
    return next((energy for kind, energy in BIT_ENERGY.items() if device.memory.kind.startswith(kind)), 0.0)


def drawn_power(columns: Mapping[str, Any], busy: Any) -> tuple[Any, Columns]:
    """Return the power per device at work, and what is answered of the device alone.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.
    busy : float or array, ratio
        Share of the time in which it works.

    Returns
    -------
    power : float or array, W
        With its share of the host where that is counted.
    outputs : dict of str to number
        Power of the device and its spread; empty where the maximum is taken, or set.
    """
    full = columns["full_power"]
    if "rated" not in columns:
        return full, {}
    drawn = columns.get("drawn")
    if drawn is None:
        # Of traffic the shares are those of all the time, not of the busy part.
        part = busy if columns["kind"] == "traffic" else 1.0
        load = achieved_share(columns["utilisation"], columns["full_load"]) / part
        streaming = columns["bandwidth_utilisation"] / part
        drawn = working_share(minimum(1.0, columns["floor"]), load, columns["memory"], streaming)
    rated, drawn = minimum(1.0, columns["rated"]), minimum(1.0, drawn)
    own = named(full * rated * drawn, "power of a device at work")
    name = "macro.device_power"
    return machine_power(full, rated, drawn), {name: own, f"{name}.log_sd": draw_log_sd(DRAW_LOG_SD, drawn)}
