"""Remembered tables change the time of a solve and nothing else."""

from __future__ import annotations

import pytest

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import build_request
from mlsysim.plugins import plugins
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.execution import remembering

CASES = ["llama-3.1-8b-h100", "resnet-50-training", "bert-large-a100", "smart-doorbell", "mixtral-8x7b-h200"]


def columns(name):
    config = SimulationConfig.load(name)
    return SingleNodeSolver().prepare(build_request(config, plugins().solver("single-node"), {}))


def fresh(case):
    remembering._kept.clear()
    return SingleNodeSolver().compute(case)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("column", ["peak", "bandwidth", "overhead", "compute_ceiling", "batch", "processors"])
def test_a_changed_column_answers_as_if_nothing_were_remembered(name, column):
    case = columns(name)
    changed = {**case, column: 0.5 * case[column] if column != "batch" else 2 * case["batch"]}
    wanted = fresh(changed)
    fresh(case)
    assert SingleNodeSolver().compute(changed) == wanted


def test_the_second_solve_of_a_case_finds_its_tables():
    case = columns("llama-3.1-8b-h100")
    fresh(case)
    kept = len(remembering._kept)
    SingleNodeSolver().compute({**case, "bandwidth": 2 * case["bandwidth"]})
    assert len(remembering._kept) == kept == 2


def test_no_column_of_the_lowering_is_taken_for_a_rate():
    from mlsysim_solvers.declarations import COLUMNS

    for unit in (COLUMNS[name] for name in remembering._RATES if name in COLUMNS):
        assert unit in ("1", "s", "B", "B/s", "FLOP/s", "1/s", "sample/s")
    assert not remembering._RATES & {"batch", "input", "output", "sequence", "processors", "weight_width", "cache"}


def test_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(remembering, "_MOST", 4)
    case = columns("bert-large-a100")
    for batch in range(1, 20):
        SingleNodeSolver().compute({**case, "batch": float(batch)})
    assert len(remembering._kept) <= 4
