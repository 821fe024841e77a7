"""Training of transformers some of whose layers keep a state: work, memory, and how devices divide them."""

from __future__ import annotations

import attrs
import pytest
from solver_cases import DELTA, H100, NEMOTRON, request_of
from training_cases import OVERLAPPED, answers, columns

from mlsysim.errors import ConfigError
from mlsysim.records.scenario import Training
from mlsysim.shapes import matmul_parameters, parameters
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.formulas.delta_rule import delta_chunk_flops
from mlsysim_solvers.formulas.state_space import chunk_flops
from mlsysim_solvers.lowering.training import backward

LENGTH = 4096
HYBRIDS = pytest.mark.parametrize("model", [DELTA, NEMOTRON], ids=["delta", "states"])
CASE = {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "sequence": LENGTH}


def states_work(model):
    s = model.transformer.states
    if s.kind == "gated-delta":
        return s.layers * delta_chunk_flops(LENGTH, s.heads, s.state, s.head_dim, 64, 2)
    return s.layers * chunk_flops(LENGTH, s.chunk, s.heads * s.head_dim, s.state, s.groups, 2)


def forward_work(model):
    t, matrices = model.transformer, matmul_parameters(model.transformer)
    attending = t.states.attention
    pairs = attending * 4 * t.heads * t.head_dim * LENGTH * (LENGTH + 1) / 2
    return 2 * LENGTH * (matrices.attention + matrices.mlp + matrices.head) + pairs + states_work(model)


def trained(model, **fields):
    job = Training(**{"model": "m", "precision": "bf16", "batch": 1, "sequence": LENGTH, **fields})
    solver = SingleNodeSolver()
    return solver.compute(solver.prepare(request_of(model, H100, job, OVERLAPPED)))


@HYBRIDS
def test_a_step_does_three_times_the_work_of_the_forward_pass(model):
    assert answers(model, batch=4, **CASE)["performance.flops"] == pytest.approx(12 * forward_work(model), rel=2e-3)
    # The work of the convolutions is counted operator by operator only.
    assert trained(model)["performance.flops"] == pytest.approx(3 * forward_work(model), rel=3e-3)


@HYBRIDS
def test_states_are_formed_again_where_attention_is(model):
    one = answers(model, batch=4, **CASE)
    again = answers(model, batch=4, recompute="full", **CASE)
    more = again["performance.hardware_utilisation"] * again["performance.step_time"]
    more = more / (one["performance.hardware_utilisation"] * one["performance.step_time"])
    head = 2 * LENGTH * matmul_parameters(model.transformer).head
    assert more == pytest.approx(1 + (forward_work(model) - head) / (3 * forward_work(model)), rel=1e-3)


@HYBRIDS
def test_every_parameter_has_its_state(model):
    held = answers(model, batch=1, **CASE)
    assert held["feasibility.weights_memory"] == pytest.approx(2 * parameters(model).total, rel=1e-9)


def test_what_layers_keep_for_their_gradients():
    """Elements of two bytes, from the tensors that the kernels of each layer save; statistics have four."""

    def kept(model):
        one, two = (answers(model, batch=n, micro_batch=n, **CASE)["feasibility.activations_memory"] for n in (1, 2))
        return (two - one) / LENGTH

    inner, mixed, heads = 64 * 64, 64 * 64 + 2 * 8 * 128, 64
    state = inner + mixed + heads + 2 * inner
    attention = 2 * (32 + 2) * 128
    mlp = 2 * 1856
    expected = 52 * 2 * 2688 + 23 * state + 6 * attention + 23 * mlp
    assert kept(NEMOTRON) == pytest.approx(2 * expected + 4 * 6 * 32, rel=1e-12)
    keys, values = 2 * 16 * 128, 32 * 128
    state = keys + values + values + 2 * 32 + 2 * values + 32 * (2 * 128 + 128 + 64)
    attention = 2 * (16 + 4) * 256 + 2 * 16 * 256
    expected = 32 * 4 * 2560 + 24 * state + 8 * attention + 32 * 3 * 9216
    assert kept(DELTA) == pytest.approx(2 * expected + 4 * 8 * 16, rel=1e-12)


@HYBRIDS
def test_stages_and_groups_divide_the_model(model):
    whole = answers(model, batch=8, micro_batch=1, **CASE)
    shared = answers(model, batch=8, micro_batch=1, tensor=2, **CASE)
    staged = answers(model, batch=8, micro_batch=1, pipeline=2, **CASE)
    for name in ("weights", "gradients", "optimizer"):
        assert 2 * shared[f"feasibility.{name}_memory"] == pytest.approx(whole[f"feasibility.{name}_memory"], rel=1e-9)
    assert whole["performance.step_time"] > shared["performance.step_time"] > whole["performance.step_time"] / 2
    assert whole["performance.step_time"] > staged["performance.step_time"] > whole["performance.step_time"] / 2
    assert shared["performance.flops"] == staged["performance.flops"] == whole["performance.flops"]


@HYBRIDS
def test_a_sequence_whose_state_passes_on_is_not_divided(model):
    with pytest.raises(ConfigError, match="states pass from token to token"):
        columns(model, batch=8, context=2, **CASE)


def test_only_projections_of_attention_have_adapters():
    found = answers(DELTA, batch=1, adapter=16, **CASE)
    t = DELTA.transformer
    sides = (t.hidden + (2 * t.heads + 2 * t.kv_heads) * t.head_dim) + (t.heads * t.head_dim + t.hidden)
    assert found["feasibility.gradients_memory"] == pytest.approx(2 * 8 * 16 * sides, rel=1e-12)


def test_kernels_of_states_form_half_of_their_products_again():
    from mlsysim_solvers.lowering.operators import Formats
    from mlsysim_solvers.lowering.recurrence import recurrence_of, states_over_sequence

    for model in (DELTA, NEMOTRON):
        (row,) = states_over_sequence(recurrence_of(model.transformer), Formats(2.0, 2.0, 2.0, 2.0, 2.0), 4096.0)
        for fused in (False, True):
            (back,) = backward([row], fused_attention=fused)
            assert (back.work, back.flops) == (2.5 * row.work, 2 * row.flops)


def test_more_layers_that_attend_keep_less_than_scores_would():
    """Without fused attention only the layers that attend keep scores."""
    stack = attrs.evolve(OVERLAPPED, features=attrs.evolve(OVERLAPPED.features, fused_attention=False))
    fused, plain = (
        answers(NEMOTRON, batch=1, **{**CASE, "stack": one})["feasibility.activations_memory"]
        for one in (OVERLAPPED, stack)
    )
    assert plain - fused == pytest.approx(6 * 32 * (2 * LENGTH * LENGTH - 4 * LENGTH), rel=1e-12)
