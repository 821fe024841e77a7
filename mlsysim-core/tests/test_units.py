"""Quantities as text: reading, writing, refusing."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlsysim import units
from mlsysim.errors import UnitError
from mlsysim.testing import given_plugins
from mlsysim.units import (
    BASE_DIMENSIONS,
    UnitDef,
    dimension_text,
    format_quantity,
    parse_quantity,
    parse_unit,
    register_units,
    unit_symbols,
)


@pytest.fixture
def clean_table():
    """Take back the units that a test registers."""
    with given_plugins():
        yield


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("3.35 TB/s", "B/s", 3.35e12),
        ("80 GB", "B", 80e9),
        ("80 GiB", "B", 80 * 2**30),
        ("80 Gb", "B", 10e9),
        ("520 KB", "B", 520e3),
        ("520 KiB", "B", 520 * 1024),
        ("81,559 MiB", "B", 81559 * 2**20),
        ("1_000 B", "B", 1000.0),
        ("400 Gb/s", "B/s", 50e9),
        ("400 Gbps", "B/s", 50e9),
        ("989.4 TFLOP/s", "FLOP/s", 989.4e12),
        ("989.4 TFLOPS", "FLOP/s", 989.4e12),
        ("1979 TOP/s", "FLOP/s", 1979e12),
        ("4.1 GMACs", "FLOP", 8.2e9),
        ("700 W", "W", 700.0),
        ("240 mW", "W", 0.24),
        ("814 mm2", "m^2", 814e-6),
        ("814 mm²", "m^2", 814e-6),
        ("1.5 USD/h", "USD/s", 1.5 / 3600),
        ("$2", "USD", None),
        ("2 $", "USD", 2.0),
        ("385 gCO2e/kWh", "kg/J", 0.385 / 3.6e6),
        ("1.8 L/kWh", "m^3/J", 1.8e-3 / 3.6e6),
        ("3 Ah", "A s", 10800.0),
        ("2600 mAh", "A s", 9360.0),
        ("6.4 GT/s", "1/s", 6.4e9),
        ("90 %", "1", 0.9),
        ("8 billion", "1", 8e9),
        ("8B", "1", 8e9),
        ("70.6 B", "1", 70.6e9),
        ("8 B", "B", 8.0),
        ("5 min", "s", 300.0),
        ("2 us", "s", 2e-6),
        ("2 µs", "s", 2e-6),
        ("30 fps", "sample/s", 30.0),
        ("1e-3 s", "s", 1e-3),
        (".5 s", "s", 0.5),
        ("-3 s", "s", -3.0),
        (132, "1", 132.0),
        (132, "token", 132.0),
        ("128", "sample", 128.0),
        (0.5, "1", 0.5),
    ],
)
def test_text_becomes_si(text, unit, value):
    if value is None:
        with pytest.raises(UnitError):
            parse_quantity(text, unit)
    else:
        assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-15)


def test_a_byte_is_not_a_bit_nor_a_gigabyte_a_gibibyte():
    gigabyte, gibibyte, gigabit = (parse_quantity(f"1 {u}", "B") for u in ("GB", "GiB", "Gb"))
    assert gigabyte == 1e9
    assert gibibyte == 2**30
    assert gigabit == gigabyte / 8
    assert parse_quantity("1 MAC", "FLOP") == 2.0


@pytest.mark.parametrize(
    ("text", "unit", "words"),
    [
        ("989 TFLOP", "FLOP/s", "FLOP is an amount of work"),
        ("989 TFLOPS", "FLOP", "one MAC is 2 FLOP"),
        ("3 GMACs", "FLOP/s", "one MAC is 2 FLOP"),
        ("80 GB", "B/s", "did you forget '/s'"),
        ("3 TB/s", "B", "is a rate and an amount is needed"),
        ("1 GB/s", "1/s", "is B/s, but 1/s is needed"),
        ("5 USD", "1", "is USD, but 1 is needed"),
        ("5 token", "sample", "is token, but sample is needed"),
        ("700", "W", "has no unit"),
        (700, "W", "700 W"),
        (2, "USD", "2 has no unit"),
        (True, "1", "expected a quantity"),
        (None, "s", "expected a quantity"),
        ([1], "s", "expected a quantity"),
        ("", "s", "not a number"),
        ("fast", "s", "not a number"),
        ("nan s", "s", "not a number"),
        ("inf", "1", "not a number"),
        (float("nan"), "1", "not a finite number"),
        (float("inf"), "token", "not a finite number"),
        ("1e400 s", "s", "not a finite number"),
        (10**400, "1", "not a finite number"),
        (-(10**400), "token", "not a finite number"),
        ("3 Qs^9 Qs^9", "s", "too large or too small"),
        ("3 1/Qs^9 Qs^9/Qs^9/Qs^9", "s", "too large or too small"),
        ("3 s/", "s", "unknown unit"),
        ("3/s", "sample/s", "unknown unit '/s': nothing stands on one side"),
        ("3 s^", "s", "unknown unit"),
        ("3 parsec", "m", "unknown unit"),
    ],
)
def test_what_is_no_such_quantity_is_refused_with_a_reason(text, unit, words):
    with pytest.raises(UnitError) as caught:
        parse_quantity(text, unit)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("typo", "meant"), [("w", "W"), ("gb", "GB"), ("tflops", "TFLOPS"), ("usd", "USD"), ("HZ", "Hz")]
)
def test_suggestions_ignore_case_first(typo, meant):
    with pytest.raises(UnitError) as caught:
        parse_unit(typo)
    assert caught.value.remedy.casefold() == f"did you mean {meant!r}?".casefold()


def test_currency_and_number_and_rate_and_frequency_stay_apart():
    dimensions = {
        text: parse_unit(text).dimension for text in ("USD", "1", "B/s", "Hz", "token/s", "sample/s", "FLOP/s")
    }
    assert len(set(dimensions.values())) == len(dimensions)


def test_products_quotients_and_powers():
    assert parse_unit("kg m^2 s^-2") == ("kg m^2 s^-2", 1.0, parse_unit("J").dimension)
    assert parse_unit("W*h").factor == parse_unit("Wh").factor
    assert parse_unit("W h").dimension == parse_unit("J").dimension
    assert parse_unit("USD/W/h").dimension == parse_unit("USD/Wh").dimension
    assert parse_unit("m**2").dimension == parse_unit("m²").dimension
    assert parse_unit("") == ("", 1.0, units.DIMENSIONLESS)
    assert parse_unit("1/s").dimension == parse_unit("Hz").dimension


@pytest.mark.parametrize("text", ["B/s", "1", "FLOP/B", "kg m^2/s^2", "USD/s", "1/s"])
def test_the_text_of_a_dimension_reads_back(text):
    dimension = parse_unit(text).dimension
    shown = dimension_text(dimension)
    assert parse_unit(shown).dimension == dimension


def test_every_symbol_reads_back_through_its_dimension():
    for symbol, (factor, dimension) in unit_symbols().items():
        assert math.isfinite(factor)
        assert factor > 0
        assert len(dimension) == len(BASE_DIMENSIONS)
        assert parse_unit(symbol)[1:] == (factor, dimension)
        assert parse_unit(dimension_text(dimension))[1:] == (1.0, dimension)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.35e12, "B/s", "3.35 TB/s"),
        (80e9, "B", "80 GB"),
        (0.0023, "s", "2.3 ms"),
        (0, "s", "0 s"),
        (90, "s", "90 s"),
        (7200, "s", "2 h"),
        (200, "s", "3.333 min"),
        (86400 * 30, "s", "30 days"),
        (0.25, "%", "25 %"),
        (12345.678, "USD", "12,346 USD"),
        (1.5 / 3600, "USD/h", "1.5 USD/h"),
        (814e-6, "m^2", "814 mm^2"),
        (8.03e9, "1", "8,030,000,000"),
        (0.385 / 3.6e6, "kgCO2e/kWh", "0.385 kgCO2e/kWh"),
        (0.0, "B", "0 B"),
        (2e-12, "W", "2e-12 W"),
        (1e-12, "s", "1e-12 s"),
    ],
)
def test_people_read_the_prefix_that_they_would_choose(value, unit, text):
    assert format_quantity(value, unit) == text


@given(
    st.floats(min_value=1e-15, max_value=1e20) | st.floats(min_value=-1e20, max_value=-1e-15),
    st.sampled_from(
        ["B", "B/s", "FLOP/s", "W", "J", "s", "USD", "1", "token", "token/s", "sample/s", "kg", "USD/h", "m", "%"]
    ),
)
@example(999.99999, "B")
@example(0.99999999, "s")
@example(119.99, "s")
@example(1e15, "1")
def test_what_is_written_reads_back(value, unit):
    assert parse_quantity(format_quantity(value, unit, 12), unit) == pytest.approx(value, rel=1e-9)


@given(
    st.text(max_size=40) | st.from_regex(r"[0-9.,_ e+-]{0,8}[a-zA-Z/*^² 0-9-]{0,12}", fullmatch=True),
    st.sampled_from(["B", "s", "1", "USD", "token"]),
)
@example("1" * 400, "1")
@example("1e999999999", "1")
@example("1 s^99999999", "s")
@example("1 Qs^40", "s")
@example("1 s/0", "s")
@example("٣ s", "s")
@example("1 \x00", "s")
def test_any_text_is_a_finite_number_or_a_unit_error(text, unit):
    with contextlib.suppress(UnitError):
        assert math.isfinite(parse_quantity(text, unit))


@given(st.text(max_size=30) | st.from_regex(r"[a-zA-Zµ%$1/*^ 0-9-]{0,16}", fullmatch=True))
def test_any_text_is_a_unit_or_a_unit_error(text):
    with contextlib.suppress(UnitError):
        assert math.isfinite(parse_unit(text).factor)


def test_units_can_be_added_but_not_redefined(clean_table):
    register_units([UnitDef("EUR", 1.1, "USD", prefixable=True)])
    assert parse_quantity("2 kEUR", "USD") == 2200.0
    register_units([UnitDef("EUR", 1.1, "USD", prefixable=True)])
    with pytest.raises(UnitError, match="another meaning"):
        register_units([UnitDef("EUR", 1.2, "USD")])
    with pytest.raises(UnitError, match="another meaning"):
        register_units([UnitDef("kW", 1.0, "USD")])
    with pytest.raises(UnitError, match="Write it as a product"):
        register_units([UnitDef("furlong", 201.168, "metre")])


def test_a_bare_number_is_asked_for_without_a_unit():
    with pytest.raises(UnitError, match="'eight' is not a number") as raised:
        parse_quantity("eight", "1")
    assert raised.value.faults[0].what == "'eight' is not a number"
    assert raised.value.faults[0].remedy == "Write for example 3"
    with pytest.raises(UnitError, match="is not a number with a unit"):
        parse_quantity("eight", "s")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (127_086_422.0, "USD", "127,000,000 USD"),
        (2622.4, "token/s", "2,620 token/s"),
        (3.99 / 3600, "USD/h", "3.99 USD/h"),
    ],
)
def test_an_estimate_shows_no_digits_that_nobody_knows(value, unit, text):
    assert format_quantity(value, unit, 3, whole=False) == text


@pytest.mark.parametrize(("text", "value"), [
    ("1,000 GB/s", 1e12), ("1,234,567.5 B/s", 1234567.5), ("10,000 B/s", 1e4), ("1_000 GB/s", 1e12), ("3. B/s", 3.0),
])  # fmt: skip
def test_commas_group_thousands(text, value):
    assert parse_quantity(text, "B/s") == value


@pytest.mark.parametrize("text", ["1,5 TB/s", "12,34 GB/s", "1,0000 B/s", "5, B/s", "1.5,3 B/s", "1,000,00 B/s"])
def test_a_comma_that_groups_no_thousands_is_refused(text):
    """A fraction as many countries write it must not become ten times as much."""
    with pytest.raises(UnitError, match="is not a number with a unit") as caught:
        parse_quantity(text, "B/s")
    assert "1.5" in caught.value.remedy
