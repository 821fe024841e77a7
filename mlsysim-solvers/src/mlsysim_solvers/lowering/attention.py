"""Attention of one layer as operators: projections, scores and values, for passes and for decode."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum, where
from mlsysim.shapes.state_layers import state_matrices
from mlsysim.tracing import named

from ..formulas.attention import (
    attention_bytes,
    attention_flops,
    block_share,
    causal_pairs,
    full_pairs,
    kv_read_bytes,
    mean_context,
    reread_bytes,
    windowed_mean_context,
)
from ..formulas.constants import ATTENTION_BLOCK, FULL_WIDTH
from ..formulas.elementwise import stream_bytes
from ..formulas.gemm import matmul_activation_bytes, matmul_flops
from .operators import Formats, Operator, Table, gemm, operator_of, spared, stream
from .recurrence import around_states, state_update, states_over_sequence
from .shape import TransformerShape, by_heads
from .sparse import (
    SparseLayers,
    entries_over_cache,
    index_over_cache,
    index_over_sequence,
    pairs_over_sequence,
    selections,
    sparse_parameters,
)

__all__ = [
    "SCORE_ROWS", "Abilities", "attention_over_cache", "attention_over_sequence", "mixing_parameters",
    "outer_parameters", "projections",
]  # fmt: skip


SCORE_ROWS = frozenset({"attention scores", "softmax"})
"""What selective recomputation forms again where attention is not fused."""


class Abilities(NamedTuple):
    """What a stack can do, as far as lowering needs it.

    Parameters
    ----------
    fused_attention, shared_kv, fused_elementwise : bool
        As in the stack's features.
    reread_ratio : float, ratio
        Bandwidth of the last-level cache over that of memory, for kernels that do not share keys and values.
    pass_tokens : float, token, or None
        Most tokens of one pass over prompts; None for one pass whatever their number.
    expands_weights, narrows_inputs, staged_softmax, eager_scores, casts_scores, one_by_one, joins_cache : bool
        As in the stack's features.
    unpacks_weights : bool
        As in the stack's features.
    """

    fused_attention: bool
    shared_kv: bool
    fused_elementwise: bool
    reread_ratio: Any
    pass_tokens: Any = None
    expands_weights: bool = False
    staged_softmax: bool = False
    eager_scores: bool = False
    casts_scores: bool = False
    one_by_one: bool = False
    joins_cache: bool = False
    unpacks_weights: bool = False
    narrows_inputs: bool = False


def projections(shape: TransformerShape, formats: Formats, rows: Any, *, absorbed: bool) -> Table:
    """Return the matrix products around attention, and what stands around states where layers keep one.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    rows : float or array, count
        Tokens.
    absorbed : bool
        Latent attention in decode: keys and values are never unfolded; the two up-projections act
        on queries and outputs instead, head by head.

    Returns
    -------
    list of Operator

    References
    ----------
    DeepSeek-AI 2024, DeepSeek-V2, arXiv:2405.04434, appendix C.
    """
    table: Table = []
    for part in by_heads(shape):
        table += _attention_projections(part, formats, rows, absorbed=absorbed)
        if shape.gate:
            gated = stream_bytes(rows, 3.0 * part.heads * part.v_dim, formats.activation)
            table.append(stream("output gate", part.attention_layers, gated))
    if shape.sparse:
        table += selections(shape.sparse, formats, rows)
    return table if shape.recurrence is None else table + around_states(shape.recurrence, formats, rows)


def _attention_projections(shape: TransformerShape, formats: Formats, rows: Any, *, absorbed: bool) -> Table:
    layers, hidden, heads = shape.attention_layers, shape.hidden, shape.heads
    formats, kind = spared(formats, formats.outer)
    if not shape.latent:
        return [
            gemm("query-key-value projection", layers, rows, shape.projected, hidden, formats, kind=kind),
            gemm("output projection", layers, rows, hidden, heads * shape.v_dim, formats, kind=kind),
        ]
    queries, latent = heads * shape.head_dim, shape.kv_rank
    table = [gemm("key-value compression", layers, rows, latent + shape.rope_dim, hidden, formats, kind=kind)]
    if shape.q_rank:
        table.append(gemm("query compression", layers, rows, shape.q_rank, hidden, formats, kind=kind))
        table.append(gemm("query projection", layers, rows, queries, shape.q_rank, formats, kind=kind))
    else:
        table.append(gemm("query projection", layers, rows, queries, hidden, formats, kind=kind))
    if shape.direct:
        pass
    elif absorbed:
        table.append(gemm("query absorption", layers, rows, latent, shape.nope_dim, formats, heads, kind=kind))
        table.append(gemm("value expansion", layers, rows, shape.v_dim, latent, formats, heads, kind=kind))
    else:
        unfolded = heads * (shape.nope_dim + shape.v_dim)
        table.append(gemm("key-value expansion", layers, rows, unfolded, latent, formats, kind=kind))
    if shape.gate:
        table.append(gemm("gate projection", layers, rows, heads * shape.v_dim, hidden, formats, kind=kind))
    outputs = heads * shape.v_dim
    if shape.o_rank:
        groups, rank = shape.o_groups, shape.o_rank
        table.append(gemm("output compression", layers, rows, rank, outputs / groups, formats, groups, kind=kind))
        outputs = groups * rank
    table.append(gemm("output projection", layers, rows, hidden, outputs, formats, kind=kind))
    return table


def _attention_parameters(shape: TransformerShape) -> Any:
    """Return the weights of the matrix products around attention in one layer that attends."""
    s, queries = shape, shape.heads * shape.head_dim
    output = s.heads * s.v_dim * s.hidden
    if not s.latent:
        return s.hidden * s.projected + output
    query = s.q_rank * (s.hidden + queries) if s.q_rank else s.hidden * queries
    found = query + s.hidden * (s.kv_rank + s.rope_dim)
    if not s.direct:
        found = found + s.kv_rank * s.heads * (s.nope_dim + s.v_dim)
    if s.gate:
        found = found + output
    if s.o_rank:
        output = (s.heads * s.v_dim + s.o_groups * s.hidden) * s.o_rank
    return found + output


def mixing_parameters(shape: TransformerShape) -> Any:
    """Return the weights of the matrix products of all layers outside their MLPs.

    Parameters
    ----------
    shape : TransformerShape
        The model, or one device's part of it.

    Returns
    -------
    float or array, count
    """
    found = sum(part.attention_layers * _attention_parameters(part) for part in by_heads(shape))
    if shape.sparse:
        found = found + sparse_parameters(shape.sparse)
    keeping = shape.recurrence
    return found if keeping is None else found + keeping.layers * state_matrices(keeping.mixer)


def outer_parameters(shape: TransformerShape) -> Any:
    """Return the weights around attention and of routers, which a mixture in few bits keeps wide.

    Parameters
    ----------
    shape : TransformerShape
        The model, or one device's part of it.

    Returns
    -------
    float or array, count
    """
    s = shape
    routers = minimum(s.expert_layers, s.layers) * s.experts * s.hidden
    return named(mixing_parameters(s) + routers, "attention and routers")


def attention_over_sequence(
    shape: TransformerShape, formats: Formats, abilities: Abilities, batch: Any, sequence: Any
) -> Table:
    """Return scores and values of whole sequences.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Sequences.
    sequence : float or array, count
        Tokens of each.

    Returns
    -------
    list of Operator
        One group for layers that see everything, one for layers with a window, one for layers that keep a state.
    """
    table = [row for part in by_heads(shape) for row in _over_sequence(part, formats, abilities, batch, sequence)]
    if shape.recurrence is not None:
        table += states_over_sequence(shape.recurrence, formats, batch * sequence)
    return table


def _over_sequence(shape: TransformerShape, formats: Formats, abilities: Abilities, batch: Any, sequence: Any) -> Table:
    table: Table = []
    for count, window in ((shape.full_layers, sequence), (shape.window_layers, shape.window)):
        if count:
            pairs = causal_pairs(sequence, window) if shape.causal else full_pairs(sequence, window)
            flops = attention_flops(batch * pairs, shape.heads, shape.head_dim, shape.v_dim, formats.flop_per_mac)
            if abilities.fused_attention:
                table.append(_fused(shape, formats, count, batch, sequence, pairs))
            else:
                table += _unfused(shape, formats, count, batch, sequence, flops, abilities)
    for one in shape.sparse:
        table.append(_fused(shape, formats, one.layers, batch, sequence, _gathered(shape, one, sequence)))
    return table + index_over_sequence(shape.sparse, formats, batch, sequence)


def _gathered(shape: TransformerShape, one: SparseLayers, sequence: Any) -> Any:
    """Return the pairs of unfolded keys and values that take as much work as those that are seen.

    Kernels gather compressed keys and values, which all heads share and which are wider than unfolded ones. Sequences
    that are not longer than what is selected are unfolded and seen whole (SGLang, pull request 20062: the threshold is
    index_topk).
    """
    pairs = pairs_over_sequence(one, sequence, shape.window)
    if shape.direct or not shape.latent:
        return pairs
    wide = (2.0 * shape.kv_rank + shape.rope_dim) / (shape.head_dim + shape.v_dim)
    return where(sequence <= one.reach(sequence), pairs, wide * pairs)


def _fused(shape: TransformerShape, formats: Formats, count: Any, batch: Any, sequence: Any, pairs: Any) -> Operator:
    """Return fused attention; each pair takes one exponential."""
    rows, seen = batch * sequence, batch * pairs
    flops = attention_flops(seen, shape.heads, shape.head_dim, shape.v_dim, formats.flop_per_mac)
    blocks = block_share(sequence, ATTENTION_BLOCK, 3.0 if shape.causal else 1.0)
    kv_heads = shape.heads if shape.latent and not shape.direct else shape.kv_heads
    elements = (shape.heads + kv_heads) * (shape.head_dim + shape.v_dim)
    traffic = attention_bytes(rows, elements, formats.activation)
    return operator_of((
        "attention", "attention", count, rows, 1.0, 1.0, shape.heads * seen * blocks, flops, 0.0, traffic, 0.0, 1.0,
        flops * blocks, 0.0,
    ))  # fmt: skip


def _unfused(
    shape: TransformerShape, formats: Formats, count: Any, batch: Any, sequence: Any, flops: Any, abilities: Abilities
) -> Table:
    """Scores are computed in full, written, normalised and read again; a pass sees what came before it.

    A softmax in one kernel reads and writes them once. Step by step, five kernels read them, and three write them.
    Eagerly, a kernel each scales them, adds the mask and normalises: 16-bit scores between two casts. A library whose
    products end in 16 bits casts them up and down where 32 are kept.
    """
    pass_tokens = abilities.pass_tokens
    products = batch * shape.heads
    width = formats.activation
    rows = seen = sequence
    if pass_tokens is not None:
        rows = minimum(sequence, pass_tokens)
        products = products * (sequence / rows)
        seen = 0.5 * (sequence + rows)
    each, v_dim, wanted = shape.head_dim, shape.v_dim, 0.5 * flops
    moved = matmul_activation_bytes(rows, seen + each, each, products, width, width)
    work = matmul_flops(rows, seen, each, products, formats.flop_per_mac)
    scores = operator_of((
        "attention scores", "gemm", count, rows, seen, each, products, wanted, 0.0, moved, 0.0, 1.0, work, 0.0,
    ))  # fmt: skip
    moved = matmul_activation_bytes(rows, 2.0 * v_dim, seen, products, width, width)
    work = matmul_flops(rows, v_dim, seen, products, formats.flop_per_mac)
    values = operator_of((
        "attention values", "gemm", count, rows, v_dim, seen, products, wanted, 0.0, moved, 0.0, 1.0, work, 0.0,
    ))  # fmt: skip
    passes, kernels = (8.0, 5.0) if abilities.staged_softmax else (2.0, 1.0)
    moved = passes * width
    if abilities.eager_scores:
        wide = maximum(width, FULL_WIDTH)
        casts = 0.0 if width >= FULL_WIDTH else 2.0 * (width + wide)
        moved, kernels = 4.0 * width + passes * wide + casts, kernels + (2.0 if width >= FULL_WIDTH else 4.0)
    if abilities.casts_scores:
        # A narrow copy is written and read on either side.
        narrower = where(width > formats.operand, 1.0, 0.0)
        moved, kernels = moved + narrower * (4.0 * formats.operand), kernels + 2.0 * narrower
    softmax = stream("softmax", count, stream_bytes(products * rows, seen, moved), kernels)
    return [scores, softmax, values]


def attention_over_cache(
    shape: TransformerShape, formats: Formats, abilities: Abilities, batch: Any, input: Any, output: Any  # noqa: A002
) -> Table:  # fmt: skip
    """Return scores and values of the average decode step.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Sequences.
    input, output : float or array, count
        Tokens of prompt and answer; the answer has at least one.

    Returns
    -------
    list of Operator
    """
    table = [row for part in by_heads(shape) for row in _over_cache(part, formats, abilities, batch, input, output)]
    if shape.recurrence is not None:
        table.append(state_update(shape.recurrence, formats, batch))
    return table


def _over_cache(
    shape: TransformerShape, formats: Formats, abilities: Abilities, batch: Any, input: Any, output: Any  # noqa: A002
) -> Table:  # fmt: skip
    width = shape.kv_rank if shape.latent else shape.head_dim
    joined = shape.latent and not shape.direct
    qk_dim, v_dim = (width + shape.rope_dim, width) if joined else (shape.head_dim, shape.v_dim)
    group = shape.heads / shape.kv_heads
    table = index_over_cache(shape.sparse, formats, batch, input, output)
    seen: list[tuple[Any, Any]] = []
    if shape.full_layers:
        seen.append((shape.full_layers, mean_context(input, output)))
    if shape.window_layers:
        seen.append((shape.window_layers, windowed_mean_context(input, output, shape.window)))
    seen += [(one.layers, entries_over_cache(one, input, output, shape.window)) for one in shape.sparse]
    for count, context in seen:
        cache = kv_read_bytes(batch, context, shape.cache_elements, formats.cache)
        flops = attention_flops(batch * context, shape.heads, qk_dim, v_dim, formats.flop_per_mac)
        own = attention_bytes(batch, shape.heads * (qk_dim + v_dim), formats.activation)
        repeated: Any = 0.0
        if not (abilities.shared_kv or shape.latent):
            repeated = reread_bytes(cache, group, abilities.reread_ratio) - cache
        row = Operator("attention over cache", "attention", count, batch, 1.0, 1.0, 1.0, flops, 0.0, own)
        table.append(row._replace(cache_bytes=cache, work=flops, repeated_bytes=repeated))
    return table
