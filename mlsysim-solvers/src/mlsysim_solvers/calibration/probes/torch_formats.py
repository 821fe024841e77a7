"""Number formats in which PyTorch multiplies on an accelerator, by what its units have.

PyTorch computes in a format that the units lack without saying so: bfloat16 is emulated, and TF32 is fp32. Timed all
the same, it would stand on a card as something that the device can do.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["TYPES", "cuda_formats", "fp8_type", "rocm_formats"]

TYPES = {
    "fp64": "float64", "fp32": "float32", "tf32": "float32", "bf16": "bfloat16", "fp16": "float16",
    "fp8": "float8_e4m3fn", "int8": "int8",
}  # fmt: skip
"""Names of the types in PyTorch."""

_ALL = ("bf16", "fp16", "tf32", "fp32", "fp8", "int8", "fp64")
_VOLTA, _AMPERE, _ADA = (7, 0), (8, 0), (8, 9)
_BF16 = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
_FP8 = {"gfx94": "float8_e4m3fnuz", "gfx95": "float8_e4m3fn", "gfx12": "float8_e4m3fn"}
"""The 8-bit format of AMD's units: CDNA 3 has one without negative zero and infinities of its own."""


def cuda_formats(capability: tuple[int, int]) -> tuple[tuple[str, ...], str]:
    """Return the formats of NVIDIA's units, the usual one first, and why others are left out.

    Parameters
    ----------
    capability : tuple of int
        Compute capability.

    Returns
    -------
    tuple of str
    str
        Empty where none is left out.

    Notes
    -----
    Units multiply bfloat16 and TF32 from compute capability 8.0 on, 8-bit floating point from 8.9 on. Before 7.0
    16-bit products may be far slower than those in 32 bits. The variable ``NVIDIA_TF32_OVERRIDE`` makes the library
    take one of TF32 and fp32 for the other.
    """
    lacking = {"bf16", "tf32"} if capability < _AMPERE else set()
    lacking |= {"fp8"} if capability < _ADA else set()
    why = f"compute capability {capability[0]}.{capability[1]} has no units for them" if lacking else ""
    override = os.environ.get("NVIDIA_TF32_OVERRIDE", "")
    if override in ("0", "1"):
        lacking |= {"tf32" if override == "0" else "fp32"}
        why = "; ".join(filter(None, (why, f"NVIDIA_TF32_OVERRIDE is {override}")))
    kept = tuple(name for name in _ALL if name not in lacking)
    if capability < _VOLTA:
        kept = ("fp32", *(name for name in kept if name != "fp32"))
    return kept, _said(lacking, why)


def rocm_formats(architecture: str) -> tuple[tuple[str, ...], str]:
    """Return the formats of AMD's units, the usual one first, and why others are left out.

    Parameters
    ----------
    architecture : str
        Name of the instruction set, for example ``gfx942``.

    Returns
    -------
    tuple of str
    str
        Why others are left out.

    Notes
    -----
    Whether products in fp32 are rounded to TF32 depends on the library and its environment, and nothing tells, so
    TF32 is left out.
    """
    lacking = {"tf32"} | (set() if architecture.startswith(_BF16) else {"bf16"})
    lacking |= set() if architecture.startswith(tuple(_FP8)) else {"fp8"}
    kept = tuple(name for name in _ALL if name not in lacking)
    return kept, _said(lacking, f"{architecture or 'the device'} has no units for them, or ROCm does not tell")


def fp8_type(architecture: str) -> str:
    """Return the 8-bit type of a device.

    Parameters
    ----------
    architecture : str
        Name of AMD's instruction set; empty for NVIDIA.

    Returns
    -------
    str
        Name in PyTorch.
    """
    return next((name for prefix, name in _FP8.items() if architecture.startswith(prefix)), TYPES["fp8"])


def _said(lacking: set[str], why: str) -> str:
    names: Any = [name for name in _ALL if name in lacking]
    return f"products in {', '.join(names)} left out: {why}" if names else ""
