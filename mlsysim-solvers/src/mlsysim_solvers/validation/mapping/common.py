"""What the mappings of all tables share."""

from __future__ import annotations

import re

import attrs

from mlsysim.config.published import published_formats
from mlsysim.plugins import plugins
from mlsysim.records import Parallelism, Place, Pools, Scenario, Stack, System, Workload
from mlsysim.records.measurement import Measurement
from mlsysim.records.stack_parts import Unstated

from ..names import Names
from ..questions import Assumed, Refused

__all__ = [
    "Subject", "arithmetic_for", "cell", "format_for", "scenario", "subject", "unstated",
    "unstated_format", "unstated_formats", "whole",
]  # fmt: skip

_SYSTEM = re.compile(r"system=[\w-]+?_(X-CUBE-AI[\w.-]*|MicroTVM[_-]CMSIS)", re.IGNORECASE)
_ON_HOST = re.compile(r"\((?:on )?cpu(?: only)?\)|\bcpu (?:backend|only)\b|\bcpuexecutionprovider\b", re.IGNORECASE)
"""What software says of itself that runs on the processor beside an accelerator."""
_GRAPHICS = ("NVIDIA", "Apple")
"""Makers whose records of devices count graphics processors, without the processor beside them."""


_NARROW = ("int8", "fp8", "fp4", "mxfp8", "mxfp6", "mxfp4", "nvfp4")
"""Formats that software keeps weights in where a device multiplies nothing so narrow, and widens on the way."""
_KEPT = 0.1
"""What it may change that products of such weights are made in 16 bits (natural-log units; estimate)."""
_CHOSEN = re.compile(r"\bMLPerf\b|\bsubmission\b", re.IGNORECASE)
_FEW_BITS = re.compile(r"llama\.?cpp|ollama|lm ?studio|gguf|exllama|\bml[cx]\b|mlc-llm|ktransformers", re.IGNORECASE)
_SIXTEEN, _UNNAMED = 0.15, 0.3
"""What it may change that a model was served in fewer bits without a word of it, natural-log units. Estimate, range 0
to 0.6, that of 8 bits where weights alone set the time."""


@attrs.frozen
class Subject:
    """Device and stack of a row.

    Parameters
    ----------
    device, stack : str
        Keys; the stack is empty where the row names no software that is known.
    record : Stack or None
        The stack.
    """

    device: str
    stack: str
    record: Stack | None

    def says(self, name: str) -> Unstated | None:
        """Return what the stack says about a setting that rows leave open.

        Parameters
        ----------
        name : str
            Setting.

        Returns
        -------
        Unstated or None
        """
        entries = self.record.unstated if self.record is not None else ()
        return next((entry for entry in entries if entry.name == name), None)


def subject(row: Measurement, known: Names) -> Subject:
    """Find device and stack of a row.

    Parameters
    ----------
    row : Measurement
        The row.
    known : Names
        Names as published.

    Returns
    -------
    Subject

    Raises
    ------
    Refused
        If the registry has no such device.
    """
    registry = plugins().registry
    device = known.device(row.device)
    record = registry.get("devices", device).record
    if _ON_HOST.search(row.software) and (record.vendor in _GRAPHICS or "GPU" in record.name):
        raise Refused(f"it ran on the processor beside {record.name}, of which the registry has no record")
    key = known.stack(_software(row), row.set, row.kind, device, cell(row, "published"))
    if key is None or key not in registry.keys("stacks"):
        return Subject(device, "", None)
    return Subject(device, key, registry.get("stacks", key).record)


def _software(row: Measurement) -> str:
    """Return the software of a row; the published name of the whole system may name it, or say more of it."""
    named = _SYSTEM.search(row.configuration.get("notes", ""))
    said = named[1].replace("_", "-") if named else ""
    return said if said.casefold().startswith(row.software.casefold()) else row.software


def cell(row: Measurement, name: str) -> str:
    """Return a published setting.

    Parameters
    ----------
    row : Measurement
        The row.
    name : str
        Column.

    Returns
    -------
    str
        Empty where it was not published.
    """
    return row.configuration.get(name, "")


def whole(row: Measurement, name: str) -> int | None:
    """Return a published count.

    Parameters
    ----------
    row : Measurement
        The row.
    name : str
        Column.

    Returns
    -------
    int or None
        None where it was not published.

    Raises
    ------
    Refused
        If it is not a count. The mean length of texts may be a fraction, which is rounded, or 0.
    """
    text = cell(row, name)
    if not text:
        return None
    try:
        value = float(text)
        count = round(value)
    except (ValueError, OverflowError):
        value, count = -1.0, 0
    length = name.endswith("_len")
    if value < 0.0 or (not length and (value != count or count == 0)):
        raise Refused(f"{name} = {text!r} is not a count")
    return count


def unstated(found: Subject, name: str, assumed: list[Assumed]) -> str:
    """Return what the stack says about a setting that the row leaves open.

    Parameters
    ----------
    found : Subject
        Device and stack.
    name : str
        Setting.
    assumed : list of Assumed
        Gets the assumption.

    Returns
    -------
    str

    Raises
    ------
    Refused
        If the stack says nothing about it.
    """
    said = found.says(name)
    if said is None:
        raise Refused(f"{name} is not published, and nothing is assumed for it")
    assumed.append(Assumed(f"{name} {said.value}, which the row does not state: {said.reason}", said.log_sd))
    return said.value


