"""What the best matrix product reaches of a device's peak: measured on it, or from its units and its power."""

from __future__ import annotations

from typing import Any

from mlsysim.errors import ConfigError, SolverError
from mlsysim.numeric import minimum
from mlsysim.records.device import Device, Peak
from mlsysim.records.precision import bytes_per_element
from mlsysim.units import parse_unit

from ...formulas.constants import (
    BUSY_SHARE,
    FLOP_PER_MAC,
    FORMAT_LOG_SD,
    HALF_WIDTH,
    ISSUE_LANES,
    ISSUE_SHARE,
    MATRIX_SHARE,
    POWERED_SHARE_LOG_SD,
    SHARE_LOG_SD,
    VECTOR_SHARE,
    WARP_SHARE,
)
from ...formulas.power import clocked_share, operation_density, sustained_clock, work_per_clock
from ...formulas.power_constants import (
    DYNAMIC_SHARE,
    INTEGER_ENERGY,
    LOWEST_CLOCK,
    NARROW_ENERGY,
    POWER_DENSITY,
    VECTOR_ENERGY,
)
from ...formulas.roofline import achieved_share

__all__ = ["clock_left", "lanes", "narrow_share", "product_share", "share_log_sd", "warp_share"]

_GHZ = parse_unit("GHz").factor
_SAME = 0.01
"""Relative difference up to which two printed peaks are one: documents round differently."""

_MOST = 256
"""Most shares remembered; it bounds memory and changes no answer."""

_known: dict[tuple[int, str], tuple[Device, tuple[Any, str]]] = {}
"""Shares by identity of the record, which is kept alive with them: one solve asks several times."""


def product_share(device: Device, precision: str) -> tuple[Any, str]:
    """Return the share of the peak that matrix products reach on a device, and how it is known.

    Parameters
    ----------
    device : Device
        The device.
    precision : str
        Number format, one of those that the device has.

    Returns
    -------
    share : float, ratio
        Highest share.
    note : str
        How it is known; empty where it was measured, or where nothing is lost.

    Notes
    -----
    Floats, and integers, that run on one engine at one rate reach the same share. A format that nobody measured takes
    what its units leave at the clock that the power limit leaves, times what another format of the engine was measured
    to reach over the same of its own: how well units are fed, and how much power they draw, are matters of the chip.
    """
    found = _known.get((id(device), precision))
    if found is None or found[0] is not device:
        if len(_known) >= _MOST:
            _known.clear()
        found = _known[id(device), precision] = (device, _product_share(device, precision))
    return found[1]


def _product_share(device: Device, precision: str) -> tuple[Any, str]:
    peak = device.peak_of(precision)
    if peak.achieved is not None:
        return achieved_share(peak.achieved, peak.dense), ""
    measured: list[tuple[Any, str]] = []
    for name, other in device.compute.peak.items():
        if other.engine != peak.engine or other.achieved is None or other.dense is None:
            continue
        share = achieved_share(other.achieved, other.dense)
        if abs(other.dense - (peak.dense or 0.0)) < _SAME * other.dense and _whole(name) == _whole(precision):
            return share, f"{precision} products reach the share measured in {name}"
        measured.append((share / _limited_share(device, name)[0], name))
    if peak.engine == "scalar":
        return 1.0, ""
    share, why = _limited_share(device, precision)
    if measured:
        held, name = min(measured)
        share, why = minimum(1.0, share * held), f"{why} and measured in {name}"
    return share, f"products in {precision} reach {share:.0%} of the peak, {why}"


def share_log_sd(device: Device, precision: str) -> float:
    """Return the spread of the share of the peak that matrix products reach.

    Parameters
    ----------
    device : Device
        The device.
    precision : str
        Number format, one of those that the device has.

    Returns
    -------
    float, natural-log units
        None where it was measured, little where another format of the same units was, and less than usual where the
        clock follows from the power limit.
    """
    peak = device.peak_of(precision)
    if peak.achieved is not None or peak.engine == "scalar":
        return 0.0
    alike = any(
        other.engine == peak.engine and other.achieved and other.dense for other in device.compute.peak.values()
    )
    if alike:
        return FORMAT_LOG_SD
    powered = peak.engine == "matrix" and _density(device, precision, peak) is not None
    return POWERED_SHARE_LOG_SD if powered else SHARE_LOG_SD


def _limited_share(device: Device, precision: str, power: float | None = None) -> tuple[Any, str]:
    """Return the share that units reach at the clock that a limit (W) leaves, and where that comes from."""
    peak = device.peak_of(precision)
    density = _density(device, precision, peak)
    busy = _busy(device, peak, known=density is not None)
    sustained = None if density is None else _sustained(device, density, peak.dense, busy, power)
    if sustained is None or sustained >= device.compute.clock:
        return busy, "as on devices of this kind that were measured"
    limit = power if power is not None or device.power is None else device.power.tdp
    why = f"at the {sustained / _GHZ:.2f} GHz that {limit:g} W sustain"
    return clocked_share(busy, sustained, device.compute.clock), why


