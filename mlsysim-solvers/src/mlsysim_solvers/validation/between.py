"""How far the answer depends on a software stack that a published row does not name, or that nobody knows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from statistics import median

import attrs

from mlsysim.config import SimulationConfig
from mlsysim.errors import MlsysimError
from mlsysim.evaluation import ask
from mlsysim.plugins import plugins
from mlsysim.records import Device, Scenario, Stack
from mlsysim.records.stack import ANY

from ..formulas.constants import BETWEEN_STACK_LOG_SD, DEVICE_PRIOR_LOG_SDS, VERSION_LOG_SD
from .tables import packaged_rows

__all__ = ["between_makers", "between_stacks", "between_versions", "known_stacks", "robust_sd"]

FEWEST = 3
"""Fewest other stacks whose answers tell how far stacks differ."""
_NORMAL_MAD = 0.6744897501960817
"""Median absolute deviation of the standard normal distribution: its quantile of 75 %."""


def robust_sd(deviations: Iterable[float]) -> float:
    """Return the standard deviation that a median absolute deviation stands for.

    Parameters
    ----------
    deviations : iterable of float, natural-log units
        From the value in use; at least one.

    Returns
    -------
    float, natural-log units

    Notes
    -----
    median |d| / 0.6745. One stack that is far from all others, such as an old one with slow launches, moves it little.
    """
    return median(abs(one) for one in deviations) / _NORMAL_MAD


def between_stacks(asked: Scenario, output: str, stack: str, device: str, value: float) -> float:
    """Return how much an answer would differ under the other stacks that it may have run on.

    Parameters
    ----------
    asked : Scenario
        The question, which names no stack.
    output : str
        What is read of its answer.
    stack, device : str
        Keys of the stack that is assumed, and of the device.
    value : float
        The answer under that stack.

    Returns
    -------
    float, natural-log units
        Spread of the logarithm of the answers of the stacks that were measured on devices of this maker and tier, about
        the one in use; a general estimate where fewer than three others were, and for memory, of which stacks of
        other kinds keep different parts.
    """
    if output.startswith("feasibility"):
        return BETWEEN_STACK_LOG_SD
    others = [key for key in known_stacks(asked.kind, device, asked.workload.precision) if key != stack]
    answers = [_answer(asked, output, key) for key in others]
    found = [math.log(one / value) for one in answers if one and value > 0.0]
    # Another program is no nearer than another version of the same.
    return max(robust_sd(found), VERSION_LOG_SD) if len(found) >= FEWEST else BETWEEN_STACK_LOG_SD


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


@lru_cache(maxsize=256)
def known_stacks(kind: str, device: str, precision: str) -> tuple[str, ...]:
    """List the stacks that run a kind of scenario and whose constants were measured on like devices.

    Parameters
    ----------
    kind : str
        serving, training, inference or traffic.
    device : str
        Key.
    precision : str
        Number format of the arithmetic; bf16 counts for fp16 and the other way round.

    Returns
    -------
    tuple of str
        Keys of stacks with constants of a device of the same maker and tier in this format, or assumed for such
        devices.
    """
    registry = plugins().registry
    record: Device = registry.get("devices", device).record
    like = {
        entry.key for entry in registry.entries("devices")
        if (entry.record.vendor, entry.record.tier) == (record.vendor, record.tier)
    }  # fmt: skip
    usual = "serving" if kind == "traffic" else kind
    formats = {precision, ANY, *({"fp16", "bf16"} if precision in ("fp16", "bf16") else ())}
    wanted = {f"{usual}/{record.vendor}", f"{usual}/{record.tier}", f"{usual}/{device}"}

    def measured(stack: Stack) -> bool:
        return any(one.precision in formats and like & {one.device, *one.devices} for one in stack.calibrations)

    return tuple(
        entry.key for entry in registry.entries("stacks")
        if entry.record.runs(kind) and (measured(entry.record) or wanted & set(entry.record.assumed_for))
    )  # fmt: skip


def _answer(asked: Scenario, output: str, stack: str) -> float | None:
    """Answer the same question under another stack; None where that does not answer it."""
    try:
        config = SimulationConfig.from_scenario(attrs.evolve(asked, system=attrs.evolve(asked.system, stack=stack)))
        for _, _, result in ask(config):
            if not isinstance(result, str) and output in result.outputs:
                return float(result.outputs[output])
    except MlsysimError:
        return None
    return None
