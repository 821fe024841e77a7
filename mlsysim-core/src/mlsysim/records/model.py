"""Layer A: the shape of a model. What follows from it is in :mod:`mlsysim.shapes`."""

from __future__ import annotations

from typing import Literal

import attrs

from .fields import fact

__all__ = ["Latent", "Layer", "Mixture", "Model", "Network", "Transformer"]


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
    shared_gate : bool
        A learned gate, as wide as the model, on the shared experts.
    """

    experts: int = fact("1", tolerance=0.0)
    active: int = fact("1", tolerance=0.0)
    ffn: int = fact("1", tolerance=0.0)
    shared: int = fact("1", default=0, tolerance=0.0, zero=True)
    dense_layers: int = fact("1", default=0, tolerance=0.0, zero=True)
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
    """

    kv_rank: int = fact("1", tolerance=0.0)
    rope_dim: int = fact("1", tolerance=0.0)
    nope_dim: int = fact("1", tolerance=0.0)
    v_dim: int = fact("1", tolerance=0.0)
    q_rank: int = fact("1", default=0, tolerance=0.0, zero=True)


@attrs.frozen
class Transformer:
    """A stack of equal attention blocks: decoder, encoder or vision transformer.

    Parameters
    ----------
    layers, hidden, heads, kv_heads, head_dim, ffn : int, count
        Blocks, width, query heads, key-value heads, width of a query and key head, inner width of the MLP.
        With latent attention ``latent`` says how wide the parts of a head are.
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
    parallel : bool
        Attention and MLP both read the input of the block, and their outputs are added together.
    shared_norm : bool
        One norm serves attention and MLP of a parallel block.
    sinks : bool
        One learned attention sink per query head.
    qk_norm : bool
        RMS norm on each query and key head.
    sandwich_norm : bool
        A second norm after attention and after the MLP.
    positions : int, count
        Learned position embeddings.
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
    mixture : Mixture or None
        Experts.
    latent : Latent or None
        Latent attention.
    """

    layers: int = fact("1", tolerance=0.0)
    hidden: int = fact("1", tolerance=0.0)
    heads: int = fact("1", tolerance=0.0)
    ffn: int = fact("1", tolerance=0.0)
    context: int = fact("token", tolerance=0.0)
    kv_heads: int = fact("1", tolerance=0.0)
    head_dim: int = fact("1", tolerance=0.0)
    vocab: int = fact("1", default=0, tolerance=0.0, zero=True)
    causal: bool = True
    gated: bool = True
    tied: bool = False
    head: bool = True
    norm: Literal["rms", "layer"] = "rms"
    qkv_bias: bool = False
    bias: bool = False
    head_bias: bool = False
    parallel: bool = False
    shared_norm: bool = False
    sinks: bool = False
    qk_norm: bool = False
    sandwich_norm: bool = False
    final_norm: bool = True
    embedding_norm: bool = False
    pooler: bool = False
    positions: int = fact("1", default=0, tolerance=0.0, zero=True)
    token_types: int = fact("1", default=0, tolerance=0.0, zero=True)
    window: int = fact("token", default=0, tolerance=0.0, zero=True)
    window_every: int = fact("1", default=0, tolerance=0.0, zero=True)
    patch: int = fact("1", default=0, tolerance=0.0, zero=True)
    image: int = fact("1", default=0, tolerance=0.0, zero=True)
    channels: int = fact("1", default=3, tolerance=0.0)
    classes: int = fact("1", default=0, tolerance=0.0, zero=True)
    mixture: Mixture | None = None
    latent: Latent | None = None


@attrs.frozen
class Layer:
    """One row of a layer list.

    Parameters
    ----------
    op : str
        conv, depthwise, separable (depthwise, then 1x1), dense, pool, global_pool, basic (two
        convolutions with a shortcut), bottleneck (1x1, kernel, 1x1 with a shortcut) or
        inverted_residual (1x1 expansion, depthwise, 1x1 projection).
    out : int, count
        Output channels or features; 0 keeps the number that came in.
    kernel : int or tuple of int, pixel
        Side of the window, or (height, width).
    stride : int or tuple of int, pixel
        Stride of the first repetition, or (height, width).
    mid : int, count
        Inner channels of a bottleneck, or of an inverted residual whose expansion is no whole number.
    expand : int, count
        Expansion of an inverted residual.
    squeeze : int, count
        Inner channels of the squeeze-and-excitation of an inverted residual; 0 for none.
    groups : int, count
        Groups of a convolution, or of the middle convolution of a bottleneck.
    repeat : int, count
        How often; only the first repetition strides.
    bias, norm, shortcut_norm : bool
        Bias vector; batch norm; batch norm on the shortcut's projection.
    same : bool
        Whether the output covers the whole input (padding); otherwise only full windows count.
    """

    op: Literal[
        "conv", "depthwise", "separable", "dense", "pool", "global_pool", "basic", "bottleneck", "inverted_residual"
    ]
    out: int = 0
    kernel: int | tuple[int, int] = 1
    stride: int | tuple[int, int] = 1
    mid: int = 0
    expand: int = 1
    squeeze: int = 0
    groups: int = 1
    repeat: int = 1
    bias: bool = False
    norm: bool = True
    shortcut_norm: bool = True
    same: bool = True


@attrs.frozen
class Network:
    """A layer list: convolutional and dense networks.

    Parameters
    ----------
    source, at : str
        Document from which the whole list was taken, and the place in it.
    layers : tuple of Layer
        From input to output.
    height, width, channels : int
        Input of one sample.
    """

    source: str
    at: str
    layers: tuple[Layer, ...]
    height: int = fact("1", tolerance=0.0)
    width: int = fact("1", tolerance=0.0)
    channels: int = fact("1", tolerance=0.0)


@attrs.frozen
class Model:
    """A model: exactly one of ``transformer`` and ``network`` is given.

    Parameters
    ----------
    name, lab, released, licence, note : str
        Names and dates.
    parameters : float, count
        Published total, as a label to check the shape against.
    active : float, count
        Published active parameters of a mixture of experts.
    work : float, FLOP/sample
        Published work of one forward pass, as a label to check the shape against.
    transformer : Transformer or None
        Shape of a transformer.
    network : Network or None
        Layer list.
    aliases : tuple of str
        What people type.
    """

    name: str
    lab: str
    parameters: float | None = fact("1", default=None)
    active: float | None = fact("1", default=None, tolerance=0.05)
    work: float | None = fact("FLOP/sample", default=None, tolerance=0.05)
    transformer: Transformer | None = None
    network: Network | None = None
    released: str = ""
    licence: str = ""
    aliases: tuple[str, ...] = ()
    note: str = ""
