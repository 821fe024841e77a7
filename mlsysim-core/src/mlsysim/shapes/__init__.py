"""What follows from the shape of a model alone: parameters, key-value bytes, layers, work.

Nothing here depends on a device, a precision or a stack. Registry checks compare these
numbers with the published labels, hub import uses them for unknown models, and lowering
starts from them.

Work is counted in multiply-accumulates (MAC): one MAC is two FLOP. Layer lists of
convolutional and dense networks are turned into operations in :mod:`mlsysim.shapes.layers`.
"""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError
from ..records.model import Model, Transformer
from .counting import (
    MatmulParameters,
    Parameters,
    attention_layers,
    head_kinds,
    matmul_parameters,
    mlp_layers,
    pair_parameters,
    state_layers,
    state_space_parameters,
    transformer_parameters,
)
from .layers import expand, network_work
from .primitives import Op

__all__ = [
    "MatmulParameters",
    "Op",
    "Parameters",
    "attention_layers",
    "expand",
    "full_attention_layers",
    "has_shape",
    "head_kinds",
    "kv_bytes_per_token",
    "kv_elements",
    "matmul_parameters",
    "mlp_layers",
    "network_work",
    "parameters",
    "state_layers",
]


def has_shape(model: Model) -> bool:
    """Return whether a model has a shape from which anything can be counted.

    Parameters
    ----------
    model : Model
        The model.

    Returns
    -------
    bool
    """
    return any(shape is not None for shape in (model.transformer, model.network, model.pair, model.state_space))


def parameters(model: Model) -> Parameters:
    """Count the parameters of a model.

    Parameters
    ----------
    model : Model
        With exactly one shape.

    Returns
    -------
    counts : Parameters

    Raises
    ------
    ConfigError
        If the model has no shape, or several.
    """
    shapes = ("transformer", "network", "pair", "state_space")
    given = [name for name in shapes if getattr(model, name) is not None]
    if len(given) > 1:
        raise ConfigError(f"the model {model.name!r} has several shapes: {', '.join(given)}", remedy="Keep one of them")
    if model.transformer is not None:
        return transformer_parameters(model.transformer)
    if model.pair is not None:
        return pair_parameters(model.pair)
    if model.state_space is not None:
        return state_space_parameters(model.state_space)
    if model.network is None:
        raise ConfigError(
            f"the model {model.name!r} has no shape", remedy="Give it a transformer, a network, a pair or a state_space"
        )
    count = sum(op.parameters for op in expand(model.network))
    return Parameters(total=count, active=count, active_with_embedding=count)


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
    if transformer.full is not None:
        return transformer.full.layers
    if not transformer.window:
        return attention_layers(transformer)
    return transformer.layers // transformer.window_every if transformer.window_every else 0


def kv_elements(transformer: Transformer) -> int:
    """Count what one layer keeps of one token.

    Parameters
    ----------
    transformer : Transformer
        Shape; of heads of two kinds those with a window count.

    Returns
    -------
    int, count
        Keys and values of all key-value heads, or the compressed vector and the rotary key of
        latent attention.
    """
    if transformer.latent is not None:
        return transformer.latent.kv_rank + transformer.latent.rope_dim
    return transformer.kv_heads * (transformer.head_dim + (transformer.v_dim or transformer.head_dim))


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
    Grouped-query attention: 2 L n_kv d w, summed over the kinds of heads; latent attention: L (r_kv + d_rope) w.
    Layers that keep a state add nothing, and those that compress r tokens to one entry the r-th part.

    References
    ----------
    Ainslie et al. 2023, GQA, arXiv:2305.13245; DeepSeek-AI 2024, DeepSeek-V2, arXiv:2405.04434, table 1.
    """
    elements: Any = sum(layers * kv_elements(one) for layers, one in head_kinds(transformer))
    for sparse in (transformer.selected, transformer.compressed):
        if sparse is not None and sparse.ratio > 1:
            elements = elements - sparse.layers * kv_elements(transformer) * (1 - 1 / sparse.ratio)
    return elements * bytes_per_element
