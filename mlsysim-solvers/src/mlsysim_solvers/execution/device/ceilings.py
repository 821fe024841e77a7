"""What a stack reaches on a device in a number format, and how well that is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import SolverError
from mlsysim.numeric import minimum
from mlsysim.records.device import Device
from mlsysim.records.precision import bytes_per_element
from mlsysim.records.stack import Calibration, Stack

from ...formulas.constants import (
    CACHE_PER_CLOCK,
    COMMUNICATION_LOG_SD,
    COMPUTE_LOG_SD,
    DEVICE_PRIOR_LOG_SDS,
    FIRST_TOKEN_LOG_SD,
    HALF_WIDTH,
    KV_REREAD_RATIO,
    LAYOUT_LOG_SD,
    LINK_LOG_SD,
    LONE_LOG_SD,
    MEMORY_LOG_SD,
    OVERHEAD_LOG_SD,
    RESERVE_LOG_SD,
    SPECIAL_PER_CLOCK,
    SYSTOLIC_FLOP,
    UNKNOWN_SCATTER,
    WARP_LOG_SD,
    WARP_MAKERS,
)
from ...formulas.loads import issue_rate
from ...formulas.roofline import delivered_share, special_rate
from ...formulas.tile_constants import EMULATED, TENSOR_MEMORY
from ...formulas.uncertainty import unseen_variance
from .exposed import exposed_columns
from .shares import clock_left, narrow_share, product_share, share_log_sd, warp_share

__all__ = [
    "cache_ratio",
    "ceiling_columns",
    "claimed_variance",
    "counted_format",
    "scatter_of",
    "spread_columns",
]

_CLOCKED = ("achieved", "attention_achieved", "vector_peak", "special_rate", "issue_rate", "lone_rate")
"""Columns that follow the clock."""

_SPREADS = (
    "var_compute", "var_memory", "var_overhead", "cov_cm", "cov_co", "cov_mo", "scatter", "var_talk", "var_layout",
    "var_first", "var_link",
)  # fmt: skip
"""Columns of variances that follow how far measurements of the stack stray."""


def ceiling_columns(
    device: Device, stack: Stack, key: str, precision: str, settings: Mapping[str, float]
) -> dict[str, Any]:
    """Return rates and ceilings as columns.

    Parameters
    ----------
    device : Device
        The device.
    stack : Stack
        The stack.
    key : str
        Key of the device, under which calibrations stand.
    precision : str
        Number format of the arithmetic.
    settings : mapping of str to float
        Overrides; 0 keeps what the stack says.

    Returns
    -------
    dict of str to float
        peak, achieved, bandwidth, compute_ceiling, memory_ceiling, overhead, reserve, processors, and
        vector_peak where the device has matrix units and another arithmetic beside them.

    Raises
    ------
    ConfigError
        If the device lacks the number format.
    SolverError
        If the bandwidth is unknown, or a ceiling is above its roof.
    """
    peak = device.peak_of(precision)
    if device.memory.bandwidth is None:
        raise SolverError(
            f"the memory bandwidth of {device.name} is not known",
            where="system.device",
            remedy="Choose another device, or add memory.bandwidth with its source to the registry",
        )
    found = stack.calibration_for(key, precision, device.vendor, device.alike(precision))
    narrow = stack.features.narrow_sums and peak.narrow is not None
    counted = counted_format(device, stack, precision)
    dense = peak.narrow if narrow else device.peak_of(counted).dense
    share = warp_share if stack.features.warp_products else _share
    achieved = narrow_share(device, precision) if narrow else share(device, counted)
    columns = {
        "peak": dense,
        "achieved": achieved,
        "bandwidth": device.memory.bandwidth,
        "compute_ceiling": settings.get("compute_ceiling") or _compute_ceiling(found, stack, achieved),
        "memory_ceiling": settings.get("memory_ceiling") or _memory_ceiling(found, device, stack),
        "overhead": settings.get("kernel_overhead") or _overhead(device, stack, key, found),
        "reserve": _calibrated(found, stack, "reserve"),
        "processors": device.compute.processors or 1.0,
    }
    vector = device.compute.peak.get("fp32")
    beside = vector is not None and vector.engine == "vector" and device.tier != "tiny"
    if peak.engine == "matrix" and vector is not None and beside and vector.dense is not None:
        # What has no matrix product in it runs beside the matrix units; a small accelerator's core is too slow for it.
        columns["vector_peak"] = vector.dense
    _check_roof(columns["compute_ceiling"], "compute_ceiling", stack, columns["achieved"])
    _check_roof(columns["memory_ceiling"], "memory_ceiling", stack)
    issue, clock, processors = stack.ceilings.issue, device.compute.clock, device.compute.processors
    if issue is not None and clock is not None and processors is not None:
        columns["issue_rate"] = issue_rate(issue, processors, clock)
    if clock is not None and processors is not None and _is_multiprocessor(device, precision, processors, clock):
        emulated = device.architecture in TENSOR_MEMORY and not stack.features.warp_products
        exponentials = SPECIAL_PER_CLOCK * (EMULATED if emulated else 1.0)
        columns["special_rate"] = special_rate(exponentials, processors, clock)
        if stack.ceilings.lone_issue is not None and device.vendor in WARP_MAKERS:
            columns["lone_rate"] = issue_rate(stack.ceilings.lone_issue, processors, clock)
    wide = _attention_format(device, precision)
    if wide != precision:
        columns["attention_peak"] = device.peak_of(wide).dense
        columns["attention_achieved"] = share(device, wide)
    if stack.features.warp_products and "special_rate" in columns:
        columns |= exposed_columns(device, wide)
    if settings.get("power_limit"):
        left = clock_left(device, precision, settings["power_limit"])
        columns |= {name: columns[name] * left for name in _CLOCKED if name in columns}
    return columns


def _is_multiprocessor(device: Device, precision: str, processors: Any, clock: Any) -> bool:
    """Tell whether the processors of a device are such as have a known number of special-function units.

    Those of a GPU multiply some thousand numbers per clock. Where one works as much as a large systolic array, it is a
    whole core, or a matrix unit beside vector units of another number: how fast exponentials are is not known.
    """
    dense = device.peak_of(_attention_format(device, precision)).dense
    return device.peak_of(precision).engine == "matrix" and bool(dense / (processors * clock) < SYSTOLIC_FLOP)


def cache_ratio(device: Device, stack: Stack) -> Any:
    """Return how many times faster the last-level cache is read than memory.

    Parameters
    ----------
    device : Device
        The device.
    stack : Stack
        The stack, whose kernels may keep few loads in flight.

    Returns
    -------
    float, ratio
        From the number of processors and their clock; a general ratio where they are not known, or where processors
        are few and wide, so that loads of one at a time would make the cache slower than memory.
    """
    clock, processors, bandwidth = device.compute.clock, device.compute.processors, device.memory.bandwidth
    if clock is None or processors is None or bandwidth is None:
        return KV_REREAD_RATIO
    issue = stack.ceilings.issue
    ratio = (
        issue_rate(CACHE_PER_CLOCK if issue is None else minimum(issue, CACHE_PER_CLOCK), processors, clock) / bandwidth
    )
    return KV_REREAD_RATIO if issue is None and ratio < 1.0 else ratio


def _share(device: Device, precision: str) -> Any:
    return product_share(device, precision)[0]


def _attention_format(device: Device, precision: str) -> str:
    """Return the format of attention: 16 bits also where matrix products run in fewer."""
    if bytes_per_element(precision) >= HALF_WIDTH:
        return precision
    for name in ("bf16", "fp16"):
        peak = device.compute.peak.get(name)
        if peak is not None and peak.dense is not None and peak.engine == device.peak_of(precision).engine:
            return name
    return precision


def counted_format(device: Device, stack: Stack, precision: str) -> str:
    """Return the number format at whose rate products run.

    Parameters
    ----------
    device : Device
        The device.
    stack : Stack
        The stack.
    precision : str
        Number format of the operands.

    Returns
    -------
    str
        32 bits where a stack multiplies operands of 16 bits on vector units as such, else that of the operands.
    """
    wide, peak = device.compute.peak.get("fp32"), device.peak_of(precision)
    if not stack.features.wide_vectors or wide is None or wide.dense is None:
        return precision
    alike = peak.engine == wide.engine == "vector" and bytes_per_element(precision) == HALF_WIDTH
    return "fp32" if alike else precision


def _overhead(device: Device, stack: Stack, key: str, found: Calibration | None) -> Any:
    """Return the time per kernel: a slower host takes longer, unless the time was fitted on the device itself."""
    time = _calibrated(found, stack, "overhead")
    return time if device.host is None or _is_own(found, key) else time / device.host


def _is_own(found: Calibration | None, key: str) -> bool:
    return found is not None and key in (found.device, *found.devices)


def _calibrated(found: Calibration | None, stack: Stack, name: str) -> Any:
    value = getattr(found, name, None)
    return getattr(stack.ceilings, name) if value is None else value


def _memory_ceiling(found: Calibration | None, device: Device, stack: Stack) -> Any:
    """Return the stack's share of the bandwidth, where engines carry less than memory delivers a share of theirs."""
    share, engines = _calibrated(found, stack, "memory"), device.memory.engines
    return share if engines is None else share * delivered_share(engines, device.memory.bandwidth)


