"""How long one answer takes, how many a sweep gives, and how much faster that is than a loop.

Times are those of the fastest of several rounds, in seconds of the processor: what else a machine does slows the
others.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.entities import Registry
from mlsysim.evaluation import build_request, evaluate
from mlsysim.plugins import plugins
from mlsysim.running import load_solver
from mlsysim.sweeping import CHUNK

pytestmark = pytest.mark.benchmark(timer=time.process_time)
"""Seconds of the processor, so that other programs beside this one do not count."""

ROWS = 20 * CHUNK
SOLVER = "single-node"
SCENARIOS = ("llama-3.1-8b-h100", "resnet-50-training", "smart-doorbell")


def columns_of(scenario: str) -> tuple[Any, dict[str, Any]]:
    """Return the single-device solver with the columns of a scenario."""
    spec = plugins().solvers[SOLVER]
    solver = load_solver(spec)
    return solver, solver.prepare(build_request(SimulationConfig.load(scenario), spec, {}))


def varied(columns: dict[str, Any], rows: int) -> dict[str, Any]:
    """Vary batch, lengths and rates at random; what rows without lengths share is one of 256 batches."""
    dice = np.random.default_rng(0)
    wanted = {
        "batch": dice.integers(1, 257, rows).astype(np.float64),
        "input": dice.integers(64, 8193, rows).astype(np.float64),
        "output": dice.integers(16, 1025, rows).astype(np.float64),
        "bandwidth": dice.uniform(0.5, 2.0, rows) * columns["bandwidth"],
        "peak": dice.uniform(0.5, 2.0, rows) * columns["peak"],
    }
    return {name: values for name, values in wanted.items() if name in columns}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scalar_solve(scenario: str, benchmark: Any, report: Callable[[str], None]) -> None:
    solver, columns = columns_of(scenario)
    benchmark.pedantic(solver.compute, (columns,), rounds=200, iterations=20, warmup_rounds=1)
    report(f"{scenario}: compute, scalar: {1e6 * benchmark.stats.stats.min:.0f} us [50 us central value]")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_warm_evaluation(scenario: str, benchmark: Any, report: Callable[[str], None]) -> None:
    config = SimulationConfig.load(scenario)
    benchmark(evaluate, config)
    took = 1e3 * benchmark.stats.stats.min
    report(f"{scenario}: evaluate, all solvers, warm, each answer with its interval: {took:.2f} ms [2 ms]")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_sweep(scenario: str, swept: Callable[..., None]) -> None:
    solver, columns = columns_of(scenario)
    arrays = varied(columns, ROWS)
    swept(f"{scenario}: sweep over {', '.join(arrays)}", solver, columns, arrays, "1,000,000/s", 300)


WHOLE = (
    "devices", "models", "links", "switches", "nodes", "racks", "fabrics", "clusters", "fleets", "prices", "stacks",
)  # fmt: skip
"""What the budget of the registry counts: the yearly figures of countries and the measurements are tables beside it."""

FIRST = """
import time
from mlsysim.plugins import plugins
plugins()
begin = time.process_time()
from mlsysim_registry import Catalog
from mlsysim_registry.catalog import DATA
from mlsysim.entities import Registry
fresh = Registry([Catalog("fresh", DATA)])
for kind in {kinds}:
    fresh.entries(kind)
print(time.process_time() - begin)
"""


def load(folders: list[tuple[str, Any]], kinds: tuple[str, ...] | None = None) -> int:
    """Read every entity of some kinds anew into its record, with every check that reading makes.

    A fresh catalog has cached nothing: each file is parsed, each quantity, claim and estimate is checked, each
    document that a claim names is read and checked, and the preferred claim of each field is chosen.
    """
    from mlsysim_registry import Catalog

    fresh = Registry([Catalog(name, folder) for name, folder in folders])
    return sum(len(fresh.entries(kind)) for kind in kinds or fresh.kinds())


def packages() -> list[tuple[str, Any]]:
    """Return name and folder of every data package in use."""
    from mlsysim_registry import Catalog

    return [(source.name, source.folder) for source in plugins().sources if isinstance(source, Catalog)]


def test_registry(benchmark: Any, report: Callable[[str], None]) -> None:
    """All kinds; the figure for 300 entities is the share of so many."""
    entries = load(packages())
    benchmark.pedantic(load, (packages(),), rounds=5, warmup_rounds=1)
    took = 1000 * benchmark.stats.stats.min
    report(
        f"registry, all kinds: {entries} entities read and checked in {took:.0f} ms, "
        f"{300 * took / entries:.0f} ms for 300 [150 ms]"
    )


def test_whole_registry(benchmark: Any, report: Callable[[str], None]) -> None:
    """Devices, models, systems, prices and stacks: once more in this process, and the first time in one of its own."""
    entries = load(packages(), WHOLE)
    benchmark.pedantic(load, (packages(), WHOLE), rounds=9, warmup_rounds=1)
    took = 1000 * benchmark.stats.stats.min
    words = [sys.executable, "-c", FIRST.format(kinds=WHOLE)]
    first = 1000 * min(float(subprocess.check_output(words, text=True)) for _ in range(5))
    report(
        f"registry, devices, models, systems, prices, stacks: {entries} entities read and checked in {took:.0f} ms "
        f"[150 ms]; the first time in a process, with what it imports: {first:.0f} ms"
    )
