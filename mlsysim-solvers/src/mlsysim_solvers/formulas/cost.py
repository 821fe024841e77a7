"""What machines and electricity cost."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = [
    "cost_of_run",
    "cost_per_work",
    "hourly_rate",
    "purchase_share",
    "straight_line_rate",
]


@formula("USD", amount="USD", sold="1", used="1")
def purchase_share(amount: Any, sold: Any, used: Any) -> Any:
    """Return the price of some devices of a machine that is sold as a whole.

    Parameters
    ----------
    amount : float, USD
        Price of the machine.
    sold : float, count
        Devices in it.
    used : float or array, count
        Devices used.

    Returns
    -------
    float or array, USD

    Notes
    -----
    A n_used / n_sold.
    """
    return amount * used / sold


@formula("USD/s", price="USD/s", sold="1", used="1")
def hourly_rate(price: Any, sold: Any, used: Any) -> Any:
    """Return the rent of some devices of a machine that is sold as a whole.

    Parameters
    ----------
    price : float, USD/s
        Price of the machine per time.
    sold : float, count
        Devices in it.
    used : float or array, count
        Devices used.

    Returns
    -------
    float or array, USD/s

    Notes
    -----
    c n_used / n_sold.
    """
    return price * used / sold


@formula("USD/s", amount="USD", lifetime="s")
def straight_line_rate(amount: Any, lifetime: Any) -> Any:
    """Return the depreciation of a purchase per time.

    Parameters
    ----------
    amount : float, USD
        Purchase price.
    lifetime : float, s
        Service life.

    Returns
    -------
    float, USD/s

    Notes
    -----
    A / T.
    """
    return amount / lifetime


@formula("USD", rate="USD/s", throughput="1/s")
def cost_per_work(rate: Any, throughput: Any) -> Any:
    """Return the price of one unit of work: a token or a sample.

    Parameters
    ----------
    rate : float or array, USD/s
        Cost of the machine per time.
    throughput : float or array, 1/s
        Units of work per time.

    Returns
    -------
    float or array, USD

    Notes
    -----
    c / X.
    """
    return rate / throughput


@formula("USD", rate="USD/s", time="s")
def cost_of_run(rate: Any, time: Any) -> Any:
    """Return the cost of a run.

    Parameters
    ----------
    rate : float or array, USD/s
        Cost of the machine per time.
    time : float or array, s
        Length of the run.

    Returns
    -------
    float or array, USD

    Notes
    -----
    c T.
    """
    return rate * time
