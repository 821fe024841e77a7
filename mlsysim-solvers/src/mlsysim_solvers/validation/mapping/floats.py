"""In which format software multiplies the 32-bit numbers that a row prints."""

from __future__ import annotations

from mlsysim.plugins import plugins
from mlsysim.records.stack import Stack
from mlsysim.shapes import expand

from ..questions import Assumed
from .common import Subject

__all__ = ["multiplied"]

_LEFT_ON = 0.05
"""Scripts may turn the default off; an estimate, for most do not say."""


def multiplied(found: Subject, model: str, precision: str, assumed: list[Assumed]) -> str:
    """Return the format of products in a row that prints one for its numbers.

    Software with matrix units for TF32 rounds 32-bit numbers on the way in unless told otherwise, and benchmarks of it
    print "fp32" all the same.

    Parameters
    ----------
    found : Subject
        Device and stack.
    model : str
        Key of the model.
    precision : str
        Format as published.
    assumed : list of Assumed
        Gets the assumption.

    Returns
    -------
    str
        ``tf32`` for ``fp32`` where device and stack multiply so.
    """
    if precision != "fp32" or found.record is None:
        return precision
    peak = plugins().registry.get("devices", found.device).record.compute.peak.get("tf32")
    if peak is None or peak.dense is None or not _covers(found.record, model):
        return precision
    assumed.append(Assumed(f"products in tf32, as {found.record.name} multiplies fp32 unless told otherwise", _LEFT_ON))
    return "tf32"


def _covers(stack: Stack, model: str) -> bool:
    """Tell whether the default of the stack holds for most products of the model."""
    return stack.features.tf32 == "products" or (stack.features.tf32 == "convolutions" and _is_convolutional(model))


def _is_convolutional(model: str) -> bool:
    network = plugins().registry.get("models", model).record.network
    if network is None:
        return False
    ops = expand(network)
    return 2 * sum(op.macs for op in ops if op.kind == "conv") > sum(op.macs for op in ops)
