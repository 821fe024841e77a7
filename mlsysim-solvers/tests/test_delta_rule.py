"""Transformers most of whose layers keep a state in place of keys and values."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import H100, STACK, request_of

from mlsysim.plugins import plugins
from mlsysim.records.model import Model, StateLayers, Transformer
from mlsysim.records.scenario import Serving
from mlsysim.shapes import attention_layers, kv_bytes_per_token, matmul_parameters, parameters
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.formulas.constants import RECURRENT_LOG_SD
from mlsysim_solvers.formulas.delta_rule import delta_chunk_flops, delta_step_flops
from mlsysim_solvers.lowering.recurrence import kept_states
from mlsysim_solvers.lowering.serving import sharded, stage
from mlsysim_solvers.lowering.shape import transformer_shape

SOLVER = SingleNodeSolver()
RULE = StateLayers(
    kind="gated-delta", layers=24, attention=8, mlp=32, heads=32, groups=16, state=128, head_dim=128, conv=4
)
SHAPE = Transformer(
    layers=32, hidden=2560, heads=16, kv_heads=4, head_dim=256, ffn=9216, context=262144, vocab=248320, qk_norm=True,
    output_gate=True, tied=True, states=RULE,
)  # fmt: skip
HYBRID = Model(name="Hybrid", lab="x", transformer=SHAPE)
FULL = Model(name="Full", lab="x", transformer=attrs.evolve(SHAPE, states=None))
STATE = 24 * (32 * 128 * 128 * 4 + 3 * 8192 * 2)


def serve(model, **fields):
    workload = Serving(**{"model": "m", "precision": "bf16", "batch": 4, "input": 1024, "output": 128, **fields})
    return SOLVER.compute(SOLVER.prepare(request_of(model, H100, workload, STACK)))


@pytest.mark.parametrize(
    ("key", "printed"),
    [("qwen3-next-80b-a3b", 80e9), ("qwen3.5-122b-a10b", 122e9), ("qwen3.5-397b-a17b", 397e9), ("qwen3.5-27b", 27e9)],
)
def test_models_have_their_printed_size(key, printed):
    record = plugins().registry.get("models", key).record
    assert parameters(record).total == pytest.approx(printed, rel=5e-3)


def test_a_layer_that_keeps_a_state_is_counted_by_its_matrices():
    counts = parameters(HYBRID)
    keys, values = 2 * 16 * 128, 32 * 128
    matrices = 2560 * (keys + 2 * values + 2 * 32) + values * 2560
    assert counts.recurrence == matrices + 4 * (keys + values) + 2 * 32 + 128
    assert attention_layers(SHAPE) == 8
    with_gate = 2560 * (2 * 16 * 256 + 2 * 4 * 256) + 16 * 256 * 2560
    assert counts.attention == with_gate + 2 * 256
    assert matmul_parameters(SHAPE).attention == 8 * with_gate + 24 * matrices
    assert kv_bytes_per_token(SHAPE, 2) == 8 * 2 * 4 * 256 * 2


def test_a_request_keeps_a_state_and_the_cache_of_the_layers_that_attend():
    four, five = (serve(HYBRID, batch=n)["feasibility.memory_required"] for n in (64, 65))
    assert five - four == pytest.approx(STATE + 1152 * 8 * 2048 * 2 + 4 * 248320, rel=1e-9)
    shape = transformer_shape(HYBRID, SHAPE)
    assert kept_states(shape.recurrence, 2.0) == STATE


def test_each_token_reads_and_writes_the_states():
    few, many = serve(HYBRID, batch=64, output=2), serve(HYBRID, batch=64, output=3)
    one, two = serve(HYBRID, batch=65, output=2), serve(HYBRID, batch=65, output=3)
    step = many["performance.bytes"] - few["performance.bytes"]
    more = two["performance.bytes"] - one["performance.bytes"] - step
    kept = 2 * STATE + 1025.5 * 8 * 2048 * 2
    assert kept < more < 1.1 * kept  # activations are the rest


def test_prompts_take_the_work_of_chunks_and_of_the_layers_that_attend():
    short, long = (serve(HYBRID, batch=1, input=n, output=1)["performance.flops"] for n in (4096, 8192))
    pairs = 8 * 2 * (256 + 256) * 16 * (8192 * 8193 / 2 - 2 * 4096 * 4097 / 2)
    head = 2 * 248320 * 2560
    assert long - head == pytest.approx(2 * (short - head) + pairs, rel=1e-3)
    matrices = matmul_parameters(SHAPE)
    chunks = 24 * delta_chunk_flops(4096, 32, 128, 128, 64, 2)
    attention = 8 * 2 * 512 * 16 * 4096 * 4097 / 2
    assert short == pytest.approx(2 * 4096 * (matrices.attention + matrices.mlp) + head + chunks + attention, rel=5e-3)


def test_a_long_context_costs_less_than_where_all_layers_attend():
    def steps(length):
        return [serve(one, batch=1, input=length, output=64)["performance.tpot"] for one in (HYBRID, FULL)]

    near, far = steps(1024), steps(200_000)
    assert far[0] - near[0] == pytest.approx((far[1] - near[1]) / 4, rel=0.05)


def test_a_chunk_of_one_token_does_no_less_work_than_a_step():
    assert delta_chunk_flops(1, 1, 128, 128, 1, 2) == 2 * (5 * 128 + 1 / 3 + 3 * 128 * 128)
    assert delta_step_flops(1, 1, 128, 128, 2) == 2 * 4 * 128 * 128


def test_devices_share_the_heads_and_stages_the_layers():
    shape = transformer_shape(HYBRID, SHAPE)
    half = sharded(shape, 2.0)
    assert 2 * kept_states(half.recurrence, 2.0) == kept_states(shape.recurrence, 2.0)
    crowded = sharded(shape, 32.0)
    assert (crowded.recurrence.mixer.heads, crowded.recurrence.mixer.groups) == (1.0, 1.0)
    part = stage(shape, 0.25)
    assert part.attention_layers + part.recurrence.layers == part.layers == 8.0
    lone = transformer_shape(FULL, FULL.transformer)
    assert stage(lone, 0.25).attention_layers == stage(lone, 0.25).layers


def test_arrays_answer_as_numbers_do():
    columns = SOLVER.prepare(
        request_of(HYBRID, H100, Serving(model="m", precision="bf16", input=512, output=64), STACK)
    )
    batches = np.array([1.0, 7.0, 64.0])
    rows = SOLVER.compute({**columns, "batch": batches})
    for place, batch in enumerate(batches):
        one = SOLVER.compute({**columns, "batch": float(batch)})
        for name in ("performance.tpot", "performance.ttft", "feasibility.memory_required"):
            assert rows[name][place] == pytest.approx(one[name], rel=1e-12)


def test_what_was_hardly_measured_is_less_certain():
    """No constant was fitted on layers that keep a state."""
    asked = Serving(model="m", precision="bf16")
    hybrid, full = (SOLVER.prepare(request_of(one, H100, asked, STACK)) for one in (HYBRID, FULL))
    assert hybrid["scatter"] - full["scatter"] == pytest.approx(RECURRENT_LOG_SD**2)