def _compute_ceiling(found: Calibration | None, stack: Stack, achieved: Any) -> Any:
    """Return the stack's share of the achieved rate: what holds for other devices lifts none above its peak."""
    return minimum(_calibrated(found, stack, "compute"), 1.0 / achieved)


def _check_roof(value: Any, name: str, stack: Stack, achieved: Any = 1.0) -> None:
    if not 0.0 < value * achieved <= 1.0:
        over = "" if achieved == 1.0 else f" of what the device achieves, {achieved:.3g}: {value * achieved:.3g}"
        raise SolverError(
            f"the {name} of {stack.name} is {value:.3g}{over} of the roof",
            where=f"settings.single-node.{name}",
            remedy=f"Give more than 0 and at most {1.0 / achieved:.3g}",
        )


def claimed_variance(claims: Mapping[tuple[str, str], Any], role: str, field: str, default: float) -> float:
    """Return the variance of the logarithm of a number.

    Parameters
    ----------
    claims : mapping of (role, field) to Standing
        How well each number is supported.
    role, field : str
        Which.
    default : float, natural-log units
        Spread of a number whose claim gives none.

    Returns
    -------
    float
    """
    standing = claims.get((role, field))
    found = None if standing is None else standing.chosen.log_sd
    spread = default if found is None else found
    return spread * spread


