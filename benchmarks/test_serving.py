"""How long one answer about serving on several devices takes, and how many a sweep gives.

Times are those of the fastest of several rounds, in seconds of the processor: what else a machine does slows the
others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import build_request
from mlsysim.plugins import plugins
from mlsysim.running import load_solver
from mlsysim.sweeping import CHUNK
from mlsysim_solvers.execution.device import remembering

pytestmark = pytest.mark.benchmark(timer=time.process_time)
"""Seconds of the processor, so that other programs beside this one do not count."""

SCENARIO = "llama-3.1-70b-h100-8"
ROWS = 10 * CHUNK


def prepared() -> tuple[Any, dict[str, Any]]:
    """Return the solver of serving on several devices with the columns of a scenario."""
    spec = plugins().solvers["parallel-serving"]
    solver = load_solver(spec)
    return solver, solver.prepare(build_request(SimulationConfig.load(SCENARIO), spec, {}))


def requests(columns: dict[str, Any], rows: int) -> dict[str, Any]:
    """Vary batch, lengths and rates at random."""
    dice = np.random.default_rng(0)
    return {
        "batch": dice.integers(1, 257, rows).astype(np.float64),
        "input": dice.integers(64, 8193, rows).astype(np.float64),
        "output": dice.integers(16, 1025, rows).astype(np.float64),
        "bandwidth": dice.uniform(0.5, 2.0, rows) * columns["bandwidth"],
        "peak": dice.uniform(0.5, 2.0, rows) * columns["peak"],
    }


@pytest.mark.parametrize("known", ["new to it [300 us]", "its tables kept [100 us]"])
def test_scalar_serving(known: str, benchmark: Any, report: Callable[[str], None]) -> None:
    solver, columns = prepared()

    def solve() -> None:
        if known.startswith("new"):
            remembering._kept.clear()
        solver.compute(columns)

    benchmark.pedantic(solve, rounds=200, iterations=20, warmup_rounds=1)
    what, budget = known.split(" [")
    report(f"parallel-serving: one case, {what}: {1e6 * benchmark.stats.stats.min:.0f} us [{budget}")


@pytest.mark.parametrize("degrees", [(), (1.0, 2.0, 4.0, 8.0)], ids=["one layout", "layouts"])
def test_serving_sweep(degrees: tuple[float, ...], swept: Callable[..., None]) -> None:
    solver, columns = prepared()
    arrays = requests(columns, ROWS)
    if degrees:
        arrays["tensor"] = np.random.default_rng(1).choice(degrees, ROWS)
    swept(f"parallel-serving: sweep over {', '.join(arrays)}", solver, columns, arrays, "1,000,000/s", 300)
