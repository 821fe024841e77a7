"""Published rows, read once for all tests, and rows of a table of one's own."""

from __future__ import annotations

import csv
from functools import lru_cache

from mlsysim_solvers.validation.tables import packaged_rows, read_table


@lru_cache(maxsize=1)
def published():
    return {row.id: row for row in packaged_rows()}


def of_table(name):
    return {key: row for key, row in published().items() if row.table == name}


def own_row(folder, cells):
    file = folder / "own.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, list(cells))
        table.writeheader()
        table.writerow(cells)
    (row,) = read_table(file)
    return row
