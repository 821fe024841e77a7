"""Layers that keep a state of one size in place of keys and values: their matrices and vectors, by kind.

Registry checks, hub import and lowering count the same products: whole layers here, one device's part of them there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..records.model import Transformer

__all__ = ["KINDS", "Mixer", "Product", "mixer_of", "state_matrices", "state_products", "state_vectors"]


class Product(NamedTuple):
    """A matrix product that every token passes.

    Parameters
    ----------
    name : str
        What it projects to.
    inner, columns : float or array, count
        Width of what it reads and of what it writes.
    """

    name: str
    inner: Any
    columns: Any


class Mixer(NamedTuple):
    """One layer that keeps a state, or one device's part of it; counts.

    Parameters
    ----------
    kind : str
        How the state takes up a token, one of :data:`KINDS`.
    hidden : float
        Width of the model.
    heads, width : float or array
        Heads of values, each with a state, and their width: the columns of a state.
    groups, depth : float or array
        Groups of heads that share keys and queries, or input and output matrices, and how wide these are: the rows of a
        state.
    conv : float
        Taps of the convolution.
    rank : float
        Width through which decays or time steps are projected, and the gate unless ``wide_gate``.
    wide_gate : bool
        Whether the gate on the output is projected at once.
    """

    kind: str
    hidden: Any
    heads: Any
    width: Any
    groups: Any
    depth: Any
    conv: Any
    rank: Any
    wide_gate: bool

    @property
    def values(self) -> Any:
        """Width of the output of all heads."""
        return self.heads * self.width

    @property
    def shared(self) -> Any:
        """Width of queries and keys, or of input and output matrices."""
        return 2 * self.groups * self.depth

    @property
    def mixed(self) -> Any:
        """Channels of the convolution."""
        return _CONVOLVED[self.kind](self)


def _gated_delta(m: Mixer) -> list[Product]:
    return [
        Product("state projection", m.hidden, m.shared + 2 * m.values),
        Product("decay and step projection", m.hidden, 2 * m.heads),
    ]


def _kimi_delta(m: Mixer) -> list[Product]:
    products = [
        Product("state projection", m.hidden, m.shared + m.values),
        Product("step projection", m.hidden, m.heads),
        Product("decay, compression", m.hidden, m.rank),
        Product("decay, expansion", m.rank, m.heads * m.depth),
    ]
    if m.wide_gate:
        return [*products, Product("gate projection", m.hidden, m.values)]
    return [*products, Product("gate, compression", m.hidden, m.rank), Product("gate, expansion", m.rank, m.values)]


def _mamba(m: Mixer) -> list[Product]:
    return [
        Product("state projection", m.hidden, 2 * m.values),
        Product("time step and matrices", m.values, m.rank + m.shared),
        Product("time step, expansion", m.rank, m.values),
    ]


_ENTRY: Mapping[str, Callable[[Mixer], list[Product]]] = {
    "mamba": _mamba,
    "mamba2": lambda m: [Product("state projection", m.hidden, m.shared + 2 * m.values + m.heads)],
    "gated-delta": _gated_delta,
    "kimi-delta": _kimi_delta,
    "lightning": lambda m: [Product("state projection", m.hidden, m.shared + 2 * m.values)],
    "short-convolution": lambda m: [Product("convolution projection", m.hidden, 3 * m.values)],
}

_CONVOLVED: Mapping[str, Callable[[Mixer], Any]] = {
    "mamba": lambda m: m.values,
    "mamba2": lambda m: m.values + m.shared,
    "gated-delta": lambda m: m.values + m.shared,
    "kimi-delta": lambda m: m.values + m.shared,
    "lightning": lambda m: 0 * m.values,
    "short-convolution": lambda m: m.values,
}

_VECTORS: Mapping[str, Callable[[Mixer], Any]] = {
    # Bias of the convolution and of the time step, decay of each state, skip, norms of what steers it.
    "mamba": lambda m: m.values * (m.depth + 3) + m.rank + m.shared,
    # Bias of the convolution; bias of the time step, decay and skip of each head; norm of the output.
    "mamba2": lambda m: m.mixed + 3 * m.heads + m.values,
    # Decay and bias of the step of each head; norm of a head.
    "gated-delta": lambda m: 2 * m.heads + m.width,
    # Decay of each head, bias of each of its rows; norm of a head.
    "kimi-delta": lambda m: m.heads * (1 + m.depth) + m.width,
    "lightning": lambda m: m.values,
    "short-convolution": lambda m: 0 * m.values,
}

KINDS = tuple(_ENTRY)
"""How a state takes up a token.

``mamba``: a decay for each channel and state. ``mamba2``: one for each head. ``gated-delta``: one for each head, and a
token corrects what the state holds for its key. ``kimi-delta``: the same with a decay for each row. ``lightning``: a
fixed decay for each head. ``short-convolution``: no state but the window of the convolution, between two gates.
"""


def state_products(mixer: Mixer) -> list[Product]:
    """Return the matrix products of one layer.

    Parameters
    ----------
    mixer : Mixer
        The layer, or one device's part of it.

    Returns
    -------
    list of Product
        The output projection is the last.

    References
    ----------
    Mamba: Gu, Dao 2023, arXiv:2312.00752. Mamba-2: Dao, Gu 2024, arXiv:2405.21060. Gated delta rule:
    huggingface/transformers, src/transformers/models/qwen3_next/modular_qwen3_next.py, Qwen3NextGatedDeltaNet. Kimi
    delta attention: fla-org/flash-linear-attention at bc3b101, fla/layers/kda.py, KimiDeltaAttention. Short
    convolution: huggingface/transformers, src/transformers/models/lfm2/modular_lfm2.py at 02f4177, Lfm2ShortConv.
    Lightning attention: ml-explore/mlx-lm at d78bf58, mlx_lm/models/bailing_moe_linear.py.
    """
    return [*_ENTRY[mixer.kind](mixer), Product("state output projection", mixer.values, mixer.hidden)]


def mixer_of(transformer: Transformer) -> Mixer | None:
    """Return a layer that keeps a state.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    Mixer or None
        None where every layer attends.
    """
    s = transformer.states
    if s is None:
        return None
    return Mixer(s.kind, transformer.hidden, s.heads, s.head_dim, s.groups, s.state, s.conv, s.rank, s.wide_gate)


def state_matrices(mixer: Mixer) -> Any:
    """Return the weights of the matrix products of one layer.

    Parameters
    ----------
    mixer : Mixer
        The layer, or one device's part of it.

    Returns
    -------
    float or array, count
    """
    return sum(one.inner * one.columns for one in state_products(mixer))


def state_vectors(mixer: Mixer) -> Any:
    """Return the weights of one layer outside its matrix products: convolution, decays, biases and norms.

    Parameters
    ----------
    mixer : Mixer
        The layer.

    Returns
    -------
    float, count
    """
    return mixer.conv * mixer.mixed + _VECTORS[mixer.kind](mixer)
