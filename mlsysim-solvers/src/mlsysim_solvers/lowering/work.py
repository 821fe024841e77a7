"""The work of a training step, by a named convention."""

from __future__ import annotations

from typing import Any

from ..formulas.attention import causal_pairs, full_pairs
from .attention import attention_parameters
from .shape import TransformerShape

__all__ = ["model_work"]


def model_work(
    shape: TransformerShape, sequence: Any, flop_per_mac: Any, full_attention: Any, *, frozen: bool
) -> tuple[Any, Any]:
    """Return the work of one sample, forward and backward: matrix products of what is active, and attention.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    sequence : float or array, count
        Tokens of the sample.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.
    full_attention : float
        1 counts all pairs of a causal model, as some publishers do; 0 only those that are computed.
    frozen : bool
        Whether gradients of weights are left out.

    Returns
    -------
    layers, ends : float or array, FLOP
        Work of the layers, and of the output projection.

    References
    ----------
    Chowdhery et al. 2022, PaLM, arXiv:2204.02311, appendix B.
    """
    passes = 2.0 if frozen else 3.0
    s = shape
    dense = s.dense_layers * (s.matrices + 1.0) * s.hidden * s.ffn
    each = (s.matrices + 1.0) * s.hidden * (s.active * s.expert_ffn + s.shared_ffn) + s.hidden * s.experts
    matrices = s.layers * attention_parameters(s) + dense + s.expert_layers * each
    pairs: Any = 0.0
    for count, window in ((s.full_layers, sequence), (s.window_layers, s.window)):
        if count:
            whole = full_pairs(sequence, window)
            half = causal_pairs(sequence, window) if s.causal else whole
            pairs = pairs + count * (half + full_attention * (whole - half))
    attention = pairs * s.heads * (s.head_dim + s.v_dim)
    head = s.hidden * s.vocab if s.head else 0.0
    # A frozen model still passes gradients through attention: twice the forward pass.
    return (
        flop_per_mac * (passes * sequence * matrices + 3.0 * attention),
        flop_per_mac * passes * sequence * head,
    )
