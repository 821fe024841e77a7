"""The roofline of one operator, and what sums of rooflines say about a whole model."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import maximum, minimum, only

__all__ = [
    "achieved_share",
    "bandwidth_utilisation",
    "bound_factor",
    "compute_bound_time",
    "compute_time",
    "delivered_share",
    "effective_bandwidth",
    "effective_rate",
    "kernel_time",
    "memory_time",
    "operator_time",
    "replayed_time",
    "special_rate",
    "special_time",
    "utilisation",
]


@formula("1", achieved="FLOP/s", peak="FLOP/s")
def achieved_share(achieved: Any, peak: Any) -> Any:
    """Return the share of the peak that a matrix product was measured to reach.

    Parameters
    ----------
    achieved : float, FLOP/s
        Highest measured rate.
    peak : float, FLOP/s
        Dense peak.

    Returns
    -------
    float, ratio

    Notes
    -----
    e = P_achieved / P.
    """
    return achieved / peak


@formula("1", engines="B/s", bandwidth="B/s")
def delivered_share(engines: Any, bandwidth: Any) -> Any:
    """Return the share of the memory bandwidth that reaches the processors of a device.

    Parameters
    ----------
    engines, bandwidth : float, B/s
        Rate of the engines that carry data between memory and processors, all together; peak rate of the memory.

    Returns
    -------
    float, ratio

    Notes
    -----
    min(1, R / B): AWS Neuron documentation, DMA bandwidth guide for NKI.
    """
    return minimum(1.0, engines / bandwidth)


@formula("FLOP/s", peak="FLOP/s", achieved="1", ceiling="1")
def effective_rate(peak: Any, achieved: Any, ceiling: Any) -> Any:
    """Return the rate of matrix products that a stack reaches on a device.

    Parameters
    ----------
    peak : float or array, FLOP/s
        Dense peak of the device.
    achieved : float, ratio
        Share of the peak that was measured on the device; 1 when nobody measured.
    ceiling : float, ratio
        Share of that which the stack reaches.

    Returns
    -------
    float or array, FLOP/s

    Notes
    -----
    P_eff = P e_device e_stack.

    References
    ----------
    Williams, Waterman, Patterson 2009, Roofline, Communications of the ACM 52(4): ceilings below the roof.
    """
    return peak * (achieved * ceiling)


@formula("B/s", bandwidth="B/s", ceiling="1")
def effective_bandwidth(bandwidth: Any, ceiling: Any) -> Any:
    """Return the memory bandwidth that a stack reaches.

    Parameters
    ----------
    bandwidth : float or array, B/s
        Peak bandwidth.
    ceiling : float, ratio
        Share of it that the stack's kernels reach.

    Returns
    -------
    float or array, B/s

    Notes
    -----
    B_eff = B e.
    """
    return bandwidth * ceiling


@formula("s", count="1", rate="1/s")
def special_time(count: Any, rate: Any) -> Any:
    """Return the time of exponentials.

    Parameters
    ----------
    count : float or array, count
        Exponentials.
    rate : float or array, 1/s
        Rate of the special-function units.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = n / R.

    References
    ----------
    Shah et al. 2024, FlashAttention-3, arXiv:2407.08608, section 3.1.
    """
    return count / rate


@formula("1/s", per_clock="1", processors="1", clock="1/s")
def special_rate(per_clock: Any, processors: Any, clock: Any) -> Any:
    """Return the rate of exponentials.

    Parameters
    ----------
    per_clock : float, count
        Exponentials per processor and clock.
    processors : float, count
        Processors.
    clock : float, 1/s
        Clock.

    Returns
    -------
    float, 1/s

    Notes
    -----
    R = S f c.
    """
    return per_clock * clock * processors


@formula("s", flops="FLOP", rate="FLOP/s")
def compute_time(flops: Any, rate: Any) -> Any:
    """Return the time of arithmetic alone.

    Parameters
    ----------
    flops : float or array, FLOP
        Work, padding included.
    rate : float or array, FLOP/s
        Effective rate.

    Returns
    -------
    float or array, s

    Notes
    -----
    t_c = F / P_eff.
    """
    return flops / rate


@formula("s", traffic="B", bandwidth="B/s")
def memory_time(traffic: Any, bandwidth: Any) -> Any:
    """Return the time of memory traffic alone.

    Parameters
    ----------
    traffic : float or array, B
        Bytes moved to and from memory.
    bandwidth : float or array, B/s
        Effective bandwidth.

    Returns
    -------
    float or array, s

    Notes
    -----
    t_m = Q / B_eff.
    """
    return traffic / bandwidth


@formula("s", kernels="1", overhead="s")
def kernel_time(kernels: Any, overhead: Any) -> Any:
    """Return the time of kernel launches that nothing hides.

    Parameters
    ----------
    kernels : float, count
        Kernels.
    overhead : float or array, s
        Time per kernel.

    Returns
    -------
    float or array, s

    Notes
    -----
    t_o = n t_k.
    """
    return overhead * kernels


@formula("s", compute="s", memory="s")
def operator_time(compute: Any, memory: Any) -> Any:
    """Return the time of one operator whose arithmetic and traffic overlap.

    Parameters
    ----------
    compute, memory : float or array, s
        Time of either alone.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = max(t_c, t_m). Operators follow one another, so a model takes the sum of these, never one
    maximum over all of it.

    References
    ----------
    Williams, Waterman, Patterson 2009, Roofline, Communications of the ACM 52(4).
    """
    return maximum(compute, memory)


@formula("s", compute="s", memory="s")
def compute_bound_time(compute: Any, memory: Any) -> Any:
    """Return the operator's time if arithmetic binds it, else nothing.

    Parameters
    ----------
    compute, memory : float or array, s
        Time of either alone.

    Returns
    -------
    float or array, s

    Notes
    -----
    t_c where t_c > t_m, else 0: the part of the time that a faster processor shortens.
    """
    return only(compute > memory, compute)


@formula("1", compute="s", memory="s", overhead="s")
def bound_factor(compute: Any, memory: Any, overhead: Any) -> Any:
    """Return how far the most loaded of three resources exceeds the next.

    Parameters
    ----------
    compute, memory, overhead : float or array, s
        Time that each resource alone would need for everything.

    Returns
    -------
    float or array, ratio
        1 when two resources are loaded alike.

    Notes
    -----
    The greatest over the middle one.
    """
    low, high = minimum(compute, memory), maximum(compute, memory)
    return maximum(high, overhead) / maximum(low, minimum(high, overhead))


@formula("s", overhead="s", share="1")
def replayed_time(overhead: Any, share: Any) -> Any:
    """Return the time per kernel that nothing hides when a captured graph is replayed.

    Parameters
    ----------
    overhead : float or array, s
        The same for a kernel that the host launches.
    share : float, ratio
        What of it passes on the device.

    Returns
    -------
    float or array, s

    Notes
    -----
    t_g = s t_k.
    """
    return share * overhead


@formula("1", flops="FLOP", time="s", peak="FLOP/s")
def utilisation(flops: Any, time: Any, peak: Any) -> Any:
    """Return the model FLOP utilisation.

    Parameters
    ----------
    flops : float or array, FLOP
        Work of the model: causal attention counted half, recomputation and padding not at all.
    time : float or array, s
        Time it takes.
    peak : float or array, FLOP/s
        Dense peak.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    MFU = F / (t P).

    References
    ----------
    Chowdhery et al. 2022, PaLM, arXiv:2204.02311, appendix B.
    """
    return flops / (time * peak)


@formula("1", traffic="B", time="s", bandwidth="B/s")
def bandwidth_utilisation(traffic: Any, time: Any, bandwidth: Any) -> Any:
    """Return the share of the peak bandwidth that is used.

    Parameters
    ----------
    traffic : float or array, B
        Bytes moved.
    time : float or array, s
        Time it takes.
    bandwidth : float or array, B/s
        Peak bandwidth.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    Q / (t B).
    """
    return traffic / (time * bandwidth)
