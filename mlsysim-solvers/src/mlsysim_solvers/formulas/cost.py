"""What machines and electricity cost."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["capital_payment", "cost_per_token", "electricity_cost", "rental_cost"]


@formula("USD", rate="USD/s", time="s", machines="1")
def rental_cost(rate: Any, time: Any, machines: Any) -> Any:
    """Return the rent of machines.

    Parameters
    ----------
    rate : float or array, USD/s
        Price of one per time.
    time : float or array, s
        How long.
    machines : float or array, count
        How many.

    Returns
    -------
    float or array, USD

    Notes
    -----
    c r t.
    """
    return rate * time * machines


@formula("USD", energy="J", price="USD/J")
def electricity_cost(energy: Any, price: Any) -> Any:
    """Return the price of electricity.

    Parameters
    ----------
    energy : float or array, J
        Energy from the grid, the building included.
    price : float, USD/J
        Price per energy.

    Returns
    -------
    float or array, USD

    Notes
    -----
    c E.
    """
    return energy * price


@formula("USD", amount="USD", interest="1", periods="1")
def capital_payment(amount: Any, interest: Any, periods: Any) -> Any:
    """Return the constant payment per period that repays a purchase.

    Parameters
    ----------
    amount : float, USD
        Purchase price.
    interest : float, ratio
        Interest per period, above 0.
    periods : float, count
        Periods.

    Returns
    -------
    float, USD

    Notes
    -----
    A r / (1 - (1 + r)^-n).
    """
    return amount * interest / (1.0 - (1.0 + interest) ** (0.0 - periods))


@formula("USD/token", cost="USD", tokens="token")
def cost_per_token(cost: Any, tokens: Any) -> Any:
    """Return the price of one token.

    Parameters
    ----------
    cost : float or array, USD
        Cost of a job.
    tokens : float or array, token
        Tokens of the job.

    Returns
    -------
    float or array, USD/token

    Notes
    -----
    c / n.
    """
    return cost / tokens
