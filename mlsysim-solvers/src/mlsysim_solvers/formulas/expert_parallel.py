"""Attention in copies, experts on devices of their own: what the busiest of them has to do, and what they send."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import log, maximum, minimum, sqrt

from .constants import EULER
from .mixture import popularity_shape

__all__ = ["busiest_experts", "busiest_load", "busiest_share", "dispatched_bytes", "gathering_passes"]


@formula("1", total="1", ranks="1", unit="1", imbalance="1")
def busiest_load(total: Any, ranks: Any, unit: Any, imbalance: Any) -> Any:
    """Return what the busiest of several copies of attention gets of something that comes in pieces.

    Parameters
    ----------
    total : float or array, count
        Requests or tokens of all copies in one pass.
    ranks : float or array, count
        Copies of attention.
    unit : float or array, count
        What cannot be divided: one request, or the tokens of one prompt.
    imbalance : float or array, ratio
        The busiest copy over the mean where there are pieces enough for all; 1 at least.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(T, max(i T / N, u)): a prompt is read by one copy while the others wait for it in every layer, and no copy has
    more than there is.

    References
    ----------
    NVIDIA TensorRT-LLM, docs/source/blogs/tech_blog/blog10_ADP_Balance_Strategy.md: the time of an iteration is that of
    the rank with the highest load.
    """
    return minimum(total, maximum(maximum(1.0, imbalance) * (total / ranks), unit))


@formula("1", reached="1", experts="1", devices="1")
def busiest_experts(reached: Any, experts: Any, devices: Any) -> Any:
    """Return how many of the experts that a pass reaches lie on the busiest device, on average.

    Parameters
    ----------
    reached : float or array, count
        Experts of a layer that the tokens of the pass reach.
    experts : float, count
        Experts of a layer.
    devices : float or array, count
        Devices over which they are spread, as many on each.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(D, E / e, D / e + sqrt(2 ln(e) D (1 / e) (1 - 1 / e) (1 - D / E))): D of E experts drawn without putting back
    are spread over e devices with that variance (hypergeometric, up to E / (E - 1)), and the mean of the largest of
    e normal variables of one variance is at most sqrt(2 ln e) standard deviations above theirs. Where all experts are
    reached every device has as many.
    """
    variance = reached / devices * (1.0 - 1.0 / devices) * maximum(0.0, 1.0 - reached / experts)
    most = minimum(reached, experts / devices)
    return minimum(most, reached / devices + sqrt(2.0 * log(devices) * variance))


@formula("1", experts="1", devices="1")
def busiest_share(experts: Any, devices: Any) -> Any:
    """Return the tokens that come to the experts of the busiest device, over those that come to a device on average.

    Parameters
    ----------
    experts : float, count
        Experts of a layer.
    devices : float or array, count
        Devices over which they are spread, as many on each.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    min(e, 1 + sqrt(2 ln(e) (e - 1) / (E a))): the popularity of experts scatters by 1 / sqrt(a) of its mean, that of
    E / e experts among E by sqrt((e - 1) / (E a)), and the mean of the largest of e normal variables of one variance
    is at most sqrt(2 ln e) standard deviations above theirs. All wait for that device in every layer.
    """
    spread = sqrt(2.0 * log(devices) * ((devices - 1.0) / (experts * popularity_shape(experts))))
    return minimum(devices, 1.0 + spread)


@formula("1", ranks="1", admitted="1", most="1")
def gathering_passes(ranks: Any, admitted: Any, most: Any) -> Any:
    """Return how long prompts wait until every copy of attention has one to read.

    Parameters
    ----------
    ranks : float or array, count
        Copies of attention.
    admitted : float or array, count
        Requests that are admitted in the average pass.
    most : float or array, count
        Passes after which those that wait are read anyway; 0 where nobody waits for others.

    Returns
    -------
    float or array, count
        From the first of them to the reading.

    Notes
    -----
    min(W, N H_(N-1) / a), H_n = ln n + 0.5772 + 1 / (2 n): the first prompt lies with one copy, and until the others
    have one too, prompts come that are dealt out at random (the collector of coupons). 0 for one copy.

    References
    ----------
    NVIDIA TensorRT-LLM, docs/source/blogs/tech_blog/blog10_ADP_Balance_Strategy.md: a rank with a prompt waits, up to
    timeout_iters passes, until all ranks have one.
    """
    others = maximum(1.0, ranks - 1.0)
    harmonic = log(others) + EULER + 0.5 / others
    return minimum(most, minimum(1.0, ranks - 1.0) * ranks * harmonic / admitted)


@formula("B", rows="1", copies="1", hidden="1", width="B")
def dispatched_bytes(rows: Any, copies: Any, hidden: Any, width: Any) -> Any:
    """Return what a device holds for the devices of the experts that its tokens are routed to.

    Parameters
    ----------
    rows : float or array, count
        Its tokens.
    copies : float or array, count
        Devices that a token goes to.
    hidden : float, count
        Width of the model.
    width : float, B
        Bytes per element on the way.

    Returns
    -------
    float or array, B

    Notes
    -----
    T d h w: a token goes once to each device, however many of its experts lie there.

    References
    ----------
    DeepSeek-AI, DeepEP, README.md: dispatch in the narrow format of the products, combine in 16 bits.
    """
    return rows * copies * hidden * width
