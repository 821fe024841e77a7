"""Prices on demand of Lambda's machines; needs a key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from mlsysim.provenance import Source
from mlsysim.refreshing import Datum, Refresher

__all__ = ["LambdaCloud"]

TYPES = {
    "gpu_1x_h100_pcie": "lambda-1x-h100-pcie",
    "gpu_1x_h100_sxm5": "lambda-1x-h100-sxm",
    "gpu_8x_a100": "lambda-8x-a100-40gb",
    "gpu_8x_a100_80gb_sxm4": "lambda-8x-a100-80gb",
    "gpu_8x_h100_sxm5": "lambda-8x-h100",
    "gpu_8x_v100": "lambda-8x-v100",
}
"""Price card of each type of machine; the number of devices is compared with the card."""


class LambdaCloud(Refresher):
    """Prices stand in cents per hour of the whole machine."""

    name = "lambda"
    hosts = frozenset({"cloud.lambdalabs.com"})
    kinds = ("prices",)
    env = ("LAMBDA_API_KEY",)
    source = Source(
        id="lambda-instance-types",
        title="Lambda Cloud API, instance types",
        publisher="Lambda",
        url="https://cloud.lambdalabs.com/api/v1/instance-types",
        kind="api",
        tier="primary",
        retrieved="",
        note="List prices in US cents; no licence is stated.",
    )

    def requests(self) -> Iterable[str]:
        """Return the address of the list.

        Returns
        -------
        iterable of str
        """
        return ("https://cloud.lambdalabs.com/api/v1/instance-types",)

    def headers(self, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Return the header with the key.

        Parameters
        ----------
        secrets : mapping of str to str
            The key.

        Returns
        -------
        mapping of str to str
        """
        return {"Authorization": f"Bearer {secrets['LAMBDA_API_KEY']}"}

    def parse(self, raw: bytes) -> Iterable[Datum]:
        """Read the prices of the machines that have a card.

        Parameters
        ----------
        raw : bytes
            The list.

        Returns
        -------
        iterable of Datum

        Raises
        ------
        ValueError
            If a price is not a whole number of cents.
        """
        found = []
        for key, row in json.loads(raw)["data"].items():
            card = TYPES.get(key)
            if card is None:
                continue
            about = row["instance_type"]
            cents = about["price_cents_per_hour"]
            if type(cents) is not int:
                raise ValueError(f"price_cents_per_hour of {key} is {cents!r}, no whole number of cents")
            found.append(
                Datum(
                    f"prices/{card}", "rate", f"price_cents_per_hour = {cents}", f"data.{key}.instance_type",
                    means=f"{cents // 100}.{cents % 100:02d} USD/h" if cents >= 0 else f"{cents / 100} USD/h",
                    context={"provider": "Lambda", "term": "on-demand", "devices": about["specs"]["gpus"]},
                    echo=((key, about["name"]),),
                )
            )  # fmt: skip
        return found
