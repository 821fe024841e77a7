"""Transformers whose layers with and without a window have heads of different number and width."""

from __future__ import annotations

import attrs
import pytest
from solver_cases import H100, STACK, request_of

from mlsysim.plugins import plugins
from mlsysim.records.model import FullHeads, Model, Transformer
from mlsysim.records.scenario import Serving, Training
from mlsysim.shapes import full_attention_layers, kv_bytes_per_token, matmul_parameters, parameters
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.execution.device.memory import cache_of, live_elements
from mlsysim_solvers.lowering.attention import Abilities, mixing_parameters
from mlsysim_solvers.lowering.operators import Formats
from mlsysim_solvers.lowering.parallel import Division, divided
from mlsysim_solvers.lowering.serving import first_pass, next_token, sharded, stage
from mlsysim_solvers.lowering.shape import by_heads, over_layers, transformer_shape, widest
from mlsysim_solvers.lowering.work import forward_work

SOLVER = SingleNodeSolver()
SHAPE = Transformer(
    layers=12, hidden=1024, heads=16, kv_heads=8, head_dim=64, ffn=4096, context=32768, vocab=32000, window=512,
    qk_norm=True, full=FullHeads(layers=2, kv_heads=2, head_dim=128, keys_as_values=True),
)  # fmt: skip
ALIKE = attrs.evolve(SHAPE, full=FullHeads(layers=2, kv_heads=8, head_dim=64))
PLAIN = attrs.evolve(SHAPE, full=None, window_every=6)
FORMATS = Formats(2.0, 2.0, 2.0, 2.0, 2.0)
FUSED = Abilities(True, True, True, 1.0)
UNFUSED = Abilities(False, False, False, 1.0)


def model(shape):
    return Model(name="M", lab="x", transformer=shape)


def flat(shape):
    return transformer_shape(model(shape), shape)


def sums(table):
    """Return what a table takes in all: its parts may be cut differently."""
    numbers = ("flops", "weight_bytes", "activation_bytes", "cache_bytes", "repeated_bytes", "work", "kernels")
    return {name: sum(row.count * getattr(row, name) for row in table) for name in numbers}


@pytest.mark.parametrize("abilities", [FUSED, UNFUSED])
def test_two_kinds_that_are_alike_take_what_one_takes(abilities):
    one, two = flat(PLAIN), flat(ALIKE)
    assert parameters(model(PLAIN)) == parameters(model(ALIKE))
    assert matmul_parameters(PLAIN) == matmul_parameters(ALIKE)
    assert kv_bytes_per_token(PLAIN, 2) == kv_bytes_per_token(ALIKE, 2)
    assert full_attention_layers(PLAIN) == full_attention_layers(ALIKE) == 2
    assert live_elements(one) == live_elements(two)
    assert cache_of(one, 4096.0, 2.0) == cache_of(two, 4096.0, 2.0)
    assert forward_work(one, 4096.0, 0.0) == pytest.approx(forward_work(two, 4096.0, 0.0))
    for tables in (
        [first_pass(shape, FORMATS, abilities, 2.0, 4096.0) for shape in (one, two)],
        [next_token(shape, FORMATS, abilities, 2.0, 4096.0, 128.0) for shape in (one, two)],
    ):
        before, after = (sums(table) for table in tables)
        assert before["flops"] > 0.0
        assert after == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize("workload", [
    Serving(model="m", precision="bf16", batch=4, input=2048, output=64),
    Training(model="m", precision="bf16", batch=2, sequence=2048),
])  # fmt: skip
def test_an_answer_does_not_depend_on_how_one_kind_of_heads_is_written(workload):
    before, after = (
        SOLVER.compute(SOLVER.prepare(request_of(model(shape), H100, workload, STACK))) for shape in (PLAIN, ALIKE)
    )
    for name, value in before.items():
        assert after[name] == pytest.approx(value, rel=1e-9), name


def test_the_cache_is_what_each_kind_keeps():
    # 1,024 tokens: all of them in two layers, 512 in ten; keys and values are both kept though they are projected once.
    kept = 2 * 1024 * 2 * 2 * 128 * 2 + 10 * 512 * 2 * 8 * 64 * 2
    assert cache_of(flat(SHAPE), 1024.0, 2.0) == kept
    assert kv_bytes_per_token(SHAPE, 2) == 2 * 2 * 2 * 128 * 2 + 10 * 2 * 8 * 64 * 2


