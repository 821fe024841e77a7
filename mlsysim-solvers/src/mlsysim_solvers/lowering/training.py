"""The backward pass of any operator table, recomputation, and the optimizer."""

from __future__ import annotations

from typing import Any

from ..formulas.backward import attention_backward_flops, stream_backward_bytes
from ..formulas.elementwise import stream_bytes
from .operators import MATRIX_KINDS, ONCE, Operator, Table, operator_of, stream
from .recurrence import STATE_ROWS

__all__ = ["backward", "gradients", "loss", "optimizer_step", "recomputed"]


_INPUT, _WEIGHT, _BOTH = ": input gradient", ": weight gradient", ": gradients"


def backward(table: Table, *, fused_attention: bool) -> Table:
    """Return the backward pass of a forward table.

    Parameters
    ----------
    table : list of Operator
        Forward pass.
    fused_attention : bool
        Whether attention forms its scores again instead of reading them.

    Returns
    -------
    list of Operator
        Two matrix products for each with weights, the gradient of its input and of its weights, each
        with its own shape.
    """
    both: Table = []
    _append_gradients(table, both, both, fused_attention)
    return both


def gradients(table: Table, *, fused_attention: bool) -> tuple[Table, Table]:
    """Return the backward pass of a forward table in two parts.

    Parameters
    ----------
    table : list of Operator
        Forward pass.
    fused_attention : bool
        Whether attention forms its scores again instead of reading them.

    Returns
    -------
    inputs, weights : list of Operator
        Gradients of inputs, with everything that has no weights; and gradients of weights.
    """
    inputs: Table = []
    weights: Table = []
    _append_gradients(table, inputs, weights, fused_attention)
    return inputs, weights


def _append_gradients(table: Table, inputs: Table, own: Table, fused_attention: bool) -> None:
    """Append the gradients of inputs to one table and those of weights to another, or to the same."""
    usual = 5.0 if fused_attention else 4.0
    for name, kind, count, m, n, k, batch, flops, weights, moved, cache, kernels, work, _ in table:
        if kind in MATRIX_KINDS:
            inputs.append(operator_of((
                name + _INPUT, kind, count, m, k, n, batch, flops, weights, moved, cache, kernels, work, 0.0,
            )))  # fmt: skip
            own.append(operator_of((
                name + _WEIGHT, kind, count, n, k, m, batch, flops, weights, moved, cache, kernels, work, 0.0,
            )))  # fmt: skip
        elif kind == "attention":
            # The backward pass moves inputs, output and a gradient of each. Kernels of states keep no products.
            products = 5.0 if name in STATE_ROWS else usual
            done = attention_backward_flops(work, products, 2.0)
            inputs.append(operator_of((
                name + _BOTH, kind, count, m, n, k, batch, 2.0 * flops, weights, 2.0 * moved, cache, kernels, done, 0.0,
            )))  # fmt: skip
        elif kind == "depthwise":
            inputs.append(Operator(
                name + _BOTH, kind, count, m, n, k, batch, 2.0 * flops, 2.0 * weights, 2.0 * moved, cache,
                2.0 * kernels, 2.0 * work,
            ))  # fmt: skip
        else:
            # A look-up adds its gradients to the table; others read input and gradient and write one.
            traffic = stream_backward_bytes(moved, 3.0, 2.0)
            inputs.append(operator_of((
                name + _BOTH, kind, count, m, n, k, batch, flops, weights, traffic, cache, kernels, 0.0, 0.0,
            )))  # fmt: skip


def recomputed(table: Table) -> Table:
    """Return operators that are done once more: they take time, but are no work of the model.

    Parameters
    ----------
    table : list of Operator
        What is recomputed.

    Returns
    -------
    list of Operator
    """
    return [operator_of((f"{row.name}: recomputed", *row[1:7], 0.0 * row.flops, *row[8:])) for row in table]


def loss(rows: Any, vocab: Any, width: Any, narrow: Any = None) -> Operator:
    """Return softmax and cross entropy over the vocabulary with its gradient.

    Parameters
    ----------
    rows : float or array, count
        Positions.
    vocab : float, count
        Entries of the vocabulary.
    width : float, B
        Bytes per logit.
    narrow : float, B, optional
        Bytes per logit as the output projection wrote it, where each kernel passes over a wider copy.

    Returns
    -------
    Operator
        Logits are read for the loss, read again and overwritten for the gradient. Kernel by kernel, a wide copy is
        written, read and normalised, the gradient of the likelihood written, both read and the gradient of the copy
        written, and that read and narrowed: eight passes in the wide format and two in the narrow one.
    """
    if narrow is None:
        return stream("loss", ONCE, stream_bytes(rows, 3.0 * vocab, width), 3.0)
    traffic = stream_bytes(rows, 8.0 * vocab, width) + stream_bytes(rows, 2.0 * vocab, narrow)
    return stream("loss", ONCE, traffic, 5.0)


def optimizer_step(traffic: Any) -> Operator:
    """Return the optimizer as one operator.

    Parameters
    ----------
    traffic : float, B
        What it reads and writes.

    Returns
    -------
    Operator
    """
    return stream("optimizer", ONCE, traffic, kind="optimizer")
