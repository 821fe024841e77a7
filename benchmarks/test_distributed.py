"""How long one training layout takes, how many a second a sweep gives, and how long the best one takes to find.

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

pytestmark = pytest.mark.benchmark(timer=time.process_time)
"""Seconds of the processor, so that other programs beside this one do not count."""

SCENARIO = "gpt-175b-a100-1024"
ROWS = 10 * CHUNK


def prepared() -> tuple[Any, dict[str, Any]]:
    """Return the distributed solver with the columns of a scenario."""
    spec = plugins().solvers["distributed"]
    solver = load_solver(spec)
    return solver, solver.prepare(build_request(SimulationConfig.load(SCENARIO), spec, {}))


def layouts(rows: int) -> dict[str, Any]:
    """Draw degrees, chunks and micro-batches at random: 11,520 layouts, so that few rows of a chunk are equal."""
    dice = np.random.default_rng(0)
    return {
        "tensor": dice.choice([1.0, 2.0, 4.0, 8.0], rows),
        "pipeline": dice.choice([1.0, 2.0, 4.0, 8.0, 16.0], rows),
        "data": dice.integers(1, 65, rows).astype(np.float64),
        "micro_batch": dice.choice([1.0, 2.0, 4.0], rows),
        "virtual": dice.choice([1.0, 2.0, 3.0], rows),
    }


def rates(columns: dict[str, Any], rows: int) -> dict[str, Any]:
    """Draw peaks and bandwidths at random."""
    dice = np.random.default_rng(1)
    return {name: columns[name] * dice.uniform(0.5, 2.0, rows) for name in ("peak", "bandwidth")}


def lengths(rows: int) -> dict[str, Any]:
    """Draw sequence lengths at random, so that no two rows share a product."""
    return {"sequence": np.random.default_rng(2).integers(1024, 4097, rows).astype(np.float64)}


def test_scalar_layout(benchmark: Any, report: Callable[[str], None]) -> None:
    solver, columns = prepared()
    benchmark.pedantic(
        lambda: solver.compute({**columns, "layer_memo": {}}), rounds=200, iterations=20, warmup_rounds=1
    )
    report(f"distributed: one layout, new to it: {1e6 * benchmark.stats.stats.min:.0f} us [150 us]")


@pytest.mark.parametrize("what", ["layouts [3,000,000/s]", "rates [1,000,000/s]", "lengths [1,000,000/s]"])
def test_layout_sweep(what: str, benchmark: Any, report: Callable[[str], None]) -> None:
    """One core, chunk by chunk; the loop beside it runs the same compute on the same rows."""
    solver, columns = prepared()
    arrays = layouts(ROWS)
    if what.startswith("rates"):
        arrays |= rates(columns, ROWS)
    elif what.startswith("lengths"):
        arrays |= lengths(ROWS)
    chunks = [{n: a[i : i + CHUNK] for n, a in arrays.items()} for i in range(0, ROWS, CHUNK)]

    def sweep() -> None:
        for chunk in chunks:
            solver.compute({**columns, **chunk})

    benchmark.pedantic(sweep, rounds=9, warmup_rounds=1)
    rate = ROWS / benchmark.stats.stats.min
    some = 200
    rows = [{n: float(a[i]) for n, a in arrays.items()} for i in range(some)]
    begin = time.process_time()
    for row in rows:
        solver.compute({**columns, **row, "layer_memo": {}})
    loop = some / (time.process_time() - begin)
    times = "100 x" if what.startswith("layouts") else "20 x"
    report(f"distributed: {what}: {rate:,.0f} rows/s, {rate / loop:,.0f} x a Python loop ({loop:,.0f}/s) [{times}]")


def test_best_layout(benchmark: Any, report: Callable[[str], None]) -> None:
    from mlsysim_solvers.optimize.search import search, search_columns

    config = SimulationConfig.load(SCENARIO)
    found = benchmark.pedantic(
        lambda columns: search(columns, 1024), setup=lambda: ((search_columns(config, 1024),), {}), rounds=7
    )
    took = 1000 * benchmark.stats.stats.min
    report(f"distributed: best of {found.legal:,} layouts of 175B on 1,024 devices in {took:.0f} ms [250 ms]")
