"""Number formats: how many bytes one element takes."""

from __future__ import annotations

import re

from ..errors import ConfigError
from ..names import did_you_mean

__all__ = ["BITS", "bytes_per_element", "check_precision"]

BITS: dict[str, float] = {
    "fp64": 64, "fp32": 32, "tf32": 32, "fp16": 16, "bf16": 16, "fp8": 8, "fp6": 6, "fp4": 4,
    "int16": 16, "int8": 8, "int4": 4, "nf4": 4.127,
    "mxfp8": 8.25, "mxfp6": 6.25, "mxfp4": 4.25, "nvfp4": 4.5,
}  # fmt: skip
"""Bits per stored element.

TF32 is stored as 32 bits. The MX formats add one 8-bit scale to each block of 32 elements
(OCP Microscaling Formats v1.0, section 5); NVFP4 adds one FP8 scale to each block of 16. NF4 is that of QLoRA
with double quantisation: an 8-bit scale to each block of 64 elements and one of 32 bits to each 256 of those, 8/64 +
32/(64 x 256) = 0.127 bits (pytorch/ao, torchao/dtypes/nf4tensor.py at 0598012, to_nf4: block_size, scaler_block_size).
"""


_BITS_PER_WEIGHT = re.compile(r"\d+(\.\d+)?bpw")
"""A stored format that is known by its average alone, for example ``4.9bpw``: bits per weight, scales included."""


def check_precision(name: str, *, where: str = "precision") -> str:
    """Return the name of a number format, or refuse it.

    Parameters
    ----------
    name : str
        For example ``"bf16"``, or ``"4.9bpw"`` for stored weights of so many bits each.
    where : str
        The argument that holds it, for the message.

    Returns
    -------
    str
        The name in lower case.

    Raises
    ------
    ConfigError
        If no such format is known.
    """
    folded = name.lower()
    if folded not in BITS and not _BITS_PER_WEIGHT.fullmatch(folded):
        raise ConfigError(f"unknown precision {name!r}", where=where, remedy=did_you_mean(name, BITS))
    return folded


def bytes_per_element(precision: str) -> float:
    """Return the bytes that one element takes in memory.

    Parameters
    ----------
    precision : str
        A key of :data:`BITS`.

    Returns
    -------
    float, B
    """
    folded = check_precision(precision)
    bits = BITS.get(folded)
    return (float(folded.removesuffix("bpw")) if bits is None else bits) / 8