def spread_columns(
    claims: Mapping[tuple[str, str], Any], device: Device, stack: Stack, key: str, precision: str
) -> dict[str, Any]:
    """Return the variances of the ceilings' logarithms as columns.

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

    Returns
    -------
    dict of str to float
        var_compute, var_memory, var_overhead, their covariances, scatter, var_talk, var_layout, var_first,
        var_link, var_lone and var_reserve.

    Notes
    -----
    A calibration brings the posterior covariance of its constants, how much they differ for a group that it has not
    seen, and its scatter. Without one the ranges of the stack's ceilings and of the device's numbers count, which
    are how stacks and devices differ; of a stack that was fitted on other devices only, at least how much constants
    differ between devices. All but the memory that a runtime keeps is multiplied by the square of how far the stack's
    measurements stray over what is usual.
    """
    counted = counted_format(device, stack, precision)
    peak = claimed_variance(claims, "device", f"compute.peak.{counted}.dense", 0.0)
    bandwidth = claimed_variance(claims, "device", "memory.bandwidth", 0.0)
    reserve = claimed_variance(claims, "stack", "ceilings.reserve", RESERVE_LOG_SD)
    found = stack.calibration_for(key, precision, device.vendor, device.alike(precision))
    own = _is_own(found, key)
    if own:
        peak = bandwidth = 0.0  # constants fitted on the device make up for what is uncertain in its numbers
    if found is not None and found.covariance:
        c = [[float(value) for value in row] for row in found.covariance]
        spreads = [c[0][0], c[1][1], c[2][2], c[0][1], c[0][2], c[1][2]]
    else:
        spreads = [
            claimed_variance(claims, "stack", "ceilings.compute", COMPUTE_LOG_SD),
            claimed_variance(claims, "stack", "ceilings.memory", MEMORY_LOG_SD),
            claimed_variance(claims, "stack", "ceilings.overhead", OVERHEAD_LOG_SD),
            0.0, 0.0, 0.0,
        ]  # fmt: skip
    elsewhere = found is None and bool(stack.calibrations)
    if elsewhere:
        # Ranges of the card know the devices that were measured; on others its constants differ as those of stacks do.
        spreads[:3] = [max(one, sd**2) for one, sd in zip(spreads, DEVICE_PRIOR_LOG_SDS, strict=False)]
    if found is not None:
        # What a calibration states holds for rows that it has not seen.
        scatter = float(found.sigma) * float(found.sigma)
        for i, scale in enumerate(found.spread):
            own_scale = float(scale) * float(scale)
            spreads[i] += unseen_variance(own_scale, float(len(found.devices))) if found.devices else own_scale
    else:
        scatter = 0.0
    if not own:
        peak += share_log_sd(device, counted) ** 2
        if stack.features.warp_products:
            peak += WARP_LOG_SD.get(device.architecture, 0.0) ** 2
        spreads[2] += claimed_variance(claims, "device", "host", 0.0)
    link = 0.0 if own else LINK_LOG_SD**2
    general = (COMMUNICATION_LOG_SD**2, LAYOUT_LOG_SD**2, FIRST_TOKEN_LOG_SD**2, link)
    values = (spreads[0] + peak, spreads[1] + bandwidth, *spreads[2:], scatter, *general)
    # That it strays little where constants were fitted says nothing of where none were.
    strays = max(scatter_of(stack), 1.0 if elsewhere else 0.0) ** 2
    alone = claimed_variance(claims, "stack", "ceilings.lone_issue", LONE_LOG_SD)
    scaled = {name: strays * value for name, value in zip(_SPREADS, values, strict=True)}
    return {**scaled, "var_lone": alone, "var_reserve": reserve}


def scatter_of(stack: Stack) -> float:
    """Return how far measurements of a stack stray, over what is usual.

    Parameters
    ----------
    stack : Stack
        The stack.

    Returns
    -------
    float, ratio
        That of a stack drawn at random where nobody compared it with measurements.
    """
    return UNKNOWN_SCATTER if stack.scatter is None else float(stack.scatter)
