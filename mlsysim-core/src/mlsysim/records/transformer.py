"""Layer A: transformers, the shape of a stack of attention blocks."""

from __future__ import annotations

from typing import Literal

import attrs

from .fields import fact

__all__ = ["FullHeads", "Latent", "Mixture", "Sparse", "StateLayers", "Transformer"]


@attrs.frozen
class Mixture:
    """Mixture of experts in the MLP.

    Parameters
    ----------
    experts : int, count
        Routed experts per layer.
    active : int, count
        Routed experts per token.
    ffn : int, count
        Inner width of one expert.
    shared : int, count
        Experts that every token passes, each ``ffn`` wide.
    dense_layers : int, count
        Layers without experts, wherever they stand, which use the model's own ``ffn``.
    router_bias : bool
        One bias per routed expert in the router.
    latent : int, count
        Width of the vector to which tokens are compressed for the routed experts, and from which their sum is expanded;
        0 where these read and write vectors as wide as the model. Router and shared experts read the whole token.
    shared_gate : bool
        A learned gate, as wide as the model, on the shared experts.
    """

    experts: int = fact("1", tolerance=0.0)
    active: int = fact("1", tolerance=0.0)
    ffn: int = fact("1", tolerance=0.0)
    shared: int = fact("1", default=0, tolerance=0.0, zero=True)
    dense_layers: int = fact("1", default=0, tolerance=0.0, zero=True)
    latent: int = fact("1", default=0, tolerance=0.0, zero=True)
    router_bias: bool = False
    shared_gate: bool = False


@attrs.frozen
class Latent:
    """Multi-head latent attention: keys and values are kept compressed.

    Parameters
    ----------
    kv_rank : int, count
        Width of the compressed key-value vector.
    rope_dim, nope_dim, v_dim : int, count
        Head widths: rotary part and plain part of queries and keys, and values.
    q_rank : int, count
        Width of the compressed query; 0 when queries are projected directly.
    direct : bool
        Whether the vector that is kept serves all heads as key and as value, as it is.
    o_rank, o_groups : int, count
        Width to which each group of heads compresses its output ahead of the output projection, and groups; 0 without.
    """

    kv_rank: int = fact("1", tolerance=0.0)
    rope_dim: int = fact("1", tolerance=0.0, zero=True)
    nope_dim: int = fact("1", tolerance=0.0)
    v_dim: int = fact("1", tolerance=0.0)
    q_rank: int = fact("1", default=0, tolerance=0.0, zero=True)
    o_rank: int = fact("1", default=0, tolerance=0.0, zero=True)
    o_groups: int = fact("1", default=0, tolerance=0.0, zero=True)
    direct: bool = False


@attrs.frozen
class Sparse:
    """Layers that attend to a part of what they keep, or keep less than a vector for each token, or both.

    Parameters
    ----------
    layers : int, count
        Layers of this kind, wherever they stand. Beside this they see the window of the model, token by token.
    ratio : int, token
        Tokens that one entry of the cache stands for: 1 where nothing is compressed.
    top : int, count
        Entries that a token attends to; 0 for all.
    index_heads, index_dim : int, count
        Heads and width of the indexer that scores all entries and selects the best; 0 without.
    indexed : int, count
        Layers that select for themselves, where others take over what one before them selected; 0 for all.
    overlap : bool
        Whether an entry is made of twice as many tokens as it stands for.
    """

    layers: int = fact("1", tolerance=0.0)
    ratio: int = fact("token", default=1, tolerance=0.0)
    top: int = fact("1", default=0, tolerance=0.0, zero=True)
    index_heads: int = fact("1", default=0, tolerance=0.0, zero=True)
    index_dim: int = fact("1", default=0, tolerance=0.0, zero=True)
    indexed: int = fact("1", default=0, tolerance=0.0, zero=True)
    overlap: bool = False


