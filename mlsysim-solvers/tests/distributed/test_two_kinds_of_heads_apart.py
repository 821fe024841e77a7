"""Heads of two kinds over several devices: what two kinds that are alike take is what one kind takes."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from test_parallel_serving import answers as served
from test_parallel_serving import columns as served_columns
from training_cases import answers as trained

from mlsysim.records.model import FullHeads, Model, Transformer
from mlsysim_solvers.parallel_serving import ParallelServingSolver

SHAPE = Transformer(
    layers=12, hidden=1024, heads=16, kv_heads=4, head_dim=64, ffn=4096, context=32768, vocab=32000, window=512,
    window_every=6,
)  # fmt: skip
ONE = Model(name="One", lab="x", transformer=SHAPE)
ALIKE = attrs.evolve(SHAPE, window_every=0, full=FullHeads(layers=2, kv_heads=4, head_dim=64))
TWO = Model(name="Two", lab="x", transformer=ALIKE)
GLOBAL = attrs.evolve(ALIKE, full=FullHeads(layers=2, kv_heads=2, head_dim=128))
UNLIKE = Model(name="Unlike", lab="x", transformer=GLOBAL)


def agree(before, after):
    for name, value in before.items():
        assert after[name] == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize("layout", [{"tensor": 4}, {"tensor": 8}, {"tensor": 2, "pipeline": 2}])
def test_serving_does_not_depend_on_how_one_kind_of_heads_is_written(layout):
    agree(*(served(model, input_=2048, **layout) for model in (ONE, TWO)))


@pytest.mark.parametrize(
    "layout",
    [{"tensor": 4, "spread": True}, {"tensor": 2, "pipeline": 2}, {"context": 2, "context_kind": "ring"},
     {"context": 2, "context_kind": "all-to-all"}, {"recompute": "selective"}, {"zero": 3}],
)  # fmt: skip
def test_training_does_not_depend_on_how_one_kind_of_heads_is_written(layout):
    agree(*(trained(model, **layout) for model in (ONE, TWO)))


def test_a_sweep_over_devices_is_the_answers_one_by_one():
    degrees = np.array([2.0, 4.0, 8.0])
    swept = ParallelServingSolver().compute(served_columns(UNLIKE, tensor=2, input_=2048) | {"tensor": degrees})
    for place, degree in enumerate(degrees):
        alone = served(UNLIKE, tensor=2, input_=2048, changes={"tensor": float(degree)})
        for name in ("performance.latency", "feasibility.memory_required", "feasibility.max_batch"):
            assert swept[name][place] == pytest.approx(alone[name], rel=1e-9), name


def test_heads_that_devices_must_copy_take_memory():
    """Beyond two devices each keeps a whole head of the layers that see everything."""
    needed = [served(UNLIKE, tensor=n, batch=512, input_=8192)["feasibility.memory_required"] for n in (2, 4)]
    alike = [served(TWO, tensor=n, batch=512, input_=8192)["feasibility.memory_required"] for n in (2, 4)]
    assert needed[1] / needed[0] > alike[1] / alike[0]
