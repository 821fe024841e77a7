"""Parameters of transformers and of what is made of them, counted from their shapes."""

from __future__ import annotations

import attrs

from ..records.model import EncoderDecoder, StateSpace, Transformer
from ..tracing import named
from .sparse_layers import sparse_parameters, stream_parameters
from .state_layers import Mixer, mixer_of, state_matrices, state_vectors

__all__ = [
    "MatmulParameters",
    "Parameters",
    "attention_layers",
    "head_kinds",
    "matmul_parameters",
    "mlp_layers",
    "pair_parameters",
    "state_layers",
    "state_space_parameters",
    "transformer_parameters",
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
        The same and the input tables, every stored parameter once. Publishers follow either.
    embedding : int, count
        Input tables: token, position and segment embedding, norm after the embedding; patch
        projection and class token of a vision transformer.
    head : int, count
        Output projection, pooler and classifier, as far as they are stored apart from ``embedding``.
    layers, expert_layers : int, count
        Blocks, and those among them with experts.
    attention, norms : int, count
        Of one block; where most layers keep a state, of one of the others; where heads differ, with a window.
    recurrence : int, count
        What stands in place of attention in a layer that keeps a state.
    mlp : int, count
        Of a block without experts.
    experts : int, count
        MLP of a block with experts, router and shared experts included.
    """

    total: int
    active: int
    active_with_embedding: int
    embedding: int = 0
    head: int = 0
    layers: int = 0
    expert_layers: int = 0
    attention: int = 0
    recurrence: int = 0
    norms: int = 0
    mlp: int = 0
    experts: int = 0


def _linear(inputs: int, outputs: int, *, bias: bool) -> int:
    return inputs * outputs + (outputs if bias else 0)


def _norm(t: Transformer) -> int:
    return t.hidden * (2 if t.norm == "layer" else 1)


def _attention(t: Transformer) -> int:
    if t.latent is not None:
        return _latent_attention(t)
    query, key, v_dim = t.heads * t.head_dim, t.kv_heads * t.head_dim, t.v_dim or t.head_dim
    output, value = t.heads * v_dim, 0 if t.keys_as_values else t.kv_heads * v_dim
    projected = query + (output if t.output_gate else 0) + key + value
    count = _linear(t.hidden, projected, bias=t.qkv_bias or t.bias) + _linear(output, t.hidden, bias=t.bias)
    count -= 0 if t.key_bias or not (t.qkv_bias or t.bias) else key
    return count + (2 * t.head_dim if t.qk_norm else 0) + (t.heads if t.sinks else 0)


def _latent_attention(t: Transformer) -> int:
    """Count the down- and up-projections, the norms of both compressed vectors and the output."""
    a = t.latent
    assert a is not None
    query = t.heads * (a.nope_dim + a.rope_dim)
    count = a.q_rank * (t.hidden + 1 + query) if a.q_rank else t.hidden * query
    count += t.hidden * (a.kv_rank + a.rope_dim) + a.kv_rank
    expansion = 0 if a.direct else a.kv_rank * t.heads * (a.nope_dim + a.v_dim)
    outputs = t.heads * a.v_dim * (a.o_rank or t.hidden) + a.o_groups * a.o_rank * t.hidden
    return count + expansion + outputs + (t.heads * a.v_dim * t.hidden if t.output_gate else 0)


def attention_layers(transformer: Transformer) -> int:
    """Count the layers that attend to keys and values, all or those of a window.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    int, count
    """
    return transformer.layers if transformer.states is None else transformer.states.attention


def head_kinds(transformer: Transformer) -> tuple[tuple[int, Transformer], ...]:
    """Return the layers that attend by their kind of heads.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    tuple of (int, Transformer)
        Layers, and a shape whose heads are those of these layers: all of them, or those with a window and those
        that see the whole context.
    """
    full = transformer.full
    if full is None:
        return ((attention_layers(transformer), transformer),)
    other = attrs.evolve(
        transformer, full=None, heads=full.heads or transformer.heads, kv_heads=full.kv_heads, head_dim=full.head_dim,
        v_dim=full.v_dim, keys_as_values=full.keys_as_values, sinks=full.sinks,
    )  # fmt: skip
    own = attrs.evolve(transformer, full=None)
    return (attention_layers(transformer) - full.layers, own), (full.layers, other)


def state_layers(transformer: Transformer) -> int:
    """Count the layers that keep a state in place of keys and values.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    int, count
    """
    return 0 if transformer.states is None else transformer.states.layers


def mlp_layers(transformer: Transformer) -> int:
    """Count the layers with an MLP or experts.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    int, count
    """
    return transformer.states.mlp if transformer.states is not None else transformer.layers


def _mlp(t: Transformer, width: int, hidden: int = 0) -> int:
    up = _linear(hidden or t.hidden, width, bias=t.bias)
    return up * (2 if t.gated else 1) + _linear(width, hidden or t.hidden, bias=t.bias)


def _experts(t: Transformer, routed: int) -> int:
    """Count an expert layer with that many routed experts."""
    m = t.mixture
    if m is None:
        return 0
    router = _linear(t.hidden, m.experts, bias=m.router_bias) + (t.hidden if m.shared_gate else 0)
    return router + 2 * t.hidden * m.latent + routed * _mlp(t, m.ffn, m.latent) + m.shared * _mlp(t, m.ffn)


def _norms(t: Transformer) -> int:
    return _norm(t) * (1 if t.shared_norm else 4 if t.sandwich_norm else 2)


def _input_tables(t: Transformer) -> int:
    count = (t.vocab + t.positions + t.token_types) * t.hidden + (_norm(t) if t.embedding_norm else 0)
    count += t.relative * t.heads
    if t.patch:
        count += _linear(t.patch * t.patch * t.channels, t.hidden, bias=True) + t.hidden
    return count


def _output(t: Transformer) -> int:
    """Count head, pooler and classifier as far as stored; a tied head is stored with the embedding."""
    count = t.vocab * t.hidden if t.head and not t.tied else 0
    count += t.vocab if t.head and t.head_bias else 0
    count += _linear(t.hidden, t.hidden, bias=True) if t.pooler else 0
    return count + (_linear(t.hidden, t.classes, bias=True) if t.classes else 0)


def transformer_parameters(transformer: Transformer) -> Parameters:
    """Count the parameters of a transformer.

    Parameters
    ----------
    transformer : Transformer
        Shape.

    Returns
    -------
    counts : Parameters
    """
    t = transformer
    m = t.mixture
    fed = mlp_layers(t)
    sparse = fed - m.dense_layers if m else 0
    attention, norms, mlp = _attention(t), _norms(t), _mlp(t, t.ffn)
    experts = _experts(t, m.experts if m else 0)
    used = _experts(t, m.active if m else 0)
    mixer = mixer_of(t)
    recurrence = 0 if mixer is None else state_matrices(mixer) + state_vectors(mixer)
    mixing = sum(layers * _attention(one) for layers, one in head_kinds(t)) + state_layers(t) * recurrence
    mixing += sparse_parameters(t) + stream_parameters(t)
    shared = (
        named(mixing + t.layers * norms, "attention and norms of all layers")
        + named((fed - sparse) * mlp, "MLP of all layers")
        + named(_norm(t) if t.final_norm else 0, "final norm")
    )
    embedding, output = named(_input_tables(t), "input tables"), named(_output(t), "output projection")
    tied = t.vocab * t.hidden if t.head and t.tied else 0
    blocks = shared + sparse * used
    return Parameters(
        total=embedding + output + shared + named(sparse * experts, "experts of all layers"),
        active=blocks + output + tied,
        active_with_embedding=blocks + output + embedding,
        embedding=embedding,
        head=output,
        layers=t.layers,
        expert_layers=sparse,
        attention=attention,
        recurrence=recurrence,
        norms=norms,
        mlp=mlp,
        experts=experts,
    )


@attrs.frozen
class MatmulParameters:
    """Weights that one token is multiplied with; each is one MAC per token.

    Parameters
    ----------
    attention : int, count
        Projections of all blocks, without scores and values, or the work of a state.
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
    full = transformer.full and attrs.evolve(transformer.full, sinks=False)
    bare = attrs.evolve(transformer, bias=False, qkv_bias=False, qk_norm=False, sinks=False, full=full)
    m, latent = bare.mixture, bare.latent
    fed = mlp_layers(bare)
    sparse = fed - m.dense_layers if m else 0
    attention = sum(layers * _attention(one) for layers, one in head_kinds(bare))
    attention -= attention_layers(bare) * (latent.kv_rank + latent.q_rank if latent else 0)
    used = _experts(bare, m.active) - (m.experts if m.router_bias else 0) if m else 0
    mixer = mixer_of(bare)
    kept = 0 if mixer is None else state_layers(bare) * state_matrices(mixer)
    return MatmulParameters(
        attention=attention + kept + sparse_parameters(bare, vectors=False),
        mlp=(fed - sparse) * _mlp(bare, bare.ffn) + sparse * used,
        head=bare.vocab * bare.hidden if bare.head else 0,
    )


def _plain(total: int, embedding: int, head: int, tied: int, layers: int) -> Parameters:
    """Return the counts of a model of which every token passes everything but the input tables."""
    return Parameters(
        total=total,
        active=total - embedding + tied,
        active_with_embedding=total,
        embedding=embedding,
        head=head,
        layers=layers,
    )


def pair_parameters(pair: EncoderDecoder) -> Parameters:
    """Count the parameters of an encoder and decoder.

    Parameters
    ----------
    pair : EncoderDecoder
        Shape.

    Returns
    -------
    counts : Parameters
    """
    e, d = pair.encoder, pair.decoder
    encoder, decoder = transformer_parameters(e), transformer_parameters(d)
    width, keys = d.heads * d.head_dim, d.kv_heads * d.head_dim
    cross = _linear(d.hidden, width, bias=d.bias or d.qkv_bias) + _linear(width, d.hidden, bias=d.bias)
    cross += 2 * e.hidden * keys + (keys * (2 if d.key_bias else 1) if d.bias or d.qkv_bias else 0)
    stem = (3 * pair.bins + 1 + 3 * e.hidden + 1) * e.hidden if pair.bins else 0
    saved = d.vocab * d.hidden if pair.shared else 0
    return _plain(
        encoder.total + decoder.total + d.layers * (cross + _norm(d)) + stem - saved,
        encoder.embedding + decoder.embedding - saved,
        decoder.head,
        d.vocab * d.hidden if d.tied else 0,
        e.layers + d.layers,
    )


def state_space_parameters(shape: StateSpace) -> Parameters:
    """Count the parameters of a stack of state-space layers.

    Parameters
    ----------
    shape : StateSpace
        Shape.

    Returns
    -------
    counts : Parameters

    References
    ----------
    Gu, Dao 2023, Mamba, arXiv:2312.00752; Dao, Gu 2024, Mamba-2, arXiv:2405.21060.
    """
    s = shape
    if s.heads:
        width = s.inner // s.heads
        mixer = Mixer("mamba2", s.hidden, s.heads, width, s.groups, s.state, s.conv, 0, wide_gate=False)
        layer = state_matrices(mixer) + state_vectors(mixer)
    else:
        layer = 2 * s.hidden * s.inner + s.inner * (s.conv + 1)
        # Input, output and time step of the state; then decay per channel and state, and skip.
        layer += s.inner * (s.rank + 2 * s.state) + (s.rank + 1) * s.inner + s.inner * s.state + s.inner
        layer += s.inner * s.hidden
    layer += s.hidden
    table = s.vocab * s.hidden
    head = 0 if s.tied else table
    return _plain(s.layers * layer + s.hidden + table + head, table, head, table if s.tied else 0, s.layers)
