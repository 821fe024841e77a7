"""What an optimizer step reads and writes."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["optimizer_traffic"]


@formula("B", parameters="1", weight="B", gradient="B", master="B", states="1", state="B")
def optimizer_traffic(parameters: Any, weight: Any, gradient: Any, master: Any, states: Any, state: Any) -> Any:
    """Return the memory traffic of one optimizer step.

    Parameters
    ----------
    parameters : float, count
        All parameters.
    weight, gradient, master, state : float, B
        Bytes per element of the working copy, the gradient, the master copy (0 without one) and an
        optimizer state.
    states : float, count
        Optimizer states per parameter.

    Returns
    -------
    float, B

    Notes
    -----
    N [2 (w_master + n_s w_s) + 2 g + w + (w without a master)]: master and states are read and
    written, the gradient is read and cleared, the working copy is written, and read when it is
    itself the master. 34 bytes per parameter for Adam with 32-bit master, states and gradients.
    """
    copies = 2.0 * (master + states * state) + weight
    return parameters * (copies + 2.0 * gradient)
