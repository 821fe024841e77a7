"""Linear attention by the gated delta rule: work of a pass in chunks and of a step, and what kernels move."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["delta_chunk_elements", "delta_chunk_flops", "delta_step_flops"]


@formula("FLOP", rows="1", heads="1", key_dim="1", value_dim="1", chunk="1", flop_per_mac="FLOP")
def delta_chunk_flops(rows: Any, heads: Any, key_dim: Any, value_dim: Any, chunk: Any, flop_per_mac: Any) -> Any:
    """Return the work of the gated delta rule over whole sequences, in chunks of matrix products.

    Parameters
    ----------
    rows : float or array, count
        Tokens.
    heads : float or array, count
        Heads, each with a state.
    key_dim, value_dim : float, count
        Rows and columns of a state.
    chunk : float, count
        Tokens of a chunk.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F = 2 n h [Q (3 d_k + 2 d_v) + Q^2 / 3 + 3 d_k d_v]
    Each token of a chunk of Q is multiplied with the keys of the chunk twice (as key and as query), a triangle is
    inverted by substitution, the inverse is multiplied with keys and values and the scores with values; then three
    products with the state: what it holds for the key, for the query, and what the token adds. All of a chunk is
    computed, whatever the mask.

    References
    ----------
    huggingface/transformers, src/transformers/models/qwen3_next/modular_qwen3_next.py, torch_chunk_gated_delta_rule.
    """
    inside = chunk * (3.0 * key_dim + 2.0 * value_dim) + chunk * chunk / 3.0
    return flop_per_mac * rows * heads * (inside + 3.0 * key_dim * value_dim)


@formula("1", rows="1", heads="1", key_dim="1", value_dim="1", chunk="1", decays="1")
def delta_chunk_elements(rows: Any, heads: Any, key_dim: Any, value_dim: Any, chunk: Any, decays: Any) -> Any:
    """Return what the kernels of the gated delta rule read and write over whole sequences.

    Parameters
    ----------
    rows : float or array, count
        Tokens.
    heads : float or array, count
        Heads, each with a state.
    key_dim, value_dim : float, count
        Rows and columns of a state.
    chunk : float, count
        Tokens of a chunk.
    decays : float, count
        Rows of a state that decay at rates of their own; 0 where all of a head decay at one.

    Returns
    -------
    float or array, count
        Elements.

    Notes
    -----
    E = n h [7 d_k + 6 d_v + 2 Q + 2 d_k d_v / Q + 8 g]
    One kernel reads keys and writes the inverted triangle; one reads it with keys and values and writes both
    transformed; one reads those and the keys, and writes the state before each chunk and what each token adds; one
    reads queries, keys, additions and states, and writes the output. Rates of their own are read, and their sums
    written in twice the width; the first kernel reads these and writes decayed keys, and the last reads them again.

    References
    ----------
    fla-org/flash-linear-attention, fla/ops/gated_delta_rule/chunk_fwd.py (chunk_gated_delta_rule_fwd_intra: the first
    two kernels) and chunk.py (states, output); fla/ops/kda/chunk_fwd.py at bc3b101, chunk_kda_fwd (rates of their own).
    """
    each = 7.0 * key_dim + 6.0 * value_dim + 2.0 * chunk + 2.0 * key_dim * value_dim / chunk + 8.0 * decays
    return rows * heads * each


@formula("FLOP", sequences="1", heads="1", key_dim="1", value_dim="1", flop_per_mac="FLOP")
def delta_step_flops(sequences: Any, heads: Any, key_dim: Any, value_dim: Any, flop_per_mac: Any) -> Any:
    """Return the work of one token of the gated delta rule.

    Parameters
    ----------
    sequences : float or array, count
        Sequences, one token each.
    heads : float or array, count
        Heads, each with a state.
    key_dim, value_dim : float, count
        Rows and columns of a state.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F = 2 * 4 b h d_k d_v
    S = g S + k (beta (v - g S k))' and o = S q: decay, recall, addition and output pass each element of the state.

    References
    ----------
    huggingface/transformers, src/transformers/models/qwen3_next/modular_qwen3_next.py,
    torch_recurrent_gated_delta_rule.
    """
    return 4.0 * flop_per_mac * sequences * heads * key_dim * value_dim
