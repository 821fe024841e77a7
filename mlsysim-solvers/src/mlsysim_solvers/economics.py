"""What the answer costs: rent per time, divided by what is produced in it."""

from __future__ import annotations

from mlsysim.errors import ConfigError, SolverError
from mlsysim.solving import Columns, Request
from mlsysim.tracing import named

from .formulas.cost import cost_of_run, cost_per_work, hourly_rate, purchase_share, straight_line_rate
from .whole_run import whole_run

__all__ = ["EconomicsSolver"]

PRICED = {
    "serving": ("token_throughput", "macro.cost_per_token"),
    "traffic": ("token_throughput", "macro.cost_per_token"),
    "training": ("throughput", "macro.cost_per_sample"),
    "inference": ("throughput", "macro.cost_per_sample"),
}
"""Scenario kind to the work that is paid for and the output that names its price."""


class EconomicsSolver:
    """Rent or straight-line depreciation per unit of work, and for the whole run.

    A rented machine is paid for whether busy or not; the rate of work is that of the
    performance solver, so the price assumes that the machine is kept busy at it.
    """

    def prepare(self, request: Request) -> Columns:
        """Flatten price and performance into columns.

        Parameters
        ----------
        request : Request
            With the role ``price`` and the outputs of the performance solver.

        Returns
        -------
        dict
            Columns in SI; see the spec in :mod:`mlsysim_solvers.declarations.economics`.

        Raises
        ------
        SolverError
            If the price record has neither a rate nor an amount.
        ConfigError
            If a service life is set for a machine that is rented.
        """
        price = request.records["price"]
        lifetime = request.settings["lifetime"]
        performance, alone = whole_run(request.inputs)
        assumptions = [*alone]
        if price.rate is None and price.amount is None:
            raise SolverError(f"{price.name} has neither a rate nor an amount", where="place.price")
        if lifetime and price.amount is None:
            raise ConfigError(
                f"{price.name} is a rent, which is not written off",
                where="settings.economics.lifetime", remedy="Leave it out, or choose the price of a purchase",
            )  # fmt: skip
        rented = price.rate is not None and not lifetime
        if not rented and not lifetime:
            assumptions.append(
                "no depreciation: the purchase is shown, but no cost per unit of work (set settings.economics.lifetime)"
            )
        if request.scenario.system.devices % price.devices:
            assumptions.append(f"cost: the devices' share of a machine of {price.devices:g}, as if it were sold singly")
        return {
            "kind": request.scenario.kind,
            "assumptions": tuple(assumptions),
            **({"rent": price.rate} if rented else {"amount": price.amount}),
            "price_devices": price.devices,
            "devices": request.scenario.system.devices,
            **({"lifetime": lifetime} if lifetime else {}),
            **performance,
        }

    def compute(self, columns: Columns) -> Columns:
        """Return the cost of the work.

        Parameters
        ----------
        columns : dict
            As :meth:`prepare` returned, numbers or arrays.

        Returns
        -------
        dict
            Outputs in SI.
        """
        devices = columns["devices"]
        outputs: Columns = {}
        if "rent" in columns:
            rate = named(hourly_rate(columns["rent"], columns["price_devices"], devices), "rent")
        else:
            outputs["macro.capital"] = purchase_share(columns["amount"], columns["price_devices"], devices)
            if "lifetime" not in columns:
                return outputs
            rate = named(straight_line_rate(outputs["macro.capital"], columns["lifetime"]), "depreciation")
        work, priced = PRICED[columns["kind"]]
        outputs["macro.hourly_cost"] = rate
        outputs[priced] = cost_per_work(rate, columns[work])
        spread = columns.get(f"{work}.log_sd")
        if spread is not None:
            outputs[f"{priced}.log_sd"] = spread
        if "run_time" in columns:
            outputs["macro.run_cost"] = cost_of_run(rate, columns["run_time"])
            if "run_time.log_sd" in columns:
                outputs["macro.run_cost.log_sd"] = columns["run_time.log_sd"]
        return outputs
