"""What this distribution offers to mlsysim; the entry point in ``pyproject.toml`` names this module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlsysim.hookspecs import hookimpl
from mlsysim.solving import Setting, SolverSpec
from mlsysim.units import parse_unit

if TYPE_CHECKING:
    from mlsysim.entities import RegistrySource

__all__ = ["BUY_OR_RENT", "mlsysim_register_solvers", "mlsysim_register_sources"]

_YEAR = parse_unit("year").factor
_KWH = parse_unit("kWh").factor

BUY_OR_RENT = SolverSpec(
    name="buy-or-rent",
    title="Above which utilisation does buying beat renting?",
    question="buy-or-rent",
    scenarios=("serving", "training", "inference"),
    target="mlsysim_buyrent.solver:BuyOrRent",
    inputs=("price", "device", "node?", "site?"),
    outputs={
        "macro.breakeven_utilisation": "%",
        "macro.buy_rate": "USD/h",
        "macro.rent_rate": "USD/h",
    },
    labels={
        "macro.breakeven_utilisation": "buying beats renting when used more than",
        "macro.buy_rate": "owning costs, used or not",
        "macro.rent_rate": "renting costs, while used",
    },
    settings={
        "purchase": Setting("USD", "price of one device with its share of the machine; 0 looks it up", default=0.0),
        "lifetime": Setting("s", "time until the machine is worth nothing", default=4.0 * _YEAR),
        "discount": Setting("1", "interest per year on the money that is tied up", default=0.08),
        "upkeep": Setting("1", "repair, space and staff per year, as a share of the price", default=0.1),
        "electricity": Setting("USD/kWh", "price of electricity", default=0.1 / _KWH),
    },
    columns={
        "amount": "USD",
        "rent": "USD/s",
        "devices": "1",
        "lifetime": "s",
        "period": "s",
        "discount": "1",
        "upkeep": "1",
        "electricity": "USD/J",
        "power": "W",
        "pue": "1",
        "amount_log_sd": "1",
    },
    references=("Capital recovery factor: NASA, Space-Based Solar Power (2024), page 57, note",),
)


@hookimpl
def mlsysim_register_solvers() -> list[SolverSpec]:
    """Offer the solver.

    Returns
    -------
    list of SolverSpec
    """
    return [BUY_OR_RENT]


@hookimpl
def mlsysim_register_sources() -> list[RegistrySource]:
    """Offer the purchase prices.

    Returns
    -------
    list of RegistrySource
    """
    from mlsysim_registry.catalog import Catalog

    return [Catalog("mlsysim-buyrent", Path(__file__).parent / "data")]
