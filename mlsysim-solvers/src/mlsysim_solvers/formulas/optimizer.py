"""What an optimizer step reads and writes."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["accumulation_traffic", "optimizer_traffic"]


@formula("B", parameters="1", weight="B", passes="1", gradient="B", master="B", states="1", state="B")
def optimizer_traffic(
    parameters: Any, weight: Any, passes: Any, gradient: Any, master: Any, states: Any, state: Any
) -> Any:
    """Return the memory traffic of one optimizer step.

    Parameters
    ----------
    parameters : float, count
        All parameters.
    weight, gradient, master, state : float, B
        Bytes per element of the working copy, the gradient, the master copy (0 without one) and an
        optimizer state.
    passes : float, count
        How often the working copy moves: 1 beside a master copy, 2 without.
    states : float, count
        Optimizer states per parameter.

    Returns
    -------
    float, B

    Notes
    -----
    N [2 (w_master + n_s w_s) + 2 g + c w]

    Master and states are read and written, the gradient is read and cleared, and the working copy is
    written (c = 1), or read and written when there is no master (c = 2). 34 bytes per parameter for
    Adam with 32-bit master, states and gradients beside 16-bit weights.
    """
    return parameters * (2.0 * (master + states * state + gradient) + passes * weight)


@formula("B", parameters="1", written="B", kept="B")
def accumulation_traffic(parameters: Any, written: Any, kept: Any) -> Any:
    """Return the memory traffic of adding the gradients of one micro-batch to those of earlier ones.

    Parameters
    ----------
    parameters : float, count
        Parameters whose gradients are added.
    written, kept : float, B
        Bytes per element of a gradient as its product wrote it, and as it is accumulated.

    Returns
    -------
    float, B

    Notes
    -----
    N (g + 2 a): the gradient is read, the sum read and written.

    References
    ----------
    NVIDIA Megatron-LM, megatron/model/distributed.py, _make_param_hook: ``param.main_grad.add_(param.grad.data)`` after
    every backward pass; later versions skip it where the product adds by itself.
    """
    return parameters * (written + 2.0 * kept)
