"""Prints ratios after the table of pytest-benchmark; nothing is asserted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from mlsysim.sweeping import CHUNK

_LINES: list[str] = []
_ROUNDS = 9


@pytest.fixture
def report() -> Callable[[str], None]:
    """Add a line to the summary."""
    return _LINES.append


@pytest.fixture
def swept(benchmark: Any, report: Callable[[str], None]) -> Callable[..., None]:
    """Sweep on one core, chunk by chunk, beside a loop that runs the same compute on some of the same rows."""

    def run(what: str, solver: Any, columns: dict[str, Any], arrays: dict[str, Any], budget: str, some: int) -> None:
        size = len(next(iter(arrays.values())))
        chunks = [{n: a[i : i + CHUNK] for n, a in arrays.items()} for i in range(0, size, CHUNK)]

        def sweep() -> None:
            for chunk in chunks:
                solver.compute({**columns, **chunk})

        benchmark.pedantic(sweep, rounds=_ROUNDS, warmup_rounds=1)
        rate = size / benchmark.stats.stats.min
        rows = [{n: float(a[i]) for n, a in arrays.items()} for i in range(some)]
        begin = time.process_time()
        for row in rows:
            solver.compute({**columns, **row})
        loop = some / (time.process_time() - begin)
        report(f"{what}: {rate:,.0f} rows/s [{budget}], {rate / loop:,.0f} x a Python loop ({loop:,.0f}/s) [20 x]")

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("ratios and rates of this run (budgets in brackets)")
    for line in _LINES:
        terminalreporter.write_line(line)
