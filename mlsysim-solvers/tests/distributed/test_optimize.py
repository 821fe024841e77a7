"""The search is exact, its bound is admissible, and it says why."""

from __future__ import annotations

import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.errors import MlsysimError
from mlsysim_solvers.distributed import DistributedSolver
from mlsysim_solvers.optimize.report import reason_lost, report
from mlsysim_solvers.optimize.search import _with, lower_bound, search, search_columns
from mlsysim_solvers.optimize.space import AXES, divisors, layouts

CASES = [
    ("gpt-175b-a100-1024", {}, 128),
    ("gpt-175b-a100-1024", {"batch": "96"}, 48),
    ("llama-70b-h100-64", {}, 64),
    ("mpt-7b-h100-fsdp", {}, 16),
    ("llama-70b-h100-64", {"model": "mixtral-8x7b", "precision": "bf16"}, 16),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def prepared(request):
    name, overrides, devices = request.param
    return search_columns(SimulationConfig.load(name, overrides), devices), devices


def test_the_search_finds_what_exhaustive_search_finds(prepared):
    columns, devices = prepared
    quick, whole = search(columns, devices), search(columns, devices, exhaustive=True)
    assert quick.best == whole.best
    assert quick.runner_up == whole.runner_up
    assert quick.frontier == whole.frontier
    assert quick.evaluated <= whole.evaluated == whole.fitting


def test_the_bound_never_exceeds_the_step(prepared):
    columns, devices = prepared
    for space in layouts(columns, devices):
        c = _with(columns, space, slice(None))
        step = np.asarray(DistributedSolver().compute(c)["performance.step_time"])
        assert np.all(np.asarray(lower_bound(c)) <= step * (1 + 1e-12))


def test_every_layout_of_the_space_is_legal(prepared):
    columns, devices = prepared
    shape = columns["shape"]
    for space in layouts(columns, devices):
        d, t, p, c, e, v, b = (space.columns[name] for name in AXES)
        assert np.all(d * t * p * c == devices)
        assert np.all(shape.heads % t == 0)
        assert np.all(p * v <= shape.layers + 2)
        assert np.all(columns["batch"] % (d * b) == 0)
        assert np.all(max(shape.experts, 1.0) % e == 0)


def test_the_frontier_trades_time_for_memory(prepared):
    columns, devices = prepared
    frontier = search(columns, devices).frontier
    assert [c.step for c in frontier] == sorted(c.step for c in frontier)
    assert [c.memory for c in frontier] == sorted((c.memory for c in frontier), reverse=True)


def test_the_runner_up_is_told_why_it_lost():
    columns = search_columns(SimulationConfig.load("gpt-175b-a100-1024"), 128)
    found = search(columns, 128)
    assert "slower" in reason_lost(found.best, found.runner_up) or "as fast" in reason_lost(found.best, found.runner_up)
    text = "\n".join(report(found, "step-time"))
    assert "runner-up" in text
    assert "frontier" in text
    assert "evaluated" in text


def test_what_cannot_fit_says_what_to_relax_and_by_how_much():
    config = SimulationConfig.load("gpt-175b-a100-1024", {"model": "megatron-1t", "batch": "8"})
    columns = search_columns(config, 8)
    found = search(columns, 8)
    assert found.best is None
    assert found.least is not None
    text = "\n".join(report(found, "step-time"))
    assert "relax memory" in text
    assert "per device" in text


def test_one_device_has_no_layout():
    with pytest.raises(MlsysimError):
        search_columns(SimulationConfig.load("gpt-175b-a100-1024"), 1)


def test_divisors():
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
    assert divisors(1) == [1]
