"""What follows from the shape of a model alone: parameters, key-value bytes, layers, work.

Nothing here depends on a device, a precision or a stack. Registry checks compare these
numbers with the published labels, hub import uses them for unknown models, and lowering
starts from them.

Work is counted in multiply-accumulates (MAC): one MAC is two FLOP. Layer lists of
convolutional and dense networks are turned into operations in :mod:`mlsysim.layers`.
"""

from __future__ import annotations

from typing import Any

import attrs

from .errors import ConfigError
from .layers import Op, expand, network_work
from .numeric import minimum
from .records.model import Model, Transformer

__all__ = [
    "MatmulParameters",
    "Op",
    "Parameters",
    "expand",
    "full_attention_layers",
    "kv_bytes",
    "kv_bytes_per_token",
    "kv_elements",
    "matmul_parameters",
    "network_work",
    "parameters",
]


@attrs.frozen
class Parameters:
    """Parameters of a model, in total and by part; all counts.

    Parameters
    ----------
    total : int, count
        All stored parameters; a tied embedding counts once.
    active : int, count
        Read for one token: attention, norms, router, routed top-k and shared experts, dense MLPs
        and the output head (also where it is the tied embedding). Input tables do not count.
    active_with_embedding : int, count
        The same and the input tables, every stored parameter once.
    active_blocks : int, count
        The same as ``active`` without the output head. Publishers follow any of the three.
    embedding : int, count
        Input tables: token, position and segment embedding, norm after the embedding; patch
        projection and class token of a vision transformer.
    head : int, count
        Output projection, pooler and classifier, as far as they are stored apart from ``embedding``.
    layers, expert_layers : int, count
        Blocks, and those among them with experts.
    attention, norms : int, count
        Of one block.
    mlp : int, count
        Of a block without experts.
    experts, experts_active : int, count
        MLP of a block with experts, router and shared experts included: all of it, and what one
        token uses.
    """

    total: int
    active: int
    active_with_embedding: int
    active_blocks: int
    embedding: int = 0
    head: int = 0
    layers: int = 0
    expert_layers: int = 0
    attention: int = 0
    norms: int = 0
    mlp: int = 0
    experts: int = 0
    experts_active: int = 0

    @property
    def non_embedding(self) -> int:
        """Total without input tables and output head."""
        return self.total - self.embedding - self.head


def parameters(model: Model) -> Parameters:
    """Count the parameters of a model.

    Parameters
    ----------
    model : Model
        With a transformer or a network.

    Returns
    -------
    counts : Parameters

    Raises
    ------
    ConfigError
        If the model has neither a transformer nor a network.
    """
    if model.transformer is not None:
        return _transformer_parameters(model.transformer)
    if model.network is None:
        raise ConfigError(f"the model {model.name!r} has no shape", remedy="Give it a transformer or a network")
    count = sum(op.parameters for op in expand(model.network))
    return Parameters(total=count, active=count, active_with_embedding=count, active_blocks=count)


def _linear(inputs: int, outputs: int, *, bias: bool) -> int:
    return inputs * outputs + (outputs if bias else 0)


def _norm(t: Transformer) -> int:
    return t.hidden * (2 if t.norm == "layer" else 1)


def _attention(t: Transformer) -> int:
    if t.latent is not None:
        return _latent_attention(t)
    query, key = t.heads * t.head_dim, t.kv_heads * t.head_dim
    count = _linear(t.hidden, query + 2 * key, bias=t.qkv_bias or t.bias)
    count += _linear(query, t.hidden, bias=t.bias)
    return count + (2 * t.head_dim if t.qk_norm else 0) + (t.heads if t.sinks else 0)


def _latent_attention(t: Transformer) -> int:
    """Count the down- and up-projections, the norms of both compressed vectors and the output."""
    a = t.latent
    assert a is not None
    query = t.heads * (a.nope_dim + a.rope_dim)
    count = a.q_rank * (t.hidden + 1 + query) if a.q_rank else t.hidden * query
    count += t.hidden * (a.kv_rank + a.rope_dim) + a.kv_rank
    return count + a.kv_rank * t.heads * (a.nope_dim + a.v_dim) + t.heads * a.v_dim * t.hidden


def _mlp(t: Transformer, width: int) -> int:
    up = _linear(t.hidden, width, bias=t.bias)
    return up * (2 if t.gated else 1) + _linear(width, t.hidden, bias=t.bias)


def _experts(t: Transformer, routed: int) -> int:
    """Count an expert layer with that many routed experts."""
    m = t.mixture
    if m is None:
        return 0
    router = _linear(t.hidden, m.experts, bias=m.router_bias) + (t.hidden if m.shared_gate else 0)
    return router + (routed + m.shared) * _mlp(t, m.ffn)


def _norms(t: Transformer) -> int:
    return _norm(t) * (1 if t.shared_norm else 4 if t.sandwich_norm else 2)


def _input_tables(t: Transformer) -> int:
    count = (t.vocab + t.positions + t.token_types) * t.hidden + (_norm(t) if t.embedding_norm else 0)
    if t.patch:
        count += _linear(t.patch * t.patch * t.channels, t.hidden, bias=True) + t.hidden
    return count


