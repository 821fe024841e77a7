"""Matrix products in PyTorch, by number format."""

from __future__ import annotations

import functools
from typing import Any

from .backend import Unsupported
from .timing import Action

__all__ = ["product_of"]


def product_of(torch: Any, precision: str, left: Any, right: Any, device: str) -> Action:
    """Return a matrix product.

    Parameters
    ----------
    torch : module
        PyTorch.
    precision : str
        Number format.
    left, right : tensor
        Operands in that format, on the device.
    device : str
        As PyTorch calls it.

    Returns
    -------
    callable

    Raises
    ------
    Unsupported
        If this version of PyTorch has no such product.
    """
    if precision == "int8":
        multiply = getattr(torch, "_int_mm", None)
        if multiply is None:
            raise Unsupported("this version of PyTorch has no product of 8-bit integers")
        return lambda: multiply(left, right)
    if precision == "fp8":
        return _fp8_product(torch, left, right, device)
    return lambda: torch.mm(left, right)


def _fp8_product(torch: Any, left: Any, right: Any, device: str) -> Action:
    """Return a product in 8 bits with the sums of inference stacks, where this version of PyTorch lets one choose."""
    scaled = getattr(torch, "_scaled_mm", None)
    if scaled is None:
        raise Unsupported("this version of PyTorch has no product in fp8")
    one = torch.ones((), device=device)
    plain = functools.partial(scaled, left, right, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    fast = functools.partial(plain, use_fast_accum=True)
    try:
        fast()
    except (TypeError, ValueError, RuntimeError):  # want of memory shows again without it
        return plain
    return fast
