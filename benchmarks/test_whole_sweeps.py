"""How many rows a second a sweep gives to whoever asks for one: all solvers, all answers, gathered, and written out.

Times are those of the fastest of several rounds, in seconds of the processor.
"""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlsysim.cli.sweep_command import _write_csv
from mlsysim.sweeping import sweep

pytestmark = pytest.mark.benchmark(timer=time.process_time)
"""Seconds of the processor, so that other programs beside this one do not count."""

LENGTHS = {"input": np.linspace(64.0, 4096.0, 50), "output": np.linspace(16.0, 1024.0, 20)}
SERVED = {"batch": np.arange(8.0, 1025.0, 8.0), "input": np.linspace(64.0, 8192.0, 50).round()}

GRIDS: dict[str, tuple[str, dict[str, Any]]] = {
    "device, model, format, batch, lengths, bandwidth": ("llama-3.1-8b-h100", {
        "device": ["h100-sxm", "h200-sxm", "b200-sxm"], "model": ["llama-3.1-8b", "mistral-7b"],
        "precision": ["bf16", "fp8"], "batch": np.arange(1.0, 129.0), "output": np.linspace(16.0, 1024.0, 16).round(),
        "bandwidth": np.linspace(1e12, 8e12, 8)}),
    "tensor, batch, input, bandwidth": ("llama-3.1-70b-h100-8", {
        "tensor": [1.0, 2.0, 4.0, 8.0], **SERVED, "bandwidth": np.linspace(2e12, 8e12, 8)}),
    "layouts of a training, bandwidth": ("gpt-175b-a100-1024", {
        "tensor": [1.0, 2.0, 4.0, 8.0], "pipeline": [1.0, 2.0, 4.0, 8.0, 16.0], "data": np.arange(1.0, 65.0),
        "micro_batch": [1.0, 2.0, 4.0], "virtual": [1.0, 2.0, 3.0], "bandwidth": np.linspace(1e12, 4e12, 18)}),
    "layouts and lengths of a training": ("gpt-175b-a100-1024", {
        "tensor": [1.0, 2.0, 4.0, 8.0], "pipeline": [1.0, 2.0, 4.0, 8.0, 16.0], "data": np.arange(1.0, 65.0),
        "micro_batch": [1.0, 2.0, 4.0], "sequence": np.linspace(512.0, 2048.0, 49)}),
    "lengths, clients": ("llama-3.1-8b-h100-traffic", {**LENGTHS, "concurrency": np.linspace(1.0, 512.0, 200)}),
    "lengths, arrivals": ("llama-3.1-8b-h100-rate", {**LENGTHS, "rate": np.linspace(0.1, 3.0, 200)}),
    "lengths, clients of two pools": ("deepseek-v3-b200-disaggregated", {
        **LENGTHS, "concurrency": np.linspace(1.0, 512.0, 200)}),
    "bandwidth, arrivals, with a limit": ("resnet-50-server-t4", {
        "bandwidth": np.linspace(1e11, 1e12, 400), "rate": np.linspace(10.0, 4000.0, 500)}),
}  # fmt: skip
"""What varies over which scenario; the last changes fastest."""


@pytest.mark.parametrize("name", GRIDS)
def test_grid(name: str, benchmark: Any, report: Callable[[str], None]) -> None:
    scenario, vary = GRIDS[name]
    found = benchmark.pedantic(sweep, (scenario, vary), rounds=5, warmup_rounds=1)
    rate = len(found) / benchmark.stats.stats.min
    report(f"sweep over {name}: {rate:,.0f} rows/s of {len(found.outputs)} outputs [1,000,000/s]")


def test_room(report: Callable[[str], None]) -> None:
    scenario, vary = GRIDS["device, model, format, batch, lengths, bandwidth"]
    sweep(scenario, vary)
    tracemalloc.start()
    found = sweep(scenario, vary)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = 8 * len(found) * (len(found.varied) + len(found.outputs))
    report(f"sweep of {len(found):,} rows: {most / held:.2f} x the memory of its numbers [1.5 x]")


def test_text(benchmark: Any, report: Callable[[str], None]) -> None:
    scenario, vary = GRIDS["lengths, clients"]
    found = sweep(scenario, vary)

    def written() -> io.StringIO:
        file = io.StringIO()
        _write_csv(found, file)
        return file

    file = benchmark.pedantic(written, rounds=3, warmup_rounds=1)
    took = benchmark.stats.stats.min
    report(f"comma-separated values: {len(found) / took:,.0f} rows/s, {len(file.getvalue()) / took / 1e6:.0f} MB/s")
