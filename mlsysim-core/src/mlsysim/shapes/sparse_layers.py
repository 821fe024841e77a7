"""Layers that see a part of what they keep or keep less than a vector for each token; residuals of several streams."""

from __future__ import annotations

from ..records.model import Sparse, Transformer
from .state_layers import Product

__all__ = ["sparse_parameters", "sparse_products", "stream_parameters"]


def sparse_products(transformer: Transformer, sparse: Sparse) -> list[Product]:
    """Return the matrix products by which one layer selects and compresses what it attends to.

    Parameters
    ----------
    transformer : Transformer
        The model.
    sparse : Sparse
        The layer.

    Returns
    -------
    list of Product

    References
    ----------
    huggingface/transformers at 02356fe, src/transformers/models/deepseek_v4/modular_deepseek_v4.py, DeepseekV4Indexer
    and the compressors; deepseek-ai/DeepSeek-V3.2-Exp at 6d8cb70, inference/model.py, Indexer.
    """
    hidden, latent, found = transformer.hidden, transformer.latent, []
    halves = 2 if sparse.overlap else 1
    if sparse.ratio > 1:
        # Each entry is a mean of keys and values, weighted by gates as wide.
        width = latent.kv_rank + latent.rope_dim if latent else transformer.head_dim
        found.append(Product("key-value compressor", hidden, 2 * halves * width))
    if sparse.index_heads:
        queries = sparse.index_heads * sparse.index_dim
        keys = sparse.index_dim * (2 * halves if sparse.ratio > 1 else 1)
        found.append(Product("index queries", latent.q_rank if latent and latent.q_rank else hidden, queries))
        found.append(Product("index keys and weights", hidden, keys + sparse.index_heads))
    return found


def _vectors(transformer: Transformer, sparse: Sparse) -> int:
    """Count norms of keys and entries, and biases of positions, of one layer."""
    latent = transformer.latent
    if sparse.ratio == 1:
        return 2 * sparse.index_dim
    width = latent.kv_rank + latent.rope_dim if latent else transformer.head_dim
    return (width + sparse.index_dim) * (1 + sparse.ratio * (2 if sparse.overlap else 1))


def sparse_parameters(transformer: Transformer, *, vectors: bool = True) -> int:
    """Count what selects and compresses in all layers.

    Parameters
    ----------
    transformer : Transformer
        The model.
    vectors : bool
        Whether norms and biases count, too.

    Returns
    -------
    int, count
    """
    count = 0
    for one in (transformer.selected, transformer.compressed):
        if one is not None:
            indexed = one.indexed or one.layers
            for product in sparse_products(transformer, one):
                count += (indexed if product.name.startswith("index") else one.layers) * product.inner * product.columns
            count += indexed * _vectors(transformer, one) if vectors else 0
    return count


def stream_parameters(transformer: Transformer) -> int:
    """Count what mixes several residual vectors: in, out and among themselves, twice a layer, and once at the end.

    Parameters
    ----------
    transformer : Transformer
        The model.

    Returns
    -------
    int, count

    References
    ----------
    huggingface/transformers at 02356fe, src/transformers/models/deepseek_v4/modular_deepseek_v4.py,
    DeepseekV4HyperConnection and DeepseekV4HyperHead.
    """
    n, width = transformer.streams, transformer.streams * transformer.hidden
    mixed = n * n + 2 * n
    return transformer.layers * 2 * (mixed * (width + 1) + 3) + n * width + n + 1 if n > 1 else 0