@attrs.frozen
class FullHeads:
    """Heads of the layers that see the whole context, where those of a window have others.

    Parameters
    ----------
    layers : int, count
        Layers that see the whole context, wherever they stand.
    kv_heads, head_dim : int, count
        Their key-value heads, and the width of a query or key head.
    heads, v_dim : int, count
        Their query heads, 0 for as many as in the other layers; width of a value head, 0 for that of a key head.
    keys_as_values : bool
        Whether values are the projected keys. These are normed and turned apart from values: the cache keeps both.
    sinks : bool
        One learned attention sink per query head.
    """

    layers: int = fact("1", tolerance=0.0)
    kv_heads: int = fact("1", tolerance=0.0)
    head_dim: int = fact("1", tolerance=0.0)
    heads: int = fact("1", default=0, tolerance=0.0, zero=True)
    v_dim: int = fact("1", default=0, tolerance=0.0, zero=True)
    keys_as_values: bool = False
    sinks: bool = False


@attrs.frozen
class StateLayers:
    """Layers that keep a state of one size in place of keys and values, among layers of attention and of MLPs.

    Parameters
    ----------
    kind : str
        How the state takes up a token, as ``mlsysim.shapes.state_layers.KINDS`` says: ``mamba2``, ``mamba``,
        ``gated-delta``, ``kimi-delta``, ``lightning`` or ``short-convolution``.
    layers, attention, mlp : int, count
        Layers of each kind: twice the ``layers`` of the model in all, which has one norm and one residual for each.
        Where attention and states read the same norm side by side, all three are the ``layers`` of the model. With
        experts all MLPs but the ``dense_layers`` of the mixture have them.
    heads, head_dim : int, count
        Heads of values, each with a state of its own, and their width. Kinds that treat each channel apart have as many
        heads of one number as channels.
    state, groups : int, count
        States of each channel, or the width of a key; groups of heads that share keys and queries, or input and output
        matrices. 0 for a convolution.
    conv, chunk : int, token
        Taps of the causal convolution, 0 without one; tokens that are worked on as one matrix product, 0 where kernels
        choose.
    rank : int, count
        Width through which time steps (``mamba``) or decays and the gate (``kimi-delta``) are projected.
    wide_gate : bool
        Whether the gate is projected at once all the same.
    """

    layers: int = fact("1", tolerance=0.0)
    attention: int = fact("1", tolerance=0.0)
    mlp: int = fact("1", tolerance=0.0)
    heads: int = fact("1", tolerance=0.0)
    head_dim: int = fact("1", tolerance=0.0)
    state: int = fact("1", default=0, tolerance=0.0, zero=True)
    groups: int = fact("1", default=0, tolerance=0.0, zero=True)
    conv: int = fact("token", default=0, tolerance=0.0, zero=True)
    chunk: int = fact("token", default=0, tolerance=0.0, zero=True)
    rank: int = fact("1", default=0, tolerance=0.0, zero=True)
    kind: Literal["mamba2", "mamba", "gated-delta", "kimi-delta", "lightning", "short-convolution"] = "mamba2"
    wide_gate: bool = False


