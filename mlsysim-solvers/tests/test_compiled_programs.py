"""Accelerators that run programs compiled for fixed lengths, through engines that carry data, over links of their own."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import H100, LLAMA_8B, STACK, request_of, serving
from test_launches import columns

from mlsysim.plugins import plugins
from mlsysim.records.scenario import Inference, Training
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.execution.network.links import network_columns
from mlsysim_solvers.execution.serving.passes import decoding_pass, engine_of, reading_pass
from mlsysim_solvers.formulas.serving import bucket_tokens

SOLVER = SingleNodeSolver()
COMPILED = attrs.evolve(STACK, features=attrs.evolve(STACK.features, bucket=128))
LATE = attrs.evolve(STACK, ceilings=attrs.evolve(STACK.ceilings, turn=1e-3))


def answers(stack=STACK, device=H100, **kw):
    workload = serving(**{"precision": "bf16", "batch": 1, "input": 1100, "output": 64} | kw)
    return SOLVER.compute(SOLVER.prepare(request_of(LLAMA_8B, device, workload, stack)))


def test_a_prompt_is_filled_up_to_the_next_power_of_two():
    lengths = np.array([1.0, 127.0, 128.0, 129.0, 1500.0, 2048.0, 2049.0])
    padded = [128.0, 128.0, 128.0, 256.0, 2048.0, 2048.0, 4096.0]
    assert bucket_tokens(lengths, 128.0).tolist() == padded
    assert [bucket_tokens(float(one), 128.0) for one in lengths] == padded


def test_a_prompt_takes_the_program_that_it_is_padded_to():
    short, full = answers(COMPILED, input=1100), answers(COMPILED, input=2048)
    assert short["performance.ttft"] == full["performance.ttft"] == answers(input=2048)["performance.ttft"]
    assert answers(input=1100)["performance.ttft"] < 0.7 * full["performance.ttft"]
    # What is decoded attends to the tokens there are.
    assert short["performance.tpot"] == answers(input=1100)["performance.tpot"]


def test_the_device_waits_for_its_host_once_a_pass():
    plain, late = answers(), answers(LATE)
    for name, times in (("ttft", 1), ("tpot", 1), ("latency", 64)):
        assert late[f"performance.{name}"] - plain[f"performance.{name}"] == pytest.approx(times * 1e-3)
    assert late["performance.tpot.log_sd"] != plain["performance.tpot.log_sd"]


@pytest.mark.parametrize(("workload", "turns"), [
    (Inference(model="m", precision="bf16", batch=1, sequence=512), 1),
    (Training(model="m", precision="bf16", batch=1, sequence=512), 0),
])  # fmt: skip
def test_passes_wait_and_training_steps_do_not(workload, turns):
    plain, late = (
        SOLVER.compute(SOLVER.prepare(request_of(LLAMA_8B, H100, workload, stack)))["performance.latency"]
        for stack in (STACK, LATE)
    )
    assert late - plain == pytest.approx(turns * 1e-3, abs=1e-12)


def test_memory_is_no_faster_than_the_engines_that_carry_from_it():
    memory = H100.memory

    def step(engines):
        device = attrs.evolve(H100, memory=attrs.evolve(memory, engines=engines))
        return answers(attrs.evolve(STACK, ceilings=attrs.evolve(STACK.ceilings, overhead=0.0)), device)[
            "performance.tpot"
        ]

    assert step(0.5 * memory.bandwidth) == pytest.approx(2.0 * step(None), rel=0.01)
    assert step(2.0 * memory.bandwidth) == step(memory.bandwidth) == step(None)


def test_passes_of_requests_in_flight_are_padded_and_wait_too():
    c = columns("llama-3.1-70b", "fp8") | {"long_output": 1024.0, "replayed": 0.0, "launch": 0.0}
    plain, padded, late = (engine_of(c | more) for more in ({}, {"bucket": 768.0}, {"turn": 1e-3}))
    # 1024 tokens are filled up to 1536: half as much again, where the device is busy.
    times = [reading_pass(engine, 0.0, 8192.0, 1.0).time for engine in (plain, padded, late)]
    assert times[1] / times[0] == pytest.approx(1.5, rel=0.05)
    assert times[2] - times[0] == pytest.approx(1e-3)
    steps = [decoding_pass(engine, 8.0, 1.0).time for engine in (plain, padded, late)]
    assert steps[1] == steps[0]
    assert steps[2] - steps[0] == pytest.approx(1e-3)


def test_collectives_over_a_link_that_nobody_measured_are_less_sure():
    registry = plugins().registry
    node = registry.get("nodes", "dgx-h100").record
    measured = registry.get("links", "nvlink-4").record
    assert network_columns({"node": node, "inner": measured}, None, 8.0)["var_link"] == 0.0
    unknown = attrs.evolve(measured, achieved=None)
    # What a stack without constants of the device says of links then holds.
    assert "var_link" not in network_columns({"node": node, "inner": unknown}, None, 8.0)
    assert SOLVER.prepare(request_of(LLAMA_8B, H100, serving(precision="bf16", batch=1, input=8, output=8)))["var_link"]


def test_training_on_one_device_casts_what_products_read_in_8_bits():
    """Each of four products of a layer reads an operand that a cast wrote in two layouts, forward and back."""
    workload = Training(model="m", precision="fp8", batch=8, sequence=2048)
    c = SOLVER.prepare(request_of(LLAMA_8B, H100, workload))
    assert c["scaling"] == "delayed"
    cast = SOLVER.compute(c)
    plain = SOLVER.compute({name: value for name, value in c.items() if name != "scaling"})
    t, rows = LLAMA_8B.transformer, 8 * 2048
    # Queries, keys and values; output; gate and up; down; the logits are no part of a layer.
    read = t.layers * rows * (t.hidden + t.heads * t.head_dim + t.hidden + t.ffn)
    assert cast["performance.bytes"] - plain["performance.bytes"] > 4.0 * read
    assert cast["performance.step_time"] > plain["performance.step_time"]
    assert "scaling" not in SOLVER.prepare(request_of(LLAMA_8B, H100, attrs.evolve(workload, precision="bf16")))
