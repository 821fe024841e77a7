"""Intervals from the share that each uncertain input has in an answer."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import log, sqrt

__all__ = ["between_stack_variance", "log_sd_of_range", "time_log_sd"]


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