def _output(t: Transformer) -> int:
    """Count head, pooler and classifier as far as stored; a tied head is stored with the embedding."""
    count = t.vocab * t.hidden if t.head and not t.tied else 0
    count += t.vocab if t.head and t.head_bias else 0
    count += _linear(t.hidden, t.hidden, bias=True) if t.pooler else 0
    return count + (_linear(t.hidden, t.classes, bias=True) if t.classes else 0)


def _transformer_parameters(t: Transformer) -> Parameters:
    m = t.mixture
    sparse = t.layers - m.dense_layers if m else 0
    attention, norms, mlp = _attention(t), _norms(t), _mlp(t, t.ffn)
    experts = _experts(t, m.experts if m else 0)
    used = _experts(t, m.active if m else 0)
    shared = t.layers * (attention + norms) + (t.layers - sparse) * mlp + (_norm(t) if t.final_norm else 0)
    embedding, output = _input_tables(t), _output(t)
    tied = t.vocab * t.hidden if t.head and t.tied else 0
    blocks = shared + sparse * used
    return Parameters(
        total=embedding + output + shared + sparse * experts,
        active=blocks + output + tied,
        active_with_embedding=blocks + output + embedding,
        active_blocks=blocks,
        embedding=embedding,
        head=output,
        layers=t.layers,
        expert_layers=sparse,
        attention=attention,
        norms=norms,
        mlp=mlp,
        experts=experts,
        experts_active=used,
    )


@attrs.frozen
class MatmulParameters:
    """Weights that one token is multiplied with; each is one MAC per token.

    Parameters
    ----------
    attention : int, count
        Projections of all blocks, without scores and values.
    mlp : int, count
        Dense MLPs, routers and the active experts of all blocks.
    head : int, count
        Output projection to the vocabulary, for a token whose successor is wanted.
    """

    attention: int
    mlp: int
    head: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.attention + self.mlp + self.head


def matmul_parameters(transformer: Transformer) -> MatmulParameters:
    """Count the weights in the matrix products of one token.

    Biases, norms and tables are no matrix products. Patch projection, pooler and classifier
    run once per image or sequence and are left out.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    MatmulParameters

    Notes
    -----
    A forward pass takes 2 FLOP per weight and token, and the scores and values of attention on top.
    """
    bare = attrs.evolve(transformer, bias=False, qkv_bias=False, qk_norm=False, sinks=False)
    m, latent = bare.mixture, bare.latent
    sparse = bare.layers - m.dense_layers if m else 0
    attention = _attention(bare) - (latent.kv_rank + latent.q_rank if latent else 0)
    used = _experts(bare, m.active) - (m.experts if m.router_bias else 0) if m else 0
    return MatmulParameters(
        attention=bare.layers * attention,
        mlp=(bare.layers - sparse) * _mlp(bare, bare.ffn) + sparse * used,
        head=bare.vocab * bare.hidden if bare.head else 0,
    )


def full_attention_layers(transformer: Transformer) -> int:
    """Count the layers that attend to the whole context.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    int, count
    """
    if not transformer.window:
        return transformer.layers
    return transformer.layers // transformer.window_every if transformer.window_every else 0


def kv_elements(transformer: Transformer) -> int:
    """Count what one layer keeps of one token.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    int, count
        Keys and values of all key-value heads, or the compressed vector and the rotary key of
        latent attention.
    """
    if transformer.latent is not None:
        return transformer.latent.kv_rank + transformer.latent.rope_dim
    return 2 * transformer.kv_heads * transformer.head_dim


def kv_bytes_per_token(transformer: Transformer, bytes_per_element: Any) -> Any:
    """Return the key-value cache that one token adds, before a window drops older tokens.

    Parameters
    ----------
    transformer : Transformer
        Shape.
    bytes_per_element : float, B
        Width of an element of the cache.

    Returns
    -------
    float, B/token

    Notes
    -----
    Grouped-query attention: 2 L n_kv d w; latent attention: L (r_kv + d_rope) w.

    References
    ----------
    Ainslie et al. 2023, GQA, arXiv:2305.13245; DeepSeek-AI 2024, DeepSeek-V2, arXiv:2405.04434, table 1.
    """
    return transformer.layers * kv_elements(transformer) * bytes_per_element


def kv_bytes(transformer: Transformer, context: Any, bytes_per_element: Any) -> Any:
    """Return the key-value cache of one sequence.

    Parameters
    ----------
    transformer : Transformer
        Shape.
    context : float or array, token
        Tokens of the sequence so far.
    bytes_per_element : float or array, B
        Width of an element of the cache.

    Returns
    -------
    float or array, B

    Notes
    -----
    (L_full s + L_window min(s, window)) n w, with n elements per layer and token.
    """
    full = full_attention_layers(transformer)
    kept = full * context
    if full < transformer.layers:
        kept = kept + (transformer.layers - full) * minimum(context, transformer.window)
    return kept * kv_elements(transformer) * bytes_per_element
