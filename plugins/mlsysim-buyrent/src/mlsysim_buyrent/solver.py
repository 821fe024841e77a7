"""The utilisation at which buying a machine beats renting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import ConfigError, SolverError
from mlsysim.solving import Columns, Request
from mlsysim.tracing import named
from mlsysim.units import format_quantity, parse_quantity

from .formulas import breakeven_utilisation, capital_recovery, owning_rate
from .offers import latest_purchase, log_sd, traced_like

__all__ = ["BuyOrRent"]


class BuyOrRent:
    """Compare owning a machine, which costs all the time, with renting it by the hour.

    The owned machine is counted as drawing its full power around the clock and as worth nothing
    at the end, so the break-even is on the careful side.
    """

    def prepare(self, request: Request) -> Columns:
        """Flatten the rental, the purchase, the power and the settings into numbers.

        Parameters
        ----------
        request : Request
            Holds a price, a device and, if the scenario names them, a node and a site.

        Returns
        -------
        dict of str to float, SI
            Money and power are per device.

        Raises
        ------
        SolverError
            If the price is no rental, no purchase price is known, or the power is unpublished.
        ConfigError
            If the lifetime is 0.
        """
        price, settings = request.records["price"], request.settings
        if price.rate is None:
            raise SolverError(f"{price.name} is not a rental", where="place.price", remedy="Name a rental")
        if settings["lifetime"] <= 0:
            raise ConfigError("the lifetime is 0", where="settings.buy-or-rent.lifetime", remedy="Give it in years")
        amount, spread, bought = self._purchase(request)
        power, counted = self._power(request)
        site = request.records.get("site")
        return {
            "amount": amount,
            "amount_log_sd": spread,
            "rent": price.rate / price.devices,
            "devices": request.scenario.system.devices,
            "lifetime": settings["lifetime"],
            "period": parse_quantity("1 year", "s"),
            "discount": settings["discount"],
            "upkeep": settings["upkeep"],
            "electricity": settings["electricity"],
            "power": power,
            "pue": site.pue if site is not None else 1.0,
            "assumptions": (
                f"buy-or-rent: {bought}; {counted} around the clock (set settings.buy-or-rent.purchase, system.node)",
                self._terms(settings),
            ),
        }

    def _terms(self, settings: Mapping[str, float]) -> str:
        """Say on which terms the machine is owned."""
        years = settings["lifetime"] / parse_quantity("1 year", "s")
        return (
            f"buy-or-rent: {years:.3g} years of use, {settings['discount']:.3g} interest and {settings['upkeep']:.3g} "
            f"of the price for upkeep per year, electricity at {format_quantity(settings['electricity'], 'USD/kWh')} "
            "(set settings.buy-or-rent.lifetime, .discount, .upkeep, .electricity)"
        )

    def _purchase(self, request: Request) -> tuple[Any, float, str]:
        """Return the purchase price per device, its uncertainty and where it is from."""
        given = request.settings["purchase"]
        if given > 0:
            return given, 0.0, f"bought for {format_quantity(given, 'USD')} per device, as set"
        price = request.records["price"]
        entry = latest_purchase(price.device)
        offer = traced_like(price.rate, entry)
        text = f"bought as {entry.name} ({format_quantity(offer.amount, 'USD')} for {offer.devices:g} devices)"
        return offer.amount / offer.devices, log_sd(entry, "amount"), text

    def _power(self, request: Request) -> tuple[Any, str]:
        """Return the power per device, and what it counts."""
        node, device = request.records.get("node"), request.records["device"]
        if node is not None and node.power is not None:
            return node.power / node.devices, "drawing its share of the node's power"
        if device.power is None:
            raise SolverError(f"the power of {device.name} is unpublished", where="system.device",
                              remedy="Name a node with a known power (system.node)")  # fmt: skip
        return device.power.tdp, "drawing its rated power, the host not counted,"

    def compute(self, columns: Columns) -> Columns:
        """Find what each way costs, and where they meet.

        Parameters
        ----------
        columns : dict of str to float or array, SI
            As :meth:`prepare` returned.

        Returns
        -------
        dict of str to float or array, SI
        """
        periods = named(columns["lifetime"] / columns["period"], "years of use")
        recovery = capital_recovery(columns["discount"], periods)
        owned = owning_rate(columns["amount"], recovery, columns["upkeep"], columns["period"], columns["power"],
                            columns["pue"], columns["electricity"])  # fmt: skip
        capital = columns["amount"] * (recovery + columns["upkeep"]) / columns["period"]
        # Only the price is uncertain here, and it counts by its share of the whole.
        spread = columns["amount_log_sd"] * capital / owned
        return {
            "macro.breakeven_utilisation": breakeven_utilisation(owned, columns["rent"]),
            "macro.breakeven_utilisation.log_sd": spread,
            "macro.buy_rate": owned * columns["devices"],
            "macro.buy_rate.log_sd": spread,
            "macro.rent_rate": columns["rent"] * columns["devices"],
        }
