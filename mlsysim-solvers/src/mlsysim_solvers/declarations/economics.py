"""What the solver of costs declares."""

from __future__ import annotations

from mlsysim.solving import Setting, SolverSpec

from .common import OF_A_RUN, PERFORMANCE, RUN, SPREADS

__all__ = ["ECONOMICS"]

ECONOMICS = SolverSpec(
    name="economics",
    title="What does the work cost?",
    question="economics",
    scenarios=("serving", "traffic", "training", "inference"),
    target="mlsysim_solvers.economics:EconomicsSolver",
    inputs=("price", *PERFORMANCE, *RUN),
    outputs={
        "macro.hourly_cost": "USD/h",
        "macro.cost_per_token": "USD/Mtoken",
        "macro.cost_per_sample": "USD/Msample",
        "macro.run_cost": "USD",
        "macro.capital": "USD",
    },
    labels={
        "macro.hourly_cost": "cost per hour",
        "macro.cost_per_token": "cost per million output tokens",
        "macro.cost_per_sample": "cost per million samples",
        "macro.run_cost": "cost of the run",
        "macro.capital": "purchase price",
    },
    answered_if={
        **dict.fromkeys(
            ("macro.hourly_cost", "macro.cost_per_token", "macro.cost_per_sample"),
            "for a rental, or a purchase with a service life (set place.price, settings.economics.lifetime)",
        ),
        "macro.run_cost": OF_A_RUN,
        "macro.capital": "for a purchase (set place.price)",
    },
    settings={"lifetime": Setting("year", "service life over which a purchase is written off; 0 leaves it out", 0.0)},
    columns={
        "rent": "USD/s",
        "amount": "USD",
        "price_devices": "1",
        "devices": "1",
        "lifetime": "s",
        "throughput": "sample/s",
        "token_throughput": "token/s",
        "run_time": "s",
        **SPREADS,
    },
    references=("Levelised cost: straight-line depreciation",),
)
