"""Intervals from the share that each uncertain input has in an answer."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import log, maximum, sqrt

__all__ = [
    "divided_variance",
    "effective_rows",
    "joined_log_sd",
    "log_sd_of_range",
    "student_tail",
    "time_log_sd",
    "unseen_variance",
]


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


@formula("1", one="1", other="1")
def joined_log_sd(one: Any, other: Any) -> Any:
    """Return the spread of a product of two unsure factors.

    Parameters
    ----------
    one, other : float or array, natural-log units
        Spreads of their logarithms, of which neither knows of the other.

    Returns
    -------
    float or array, natural-log units

    Notes
    -----
    s = sqrt(s_1^2 + s_2^2).
    """
    return sqrt(one * one + other * other)


@formula("1", variance="1", devices="1")
def divided_variance(variance: Any, devices: Any) -> Any:
    """Return the variance that dividing a model over several devices adds to the logarithm of a time.

    Parameters
    ----------
    variance : float, squared natural-log units
        That of one doubling of the devices.
    devices : float or array, count
        Devices of one copy of the model; 1 divides nothing, however many copies there are.

    Returns
    -------
    float or array, squared natural-log units

    Notes
    -----
    V log2(n): each doubling narrows the products and adds members to the collectives once more, and errs on its own.
    """
    return variance * (log(maximum(1.0, devices)) / log(2.0))


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


@formula("1", rows="1", correlation="1")
def effective_rows(rows: Any, correlation: Any) -> Any:
    """Return how many independent rows a group of alike ones is worth.

    Parameters
    ----------
    rows : float, count
        Rows of the group.
    correlation : float, ratio
        Between any two of them.

    Returns
    -------
    float, count

    Notes
    -----
    n / (1 + (n - 1) rho): the inverse of the variance of their mean, in units of that of one row.

    References
    ----------
    Stata Technical Bulletin 60, sts18, after Kish 1965: a sample of clusters needs 1 + (m - 1) rho times as many rows.
    """
    return rows / (1.0 + (rows - 1.0) * correlation)


@formula("1", variance="1", seen="1")
def unseen_variance(variance: Any, seen: Any) -> Any:
    """Return how far a device lies from the mean of those that constants were fitted on.

    Parameters
    ----------
    variance : float, squared natural-log units
        Between devices.
    seen : float, count
        Devices that were fitted on.

    Returns
    -------
    float, squared natural-log units

    Notes
    -----
    v (1 + 1 / n): the next one lies about the true mean, and the mean of a few about it, too.
    """
    return variance * (1.0 + 1.0 / seen)


@formula("1", distance="1")
def student_tail(distance: Any) -> Any:
    """Return how much of Student's t with six degrees of freedom lies further out, on both sides.

    Parameters
    ----------
    distance : float, scales
        From the middle; not negative.

    Returns
    -------
    float, ratio

    Notes
    -----
    1 - w (5 (3 - 2 w^2) + 3 w^4) / 8 with w = x / sqrt(6 + x^2): the integral of the density
    15 / (16 sqrt(6)) (1 + x^2 / 6)^(-7/2), in which dx (1 + x^2 / 6)^(-7/2) = sqrt(6) (1 - w^2)^2 dw.
    """
    w = distance / sqrt(6.0 + distance * distance)
    square = w * w
    return 1.0 - w * (5.0 * (3.0 - 2.0 * square) + 3.0 * square * square) / 8.0
