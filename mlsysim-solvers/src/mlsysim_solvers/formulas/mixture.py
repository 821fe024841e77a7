"""Mixtures of experts: how many experts a batch touches, and how many rows each of them gets."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

from .constants import POPULARITY_SHAPE

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
    E (1 - (1 - k/E) (1 + (T - 1) k / (E a))^-a): the first token reaches k; the others choose independently of each
    other, each expert with a chance that scatters about k/E as a gamma variable of shape a. Even routing, of a without
    end, comes to (1 - k/E)^T but for the square of k/E.

    References
    ----------
    Greenwood and Yule 1920, Journal of the Royal Statistical Society 83(2): Poisson counts of gamma-distributed rates.
    """
    share = active / experts
    return experts * (1.0 - (1.0 - share) * (1.0 + (tokens - 1.0) * (share / POPULARITY_SHAPE)) ** -POPULARITY_SHAPE)


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
