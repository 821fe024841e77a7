"""The formulas: both proofs of their units, and numbers worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlsysim.testing import prove_arrays, prove_pint, prove_rescaling
from mlsysim_buyrent.formulas import breakeven_utilisation, capital_recovery, owning_rate

FORMULAS = (capital_recovery, owning_rate, breakeven_utilisation)


@pytest.mark.parametrize("proof", [prove_rescaling, prove_pint, prove_arrays])
@pytest.mark.parametrize("formula", FORMULAS)
def test_units(formula: Callable[..., Any], proof: Callable[..., None]) -> None:
    draws = {"discount": (0.01, 0.2), "periods": (1.0, 10.0)} if formula is capital_recovery else None
    proof(formula, draws=draws)


def test_a_loan_is_repaid_by_its_annuity() -> None:
    payment = capital_recovery(0.08, 4.0)
    debt = 1.0
    for _ in range(4):
        debt = debt * 1.08 - payment
    assert debt == pytest.approx(0.0, abs=1e-12)


def test_without_interest_the_price_is_spread_evenly() -> None:
    assert capital_recovery(0.0, 5.0) == 0.2


def test_interest_near_zero_meets_the_even_spread() -> None:
    assert capital_recovery(1e-6, 5.0) == pytest.approx(0.2, rel=1e-5)


def test_owning_by_hand() -> None:
    # 10,000 USD at (20 % + 10 %) a year, and 1 kW at PUE 1.5 and 0.1 USD/kWh.
    year, kwh = 31_557_600.0, 3_600_000.0
    per_hour = owning_rate(10_000.0, 0.2, 0.1, year, 1000.0, 1.5, 0.1 / kwh) * 3600
    assert per_hour == pytest.approx(3000 / 8766 + 0.15)
    assert breakeven_utilisation(per_hour, 2.0 * per_hour) == 0.5
