"""Every packaged measurement, predicted once."""

from __future__ import annotations

import pytest

from mlsysim_solvers.calibration.left_out import left_out
from mlsysim_solvers.validation.reports import Report, summarise
from mlsysim_solvers.validation.running import run_rows
from mlsysim_solvers.validation.tables import SHAPES, outside_rows, packaged_tables, read_table


@pytest.fixture(scope="session")
def report() -> Report:
    """Return the validation over all packaged measurements."""
    tables = packaged_tables()
    return summarise(run_rows([row for name in SHAPES for row in read_table(tables[name])]))


@pytest.fixture(scope="session")
def unseen(report) -> Report:
    """Return the validation, each row also predicted without its group."""
    return summarise(report.outcomes, left_out(report.outcomes))


@pytest.fixture(scope="session")
def outside() -> Report:
    """Return the validation over the measurements on which no constant is fitted."""
    return summarise(run_rows(outside_rows()))
