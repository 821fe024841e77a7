"""Mixtures of experts: how many experts a batch touches, and how many rows each of them gets."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["distinct_experts", "rows_per_expert"]


@formula("1", experts="1", active="1", tokens="1", discrete=("token", "sample"))
def distinct_experts(experts: Any, active: Any, tokens: Any) -> Any:
    """Return the expected number of experts that a batch of tokens reaches.

    Parameters
    ----------
    experts : float, count
        Routed experts of a layer.
    active : float, count
        Routed experts per token.
    tokens : float or array, count
        Tokens.

    Returns
    -------
    float or array, count

    Notes
    -----
    E (1 - (1 - k/E)^T) for routing that is even and independent between tokens.
    """
    return experts * (1.0 - (1.0 - active / experts) ** tokens)


@formula("1", tokens="1", active="1", reached="1")
def rows_per_expert(tokens: Any, active: Any, reached: Any) -> Any:
    """Return the rows that each reached expert multiplies, on average.

    Parameters
    ----------
    tokens : float or array, count
        Tokens.
    active : float, count
        Routed experts per token.
    reached : float or array, count
        Experts that the tokens reach.

    Returns
    -------
    float or array, count

    Notes
    -----
    T k / D.
    """
    return tokens * active / reached
