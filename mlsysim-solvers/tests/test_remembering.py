"""Remembered tables change the time of a solve and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import build_request
from mlsysim.plugins import plugins
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.execution.device import remembering

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


@pytest.mark.parametrize("name", ["resnet-50-training", "bert-large-a100", "smart-doorbell"])
def test_chunks_of_a_sweep_answer_and_rank_as_single_solves_do(name):
    case = columns(name)
    for seed in range(3):
        # The third chunk has other batches than the second, whose tables are those of the first.
        dice = np.random.default_rng(seed)
        batches = np.array([1.0, 3.0, 64.0, 200.0]) if seed < 2 else np.array([2.0, 7.0])
        arrays = {"batch": dice.choice(batches, 2048)}
        arrays |= {rate: case[rate] * dice.uniform(0.1, 10.0, 2048) for rate in ("peak", "bandwidth")}
        found = SingleNodeSolver().compute({**case, **arrays})
        single = [
            SingleNodeSolver().compute({**case, **{n: float(a[i]) for n, a in arrays.items()}}) for i in range(30)
        ]
        for output in single[0]:
            wanted = np.array([one[output] for one in single], dtype=np.float64)
            mine = np.broadcast_to(np.asarray(found[output], dtype=np.float64), (2048,))[:30]
            np.testing.assert_allclose(mine, wanted, rtol=1e-12, err_msg=output)
        times = [one["performance.latency"] for one in single]
        np.testing.assert_array_equal(np.argsort(found["performance.latency"][:30]), np.argsort(times))


def test_the_second_solve_of_a_case_finds_its_tables():
    case = columns("llama-3.1-8b-h100")
    fresh(case)
    kept = len(remembering._kept)
    SingleNodeSolver().compute({**case, "bandwidth": 2 * case["bandwidth"]})
    assert len(remembering._kept) == kept == 2


def test_a_case_that_is_prepared_again_finds_its_tables():
    fresh(columns("llama-3.1-8b-h100"))
    again = columns("llama-3.1-8b-h100")
    SingleNodeSolver().compute(again)
    assert len(remembering._kept) == 2
    SingleNodeSolver().compute({**again, "shape": again["shape"]._replace(ffn=2 * again["shape"].ffn)})
    assert len(remembering._kept) == 4


def test_no_column_of_the_lowering_is_taken_for_a_rate():
    from mlsysim_solvers.declarations.single_node import COLUMNS

    for unit in (COLUMNS[name] for name in remembering._RATES if name in COLUMNS):
        assert unit in ("1", "s", "B", "B/s", "FLOP/s", "1/s", "sample/s")
    assert not remembering._RATES & {"batch", "input", "output", "sequence", "processors", "weight_width", "cache"}


def test_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(remembering, "_MOST", 4)
    case = columns("bert-large-a100")
    for batch in range(1, 20):
        SingleNodeSolver().compute({**case, "batch": float(batch)})
    assert len(remembering._kept) <= 4
