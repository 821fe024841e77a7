"""Quantities at the edges."""

from __future__ import annotations

import pint
import pytest

from mlsysim.errors import UnitError
from mlsysim.units import parse_unit, unit_symbols
from mlsysim.units.quantity import Quantity, unit_registry


def test_text_and_numbers():
    assert Quantity("2 GB") / Quantity("1 GB/s") == Quantity("2 s")
    assert Quantity("3.35 TB/s").magnitude == 3.35e12
    assert Quantity(5.0, "TB/s").magnitude == 5.0
    assert Quantity("80 GB", "GB").magnitude == 80e9
    assert Quantity("5").magnitude == 5.0
    assert (Quantity("1 W") * Quantity("1 h")) == Quantity("1 Wh")
    assert Quantity("8 Gb") == Quantity("1 GB")


@pytest.mark.parametrize(
    ("left", "right"),
    [("1 GB/s", "1 Hz"), ("1 USD", "1"), ("1 FLOP", "1 FLOP/s"), ("1 token", "1 sample"), ("1 B", "1 FLOP")],
)
def test_unlike_things_do_not_add(left, right):
    with pytest.raises(pint.DimensionalityError):
        Quantity(left) + Quantity(right)


@pytest.mark.parametrize(
    ("text", "unit"), [("80 GB", "s"), ("fast", ""), ("5 parsec", ""), ("5", "W"), ("", ""), ("1.2.3 s", "")]
)
def test_what_is_no_quantity_is_refused(text, unit):
    with pytest.raises(UnitError):
        Quantity(text, unit)


def test_every_symbol_has_the_same_size_for_pint():
    known = set(unit_registry())
    for symbol, (factor, dimension) in unit_symbols().items():
        if symbol in known:
            assert unit_registry().Quantity(1.0, symbol).to_base_units().magnitude == factor
        base = Quantity(1.0, symbol)
        assert base.magnitude == 1.0
        assert parse_unit(symbol).dimension == dimension
    assert known <= {*unit_symbols(), *("s", "m", "kg", "K", "A", "B", "FLOP", "USD", "token", "sample")}


@pytest.mark.parametrize(
    ("text", "unit", "magnitude"),
    [
        ("7.3 ms", "ms", 7.3),
        ("8 Gb", "GB", 1.0),
        ("3 h", "min", 180.0),
        ("1 kWh", "J", 3.6e6),
        ("2 GiB", "MiB", 2048.0),
    ],
)
def test_a_quantity_converts_to_every_unit_of_the_table(text, unit, magnitude):
    assert Quantity(text).to(unit).magnitude == pytest.approx(magnitude)
