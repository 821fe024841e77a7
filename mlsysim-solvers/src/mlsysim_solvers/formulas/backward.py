"""What the backward pass costs relative to the forward pass."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["attention_backward_flops", "stream_backward_bytes"]


@formula("FLOP", forward="FLOP", backward_products="1", forward_products="1")
def attention_backward_flops(forward: Any, backward_products: Any, forward_products: Any) -> Any:
    """Return the work of the backward pass of scores and values.

    Parameters
    ----------
    forward : float or array, FLOP
        Work of the forward pass.
    backward_products : float, count
        Matrix products of the backward pass: 4, or 5 when fused attention forms its scores again.
    forward_products : float, count
        Matrix products of the forward pass: 2.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F_b = F n_b / n_f: 2.5 times the forward pass for fused attention.
    """
    return forward * (backward_products / forward_products)


@formula("B", forward="B", backward_passes="1", forward_passes="1")
def stream_backward_bytes(forward: Any, backward_passes: Any, forward_passes: Any) -> Any:
    """Return the traffic of the backward pass of element-wise operators.

    Parameters
    ----------
    forward : float or array, B
        Traffic of the forward pass.
    backward_passes, forward_passes : float, count
        Tensors moved: input and both gradients against input and output.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q_b = Q n_b / n_f: 1.5 times the forward pass for norms and activations.
    """
    return forward * (backward_passes / forward_passes)
