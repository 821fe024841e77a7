"""The checks that mlsysim offers to every author of a solver."""

from __future__ import annotations

from collections.abc import Callable

from mlsysim.testing import BadInput, parametrize_checks


def rates_are_positive(_: dict[str, object], answers: dict[str, float]) -> bool:
    """Owning and renting both cost something."""
    return answers["macro.buy_rate"] > 0 and answers["macro.rent_rate"] > 0


@parametrize_checks(
    "mlsysim_buyrent.plugin:BUY_OR_RENT",
    scenarios=["llama-3.1-8b-h100"],
    never_falls={
        "amount": ("macro.breakeven_utilisation", "macro.buy_rate"),
        "electricity": ("macro.buy_rate",),
        "upkeep": ("macro.buy_rate",),
    },
    never_rises={"rent": ("macro.breakeven_utilisation",), "lifetime": ("macro.buy_rate",)},
    limits={"both ways cost": rates_are_positive},
    bad_inputs=(
        BadInput("lifetime", {"settings.buy-or-rent.lifetime": "-1 years"}),
        BadInput("purchase", {"settings.buy-or-rent.purchase": "30000"}),
    ),
)
def test_conformance(check: Callable[[], None]) -> None:
    check()
