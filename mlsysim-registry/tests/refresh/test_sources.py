"""Each trap of each live source, on answers in its shape."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from mlsysim.records import KINDS
from mlsysim.units import parse_quantity
from mlsysim_registry.catalog import packaged
from mlsysim_registry.refresh.sources import azure, built_in, lambda_cloud
from mlsysim_registry.refresh.sources.azure import AzureRetail
from mlsysim_registry.refresh.sources.lambda_cloud import LambdaCloud
from mlsysim_registry.refresh.sources.owid import OwidCarbon
from mlsysim_registry.refresh.sources.uk_carbon import UkCarbon

from .conftest import OWID, azure_page, azure_row, lambda_answer, uk_answer


def test_every_source_describes_itself_and_asks_its_own_hosts_over_https() -> None:
    for source in built_in():
        assert source.hosts
        assert set(source.kinds) <= set(KINDS)
        for url in source.requests():
            assert urlsplit(url).scheme == "https"
            assert urlsplit(url).hostname in source.hosts


def test_every_price_card_that_a_source_names_exists() -> None:
    cards = {card for terms in azure.SKUS.values() for card in terms.values()} | set(lambda_cloud.TYPES.values())
    assert cards <= set(packaged().keys("prices"))


# --- Our World in Data ------------------------------------------------------------------------------------------------


def test_owid_takes_the_newest_year_that_is_not_blank_and_no_aggregate() -> None:
    found = {d.entity: d for d in OwidCarbon().parse(OWID)}
    assert set(found) == {"grids/France", "grids/United Kingdom"}
    assert (found["grids/France"].as_stated, found["grids/France"].asof) == ("42.5 gCO2/kWh", "2025")
    assert found["grids/France"].context["boundary"] == "lifecycle"
    assert "2025" in found["grids/France"].at


@pytest.mark.parametrize(
    "raw", [b"", b"<html>an error page</html>", OWID.replace(b"carbon_intensity_elec", b"carbon"), OWID + b"Spain,2025",
            OWID + b'"Spain,2025,ESP,1,2,', b"\xff" + OWID, OWID + b"Spain,no year,ESP,1,2,3\nSpain,2,ESP,1,2,3\n"],
)  # fmt: skip
def test_owid_refuses_what_is_no_whole_table(raw: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017 - any exception makes the source fail
        list(OwidCarbon().parse(raw))


# --- Great Britain ----------------------------------------------------------------------------------------------------


def test_uk_gives_an_entity_of_its_own_with_the_operational_boundary() -> None:
    (datum,) = UkCarbon().parse(uk_answer(131))
    assert datum.entity == "grids/gb-live"
    assert datum.as_stated == "131 gCO2/kWh"
    assert datum.context["boundary"] == "operational"
    assert datum.asof == "2026-11-22T12:00Z"


def test_uk_never_takes_the_forecast_for_an_actual_value_that_is_null() -> None:
    assert list(UkCarbon().parse(uk_answer(None))) == []


@pytest.mark.parametrize("actual", ["131", True, [131]])
def test_uk_refuses_what_is_no_number(actual: object) -> None:
    with pytest.raises(TypeError, match="no number"):
        UkCarbon().parse(uk_answer(actual))


def test_uk_refuses_its_own_error_answer() -> None:
    with pytest.raises(KeyError):
        UkCarbon().parse(b'{"error": {"code": "400 Bad Request", "message": "no"}}')


# --- Azure ------------------------------------------------------------------------------------------------------------

WINDOWS = azure_row(101.5, productName="Virtual Machines NDsr H100 v5 Series Windows")
SPOT = azure_row(19.25, meterName="ND96isrH100v5 Spot", skuName="ND96isrH100v5 Spot")
LOW = azure_row(30.0, meterName="ND96isrH100v5 Low Priority", skuName="ND96isrH100v5 Low Priority")
RESERVED = azure_row(400000.0, type="Reservation", reservationTerm="1 Year")


def test_azure_takes_linux_on_demand_and_spot_and_no_decoy() -> None:
    found = list(AzureRetail().parse(azure_page(WINDOWS, RESERVED, azure_row(97.5), LOW, SPOT)))
    assert [(d.entity, d.as_stated) for d in found] == [
        ("prices/azure-nd-h100-v5", "97.5 USD/h"),
        ("prices/azure-nd-h100-v5-spot", "19.25 USD/h"),
    ]
    assert [d.context["term"] for d in found] == ["on-demand", "spot"]
    assert found[0].asof == "2026-02-01"


@pytest.mark.parametrize(
    ("change", "said"),
    [({"sku": "Standard_ND96ISR_H100_v5"}, "not asked for"), ({"currencyCode": "EUR"}, "not in USD"),
     ({"unitOfMeasure": "1 Month"}, "per '1 Month'")],
)  # fmt: skip
def test_azure_refuses_an_answer_to_another_question(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AzureRetail().parse(azure_page(azure_row(97.5, **change)))


def test_azure_tells_the_region_that_it_answered_for() -> None:
    (datum,) = AzureRetail().parse(azure_page(azure_row(97.5, armRegionName="westus")))
    assert datum.echo == (("eastus", "westus"),)


def test_azure_follows_pages_and_notices_a_missing_link() -> None:
    source = AzureRetail()
    assert (
        source.following(azure_page(SPOT, following="https://prices.azure.com/next")) == "https://prices.azure.com/next"
    )
    assert source.following(azure_page(SPOT)) == ""
    with pytest.raises(ValueError, match="names no next page"):
        source.following(azure_page(*[SPOT] * 100))
    assert "armSkuName eq 'Standard_ND96isr_H100_v5'" in unquote(next(iter(source.requests())))


# --- Lambda -----------------------------------------------------------------------------------------------------------


def test_lambda_states_cents() -> None:
    (datum,) = LambdaCloud().parse(lambda_answer(2505))
    assert datum.as_stated == "price_cents_per_hour = 2505"
    assert parse_quantity(datum.means, "USD/h") == pytest.approx(25.05 / 3600)
    assert datum.context["devices"] == 8
    assert list(LambdaCloud().parse(lambda_answer(100, key="gpu_1x_unheard_of"))) == []


@pytest.mark.parametrize("cents", ["2505", 25.05, None, True])
def test_lambda_refuses_what_is_no_whole_number_of_cents(cents: object) -> None:
    with pytest.raises(ValueError, match="whole number of cents"):
        LambdaCloud().parse(lambda_answer(cents))


def test_lambda_sends_its_key_in_a_header_alone() -> None:
    headers = LambdaCloud().headers({"LAMBDA_API_KEY": "hunter2"})
    assert headers == {"Authorization": "Bearer hunter2"}
    assert "hunter2" not in json.dumps(list(LambdaCloud().requests()))
