"""Layers that attend to selected or compressed keys and values, as operators: what selects, compresses and reads."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.records.transformer import Sparse, Transformer
from mlsysim.shapes.sparse_layers import sparse_products
from mlsysim.shapes.state_layers import Product

from ..formulas.attention import attention_flops, causal_pairs, kv_read_bytes, mean_context
from ..formulas.constants import FULL_WIDTH
from ..formulas.elementwise import stream_bytes
from ..formulas.sparse import INDEX_WIDTH, seen_entries, seen_pairs, stored_entries
from .operators import Formats, Operator, Table, gemm, operator_of, spared, stream

__all__ = [
    "SparseLayers", "entries_over_cache", "index_over_cache", "index_over_sequence", "kept_of_sparse",
    "pairs_over_sequence", "selections", "sparse_layers", "sparse_parameters",
]  # fmt: skip


class SparseLayers(NamedTuple):
    """Layers of one kind.

    Parameters
    ----------
    layers, indexed : float or array, count
        So many of the model's, and those of them that select for themselves.
    record : Sparse
        What they see.
    products : tuple of Product
        What selects and compresses in a layer that selects for itself.
    compressor : tuple of Product
        What of these compresses, in every layer.
    """

    layers: Any
    indexed: Any
    record: Sparse
    products: tuple[Product, ...]
    compressor: tuple[Product, ...]

    def reach(self, longest: Any) -> Any:
        """Return the tokens that selected entries stand for.

        Parameters
        ----------
        longest : float or array, count
            Tokens of the sequence.

        Returns
        -------
        float or array, count
            All of them, where nothing is selected.
        """
        return 1.0 * self.record.top * self.record.ratio if self.record.top else longest


def sparse_layers(transformer: Transformer) -> tuple[SparseLayers, ...]:
    """Flatten the layers of a transformer that see a part of the context.

    Parameters
    ----------
    transformer : Transformer
        Its shape.

    Returns
    -------
    tuple of SparseLayers
        Empty where every layer sees all that it keeps.
    """
    found = []
    for one in (transformer.selected, transformer.compressed):
        if one is not None:
            products = tuple(sparse_products(transformer, one))
            compressor = tuple(product for product in products if product.name == "key-value compressor")
            indexed = float(one.indexed or one.layers) if one.index_heads else 0.0
            found.append(SparseLayers(float(one.layers), indexed, one, products, compressor))
    return tuple(found)


def sparse_parameters(sparse: tuple[SparseLayers, ...]) -> Any:
    """Return the weights of the matrix products that select and compress, in all layers.

    Parameters
    ----------
    sparse : tuple of SparseLayers
        The layers.

    Returns
    -------
    float or array, count
    """
    return sum(count * product.inner * product.columns for count, product in _counted(sparse))


def _counted(sparse: tuple[SparseLayers, ...]) -> list[tuple[Any, Product]]:
    found: list[tuple[Any, Product]] = []
    for one in sparse:
        found += [(one.layers if product in one.compressor else one.indexed, product) for product in one.products]
    return found


def selections(sparse: tuple[SparseLayers, ...], formats: Formats, rows: Any) -> Table:
    """Return the matrix products that select and compress.

    Parameters
    ----------
    sparse : tuple of SparseLayers
        The layers.
    formats : Formats
        Number formats.
    rows : float or array, count
        Tokens.

    Returns
    -------
    list of Operator
        Devices that share a layer do all of them, each for itself.

    References
    ----------
    deepseek-ai/DeepSeek-V3.2-Exp at 6d8cb70, inference/model.py, Indexer: no layer of it is divided.
    """
    outer, kind = spared(formats, formats.outer)
    return [
        gemm(product.name, count, rows, 1.0 * product.columns, 1.0 * product.inner, outer, kind=kind)
        for count, product in _counted(sparse)
    ]


def pairs_over_sequence(one: SparseLayers, sequence: Any, window: Any) -> Any:
    """Return the entries that the tokens of a sequence attend to, all together.

    Parameters
    ----------
    one : SparseLayers
        The layers.
    sequence : float or array, count
        Tokens of the sequence.
    window : float, count
        Last tokens that are seen one by one besides.

    Returns
    -------
    float or array, count
    """
    return seen_pairs(sequence, 1.0 * one.record.ratio, one.reach(sequence), window)


def entries_over_cache(one: SparseLayers, input: Any, output: Any, window: Any) -> Any:  # noqa: A002
    """Return the entries that the average decode step attends to.

    Parameters
    ----------
    one : SparseLayers
        The layers.
    input, output : float or array, count
        Tokens of prompt and answer.
    window : float, count
        Last tokens that are seen one by one besides.

    Returns
    -------
    float or array, count
    """
    return seen_entries(input, output, 1.0 * one.record.ratio, one.reach(input + output), window)


def kept_of_sparse(sparse: tuple[SparseLayers, ...], tokens: Any, window: Any, elements: Any, width: Any) -> Any:
    """Return what these layers keep of one sequence: entries, and the keys by which they are selected.

    Parameters
    ----------
    sparse : tuple of SparseLayers
        The layers.
    tokens : float or array, count
        Tokens of the sequence.
    window : float, count
        Last tokens that are kept one by one besides.
    elements : float, count
        Elements of an entry.
    width : float, B
        Bytes of each.

    Returns
    -------
    float or array, B
    """
    found: Any = 0.0
    for one in sparse:
        ratio = 1.0 * one.record.ratio
        found = found + kv_read_bytes(one.layers, stored_entries(tokens, ratio, window), elements, width)
        found = found + kv_read_bytes(one.indexed, tokens / ratio, 1.0 * one.record.index_dim, INDEX_WIDTH)
    return found


def index_over_sequence(sparse: tuple[SparseLayers, ...], formats: Formats, batch: Any, sequence: Any) -> Table:
    """Return how whole sequences select what they attend to: each token is scored against every key before it.

    Parameters
    ----------
    sparse : tuple of SparseLayers
        The layers.
    formats : Formats
        Number formats.
    batch : float or array, count
        Sequences.
    sequence : float or array, count
        Tokens of each.

    Returns
    -------
    list of Operator
        Scores, in the number format of products, of all heads are added up in the kernel that forms them, written once
        in 32 bits, and read again by the kernel that selects.
    """
    table: Table = []
    for one in sparse:
        if one.indexed:
            rows, context = batch * sequence, causal_pairs(sequence, sequence) / (one.record.ratio * sequence)
            heads, depth = 1.0 * one.record.index_heads, 1.0 * one.record.index_dim
            work = attention_flops(rows * context, heads, depth, 0.0, formats.flop_per_mac)
            moved = stream_bytes(rows, heads * depth, formats.activation) + stream_bytes(rows, context, FULL_WIDTH)
            table.append(operator_of((
                "index scores", "gemm", one.indexed, rows, context, depth, heads, work, 0.0, moved, 0.0, 1.0, work, 0.0,
            )))  # fmt: skip
            table.append(stream("selection", one.indexed, stream_bytes(rows, context, FULL_WIDTH)))
    return table


def index_over_cache(
    sparse: tuple[SparseLayers, ...], formats: Formats, batch: Any, input: Any, output: Any  # noqa: A002
) -> Table:  # fmt: skip
    """Return how the average decode step selects what it attends to.

    Parameters
    ----------
    sparse : tuple of SparseLayers
        The layers.
    formats : Formats
        Number formats.
    batch : float or array, count
        Sequences.
    input, output : float or array, count
        Tokens of prompt and answer.

    Returns
    -------
    list of Operator
    """
    table: Table = []
    for one in sparse:
        if one.indexed:
            context = mean_context(input, output) / one.record.ratio
            keys = kv_read_bytes(batch, context, 1.0 * one.record.index_dim, INDEX_WIDTH)
            heads, depth = 1.0 * one.record.index_heads, 1.0 * one.record.index_dim
            work = attention_flops(batch * context, heads, depth, 0.0, formats.flop_per_mac)
            moved = stream_bytes(batch, heads * depth, formats.activation)
            moved = moved + stream_bytes(batch * context, 2.0, FULL_WIDTH)
            found = Operator("index scores", "attention", one.indexed, batch, 1.0, 1.0, 1.0, work, 0.0, moved)
            table.append(found._replace(cache_bytes=keys, kernels=2.0, work=work))
    return table
