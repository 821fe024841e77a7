"""How operands of matrix products are brought to fewer bits than activations are kept in."""

from __future__ import annotations

from ..formulas.elementwise import stream_bytes
from .operators import Formats, Table, stream

__all__ = ["casts"]

_CASTS = {
    "delayed": (1.0, 1.0), "tensor": (2.0, 2.0), "rows": (3.0, 3.0), "block": (1.0, 2.0), "transformed": (3.0, 3.0),
}  # fmt: skip
"""Passes over an operand and kernels that bring it to 8 bits: with a scale of earlier steps one; for that of the tensor
at hand its greatest element is sought first; a row is cast as soon as it was read; columns, which the other layout
scales, are read once for their greatest elements and once to be cast; scales of blocks are put in the order in which a
product reads them. To 4 bits: the greatest elements, also of the transformed operand; one layout; the other,
transformed."""


def casts(table: Table, formats: Formats, layouts: float = 2.0, scaling: str = "delayed") -> Table:
    """Return the quantisation of what enters matrix products in fewer bits than activations are kept in.

    Parameters
    ----------
    table : list of Operator
        Forward pass.
    formats : Formats
        Number formats.
    layouts : float, count
        Layouts in which an operand is written, one for each product that uses it: 1 where weights are frozen.
    scaling : str
        How operands get their scales: delayed, tensor, rows or block, and those of 4 bits transformed.

    Returns
    -------
    list of Operator
        Each left operand is written in every layout, and read as often as its scales ask for. What enters the experts'
        products is cast expert by expert, in kernels of their own.

    References
    ----------
    NVIDIA TransformerEngine, transformer_engine/pytorch/csrc/quantizer.cpp: Float8CurrentScalingQuantizer.quantize_impl
    (nvte_compute_amax, then the cast), NVFP4Quantizer.quantize_impl (nvte_hadamard_transform_amax, the cast by rows,
    and that of the transformed columns); csrc/extensions/gemm.cpp (swizzle_scales_for_gemm); csrc/extensions/cast.cpp,
    multi_tensor_quantize_impl: tensor by tensor unless scales are delayed. PyTorch torchtitan, docs/float8.md:
    tensorwise or rowwise dynamic scaling, fused by the compiler.
    """
    passes, launched = _CASTS[scaling]
    width = passes * formats.activation + layouts * formats.operand
    found: Table = []
    for row in table:
        if row.kind in ("gemm", "grouped_gemm") and row.weight_bytes is not None and row.name != "router":
            traffic = stream_bytes(row.m * row.batch, row.k, width)
            # With scales of earlier steps one kernel casts what all experts read.
            kernels = launched if row.kind == "gemm" or launched == 1.0 else launched * row.kernels
            found.append(stream(f"{row.name}: cast", row.count, traffic, kernels))
    return found
