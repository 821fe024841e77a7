"""Mixtures of experts: how many experts a batch touches, and how many rows each of them gets."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import maximum, where

from .constants import FINE_EXPERTS, POPULARITY_SHAPE

__all__ = [
    "block_scaled_rate", "distinct_experts", "grouped_flops", "popularity_shape", "reached_groups", "rows_per_expert",
]  # fmt: skip


@formula("1", experts="1")
def popularity_shape(experts: Any) -> Any:
    """Return the shape of the gamma distribution of how often experts of a layer are chosen.

    Parameters
    ----------
    experts : float, count
        Routed experts of a layer.

    Returns
    -------
    float, ratio
        The inverse square of the standard deviation of their popularity over its mean.

    Notes
    -----
    a max(1, E_f / E): fewer experts than E_f are taken as groups of finer ones, and the mean of several scatters less.
    """
    return POPULARITY_SHAPE * maximum(1.0, FINE_EXPERTS / experts)


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
    end, comes to (1 - k/E)^T but for the square of k/E. The shape is that of :func:`popularity_shape`.

    References
    ----------
    Greenwood and Yule 1920, Journal of the Royal Statistical Society 83(2): Poisson counts of gamma-distributed rates.
    """
    share, shape = active / experts, popularity_shape(experts)
    return experts * (1.0 - (1.0 - share) * (1.0 + (tokens - 1.0) * (share / shape)) ** -shape)


@formula("1", groups="1", experts="1", active="1", discrete=("token", "sample"))
def reached_groups(groups: Any, experts: Any, active: Any) -> Any:
    """Return the expected number of groups of experts that one token reaches.

    Parameters
    ----------
    groups : float or array, count
        Groups, with as many experts each: those of one device, or of one node.
    experts : float, count
        Routed experts of a layer.
    active : float, count
        Routed experts per token.

    Returns
    -------
    float or array, count

    Notes
    -----
    n (1 - (1 - 1/n) (1 + (k - 1) / (n b))^-b), b = a E / n: as :func:`distinct_experts`, for k choices of one group
    each. The popularity of a group is the mean of that of its experts, and scatters less.
    """
    shape = experts / groups * popularity_shape(experts)
    return groups * (1.0 - (1.0 - 1.0 / groups) * (1.0 + (active - 1.0) / (groups * shape)) ** -shape)


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
    T k / D; no tokens reach no expert, and none has a row.
    """
    return tokens * active / where(reached > 0.0, reached, 1.0)


@formula("FLOP", work="FLOP", share="1")
def grouped_flops(work: Any, share: Any) -> Any:
    """Return the work that takes as long at the rate of single products as products of many experts at once take.

    Parameters
    ----------
    work : float or array, FLOP
        Work of the experts' products, without padding.
    share : float, ratio
        Rate of such products over that of single ones, of wanted work.

    Returns
    -------
    float or array, FLOP

    Notes
    -----
    F / g: rows of each expert end in the middle of a tile, are gathered from where they lie, and pass the activation
    function in between. Few rows for each expert fill tiles more poorly than that, and then tiles count.
    """
    return work / share


@formula("FLOP/s", rate="FLOP/s", vector="FLOP/s", block="1", slots="1")
def block_scaled_rate(rate: Any, vector: Any, block: Any, slots: Any) -> Any:
    """Return the rate of matrix products whose partial sums are scaled on vector units.

    Parameters
    ----------
    rate : float or array, FLOP/s
        Rate of products without scales.
    vector : float or array, FLOP/s
        Peak of vector units in 32 bits.
    block : float, count
        Elements of the inner dimension that share a scale.
    slots : float, count
        Multiply-adds of vector units that take as long as scaling and adding up one partial sum.

    Returns
    -------
    float or array, FLOP/s

    Notes
    -----
    P / (1 + s P / (b V)): after b multiply-adds on matrix units each element of the result takes one on vector units,
    which waits for the former and is waited for. An upper bound of the loss where kernels overlap both, and a lower
    bound where results pass through memory of their own on the way to vector units.

    References
    ----------
    flashinfer-ai/flashinfer, issue 2146: products of 8-bit operands in blocks of 128 x 128 are slower than those in 16
    bits on a B200 (0.58 to 0.97 of their rate by CUTLASS). deepseek-ai/DeepGEMM, README.md: scales are numbers in 32
    bits on Hopper.
    """
    return rate / (1.0 + slots * rate / (block * vector))
