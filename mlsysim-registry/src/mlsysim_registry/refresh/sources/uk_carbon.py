"""Carbon intensity of Great Britain in the present half hour, from its system operator."""

from __future__ import annotations

import json
from collections.abc import Iterable

from mlsysim.provenance import Source
from mlsysim.refreshing import Datum, Refresher

__all__ = ["UkCarbon"]


class UkCarbon(Refresher):
    """An entity of its own: operational emissions of a half hour are not the life-cycle average of a year."""

    name = "uk-carbon"
    hosts = frozenset({"api.carbonintensity.org.uk"})
    kinds = ("grids",)
    max_bytes = 100_000
    max_age_days = 1
    source = Source(
        id="uk-carbon-intensity",
        title="Carbon Intensity API",
        publisher="National Energy System Operator",
        url="https://api.carbonintensity.org.uk/intensity",
        kind="api",
        tier="primary",
        retrieved="",
        licence="CC BY 4.0",
        note="Operational emissions: nuclear, wind and sun count as zero. The actual value is itself an estimate.",
    )

    def requests(self) -> Iterable[str]:
        """Return the address of the present half hour.

        Returns
        -------
        iterable of str
        """
        return ("https://api.carbonintensity.org.uk/intensity",)

    def parse(self, raw: bytes) -> Iterable[Datum]:
        """Read the actual value; while it is null there is none, and the forecast never stands in for it.

        Parameters
        ----------
        raw : bytes
            The answer.

        Returns
        -------
        iterable of Datum
        """
        found = []
        for row in json.loads(raw)["data"]:
            actual = row["intensity"]["actual"]
            if actual is None:
                continue
            if isinstance(actual, bool) or not isinstance(actual, (int, float)):
                raise TypeError(f"actual is {actual!r}, no number")
            found.append(
                Datum(
                    "grids/gb-live",
                    "carbon",
                    f"{actual} gCO2/kWh",
                    f"data, half hour from {row['from']}: intensity.actual",
                    asof=str(row["from"]),
                    context={"name": "Great Britain, one half hour", "boundary": "operational", "average": "average"},
                )
            )
        return found
