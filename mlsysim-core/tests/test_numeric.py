"""One formula, four carriers: float, array, quantity and traced number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsysim import numeric
from mlsysim.numeric import ceil, exp, floor, is_array, log, maximum, minimum, only, sqrt, total, where
from mlsysim.tracing import Traced, trace
from mlsysim.units.quantity import Quantity

numbers = st.floats(min_value=1e-6, max_value=1e6)
TWO = [("maximum", maximum), ("minimum", minimum)]
ONE = [("ceil", ceil), ("floor", floor), ("sqrt", sqrt)]
PURE = [("log", log), ("exp", lambda x: exp(x / 1e6))]


@pytest.mark.parametrize(("name", "helper"), TWO, ids=[n for n, _ in TWO])
@given(numbers, numbers)
def test_two_operands(name, helper, a, b):
    expected = {"maximum": max, "minimum": min}[name](a, b)
    assert helper(a, b) == expected
    assert helper(np.array([a]), b)[0] == expected
    assert helper(a, np.array([b, b])).tolist() == [expected] * 2
    assert helper(Quantity(a, "s"), Quantity(b, "s")) == Quantity(expected, "s")
    assert helper(trace(a, "input"), b) == expected
    assert isinstance(helper(a, trace(b, "input")), Traced)


@pytest.mark.parametrize(("name", "helper"), ONE, ids=[n for n, _ in ONE])
@given(numbers)
def test_one_operand(name, helper, x):
    expected = float(getattr(math, name)(x))
    assert helper(x) == expected
    assert type(helper(x)) is float
    assert helper(np.array([x]))[0] == expected
    unit = "1" if name == "sqrt" else "token"
    assert helper(Quantity(x, unit)).magnitude == pytest.approx(expected, rel=1e-15)
    assert helper(trace(x, "input")) == expected
    assert helper(trace(x, "input")).node.op == name
    assert helper(int(x) + 1) == float(getattr(math, name)(int(x) + 1))


@pytest.mark.parametrize(("name", "helper"), PURE, ids=[n for n, _ in PURE])
@given(numbers)
def test_of_pure_numbers(name, helper, x):
    expected = helper(x)
    assert helper(np.array([x]))[0] == pytest.approx(expected, rel=1e-14)
    assert helper(Quantity(x, "1")) == pytest.approx(expected)
    assert helper(trace(x, "input")) == expected
    assert helper(int(x) + 1) == helper(float(int(x) + 1))


@given(numbers, numbers, st.booleans())
def test_where(a, b, condition):
    expected = a if condition else b
    assert where(condition, a, b) == expected
    assert where(np.array([condition, not condition]), a, b).tolist() == [expected, b if condition else a]
    assert where(condition, Quantity(a, "s"), Quantity(b, "s")) == Quantity(expected, "s")
    assert where(condition, trace(a, "input"), b) == expected
    assert where(np.bool_(condition), a, b) == expected


@given(numbers, st.booleans())
def test_only(a, condition):
    expected = a if condition else 0.0
    assert only(condition, a) == expected
    assert only(np.array([condition]), np.array([a])).tolist() == [expected]
    assert only(np.array([condition, not condition]), a).tolist() == [expected, a - expected]
    assert only(condition, Quantity(a, "s")) == Quantity(expected, "s")


def test_a_helper_refuses_to_compare_what_has_other_units():
    import pint

    with pytest.raises(pint.DimensionalityError):
        maximum(Quantity("1 s"), Quantity("1 B"))
    with pytest.raises(pint.DimensionalityError):
        log(Quantity("1 s"))


def test_rounding_keeps_the_unit_and_a_root_halves_it():
    assert ceil(Quantity(2.5, "token")).units == Quantity(1.0, "token").units
    assert sqrt(Quantity(4.0, "m^2")) == Quantity(2.0, "m")


def test_total_adds_whatever_can_be_added():
    assert total([1.0, 2.0, 3.0]) == 6.0
    assert total(iter([Quantity("1 s"), Quantity("2 s")])) == Quantity("3 s")
    assert total([np.ones(2), 1.0]).tolist() == [2.0, 2.0]
    assert total([trace(1.0, "input"), 2.0]) == 3.0


def test_an_array_is_told_without_importing_numpy():
    assert is_array(np.ones(1))
    assert not is_array([1.0])
    assert not is_array(1.0)
    assert set(numeric.__all__) == {
        "is_array",
        "maximum",
        "minimum",
        "only",
        "where",
        "ceil",
        "floor",
        "sqrt",
        "log",
        "exp",
        "total",
    }