def unstated_format(row: Measurement, found: Subject, assumed: list[Assumed]) -> str:
    """Return the format of a model of language or pictures whose row prints none: the stack's, or 16 bits as most have.

    Parameters
    ----------
    row : Measurement
        The row.
    found : Subject
        Device and stack.
    assumed : list of Assumed
        Gets the assumption.

    Returns
    -------
    str
        ``fp16`` where the device has no ``bf16``: software then takes that.

    Raises
    ------
    Refused
        For submissions, which choose any format that keeps the quality, and software whose usual weights have few bits.
    """
    unnamed = not row.software and row.kind != "server"  # software for few bits serves one user rather than several
    if _CHOSEN.search(cell(row, "notes")) or unnamed or _FEW_BITS.search(row.software):
        raise Refused("precision is not published, and nothing is assumed for it")
    try:
        text = unstated(found, "precision", assumed)
    except Refused:
        text = "bf16"
        wide = _SIXTEEN if row.software else _UNNAMED
        assumed.append(Assumed("16 bits, as most models are published: the row states no format", wide))
    peak = plugins().registry.get("devices", found.device).record.compute.peak
    return "fp16" if text == "bf16" and "bf16" not in peak else text


def unstated_formats(row: Measurement, model: str, found: Subject, assumed: list[Assumed]) -> tuple[str, str]:
    """Return the formats of arithmetic and of weights of a language model whose row prints none.

    Parameters
    ----------
    row : Measurement
        The row.
    model : str
        Key of the model.
    found : Subject
        Device and stack.
    assumed : list of Assumed
        Gets the assumption.

    Returns
    -------
    precision, weights : str
        Weights are empty where they are those of arithmetic.

    Raises
    ------
    Refused
        As :func:`unstated_format` does.
    """
    said: list[Assumed] = []
    wide = unstated_format(row, found, said)
    registry = plugins().registry
    published = registry.get("models", model).record.weights
    if published:
        said = [attrs.evolve(said[-1], what=f"weights in {published}, as published: the row states no format")]
    assumed += said
    return published_formats(published, registry.get("devices", found.device).record.compute.peak, wide)


def format_for(device: str, precision: str) -> str:
    """Return the number format in which a device does some arithmetic.

    Parameters
    ----------
    device : str
        Key of the device.
    precision : str
        Format as published.

    Returns
    -------
    str
        ``bf16`` stands for ``fp16`` where the device lists only that; units that do one do the other.

    Raises
    ------
    Refused
        If the device has no rate in that format.
    """
    record = plugins().registry.get("devices", device).record
    other = {"fp16": "bf16"}
    for name in (precision, other.get(precision, "")):
        peak = record.compute.peak.get(name)
        if peak is not None and peak.dense is not None:
            return name
    raise Refused(f"{record.name} has no dense {precision} rate in the registry")


def arithmetic_for(device: str, precision: str, weights: str, assumed: list[Assumed]) -> tuple[str, str]:
    """Return the formats of arithmetic and of stored weights of a model that generates text.

    Parameters
    ----------
    device : str
        Key of the device.
    precision, weights : str
        As published; weights are empty where they follow the arithmetic.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    precision, weights : str
        Narrow formats that the device does not multiply, or not as fast as 16 bits, are kept so and multiplied in 16.

    Raises
    ------
    Refused
        If the device has no rate that could be used.
    """
    peak = plugins().registry.get("devices", device).record.compute.peak
    rates = {name: one.dense for name, one in peak.items() if one.dense}
    wide = "bf16" if "bf16" in rates else "fp16"
    # Units that are slower in few bits than in 16 are worth no conversion of what the products read.
    if precision not in _NARROW or wide not in rates or rates.get(precision, 0.0) >= rates[wide]:
        return format_for(device, precision), weights
    products = format_for(device, wide)
    kept = weights or precision
    assumed.append(
        Assumed(f"weights in {kept} and products in {products}: the device multiplies no {precision} faster", _KEPT)
    )
    return products, kept


def scenario(
    row: Measurement, kind: str, workload: Workload, found: Subject, parallelism: Parallelism | None = None,
    devices: int = 1, settings: dict[str, dict[str, object]] | None = None,
    pools: Pools | None = None,
) -> Scenario:  # fmt: skip
    """Return the scenario of a row.

    Parameters
    ----------
    row : Measurement
        The row.
    kind : str
        serving, training or inference.
    workload : Workload
        The job.
    found : Subject
        Device and stack.
    parallelism : Parallelism, optional
        Division over several devices.
    devices : int, count
        How many.
    settings : dict of str to dict, optional
        Inputs of single solvers.
    pools : Pools, optional
        Workers that read prompts, and workers that write answers.

    Returns
    -------
    Scenario
    """
    able = found.record is None or found.record.runs(kind)
    return Scenario(
        name=row.id,
        kind=kind,  # type: ignore[arg-type]
        workload=workload,
        # Software that is not known to run this kind of scenario says nothing about it: the usual stack is assumed.
        system=System(device=found.device, stack=found.stack if able else "", devices=devices),
        parallelism=parallelism or Parallelism(),
        place=Place(),
        settings=settings or {},
        pools=pools,
    )
