"""The work of a training step, by a named convention."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..formulas.attention import causal_pairs, full_pairs
from .attention import mixing_parameters
from .recurrence import state_work
from .shape import TransformerShape, by_heads
from .sparse import pairs_over_sequence

__all__ = ["ForwardWork", "forward_work", "model_work", "trained_work"]


class ForwardWork(NamedTuple):
    """Multiply-accumulates of one forward pass over a sample.

    Parameters
    ----------
    matrices : float, count
        Of the layers' products with weights, for each token.
    mlp : float, count
        Of these: MLPs with routers and experts.
    attention : float or array, count
        Of scores and values, for the sample.
    head : float, count
        Of the output projection, for each token.
    states : float or array, count
        Of layers that keep a state, for the sample, without the products around it.
    """

    matrices: Any
    mlp: Any
    attention: Any
    head: Any
    states: Any = 0.0


def forward_work(shape: TransformerShape, sequence: Any, full_attention: Any) -> ForwardWork:
    """Return the work of a forward pass: matrix products of what is active, and attention.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    sequence : float or array, count
        Tokens of the sample.
    full_attention : float
        1 counts all pairs of a causal model, as some publishers do; 0 only those that are computed.

    Returns
    -------
    ForwardWork

    References
    ----------
    Chowdhery et al. 2022, PaLM, arXiv:2204.02311, appendix B.
    """
    s = shape
    dense = s.dense_layers * (s.matrices + 1.0) * s.hidden * s.ffn
    each = (s.matrices + 1.0) * (s.active * s.expert_hidden * s.expert_ffn + s.hidden * s.shared_ffn)
    each = each + s.hidden * s.experts + s.compression
    matrices = mixing_parameters(s) + dense + s.expert_layers * each
    attention = sum(_attention_work(part, sequence, full_attention) for part in by_heads(s))
    own = ForwardWork(
        matrices, dense + s.expert_layers * each, attention, s.hidden * s.vocab if s.head else 0.0,
        0.0 if s.recurrence is None else s.recurrence.layers * state_work(s.recurrence, sequence, 1.0),
    )  # fmt: skip
    return own if s.source is None else _with_encoder(own, s, sequence)


def _attention_work(s: TransformerShape, sequence: Any, full_attention: Any) -> Any:
    pairs: Any = 0.0
    for count, window in ((s.full_layers, sequence), (s.window_layers, s.window)):
        if count:
            whole = full_pairs(sequence, window)
            half = causal_pairs(sequence, window) if s.causal else whole
            pairs = pairs + count * (half + full_attention * (whole - half))
    for one in s.sparse:
        pairs = pairs + one.layers * pairs_over_sequence(one, sequence, s.window)
    return pairs * s.heads * (s.head_dim + s.v_dim)


def _with_encoder(own: ForwardWork, shape: TransformerShape, sequence: Any) -> ForwardWork:
    """Return the work of a decoder with that of its encoder and of cross-attention, for each token of the decoder."""
    s, source = shape, shape.source
    assert source is not None
    read = forward_work(source.shape, source.tokens, 0.0)
    ratio, queries, keys = source.tokens / sequence, s.heads * s.head_dim, s.kv_heads * s.head_dim
    cross = s.layers * (2.0 * s.hidden * queries + ratio * 2.0 * source.shape.hidden * keys)
    pairs = s.layers * sequence * source.tokens * s.heads * (s.head_dim + s.v_dim)
    stem = 3.0 * source.shape.hidden * (2.0 * source.bins + source.shape.hidden) if source.bins else 0.0
    return own._replace(
        matrices=own.matrices + cross + ratio * (read.matrices + stem), mlp=own.mlp + ratio * read.mlp,
        attention=own.attention + read.attention + pairs,
    )  # fmt: skip


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
    """
    return trained_work(forward_work(shape, sequence, full_attention), sequence, flop_per_mac, frozen=frozen)


def trained_work(work: ForwardWork, sequence: Any, flop_per_mac: Any, *, frozen: bool) -> tuple[Any, Any]:
    """Return the work of one sample, forward and backward, from that of its forward pass.

    Parameters
    ----------
    work : ForwardWork
        Of the forward pass.
    sequence : float or array, count
        Tokens of the sample.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.
    frozen : bool
        Whether gradients of weights are left out.

    Returns
    -------
    layers, ends : float or array, FLOP
        Work of the layers, and of the output projection.
    """
    passes = 2.0 if frozen else 3.0
    # A frozen model still passes gradients through attention and states: twice the forward pass.
    return (
        flop_per_mac * (passes * sequence * work.matrices + 3.0 * (work.attention + work.states)),
        flop_per_mac * passes * sequence * work.head,
    )
