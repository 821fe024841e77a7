"""Attention to a part of the context, and to compressed keys and values."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import minimum

from .attention import causal_pairs, windowed_mean_context

__all__ = ["INDEX_WIDTH", "seen_entries", "seen_pairs", "stored_entries"]

INDEX_WIDTH = 1.0
"""Bytes of an element of the keys by which an indexer selects: 8 bits (deepseek-ai/DeepSeek-V3.2-Exp at 6d8cb70,
inference/model.py, Indexer: k_cache is float8_e4m3fn; scales, one for 128 elements, are left out)."""


@formula("1", sequence="1", ratio="1", reach="1", window="1")
def seen_pairs(sequence: Any, ratio: Any, reach: Any, window: Any) -> Any:
    """Return the entries that the tokens of a sequence attend to, all together.

    Parameters
    ----------
    sequence : float or array, count
        Tokens of the sequence.
    ratio : float, count
        Tokens that one entry of the cache stands for.
    reach : float or array, count
        Tokens that the selected entries stand for at most; not less than the sequence where all are seen.
    window : float, count
        Last tokens that are seen one by one besides.

    Returns
    -------
    float or array, count

    Notes
    -----
    P(s, k) / r + P(s, W), where P(s, w) is the sum of min(t, w) over the tokens t of the sequence.

    References
    ----------
    huggingface/transformers at 02356fe, src/transformers/models/deepseek_v4/modular_deepseek_v4.py,
    DeepseekV4Attention: compressed entries are joined to those of the window.
    """
    return causal_pairs(sequence, reach) / ratio + causal_pairs(sequence, window)


@formula("1", input="1", output="1", ratio="1", reach="1", window="1")
def seen_entries(input: Any, output: Any, ratio: Any, reach: Any, window: Any) -> Any:  # noqa: A002
    """Return the entries that the average decode step attends to.

    Parameters
    ----------
    input, output : float or array, count
        Tokens of prompt and answer.
    ratio : float, count
        Tokens that one entry of the cache stands for.
    reach : float or array, count
        Tokens that the selected entries stand for at most; not less than the context where all are seen.
    window : float, count
        Last tokens that are seen one by one besides.

    Returns
    -------
    float or array, count

    Notes
    -----
    M(k) / r + M(W), where M(w) is the mean of min(c, w) over the contexts c of the answer.
    """
    return windowed_mean_context(input, output, reach) / ratio + windowed_mean_context(input, output, window)


@formula("1", context="1", ratio="1", window="1")
def stored_entries(context: Any, ratio: Any, window: Any) -> Any:
    """Return the entries that one layer keeps of one sequence.

    Parameters
    ----------
    context : float or array, count
        Tokens of the sequence.
    ratio : float, count
        Tokens that one entry stands for.
    window : float, count
        Last tokens that are kept one by one besides.

    Returns
    -------
    float or array, count

    Notes
    -----
    s / r + min(s, W): whatever is selected, all entries are kept.
    """
    return context / ratio + minimum(context, window)
