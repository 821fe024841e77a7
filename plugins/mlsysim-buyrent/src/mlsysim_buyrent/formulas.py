"""What a machine costs per time when it is owned."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import where

__all__ = ["breakeven_utilisation", "capital_recovery", "owning_rate"]


@formula("1", discount="1", periods="1")
def capital_recovery(discount: Any, periods: Any) -> Any:
    """Return the share of a price that is due in each period until it is repaid with interest.

    Parameters
    ----------
    discount : float or array, ratio
        Interest per period, 0 or more.
    periods : float or array, count
        Periods until the purchase is worth nothing, above 0.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    i (1 + i)^n / ((1 + i)^n - 1), and 1/n without interest.

    References
    ----------
    NASA, Space-Based Solar Power (2024), page 57, note on the capital recovery factor.
    """
    # Both arms of where() are evaluated: without interest the first one gets a stand-in.
    charged = where(discount > 0.0, discount, 1.0)
    growth = (1.0 + charged) ** periods
    return where(discount > 0.0, charged * growth / (growth - 1.0), 1.0 / periods)


@formula("USD/s", amount="USD", recovery="1", upkeep="1", period="s", power="W", pue="1", electricity="USD/J")
def owning_rate(amount: Any, recovery: Any, upkeep: Any, period: Any, power: Any, pue: Any, electricity: Any) -> Any:
    """Return what an owned machine costs per time, used or not.

    Parameters
    ----------
    amount : float or array, USD
        Purchase price.
    recovery : float or array, ratio
        Capital recovery factor per period.
    upkeep : float or array, ratio
        Repair, space and staff per period, as a share of the price.
    period : float or array, s
        Period of interest and upkeep.
    power : float or array, W
        Draw of the machine.
    pue : float or array, ratio
        Energy of the building per energy of the machine.
    electricity : float or array, USD/J
        Price of electricity.

    Returns
    -------
    float or array, USD/s

    Notes
    -----
    A (CRF + u) / T + P PUE c.

    References
    ----------
    Levelised cost by a fixed charge rate: System Advisor Model help, LCOE calculator.
    """
    return amount * (recovery + upkeep) / period + power * pue * electricity


@formula("1", owned="USD/s", rented="USD/s")
def breakeven_utilisation(owned: Any, rented: Any) -> Any:
    """Return the share of all hours from which on owning costs less than renting by the hour.

    Parameters
    ----------
    owned : float or array, USD/s
        Cost of owning, used or not.
    rented : float or array, USD/s
        Cost of renting, while used.

    Returns
    -------
    float or array, ratio
        Above 1, renting is cheaper even around the clock.

    Notes
    -----
    owned / rented, where owned = u rented.

    References
    ----------
    Definition: equal cost over the same time.
    """
    return owned / rented
