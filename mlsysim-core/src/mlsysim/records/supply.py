"""What feeds a machine, where it stands and what it costs: grids, sites, prices and batteries."""

from __future__ import annotations

from typing import Literal

import attrs

from .fields import fact

__all__ = ["Battery", "Grid", "Price", "Site"]


@attrs.frozen
class Grid:
    """The electricity of a country or region.

    Parameters
    ----------
    name : str
        Country or region.
    carbon : float, kg/J
        Mass of CO2 equivalent per energy.
    water : float, m^3/J
        Water consumed per energy generated.
    year : str
        Year of the figure.
    boundary : str
        ``lifecycle`` or ``operational`` emissions.
    average : str
        ``average`` or ``marginal``; ``location`` or ``market`` based.
    """

    name: str
    carbon: float = fact("kgCO2e/kWh", tolerance=0.1, zero=True)
    water: float | None = fact("L/kWh", default=None, tolerance=0.2, zero=True)
    year: str = ""
    boundary: Literal["lifecycle", "operational"] = "lifecycle"
    average: Literal["average", "marginal"] = "average"
    aliases: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Site:
    """A data centre or an operator's fleet of them.

    Parameters
    ----------
    name : str
        What it is called.
    pue : float, ratio
        Facility energy per IT energy.
    wue : float, m^3/J
        Water used on site per IT energy.
    grid : str
        Key of the grid that feeds it; empty for a fleet average.
    year : str
        Year of the figures.
    """

    name: str
    pue: float = fact("1", tolerance=0.05, minimum=1.0, zero=True)
    wue: float | None = fact("L/kWh", default=None, tolerance=0.1, zero=True)
    grid: str = ""
    year: str = ""
    aliases: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Price:
    """What a machine costs.

    Parameters
    ----------
    name : str
        SKU and provider.
    provider, region, date : str
        Who sells it, where, and the date of the quotation.
    term : str
        on-demand, spot, reserved or purchase.
    device : str
        Key of the device that it contains.
    devices : float, count
        Devices that it contains.
    rate : float, USD/s
        Price per time of the whole SKU; None for a purchase.
    amount : float, USD
        Purchase price of the whole SKU; None for a rental.
    """

    name: str
    provider: str
    device: str
    term: Literal["on-demand", "spot", "reserved", "purchase"]
    date: str
    devices: float = fact("1", tolerance=0.0)
    rate: float | None = fact("USD/h", default=None, tolerance=0.005)
    amount: float | None = fact("USD", default=None, tolerance=0.005)
    region: str = ""
    aliases: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Battery:
    """A battery.

    Parameters
    ----------
    name : str
        What it is called.
    charge : float, A s
        Rated charge.
    voltage : float, V
        Nominal voltage.
    usable : float, ratio
        Share of the rated energy that reaches the load.
    """

    name: str
    charge: float = fact("Ah")
    voltage: float = fact("V")
    usable: float | None = fact("1", default=None, tolerance=0.1)
    aliases: tuple[str, ...] = ()
    note: str = ""
