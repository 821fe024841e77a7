"""Verdicts on single numbers: units, bounds, jumps, dates, and whether the answer is about the same thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from mlsysim.refreshing import Datum
from mlsysim_registry.refresh.generations import EMPTY, Generation, Number
from mlsysim_registry.refresh.reviewing import Row, review
from mlsysim_registry.refresh.sources.azure import AzureRetail
from mlsysim_registry.refresh.sources.lambda_cloud import LambdaCloud
from mlsysim_registry.refresh.sources.owid import OwidCarbon
from mlsysim_registry.refresh.sources.uk_carbon import UkCarbon

from .conftest import OWID, Toy, azure_page, azure_row, grid, lambda_answer, uk_answer

DAY = "2026-11-22"
SOURCE = attrs.evolve(OwidCarbon.source, id=f"owid-energy-{DAY}", retrieved=DAY)

Known = Callable[..., Toy]


def judged(registry: Toy, *data: Datum, generation: Generation = EMPTY) -> tuple[Row, ...]:
    return review([(SOURCE, datum) for datum in data], registry, generation, DAY)


def rate(value: str, **changes: Any) -> Datum:
    base = Datum("prices/azure-nd-h100-v5", "rate", value, "Items", asof="2026-02-01",
                 context={"region": "eastus", "term": "on-demand"})  # fmt: skip
    return base._replace(**changes)


def carbon(value: str, **changes: Any) -> Datum:
    base = Datum("grids/France", "carbon", value, "row", asof="2025", context={"boundary": "lifecycle"})
    return base._replace(**changes)


@pytest.mark.parametrize(
    ("datum", "status", "flag"),
    [
        (rate("90 USD/h"), "same", ""), (rate("1.5 USD/min"), "same", ""), (rate("97 USD/h"), "change", ""),
        (rate("117 USD/h"), "change", ""), (rate("117.1 USD/h"), "blocked", "jump of more than 30%"),
        (rate("62.9 USD/h"), "blocked", "jump"), (rate("1.5 USD/h"), "blocked", "jump"),
        (rate("0 USD/h"), "blocked", "zero or negative"), (rate("0.0 USD/h"), "blocked", "zero or negative"),
        (rate("-97 USD/h"), "blocked", ""), (rate("nan USD/h"), "blocked", ""), (rate("inf USD/h"), "blocked", ""),
        (rate("1e400 USD/h"), "blocked", ""), (rate("20000 USD/h"), "blocked", "outside 0.001 USD/h"),
        (rate("97"), "blocked", ""), (rate("97 GB/s"), "blocked", ""), (rate("97 EUR/h"), "blocked", ""),
        (rate("97 USD"), "blocked", ""), (rate("ninety"), "blocked", ""),
        (rate("cents = 9700", means="97 USD/h"), "change", ""),
        (rate("97 USD/h", echo=(("eastus", "westus"),)), "blocked", "asked for eastus, answered for westus"),
        (rate("97 USD/h", context={"region": "westus"}), "blocked", "region is 'eastus' here and 'westus' there"),
        (rate("97 USD/h", context={"term": "spot"}), "blocked", "term is"),
        (rate("97 USD/h", context={"devices": 4}), "blocked", "devices is 8.0 here and 4 there"),
        (rate("97 USD/h", context={"devices": 8}), "change", ""),
        (rate("97 USD/h", context={"colour": "blue"}), "blocked", "colour is None here"),
        (rate("97 USD/h", asof="2027-01-01"), "blocked", "in the future"),
        (rate("97 USD/h", field="amount"), "blocked", "no such number"),
        (rate("97 USD/h", field="name"), "blocked", "no such number"),
        (rate("97 USD/h", entity="prices/nobody"), "unknown", ""),
        (rate("97 USD/h", entity="models/hf:org/name"), "blocked", "names no entity"),
        (rate("97 USD/h", entity="recipes/x"), "blocked", "names no entity"),
        (rate("97 USD/h", at="a\x1b[31m"), "blocked", "control characters"),
        (rate("97 USD/h", at="x" * 400), "blocked", "too long"), (rate("97 USD/h", at=""), "blocked", "no place"),
        (carbon("42 gCO2/kWh"), "change", ""), (carbon("0.042 kgCO2/kWh"), "change", ""),
        (carbon("59.9 gCO2/kWh"), "change", ""), (carbon("61 gCO2/kWh"), "blocked", "jump of more than 50%"),
        (carbon("42 lb/MWh"), "blocked", "jump"), (carbon("2500 gCO2/kWh"), "blocked", "outside"),
        (carbon("42 gCO2/kWh", context={"boundary": "operational"}), "blocked", "boundary is 'lifecycle' here"),
        (carbon("42 gCO2/kWh", asof="2023"), "not newer", "not newer"),
        (carbon("42 gCO2/kWh", asof="2024"), "change", "revised"), (carbon("42 gCO2/kWh", asof="2027"), "blocked", "future"),
        (carbon("42 gCO2/kWh", asof=""), "blocked", "no date"),
        (Datum("devices/chip-1", "memory.bandwidth", "2.01 TB/s", "x"), "change", ""),
        (Datum("devices/chip-1", "memory.bandwidth", "2.03 TB/s", "x"), "blocked", "jump of more than 1%"),
        (Datum("devices/chip-1", "memory.capacity", "80 GiB", "x"), "blocked", "jump"),
    ],
)  # fmt: skip
def test_verdicts(known: Known, datum: Datum, status: str, flag: str) -> None:
    (row,) = judged(known(), datum)
    assert row.status == status, row
    assert flag in "; ".join(row.flags)
    assert row.status != "blocked" or row.flags


@pytest.mark.parametrize(
    ("value", "year", "status"),
    [("44.179", "2024", "same"), ("44.18", "2024", "same"), ("44.17", "2024", "change"), ("44.179", "2025", "change")],
)
def test_fewer_printed_places_of_one_year_are_no_change(known: Known, value: str, year: str, status: str) -> None:
    registry = known(**dict([grid("fr", "France", "44.179085")]))
    (row,) = judged(registry, carbon(f"{value} gCO2/kWh", asof=year))
    assert row.status == status


def test_only_a_jump_can_be_overruled(known: Known) -> None:
    registry = known()
    assert judged(registry, rate("50 USD/h"))[0].overrulable
    for datum in (rate("0 USD/h"), rate("97 USD/h", context={"term": "spot"}), rate("50 USD/h", echo=(("a", "b"),))):
        assert not judged(registry, datum)[0].overrulable
    two = judged(registry, rate("50 USD/h"), rate("49 USD/h"))
    assert not any(row.overrulable for row in two)


def test_two_answers_that_differ_are_both_blocked_and_equal_ones_are_one(known: Known) -> None:
    registry = known()
    rows = judged(registry, rate("97 USD/h"), rate("98 USD/h"))
    assert [row.status for row in rows] == ["blocked", "blocked"]
    assert "several answers" in rows[0].flags[0]
    assert [row.status for row in judged(registry, rate("97 USD/h"), rate("97 USD/h"))] == ["change"]


def test_a_source_that_goes_back_in_time_is_not_newer(known: Known) -> None:
    last = Number("prices/azure-nd-h100-v5", "rate", "90 USD/h", "owid-energy-2026-11-20", "x", asof="2026-03-01")
    (row,) = judged(known(), rate("97 USD/h"), generation=Generation("000001", numbers=(last,)))
    assert row.status == "not newer"


def test_a_faulty_file_blocks_its_own_number_alone(known: Known) -> None:
    registry = known(**{"grids/fr.toml": "name = 3\n"})
    rows = judged(registry, Datum("grids/fr", "carbon", "42 gCO2/kWh", "x", asof="2025"), rate("97 USD/h"))
    assert [row.status for row in rows] == ["blocked", "change"]


# --- the built-in sources against the package -----------------------------------------------------------------------


def test_owid_finds_grids_by_their_names(known: Known) -> None:
    rows = judged(known(), *OwidCarbon().parse(OWID))
    assert [(r.entity, r.status, r.dated) for r in rows] == [
        ("grids/fr", "change", "2025"),
        ("grids/gb", "change", "2025"),
    ]


def test_azure_westus_never_becomes_eastus(known: Known) -> None:
    (row,) = judged(known(), *AzureRetail().parse(azure_page(azure_row(97.5, armRegionName="westus"))))
    assert row.status == "blocked"


def test_azure_zero_price_is_refused(known: Known) -> None:
    (row,) = judged(known(), *AzureRetail().parse(azure_page(azure_row(0.0))))
    assert "zero or negative" in row.flags


@pytest.mark.parametrize(
    ("answer", "flag"),
    [(lambda_answer(2505), ""), (lambda_answer(24), "jump"), (lambda_answer(2505, gpus=4), "devices"),
     (lambda_answer(2505, name="gpu_8x_h200"), "asked for gpu_8x_h100_sxm5"), (lambda_answer(-5), "")],
)  # fmt: skip
def test_lambda_prices_are_of_the_machine_on_the_card(known: Known, answer: bytes, flag: str) -> None:
    (row,) = judged(known(), *LambdaCloud().parse(answer))
    assert flag in "; ".join(row.flags)
    assert row.status == ("change" if answer == lambda_answer(2505) else "blocked")


def test_a_live_half_hour_never_goes_into_the_yearly_average(known: Known) -> None:
    registry = known()
    (datum,) = UkCarbon().parse(uk_answer(131))
    assert judged(registry, datum)[0].status == "new"
    (row,) = judged(registry, datum._replace(entity="grids/gb"))
    assert row.status == "blocked"
    assert "boundary is 'lifecycle' here and 'operational' there" in row.flags


@pytest.mark.parametrize(
    "datum",
    [Datum("grids/xx", "carbon", "42 gCO2/kWh", "x", asof="2025", context={"name": "X", "boundary": "imaginary"}),
     Datum("grids/x x/../y", "carbon", "42 gCO2/kWh", "x", asof="2025", context={"name": "X"}),
     Datum("prices/new", "rate", "42 USD/h", "x", context={"name": "X"}),
     Datum("grids/xx", "year", "2025", "x", asof="2025", context={"name": "X"})],
)  # fmt: skip
def test_what_makes_no_whole_entity_is_blocked(known: Known, datum: Datum) -> None:
    assert judged(known(), datum)[0].status == "blocked"
