"""Passes that the host launches, and what of a model stays wide where the rest is in few bits."""

from __future__ import annotations

import pytest

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import build_request
from mlsysim.plugins import plugins
from mlsysim_solvers.execution.passes import engine_of, reading_pass
from mlsysim_solvers.formulas.constants import BLOCKED_CASTS
from mlsysim_solvers.in_flight import InFlightSolver


def columns(model, precision, weights=""):
    given = {"model": model, "device": "b200-sxm", "precision": precision, "concurrency": "64", "input": "1024",
             "output": "1024", "stack": "vllm-0.11", "devices": "8", "parallelism.tensor": "8"}  # fmt: skip
    config = SimulationConfig.load(
        "deepseek-v3-b200-attention-dp",
        given | {"parallelism.attention": "1", "parallelism.expert": "1"} | ({"weights": weights} if weights else {}),
    )
    return InFlightSolver().prepare(build_request(config, plugins().solver("in-flight"), {}))


def test_a_pass_over_few_tokens_waits_for_its_host():
    c = columns("llama-3.1-70b", "fp8") | {"long_output": 1024.0}
    slow, fast = (engine_of(c | {"launch": launch}) for launch in (60e-6, 0.0))
    # Ten kernels of each of 80 layers, one of them for whoever decodes beside, and three for the ends of the model.
    assert reading_pass(slow, 0.0, 64.0, 1.0).time == pytest.approx(60e-6 * (10 * 80 + 3))
    assert reading_pass(fast, 0.0, 64.0, 1.0).time < 0.5 * reading_pass(slow, 0.0, 64.0, 1.0).time
    # Many tokens keep the device busy for longer than its host.
    assert reading_pass(slow, 0.0, 65536.0, 1.0).time == reading_pass(fast, 0.0, 65536.0, 1.0).time


def test_a_mixture_in_four_bits_has_experts_in_them_alone():
    narrow, dense, eight, wide = (
        columns("deepseek-v3", "nvfp4"), columns("llama-3.1-70b", "nvfp4"), columns("deepseek-v3", "fp8"),
        columns("llama-3.1-70b", "bf16"),
    )  # fmt: skip
    assert narrow["outer_width"] == narrow["head_width"] == 2.0
    assert "outer_width" not in dense
    assert dense["head_width"] == 2.0
    assert "outer_width" not in eight
    assert eight["head_width"] == 2.0
    assert "head_width" not in wide
    assert narrow["block_casts"] < dense["block_casts"] == BLOCKED_CASTS < eight["block_casts"]
