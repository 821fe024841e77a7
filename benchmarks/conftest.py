"""Prints ratios after the table of pytest-benchmark; nothing is asserted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_LINES: list[str] = []


@pytest.fixture
def report() -> Callable[[str], None]:
    """Add a line to the summary."""
    return _LINES.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("ratios and rates of this run (budgets in brackets)")
    for line in _LINES:
        terminalreporter.write_line(line)
