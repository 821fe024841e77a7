"""Declaring formulas costs nothing and refuses what is incomplete."""

from __future__ import annotations

import core_toys
import pytest

from mlsysim.errors import UnitError
from mlsysim.formula import DECLARED, equation_of, formula, formula_of


def ratio(amount, rate):
    return amount / rate


def test_a_declaration_leaves_the_function_as_it_is():
    before = ratio.__code__
    declared = formula("s", amount="B", rate="B/s")(ratio)
    assert declared is ratio
    assert ratio.__code__ is before
    assert DECLARED[before] is ratio
    spec = formula_of(ratio)
    assert spec == ("ratio", __name__, "s", {"amount": "B", "rate": "B/s"}, ())
    assert ratio(6.0, 3.0) == 2.0


def test_units_are_kept_in_the_order_of_the_arguments():
    @formula("s", rate="B/s", amount="B", discrete=("token",))
    def swapped(amount, *, rate):
        return amount / rate

    spec = formula_of(swapped)
    assert list(spec.units) == ["amount", "rate"]
    assert spec.discrete == ("token",)


@pytest.mark.parametrize(
    ("declaration", "error", "words"),
    [
        ({"amount": "B"}, TypeError, "units for"),
        ({"amount": "B", "rate": "B/s", "extra": "s"}, TypeError, "units for"),
        ({"amount": "B", "rate": "byte per second"}, UnitError, "unknown unit"),
        ({"amount": "B", "rate": "B/s", "discrete": ("bytes",)}, TypeError, "no base dimension"),
    ],
)
def test_a_wrong_declaration_is_refused(declaration, error, words):
    with pytest.raises(error, match=words):
        formula("s", **declaration)(lambda amount, rate: amount / rate)


def test_a_wrong_result_unit_is_refused():
    with pytest.raises(UnitError, match="unknown unit"):
        formula("seconds-ish", amount="B", rate="B/s")(lambda amount, rate: amount / rate)


def test_only_formulas_have_a_declaration():
    assert formula_of(print) is None
    assert formula_of(3) is None


def test_equation_and_reference_come_from_the_docstring():
    assert equation_of(core_toys.roofline) == (
        "t = max(W / P, Q / B).",
        "Williams, Waterman, Patterson 2009, Roofline.",
    )
    assert equation_of(lambda: 0) == ("", "")


@pytest.mark.parametrize(("notes", "equation"), [
    ("t = D / B: a copy waits\n    for memory.", "t = D / B"),
    ("t = D / B. A copy waits.", "t = D / B"),
    ("t = a +\n    b, and no more", "t = a + b, and no more"),
    ("t = D / B.", "t = D / B."),
    ("t = D / B\n    A copy waits.", "t = D / B"),
])  # fmt: skip
def test_an_equation_ends_where_words_explain_it(notes, equation):
    def copied():
        pass

    copied.__doc__ = f"Copy.\n\n    Notes\n    -----\n    {notes}\n"
    assert equation_of(copied) == (equation, "")
