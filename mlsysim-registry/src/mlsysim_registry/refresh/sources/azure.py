"""List prices of virtual machines with accelerators, from Azure Retail Prices."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from mlsysim.provenance import Source
from mlsysim.refreshing import Datum, Refresher

__all__ = ["AzureRetail"]

REGION = "eastus"
SKUS = {
    "Standard_ND96isr_H100_v5": {"on-demand": "azure-nd-h100-v5", "spot": "azure-nd-h100-v5-spot"},
    "Standard_ND96amsr_A100_v4": {"on-demand": "azure-nd-a100-v4", "spot": "azure-nd-a100-v4-spot"},
}
"""Price card of each machine and term, in :data:`REGION`."""

_BASE = "https://prices.azure.com/api/retail/prices?api-version=2023-01-01-preview&$filter="
_PAGE_SIZES = (100, 1000)


class AzureRetail(Refresher):
    """Linux prices per hour, on demand and spot.

    Windows shares the name of the meter and differs in ``productName`` alone; spot stands in ``meterName``; a
    reservation states the price of its whole term as if it were an hour; a meter may cost zero. None of these may pass
    for the price on demand.
    """

    name = "azure-retail"
    hosts = frozenset({"prices.azure.com"})
    kinds = ("prices",)
    source = Source(
        id="azure-retail-prices",
        title="Azure Retail Prices",
        publisher="Microsoft",
        url="https://prices.azure.com/api/retail/prices",
        kind="api",
        tier="primary",
        retrieved="",
        note="List prices in USD before discounts; no licence is stated.",
    )

    def requests(self) -> Iterable[str]:
        """Return one address for each machine; the filter distinguishes upper and lower case.

        Returns
        -------
        iterable of str
        """
        for sku in SKUS:
            asked = f"serviceName eq 'Virtual Machines' and armRegionName eq '{REGION}' and armSkuName eq '{sku}'"
            yield _BASE + quote(asked)

    def following(self, raw: bytes) -> str:
        """Return the next page.

        Parameters
        ----------
        raw : bytes
            The answer.

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If a full page names no next one: the rest would be missing silently.
        """
        answer = json.loads(raw)
        link = answer.get("NextPageLink") or ""
        if not link and len(answer["Items"]) in _PAGE_SIZES:
            raise ValueError(f"a full page of {len(answer['Items'])} rows names no next page")
        if not isinstance(link, str):
            raise TypeError("NextPageLink is not text")
        return link

    def parse(self, raw: bytes) -> Iterable[Datum]:
        """Read the Linux prices.

        Parameters
        ----------
        raw : bytes
            One page.

        Returns
        -------
        iterable of Datum

        Raises
        ------
        ValueError
            If the page is about a machine that was not asked for, or is not in USD.
        """
        answer = json.loads(raw)
        found = []
        for row in answer["Items"]:
            if row["armSkuName"] not in SKUS:
                raise ValueError(f"the answer is about {row['armSkuName']!r}, which was not asked for")
            if row["currencyCode"] != "USD":
                raise ValueError(f"prices are in {row['currencyCode']!r}, not in USD")
            term = _term(row)
            if term:
                found.append(_datum(row, term))
        return found


def _term(row: dict[str, Any]) -> str:
    """Return the term of a price that a Linux machine pays by the hour; empty for any other row."""
    if row["type"] != "Consumption" or row.get("reservationTerm") or "Windows" in row["productName"]:
        return ""
    if row["unitOfMeasure"] != "1 Hour":
        raise ValueError(f"the price of {row['meterName']!r} is per {row['unitOfMeasure']!r}")
    names = f"{row['meterName']} {row['skuName']}"
    if "Low Priority" in names:
        return ""
    return "spot" if "Spot" in names else "on-demand"


def _datum(row: dict[str, Any], term: str) -> Datum:
    sku, region, begins = row["armSkuName"], row["armRegionName"], str(row["effectiveStartDate"])[:10]
    return Datum(
        f"prices/{SKUS[sku][term]}",
        "rate",
        f"{row['retailPrice']} USD/h",
        f"Items: {sku} in {region}, meter {row['meterName']}, {row['productName']}, from {begins}: retailPrice",
        asof=begins,
        context={"provider": "Azure", "region": region, "term": term},
        echo=((REGION, region),),
    )
