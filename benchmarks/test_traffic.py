"""How long one answer about traffic takes, and how many a sweep gives.

Times are those of the fastest of several rounds, in seconds of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import build_request, evaluate
from mlsysim.plugins import plugins
from mlsysim.running import load_solver
from mlsysim.sweeping import CHUNK

pytestmark = pytest.mark.benchmark(timer=time.process_time)
"""Seconds of the processor, so that other programs beside this one do not count."""

ROWS = 10 * CHUNK
LIMIT = {"dynamic-batching": {"limit": 0.015}}
"""Settings that a solver asks for."""

VARIED: dict[str, tuple[str, dict[str, tuple[float, float]]]] = {
    "clients": ("llama-3.1-8b-h100-traffic", {"concurrency": (1.0, 512.0), "bandwidth": (1e12, 8e12)}),
    "lengths": ("llama-3.1-8b-h100-traffic", {"input": (64.0, 8192.0), "output": (16.0, 1024.0)}),
    "rates": ("llama-3.1-8b-h100-rate", {"rate": (0.1, 10.0), "bandwidth": (3e12, 8e12)}),
    "rates, lengths": (
        "llama-3.1-8b-h100-rate",
        {"rate": (0.1, 10.0), "input": (64.0, 8192.0), "output": (16.0, 1024.0)},
    ),
    "pools, lengths": ("deepseek-v3-b200-disaggregated", {"input": (64.0, 8192.0), "output": (16.0, 1024.0)}),
    "pools": ("deepseek-v3-b200-disaggregated", {"concurrency": (1.0, 512.0)}),
    "batched": ("resnet-50-server-t4", {"rate": (10.0, 4000.0)}),
    "batched, rates and limits": ("resnet-50-server-t4", {"limit": (0.001, 0.1), "rate": (10.0, 4000.0)}),
    "batched, limits": ("resnet-50-server-t4", {"limit": (0.001, 0.1), "bandwidth": (1e11, 1e12)}),
}
"""What varies between which ends, with the scenario."""


@pytest.mark.parametrize("name", VARIED)
def test_traffic_sweep(name: str, swept: Callable[..., None]) -> None:
    scenario, ends = VARIED[name]
    spec = plugins().solvers["dynamic-batching" if name.startswith("batched") else "in-flight"]
    solver = load_solver(spec)
    columns = solver.prepare(build_request(SimulationConfig.load(scenario), spec, LIMIT.get(spec.name, {})))
    dice = np.random.default_rng(0)
    arrays = {n: np.exp(dice.uniform(np.log(low), np.log(high), ROWS)) for n, (low, high) in ends.items()}
    swept(f"{spec.name}: {name}", solver, columns, arrays, "1,000,000/s", 100)


@pytest.mark.parametrize("scenario", sorted({scenario for scenario, _ in VARIED.values()}))
def test_warm_traffic(scenario: str, benchmark: Any, report: Callable[[str], None]) -> None:
    config = SimulationConfig.load(scenario)
    benchmark.pedantic(evaluate, (config,), rounds=50, iterations=2, warmup_rounds=1)
    report(f"{scenario}: evaluate, all solvers, warm: {1e3 * benchmark.stats.stats.min:.2f} ms [2 ms]")
