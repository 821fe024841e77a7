"""Waiting lines: who waits, how long on average, and how long at worst."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import log, maximum, minimum, sqrt

__all__ = [
    "crowding",
    "mean_delay",
    "occupied_share",
    "simulated_log_sd",
    "tail_quantile",
    "wait_probability",
    "wait_quantile",
]


@formula("1", occupation="1", servers="1")
def wait_probability(occupation: Any, servers: Any) -> Any:
    """Return about the chance that who comes to several servers finds all of them taken.

    Parameters
    ----------
    occupation : float or array, ratio
        Load over servers, below 1.
    servers : float or array, count
        Servers.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    rho^(sqrt(2 (c + 1)) - 1): the form in which Sakasegawa's mean wait holds exactly for one server.

    References
    ----------
    Sakasegawa 1977, Annals of the Institute of Statistical Mathematics 29.
    """
    return occupation ** (sqrt(2.0 * (servers + 1.0)) - 1.0)


@formula("s", service="s", servers="1", occupation="1", arrivals="1", services="1")
def mean_delay(service: Any, servers: Any, occupation: Any, arrivals: Any, services: Any) -> Any:
    """Return the mean wait of those that wait for one of several servers.

    Parameters
    ----------
    service : float or array, s
        Mean time of service.
    servers : float or array, count
        Servers.
    occupation : float or array, ratio
        Load over servers, below 1.
    arrivals, services : float or array, ratio
        Variance over squared mean of the times between arrivals, and of service.

    Returns
    -------
    float or array, s

    Notes
    -----
    W / C = s / (c (1 - rho)) (ca^2 + cs^2) / 2.

    References
    ----------
    Allen 1990, Probability, Statistics, and Queueing Theory: the approximation of Allen and Cunneen.
    """
    return service / (servers * (1.0 - occupation)) * (0.5 * (arrivals + services))


@formula("s", probability="1", delay="s", exceeded="1")
def wait_quantile(probability: Any, delay: Any, exceeded: Any) -> Any:
    """Return the wait that a given share of arrivals exceeds.

    Parameters
    ----------
    probability : float or array, ratio
        Chance to wait at all.
    delay : float or array, s
        Mean wait of those that wait.
    exceeded : float or array, ratio
        Share that waits longer.

    Returns
    -------
    float or array, s

    Notes
    -----
    (W / C) max(0, ln(C / (1 - q))): who waits, waits an exponential time.

    References
    ----------
    Gross and Harris, Fundamentals of Queueing Theory.
    """
    return delay * log(maximum(1.0, probability / exceeded))


@formula("s", sure="s", scattered="s", deviations="1", wait="s", line="s", exceeded="1")
def tail_quantile(sure: Any, scattered: Any, deviations: Any, wait: Any, line: Any, exceeded: Any) -> Any:
    """Return the time that a given share of requests exceeds.

    Parameters
    ----------
    sure : float or array, s
        Mean of the part that is no wait.
    scattered : float or array, s
        Its standard deviation.
    deviations : float or array, count
        Standard deviations at which the share is exceeded.
    wait : float or array, s
        Mean of an exponential wait.
    line : float or array, s
        The wait in a line that the share exceeds.
    exceeded : float or array, ratio
        Share that takes longer.

    Returns
    -------
    float or array, s

    Notes
    -----
    m + sqrt((z s)^2 + (w ln(1 / (1 - q)))^2 + l^2): the parts are independent, so that their excesses do not add up.
    """
    own, late = scattered * deviations, wait * log(1.0 / exceeded)
    return sure + sqrt(own * own + late * late + line * line)


@formula("1", light="1", full="1", load="1")
def simulated_log_sd(light: Any, full: Any, load: Any) -> Any:
    """Return by how much an approximation of a queue strays from its simulation.

    Parameters
    ----------
    light : float, natural-log units
        Where hardly anything arrives.
    full : float, natural-log units
        What full load adds.
    load : float or array, ratio
        Arrivals over what can be served.

    Returns
    -------
    float or array, natural-log units

    Notes
    -----
    sigma = a + b rho^3: errors stay small until lines form.
    """
    return light + full * (load * load * load)


@formula("1", taken="1", places="1", most="1")
def occupied_share(taken: Any, places: Any, most: Any) -> Any:
    """Return the share of places that is taken, held below the value at which a line grows without end.

    Parameters
    ----------
    taken, places : float or array, count
        Places taken on average, and all of them.
    most : float, ratio
        Largest share that is counted with.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    min(rho_max, b / c).
    """
    return minimum(most, taken / places)


@formula("1", low="1", high="1", short="1", over="1")
def crowding(low: Any, high: Any, short: Any, over: Any) -> Any:
    """Return where a line between two points crosses zero.

    Parameters
    ----------
    low, high : float or array, count
        The points.
    short, over : float or array, count
        The values at them, of opposite sign.

    Returns
    -------
    float or array, count

    Notes
    -----
    a + (b - a) f(a) / (f(a) - f(b)).
    """
    return low + (high - low) * (short / (short - over))
