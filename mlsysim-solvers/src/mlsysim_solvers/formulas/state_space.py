"""State-space layers: work of the scan, of its chunked form, and the state."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["chunk_flops", "kept_elements", "scan_flops", "state_bytes"]


@formula("FLOP", rows="1", inner="1", state="1", flop_per_mac="FLOP")
def scan_flops(rows: Any, inner: Any, state: Any, flop_per_mac: Any) -> Any:
    """Return the work of a selective scan.

    Parameters
    ----------
    rows : float or array, count
        Tokens.
    inner, state : float, count
        Channels, and states of each.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F = 2 * 3 n d N
    h = a h + b x and y = c h: decay, input and output are one multiply-accumulate each per channel and
    state. Exponentials and the discretisation of the step are left out.

    References
    ----------
    Gu, Dao 2023, Mamba, arXiv:2312.00752, algorithm 2.
    """
    return 3.0 * flop_per_mac * inner * state * rows


@formula("FLOP", rows="1", chunk="1", inner="1", state="1", groups="1", flop_per_mac="FLOP")
def chunk_flops(rows: Any, chunk: Any, inner: Any, state: Any, groups: Any, flop_per_mac: Any) -> Any:
    """Return the work of a scan in chunks of matrix products.

    Parameters
    ----------
    rows : float or array, count
        Tokens.
    chunk : float, count
        Tokens of a chunk.
    inner, state, groups : float, count
        Channels, states of each, groups that share input and output matrices.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F = 2 n [Q (g N + d) / 2 + 2 d N]
    Inside a chunk scores and values as in causal attention, which counts half; then the states that a
    chunk leaves, and the outputs that the state before it adds.

    References
    ----------
    Dao, Gu 2024, Transformers are SSMs, arXiv:2405.21060, section 6.
    """
    return flop_per_mac * rows * (0.5 * chunk * (groups * state + inner) + 2.0 * inner * state)


@formula("B", sequences="1", elements="1", passes="1", width="B")
def state_bytes(sequences: Any, elements: Any, passes: Any, width: Any) -> Any:
    """Return the traffic or the memory of recurrent states of one layer.

    Parameters
    ----------
    sequences : float or array, count
        Sequences.
    elements : float, count
        Elements that one layer keeps of one sequence, however long it is.
    passes : float, count
        2 to read and write them, 1 to hold them.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    p b (d N + k c) w.
    """
    return passes * sequences * elements * width


@formula("1", values="1", depth="1", mixed="1", taps="1", width="1")
def kept_elements(values: Any, depth: Any, mixed: Any, taps: Any, width: Any) -> Any:
    """Return what a layer that keeps a state keeps of one sequence, however long it is, in elements of the state.

    Parameters
    ----------
    values, depth : float or array, count
        Channels, and states of each.
    mixed : float or array, count
        Channels of the causal convolution.
    taps : float, count
        Its taps, of which all but one see earlier tokens.
    width : float, ratio
        Bytes of an activation over those of an element of the state.

    Returns
    -------
    float or array, count

    Notes
    -----
    N = d s + w (c - 1) m
    The state is kept in 32 bits, the window of the convolution as activations are.

    References
    ----------
    huggingface/transformers, src/transformers/models/qwen3_next/modular_qwen3_next.py,
    torch_recurrent_gated_delta_rule: the state is float32; config.json of Qwen3.5 (mamba_ssm_dtype) and of Nemotron 3
    Nano (mamba_ssm_cache_dtype): float32.
    """
    return values * depth + width * (taps - 1.0) * mixed