def warp_share(device: Device, precision: str) -> Any:
    """Return the share of the peak that products reach whose matrix instructions are those of one warp.

    Parameters
    ----------
    device : Device
        The device.
    precision : str
        Number format, one of those that the device has.

    Returns
    -------
    float, ratio
        That of all products where such instructions are the fastest ones, or where nobody knows.
    """
    share, part = product_share(device, precision)[0], WARP_SHARE.get(device.architecture)
    if part is None or device.peak_of(precision).engine != "matrix":
        return share
    # Units that stand idle for a third of the clocks leave the power that the clock needs.
    return minimum(share, BUSY_SHARE * part)


def narrow_share(device: Device, precision: str) -> Any:
    """Return the share that products with sums in the format of the operands reach of their own peak.

    Parameters
    ----------
    device : Device
        The device.
    precision : str
        Number format that has such a peak.

    Returns
    -------
    float, ratio
    """
    peak = device.peak_of(precision)
    density = _density(device, precision, peak)
    if density is None:
        return MATRIX_SHARE
    sustained = _sustained(device, density, peak.narrow, BUSY_SHARE, None)
    return BUSY_SHARE if sustained is None else clocked_share(BUSY_SHARE, sustained, device.compute.clock)


def _sustained(device: Device, density: Any, rate: Any, busy: Any, power: float | None) -> Any:
    """Return the clock that a power limit leaves, or None where limit or clock are not known."""
    clock, limit = device.compute.clock, power
    if limit is None and device.power is not None:
        limit = device.power.tdp
    if clock is None or limit is None:
        return None
    lowest = LOWEST_CLOCK.get(device.vendor, 0.0)
    return sustained_clock(limit, DYNAMIC_SHARE, density, work_per_clock(rate, clock), busy, lowest)


def clock_left(device: Device, precision: str, power: float) -> Any:
    """Return what a power limit below the rating leaves of the clock.

    Parameters
    ----------
    device : Device
        The device.
    precision : str
        Number format of its products.
    power : float, W
        The limit.

    Returns
    -------
    float, ratio

    Raises
    ------
    ConfigError
        If the limit is above the rating.
    SolverError
        If nobody knows how the clock of the device follows its power.
    """
    where, rated = "settings.single-node.power_limit", device.power.tdp if device.power is not None else None
    if rated is not None and power > rated:
        raise ConfigError(
            f"a power limit of {power:g} W is above the {rated:g} W of {device.name}",
            where=where, remedy="Give a limit below the rating, or leave it out",
        )  # fmt: skip
    known = _density(device, precision, device.peak_of(precision)) is not None
    if rated is None or device.compute.clock is None or not known:
        raise SolverError(
            f"it is not known how the clock of {device.name} follows its power",
            where=where, remedy="Leave the limit out, or set compute_ceiling from a measurement under it",
        )  # fmt: skip
    return _limited_share(device, precision, power)[0] / _limited_share(device, precision)[0]


def _busy(device: Device, peak: Peak, *, known: bool) -> Any:
    """Return the share that units reach at the clock of their peak.

    Units whose rate is halved for wide sums are fed for the whole rate: they reach the same rate as at narrow sums,
    up to the halved peak.
    """
    if peak.engine == "vector":
        return ISSUE_SHARE if lanes(device) >= ISSUE_LANES else VECTOR_SHARE
    share = BUSY_SHARE if known else MATRIX_SHARE
    halved = [
        other.narrow for other in device.compute.peak.values()
        if other.engine == peak.engine and other.dense == peak.dense and other.narrow is not None
    ]  # fmt: skip
    if halved and peak.dense is not None:
        return minimum(1.0, share * (halved[0] / peak.dense))
    return share


def lanes(device: Device) -> Any:
    """Return the 32-bit multiply-accumulates that a processor starts per clock.

    Parameters
    ----------
    device : Device
        The device.

    Returns
    -------
    float, count
        0 where nobody knows.
    """
    wide, compute = device.compute.peak.get("fp32"), device.compute
    if wide is None or wide.dense is None or compute.clock is None or compute.processors is None:
        return 0.0
    return work_per_clock(wide.dense, compute.clock) / (FLOP_PER_MAC * compute.processors)


def _density(device: Device, precision: str, peak: Peak) -> Any:
    """Return the power density of a format's operations, or None where nobody knows it for the process or design."""
    process = device.die.process if device.die is not None else ""
    known = POWER_DENSITY.get((device.vendor, process))
    density = POWER_DENSITY.get((device.vendor, device.architecture)) if known is None else known
    if density is None:
        return None
    found = operation_density(density, bytes_per_element(precision), HALF_WIDTH, NARROW_ENERGY)
    if peak.engine == "vector":
        # The ratio holds for 32 bits.
        return found * VECTOR_ENERGY
    return found * INTEGER_ENERGY if _whole(precision) else found


def _whole(precision: str) -> bool:
    """Tell whether a format holds integers, which need no exponents aligned."""
    return precision.startswith("int")
