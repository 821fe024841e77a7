"""The solver and its data appear everywhere a built-in does, with no change elsewhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mlsysim
from mlsysim import registry, solver
from mlsysim.evaluation import evaluate
from mlsysim.explaining import explain
from mlsysim.plugins import plugins
from mlsysim.sweeping import sweep
from mlsysim_buyrent.solver import BuyOrRent

SCENARIO = "llama-3.1-8b-h100"
HOUR = 3600.0


def test_the_plugin_is_listed_as_working() -> None:
    info = next(info for info in plugins().infos if info.name == "buyrent")
    assert (info.status, info.distribution) == ("ok", "mlsysim-buyrent")
    assert info.solvers == ("buy-or-rent",)
    assert info.packages == ("mlsysim-buyrent",)


def test_its_data_are_in_the_registry_with_their_standing() -> None:
    entry = registry().get("prices", "h100-sxm-server-purchase")
    standing = entry.standing("amount")
    assert entry.package == "mlsysim-buyrent"
    assert standing is not None
    assert standing.badge.startswith("estimate")
    assert entry.record.amount / entry.record.devices == 38_750


def test_its_answer_is_on_the_scorecard() -> None:
    card = evaluate(SCENARIO)
    assert card.solvers["buy-or-rent"] == "buy-or-rent"
    answer = card["breakeven_utilisation"]
    assert answer.value == pytest.approx(card["buy_rate"].value / card["rent_rate"].value)
    assert answer.low is not None
    assert answer.high is not None
    assert answer.low < answer.value < answer.high
    assert any("h100-sxm-server-purchase" in text for text in card.assumptions)


def test_its_answer_by_hand() -> None:
    given = {
        "settings.buy-or-rent.purchase": "30000 USD", "settings.buy-or-rent.lifetime": "3 years",
        "settings.buy-or-rent.discount": "0", "settings.buy-or-rent.upkeep": "0",
        "settings.buy-or-rent.electricity": "0 USD/kWh",
    }  # fmt: skip
    card = evaluate(SCENARIO, given)
    assert card["buy_rate"].value * HOUR == pytest.approx(30_000 / (3 * 8766))
    assert card["buy_rate"].low is None, "a price that is not in doubt"


def test_a_machine_without_a_purchase_price_reads_not_evaluated() -> None:
    card = evaluate("llama-3.1-8b-h100", {"device": "h200-sxm"})
    assert "no purchase price" in card.unanswered["buy-or-rent"]


def test_no_lifetime_is_refused() -> None:
    card = evaluate(SCENARIO, {"settings.buy-or-rent.lifetime": "0 years"})
    assert "lifetime is 0" in card.unanswered["buy-or-rent"]


def test_explain_walks_to_the_price_and_the_equation() -> None:
    lines = "\n".join(explain(evaluate(SCENARIO), "macro.breakeven_utilisation").lines())
    assert "prices/h100-sxm-server-purchase" in lines
    assert "(1 + i)^n" in lines
    assert "NASA" in lines


def test_a_sweep_carries_it() -> None:
    result = sweep(SCENARIO, {"amount": ["20000 USD", "40000 USD"], "upkeep": [0.0, 0.1]})
    assert len(result) == 4
    rates = result.outputs["macro.buy_rate"]
    assert rates[0] < rates[1] < rates[3]


def test_python_finds_the_solver() -> None:
    assert isinstance(solver("buy-or-rent"), BuyOrRent)
    assert mlsysim.BuyOrRent is BuyOrRent


def test_listing_imports_no_solver() -> None:
    code = (
        "import sys; from mlsysim.plugins import plugins; assert 'buy-or-rent' in plugins().solvers; "
        "print(sorted(m for m in ('mlsysim_buyrent.solver', 'numpy', 'pint') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_where_it_cannot_answer_a_sweep_and_an_explanation_go_on() -> None:
    unpriced = {"device": "h200-sxm"}
    assert len(sweep(SCENARIO, {"batch": [1, 2]}, overrides=unpriced)) == 2
    card = evaluate(SCENARIO, unpriced)
    assert "buy-or-rent" in card.unanswered
    assert explain(card, "performance.latency").children
