"""Attention: work, traffic, the key-value cache, and what windows save."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import ceil, maximum, minimum

__all__ = [
    "array_share",
    "attention_bytes",
    "attention_flops",
    "attention_rate",
    "block_share",
    "causal_pairs",
    "exposed_share",
    "full_pairs",
    "kv_read_bytes",
    "mean_context",
    "reread_bytes",
    "softmax_clocks",
    "windowed_mean_context",
]


@formula("1", sequence="1", window="1")
def causal_pairs(sequence: Any, window: Any) -> Any:
    """Return the query-key pairs of causal attention.

    Parameters
    ----------
    sequence : float or array, count
        Tokens.
    window : float, count
        Tokens that a query sees at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    s w - w^2 / 2 with w = min(s, window); s^2 / 2 without a window.
    """
    seen = minimum(sequence, window)
    return seen * sequence - 0.5 * seen * seen


@formula("1", sequence="1", window="1")
def full_pairs(sequence: Any, window: Any) -> Any:
    """Return the query-key pairs of attention in both directions.

    Parameters
    ----------
    sequence : float or array, count
        Tokens.
    window : float, count
        Tokens that a query sees at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    s min(s, window).
    """
    return sequence * minimum(sequence, window)


@formula("FLOP", pairs="1", heads="1", qk_dim="1", v_dim="1", flop_per_mac="FLOP")
def attention_flops(pairs: Any, heads: Any, qk_dim: Any, v_dim: Any, flop_per_mac: Any) -> Any:
    """Return the work of scores and values.

    Parameters
    ----------
    pairs : float or array, count
        Query-key pairs of all sequences.
    heads : float, count
        Query heads.
    qk_dim, v_dim : float, count
        Width of queries and keys, and of values, per head.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F = 2 a (d_qk + d_v) pairs: 4 b s^2 a d for full attention with equal widths, half of it causal.
    """
    return flop_per_mac * heads * (qk_dim + v_dim) * pairs


@formula("B", rows="1", elements="1", width="B")
def attention_bytes(rows: Any, elements: Any, width: Any) -> Any:
    """Return the traffic of attention that never writes its scores.

    Parameters
    ----------
    rows : float or array, count
        Tokens of all sequences.
    elements : float, count
        Elements per token: queries, keys and values read, output written.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q = n (a d_qk + n_kv (d_qk + d_v) + a d_v) w.
    """
    return width * elements * rows


@formula("1", sequence="1", block="1", extra="1")
def block_share(sequence: Any, block: Any, extra: Any) -> Any:
    """Return the work of fused attention with its blocks over the work that is wanted.

    Parameters
    ----------
    sequence : float or array, count
        Tokens.
    block : float, count
        Queries and keys of a block.
    extra : float, count
        Blocks by which a row is longer, relative to the wanted length of a row: 1 for filling and
        draining; under a causal mask rows are half as long and half a block of the diagonal is
        wasted, which makes 3.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    1 + x b / s.
    """
    return 1.0 + extra * (block / sequence)


@formula("FLOP/s", rate="FLOP/s", peak="FLOP/s", ceiling="1")
def attention_rate(rate: Any, peak: Any, ceiling: Any) -> Any:
    """Return the arithmetic rate of attention.

    Parameters
    ----------
    rate : float or array, FLOP/s
        Effective rate of matrix products.
    peak : float or array, FLOP/s
        Dense peak.
    ceiling : float, ratio
        Highest share of the peak that attention kernels reach.

    Returns
    -------
    float or array, FLOP/s

    Notes
    -----
    min(P_eff, c P).
    """
    return minimum(rate, peak * ceiling)


@formula("1", special="1", operations="1", lanes="1")
def softmax_clocks(special: Any, operations: Any, lanes: Any) -> Any:
    """Return the clocks in which a processor takes one score through a softmax.

    Parameters
    ----------
    special : float, count
        Clocks of its exponential.
    operations : float, count
        Other operations: scaling, maximum, sum, conversion.
    lanes : float, count
        Operations that its vector units start per clock.

    Returns
    -------
    float, count

    Notes
    -----
    c = s + n / l.
    """
    return special + operations / lanes


@formula("1", share="1", per_clock="FLOP", operands="FLOP", exposed="1")
def exposed_share(share: Any, per_clock: Any, operands: Any, exposed: Any) -> Any:
    """Return the share of the peak at which fused attention runs, apart from its softmax.

    Parameters
    ----------
    share : float, ratio
        What matrix products reach.
    per_clock : float, FLOP
        Work of a processor per clock at the peak.
    operands : float, FLOP
        The same for which its shared memory delivers operands.
    exposed : float, ratio
        Share of the time of loads that no product hides.

    Returns
    -------
    float, ratio

    Notes
    -----
    1 / (1 / e + x p / o): clocks add up, so units that do less work per clock lose a smaller share of their peak.
    """
    return 1.0 / (1.0 / share + exposed * (per_clock / operands))


@formula("1", qk_dim="1", v_dim="1", side="1")
def array_share(qk_dim: Any, v_dim: Any, side: Any) -> Any:
    """Return the part of a systolic array that the heads of attention fill.

    Parameters
    ----------
    qk_dim, v_dim : float, count
        Width of queries and keys, and of values, per head: depth of the product that makes scores, and columns of
        the product that reads values.
    side : float, count
        Rows and columns of the array.

    Returns
    -------
    float, ratio

    Notes
    -----
    (d_qk + d_v) / (s ceil(d_qk / s) + s ceil(d_v / s)): an array works as long for half of its rows or columns as
    for all of them.

    References
    ----------
    Google, Cloud TPU documentation: 128 x 128 multiply-accumulators in a systolic array up to v5, 256 x 256 in v6e.
    """
    return (qk_dim + v_dim) / (side * (ceil(qk_dim / side) + ceil(v_dim / side)))


@formula("B", batch="1", context="1", elements="1", width="B")
def kv_read_bytes(batch: Any, context: Any, elements: Any, width: Any) -> Any:
    """Return the key-value cache that one layer reads to decode one token of each sequence.

    Parameters
    ----------
    batch : float or array, count
        Sequences.
    context : float or array, count
        Tokens that each sees.
    elements : float, count
        Elements that one layer keeps of one token.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    Q = b c n w, with n = 2 n_kv d, or r_kv + d_rope for latent attention.
    """
    return width * elements * batch * context


@formula("B", traffic="B", group="1", ratio="1")
def reread_bytes(traffic: Any, group: Any, ratio: Any) -> Any:
    """Return the memory traffic that takes as long as reading each key-value head once per query head.

    Parameters
    ----------
    traffic : float or array, B
        Cache read once.
    group : float, count
        Query heads that share a key-value head.
    ratio : float, ratio
        Bandwidth of the last-level cache over that of memory.

    Returns
    -------
    float or array, B

    Notes
    -----
    max(Q, g Q / r): repetitions come from the last-level cache.
    """
    return maximum(1.0, group / ratio) * traffic


@formula("1", input="1", output="1")
def mean_context(input: Any, output: Any) -> Any:  # noqa: A002 - the scenario's own word
    """Return the context of the average decode step.

    Parameters
    ----------
    input, output : float or array, count
        Tokens of prompt and answer.

    Returns
    -------
    float or array, count

    Notes
    -----
    I + O / 2: the mean over the steps that follow the first token.
    """
    return input + 0.5 * output


@formula("1", input="1", output="1", window="1")
def windowed_mean_context(input: Any, output: Any, window: Any) -> Any:  # noqa: A002
    """Return the context of the average decode step under a sliding window.

    Parameters
    ----------
    input, output : float or array, count
        Tokens of prompt and answer.
    window : float, count
        Tokens that a query sees at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    [(b^2 - a^2)/2 + W (O - (b - a))] / O, a = min(I, W), b = min(I + O, W)

    The mean of min(c, W) over c from I to I + O.
    """
    low, high = minimum(input, window), minimum(input + output, window)
    rise = high - low
    return 0.5 * (high + low) * (rise / output) + window * ((output - rise) / output)
