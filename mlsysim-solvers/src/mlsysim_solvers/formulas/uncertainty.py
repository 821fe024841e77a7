"""Intervals from the share that each uncertain input has in an answer."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import log, sqrt

__all__ = ["between_stack_variance", "log_sd_of_range", "pooled_variance", "student_ratio", "time_log_sd"]


@formula("1", low="1", high="1", quantile="1")
def log_sd_of_range(low: Any, high: Any, quantile: Any) -> Any:
    """Return the spread of a log-normal input from its 90 % range.

    Parameters
    ----------
    low, high : float, any unit
        Ends of the range.
    quantile : float, standard deviations
        Standard normal quantile of the upper end.

    Returns
    -------
    float, natural-log units

    Notes
    -----
    sigma = ln(high / low) / (2 z).
    """
    return log(high / low) / (2.0 * quantile)


@formula(
    "1", compute="1", memory="1", overhead="1", var_c="1", var_m="1", var_o="1", cov_cm="1", cov_co="1", cov_mo="1",
    scatter="1",
)  # fmt: skip
def time_log_sd(
    compute: Any, memory: Any, overhead: Any, var_c: Any, var_m: Any, var_o: Any, cov_cm: Any, cov_co: Any,
    cov_mo: Any, scatter: Any,
) -> Any:  # fmt: skip
    """Return the standard deviation of the logarithm of a time.

    Parameters
    ----------
    compute, memory, overhead : float or array, ratio
        Shares of the time that each ceiling sets; together 1.
    var_c, var_m, var_o : float, squared natural-log units
        Variances of the logarithms of the three ceilings.
    cov_cm, cov_co, cov_mo : float, squared natural-log units
        Their covariances.
    scatter : float, squared natural-log units
        Variance that does not come from the ceilings.

    Returns
    -------
    float or array, natural-log units

    Notes
    -----
    sigma = sqrt(s' V s + scatter), s = (-s_c, -s_m, s_o)

    d ln t = - s_c d ln e_c - s_m d ln e_m + s_o d ln t_k, so the variance is the quadratic form of
    the shares with the covariance V of the logarithms, plus the scatter.
    """
    own = compute * compute * var_c + memory * memory * var_m + overhead * overhead * var_o
    mixed = compute * memory * cov_cm - overhead * (compute * cov_co + memory * cov_mo)
    return sqrt(own + 2.0 * mixed + scatter)


@formula("1", between="1", within="1", sets="1")
def between_stack_variance(between: Any, within: Any, sets: Any) -> Any:
    """Return the variance of a prediction for a stack on which nothing was fitted.

    Parameters
    ----------
    between, within : float, natural-log units
        Spread between stacks, and of single measurements within one.
    sets : float, count
        Stacks from which the spread was learned.

    Returns
    -------
    float, squared natural-log units

    Notes
    -----
    tau^2 (1 + 1/K) + sigma^2.
    """
    return between * between * (1.0 + 1.0 / sets) + within * within


@formula("1", expected="1", seen="1", weight="1", groups="1")
def pooled_variance(expected: Any, seen: Any, weight: Any, groups: Any) -> Any:
    """Return a variance from what is expected of it and what few groups show.

    Parameters
    ----------
    expected, seen : float, squared natural-log units
        Before the groups were looked at, and on them.
    weight : float, count
        How many groups the expectation is worth.
    groups : float, count
        How many were looked at.

    Returns
    -------
    float, squared natural-log units

    Notes
    -----
    s^2 = (w s0^2 + G m^2) / (w + G), the mean of the posterior when the variance has a scaled inverse
    chi-squared prior.
    """
    return (weight * expected + groups * seen) / (weight + groups)


@formula("1", quantile="1", freedom="1")
def student_ratio(quantile: Any, freedom: Any) -> Any:
    """Return by how much Student's t widens an interval.

    Parameters
    ----------
    quantile : float, standard deviations
        Standard normal quantile of the upper end.
    freedom : float, count
        Degrees of freedom; from about three upwards.

    Returns
    -------
    float, ratio

    Notes
    -----
    t / z = 1 + (z^2 + 1) / (4 n) + (5 z^4 + 16 z^2 + 3) / (96 n^2)

    The first terms of the Cornish-Fisher expansion; at three degrees of freedom 2 % low.

    References
    ----------
    STATAL (Centrum Wiskunde & Informatica), code 41534, procedure CORNISH FISHER EXPANSION with its
    parameter DELTA at nought.
    """
    square = quantile * quantile
    second = (5.0 * square * square + 4.0 * (4.0 * square) + 3.0) / (8.0 * 12.0 * freedom * freedom)
    return 1.0 + (square + 1.0) / (4.0 * freedom) + second
