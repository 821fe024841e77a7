"""Yearly carbon intensity of electricity by country, from Our World in Data."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from mlsysim.provenance import Source
from mlsysim.refreshing import Datum, Refresher

__all__ = ["OwidCarbon"]

COLUMN = "carbon_intensity_elec"
_NEEDED = ("country", "year", "iso_code", COLUMN)


class OwidCarbon(Refresher):
    """The newest year of each country. Aggregates carry no ISO code and are left out, blank years too."""

    name = "owid-carbon"
    hosts = frozenset({"nyc3.digitaloceanspaces.com"})
    kinds = ("grids",)
    max_bytes = 20_000_000
    fewest = 150
    max_age_days = 1100
    source = Source(
        id="owid-energy",
        title="Energy data set",
        publisher="Our World in Data",
        url="https://github.com/owid/energy-data",
        kind="dataset",
        tier="secondary",
        retrieved="",
        licence="CC BY 4.0",
        derived_from=("ember-global-electricity-review",),
        note="Life-cycle CO2 equivalent per kWh generated; Ember and Energy Institute.",
    )

    def requests(self) -> Iterable[str]:
        """Return the address of the table.

        Returns
        -------
        iterable of str
        """
        return ("https://nyc3.digitaloceanspaces.com/owid-public/data/energy/owid-energy-data.csv",)

    def parse(self, raw: bytes) -> Iterable[Datum]:
        """Read the newest number of each country.

        Parameters
        ----------
        raw : bytes
            The table.

        Returns
        -------
        iterable of Datum

        Raises
        ------
        ValueError
            If a column is missing or a row is broken.
        """
        rows = csv.DictReader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True)
        missing = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"the table has no column {missing[0]}")
        newest: dict[str, dict[str, str]] = {}
        for row in rows:
            if row[COLUMN] is None or row["year"] is None:
                raise ValueError(f"line {rows.line_num} is too short")
            if not (row["iso_code"] and row[COLUMN]):
                continue
            if row["country"] not in newest or int(row["year"]) > int(newest[row["country"]]["year"]):
                newest[row["country"]] = row
        return [_datum(row) for row in newest.values()]


def _datum(row: dict[str, str]) -> Datum:
    return Datum(
        f"grids/{row['country']}",
        "carbon",
        f"{row[COLUMN]} gCO2/kWh",
        f"row {row['country']} ({row['iso_code']}), {row['year']}, column {COLUMN}",
        asof=row["year"],
        context={"boundary": "lifecycle", "average": "average"},
    )