def test_a_decoded_token_reads_the_cache_of_each_kind():
    few, many = (next_token(flat(SHAPE), FORMATS, FUSED, 1.0, length, 1.0) for length in (8192.0, 16384.0))
    read = [sum(row.count * row.cache_bytes for row in table) for table in (few, many)]
    assert read[1] - read[0] == pytest.approx(8192 * 2 * 2 * 2 * 128 * 2)  # only two layers see beyond the window


def test_values_that_are_keys_need_no_projection():
    own = attrs.evolve(SHAPE, full=attrs.evolve(SHAPE.full, keys_as_values=False))
    saved = 2 * 1024 * 2 * 128
    assert parameters(model(own)).total - parameters(model(SHAPE)).total == saved
    assert mixing_parameters(flat(own)) - mixing_parameters(flat(SHAPE)) == saved
    assert mixing_parameters(flat(SHAPE)) == matmul_parameters(SHAPE).attention


def test_values_may_be_narrower_than_keys():
    narrow = attrs.evolve(PLAIN, v_dim=32)
    assert parameters(model(PLAIN)).total - parameters(model(narrow)).total == 12 * 1024 * 32 * (8 + 16)
    assert kv_bytes_per_token(narrow, 2) == 12 * 8 * (64 + 32) * 2
    assert mixing_parameters(flat(narrow)) == matmul_parameters(narrow).attention


@pytest.mark.parametrize("tensor", [1.0, 2.0, 4.0, 8.0])
def test_a_tensor_parallel_group_holds_everything_once_but_heads_that_it_copies(tensor):
    shape = flat(SHAPE)
    own = sharded(shape, tensor)
    windowed, full = by_heads(own)
    assert (windowed.kv_heads, full.kv_heads) == (8 / tensor, max(2 / tensor, 1))
    assert (windowed.heads, full.heads) == (16 / tensor, 16 / tensor)
    copies = max(tensor / 2, 1.0)
    whole = cache_of(shape, 8192.0, 2.0), 2 * 8192 * 2 * 2 * 128 * 2
    assert tensor * cache_of(own, 8192.0, 2.0) == pytest.approx(whole[0] + (copies - 1) * whole[1])
    norms = 12 * 2 * 1024
    keys = 2 * 1024 * 2 * 128
    assert tensor * own.parameters == pytest.approx(shape.parameters + (tensor - 1) * norms + (copies - 1) * keys)


def test_a_stage_of_a_pipeline_has_its_share_of_both_kinds():
    whole, half = flat(SHAPE), stage(flat(SHAPE), 0.5)
    assert [part.attention_layers for part in by_heads(half)] == [5, 1]
    assert 2 * mixing_parameters(half) == mixing_parameters(whole)
    assert 2 * cache_of(half, 4096.0, 2.0) == cache_of(whole, 4096.0, 2.0)


def test_two_kinds_without_a_window_both_see_everything():
    open_, plain = attrs.evolve(ALIKE, window=0), attrs.evolve(PLAIN, window=0, window_every=0)
    assert cache_of(flat(open_), 4096.0, 2.0) == cache_of(flat(plain), 4096.0, 2.0)
    assert forward_work(flat(open_), 4096.0, 0.0) == pytest.approx(forward_work(flat(plain), 4096.0, 0.0))


def test_averages_and_extremes_are_those_of_the_layers():
    shape = flat(SHAPE)
    assert over_layers(shape, lambda one: one.head_dim) == pytest.approx((10 * 64 + 2 * 128) / 12)
    assert widest(shape, lambda one: one.head_dim) == 128
    assert divided(shape, Division(2.0, 1.0, 1.0, sequence=False)).full_heads.cache_elements == 2 * 128


@pytest.mark.parametrize(
    ("key", "printed", "half"),
    [
        ("gemma-4-31b", 30.7e9, 0.05e9),
        ("gemma-4-26b-a4b", 25.2e9, 0.05e9),
        ("mimo-v2-flash", 309e9, 0.5e9),
        ("laguna-xs.2", 33e9, 0.5e9),
    ],
)
def test_models_have_their_printed_size_within_its_digits(key, printed, half):
    record = plugins().registry.get("models", key).record
    assert abs(parameters(record).total - printed) <= half


def test_the_active_parameters_of_mimo_have_their_printed_digits():
    counts = parameters(plugins().registry.get("models", "mimo-v2-flash").record)
    assert round(counts.active / 1e9) == round(counts.active_with_embedding / 1e9) == 15