@attrs.frozen
class Transformer:
    """A stack of attention blocks, equal or of two kinds: decoder, encoder or vision transformer.

    Parameters
    ----------
    layers, hidden, heads, kv_heads, head_dim, ffn : int, count
        Blocks, width, query heads, key-value heads, width of a query and key head, inner width of the MLP.
        With latent attention ``latent`` says how wide the parts of a head are; where ``full`` is given, heads are
        those of the layers with a window.
    v_dim : int, count
        Width of a value head where it is not that of a key head; 0 where it is.
    vocab : int, count
        Rows of the token embedding; 0 for a vision transformer.
    context : int, token
        Longest sequence.
    causal : bool
        Whether a token sees only what came before it.
    gated : bool
        Whether the MLP has a gate (three matrices instead of two).
    tied : bool
        Whether input and output embedding are one matrix.
    head : bool
        Whether there is an output projection to the vocabulary.
    norm : str
        ``rms`` (one vector; also a layer norm without bias) or ``layer`` (weight and bias).
    qkv_bias, bias, head_bias : bool
        Bias on the query-key-value projection; bias on every linear layer of a block; bias on the
        output projection to the vocabulary.
    key_bias : bool
        Whether the keys take part in the bias of the query-key-value projection.
    output_gate : bool
        A gate as wide as the queries on what attention returns, projected beside them.
    parallel : bool
        Attention and MLP both read the input of the block, and their outputs are added together.
    shared_norm : bool
        One norm serves attention and MLP of a parallel block.
    sinks : bool
        One learned attention sink per query head.
    keys_as_values : bool
        Whether values are the projected keys.
    qk_norm : bool
        RMS norm on each query and key head.
    sandwich_norm : bool
        A second norm after attention and after the MLP.
    positions : int, count
        Stored position embeddings.
    relative : int, count
        Buckets of a learned relative position bias, one number per bucket and head, shared by all layers.
    token_types : int, count
        Segment embeddings of an encoder.
    final_norm, embedding_norm, pooler : bool
        Norm before the head; norm after the embedding; dense layer on the first position.
    window : int, token
        Sliding attention window; 0 for none.
    window_every : int, count
        One layer in so many attends to everything; 0 means all layers use the window.
    patch, image, channels, classes : int
        Vision transformer: patch side, image side, colour channels, classes of the head. One class
        token stands before the patches.
    full : FullHeads or None
        Heads of the layers that see the whole context, where they differ; in place of ``window_every``.
    mixture : Mixture or None
        Experts.
    latent : Latent or None
        Latent attention.
    states : StateLayers or None
        Layers that keep a state in place of keys and values.
    selected, compressed : Sparse or None
        Layers that see a part of the context, of one kind and of another; those that attend and are of neither see
        their window or all.
    streams : int, count
        Residual vectors of a token, which are mixed ahead of attention and MLP and after them (hyper-connections).
    """

    layers: int = fact("1", tolerance=0.0)
    hidden: int = fact("1", tolerance=0.0)
    heads: int = fact("1", tolerance=0.0)
    ffn: int = fact("1", tolerance=0.0)
    context: int = fact("token", tolerance=0.0)
    kv_heads: int = fact("1", tolerance=0.0)
    head_dim: int = fact("1", tolerance=0.0)
    v_dim: int = fact("1", default=0, tolerance=0.0, zero=True)
    vocab: int = fact("1", default=0, tolerance=0.0, zero=True)
    causal: bool = True
    gated: bool = True
    tied: bool = False
    head: bool = True
    norm: Literal["rms", "layer"] = "rms"
    qkv_bias: bool = False
    bias: bool = False
    head_bias: bool = False
    key_bias: bool = True
    output_gate: bool = False
    parallel: bool = False
    shared_norm: bool = False
    sinks: bool = False
    keys_as_values: bool = False
    qk_norm: bool = False
    sandwich_norm: bool = False
    final_norm: bool = True
    embedding_norm: bool = False
    pooler: bool = False
    positions: int = fact("1", default=0, tolerance=0.0, zero=True)
    relative: int = fact("1", default=0, tolerance=0.0, zero=True)
    token_types: int = fact("1", default=0, tolerance=0.0, zero=True)
    window: int = fact("token", default=0, tolerance=0.0, zero=True)
    window_every: int = fact("1", default=0, tolerance=0.0, zero=True)
    patch: int = fact("1", default=0, tolerance=0.0, zero=True)
    image: int = fact("1", default=0, tolerance=0.0, zero=True)
    channels: int = fact("1", default=3, tolerance=0.0)
    classes: int = fact("1", default=0, tolerance=0.0, zero=True)
    full: FullHeads | None = None
    mixture: Mixture | None = None
    latent: Latent | None = None
    streams: int = fact("1", default=1, tolerance=0.0)
    states: StateLayers | None = None
    selected: Sparse | None = None
    compressed: Sparse | None = None
