"""Serving: limits that anyone can work out by hand, and what experts and latent attention change."""

from __future__ import annotations

import attrs
import pytest
from solver_cases import (
    DEEPSEEK,
    GEMMA,
    H100,
    LLAMA_8B,
    LLAMA_70B,
    MIXTRAL,
    MQA,
    PLAIN,
    STACK,
    answers,
    request_of,
    serving,
)  # fmt: skip

from mlsysim.records.stack import Ceilings
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.execution.device.preparation import prepare_columns
from mlsysim_solvers.execution.device.quantisation import tile_menu
from mlsysim_solvers.lowering.attention import Abilities
from mlsysim_solvers.lowering.operators import Formats
from mlsysim_solvers.lowering.shape import transformer_shape
from mlsysim_solvers.lowering.transformer import decode, prefill

SOLVER = SingleNodeSolver()
BF16 = Formats(2.0, 2.0, 2.0, 2.0, 2.0)
FUSED = Abilities(True, True, True, 1.6)


def flops(table):
    return sum(row.count * row.flops for row in table)


def weights(table):
    return sum(row.count * row.weight_bytes for row in table)


def caches(table):
    return sum(row.count * row.cache_bytes for row in table)


def rows_named(table, *names):
    return [row for row in table if row.name in names]


@pytest.mark.parametrize("model", [LLAMA_8B, LLAMA_70B, MQA])
def test_work_of_a_pass_is_two_per_weight_and_the_attention(model):
    from mlsysim.shapes import matmul_parameters

    t = model.transformer
    shape = transformer_shape(model, t)
    batch, tokens = 3.0, 512.0
    matmul = matmul_parameters(t)
    attention = 2 * tokens * tokens * t.heads * t.head_dim * t.layers * batch
    inner = 2.0 * (matmul.attention + matmul.mlp) * batch * tokens
    assert flops(prefill(shape, BF16, FUSED, batch, tokens)) == pytest.approx(
        inner + attention + 2 * matmul.head * batch
    )
    step = flops(decode(shape, BF16, FUSED, batch, tokens - 0.5, 1.0))
    assert step == pytest.approx(2 * matmul.total * batch + 4 * batch * tokens * t.heads * t.head_dim * t.layers)


@pytest.mark.parametrize("model", [LLAMA_8B, LLAMA_70B, MQA])
def test_a_step_reads_each_weight_once(model):
    from mlsysim.shapes import matmul_parameters

    shape = transformer_shape(model, model.transformer)
    table = decode(shape, BF16, FUSED, 7.0, 100.0, 1.0)
    assert weights(table) == 2 * matmul_parameters(model.transformer).total


def test_batch_1_decode_is_weights_over_bandwidth_and_overhead():
    found = answers(LLAMA_8B, H100, serving(batch=1, input=1, output=2))
    read = (8_030_261_248 - 128_256 * 4096 - 65 * 4096) * 2
    # Two more for queries and keys, which are turned and cached, and for the activation function.
    kernels = 32 * 9 + 3
    replayed = kernels * 0.5 * 3e-6
    assert found["performance.tpot"] == pytest.approx(read / (3.35e12 * 0.88) + replayed, rel=2e-3)
    assert found["performance.bound"] == 1.0


def test_a_captured_graph_halves_what_kernels_of_a_decode_step_cost():
    eager = attrs.evolve(STACK, features=attrs.evolve(STACK.features, graphs=False))
    graphs, launched = (answers(LLAMA_8B, H100, serving(batch=1, input=1, output=2), s) for s in (STACK, eager))
    kernels = 32 * 9 + 3
    saved = launched["performance.tpot"] - graphs["performance.tpot"]
    assert saved == pytest.approx(kernels * 0.5 * 3e-6, rel=1e-6)
    assert graphs["performance.ttft"] == launched["performance.ttft"]


def test_a_first_token_may_take_a_decode_step_of_its_own():
    behind = attrs.evolve(STACK, features=attrs.evolve(STACK.features, decoded_first=True))
    for prompt in (1, 128):
        job = serving(batch=1, input=prompt, output=2)
        usual, late = answers(LLAMA_8B, H100, job), answers(LLAMA_8B, H100, job, behind)
        read = usual["performance.ttft"] if prompt > 1 else 0.0
        assert late["performance.ttft"] == pytest.approx(read + usual["performance.tpot"])


def test_narrow_weights_take_a_kernel_more_per_product_in_decode():
    narrow = attrs.evolve(STACK, features=attrs.evolve(STACK.features, expands_weights=True, narrows_inputs=True))
    job = serving(batch=1, input=1, output=2, weights="int4")
    expanding = attrs.evolve(STACK, features=attrs.evolve(STACK.features, expands_weights=True))
    assert (
        answers(LLAMA_8B, H100, job, expanding)["performance.tpot"] == answers(LLAMA_8B, H100, job)["performance.tpot"]
    )
    plain, quantised = answers(LLAMA_8B, H100, job), answers(LLAMA_8B, H100, job, narrow)
    products = 32 * 4 + 1
    assert quantised["performance.tpot"] - plain["performance.tpot"] == pytest.approx(products * 0.5 * 3e-6)


def test_embedding_and_output_projection_may_stay_in_sixteen_bits():
    wide = attrs.evolve(STACK, features=attrs.evolve(STACK.features, wide_head=True))
    job = serving(batch=1, input=1, output=2, precision="fp8")
    plain, kept = (answers(LLAMA_8B, H100, job, stack=stack) for stack in (STACK, wide))
    elements = LLAMA_8B.transformer.vocab * LLAMA_8B.transformer.hidden
    more = kept["feasibility.memory_required"] - plain["feasibility.memory_required"]
    assert more == pytest.approx(2 * elements)
    assert kept["performance.tpot"] > plain["performance.tpot"]
    same = serving(batch=1, input=1, output=2, precision="bf16")
    assert answers(LLAMA_8B, H100, same, stack=wide) == answers(LLAMA_8B, H100, same, stack=STACK)


def test_utilisation_tends_to_the_ceiling():
    free = attrs.evolve(STACK, tiles=(), ceilings=Ceilings(compute=0.9, memory=1.0, overhead=0.0, reserve=0.0))
    fast = attrs.evolve(H100, memory=attrs.evolve(H100.memory, bandwidth=1e18))
    found = answers(
        LLAMA_8B, fast, serving(batch=100000, input=128, output=2), free, settings={"attention_ceiling": 1.0}
    )
    ceiling = 0.9 * 794.5 / 989.4
    # Attention also takes time for exponentials and for filling its blocks, which are no work of the model.
    assert ceiling * 0.98 < found["performance.utilisation"] < ceiling
    assert found["performance.bound"] == 0.0


def test_latency_is_prefill_and_steps():
    found = answers(LLAMA_8B, H100, serving(batch=8, input=500, output=100))
    assert found["performance.latency"] == found["performance.ttft"] + 99 * found["performance.tpot"]
    assert found["performance.throughput"] == 8 / found["performance.latency"]
    assert found["performance.token_throughput"] == 8 * 100 / found["performance.latency"]


def test_output_of_one_token_is_the_prefill():
    found = answers(LLAMA_8B, H100, serving(batch=8, input=500, output=1))
    assert found["performance.latency"] == found["performance.ttft"]


def test_fewer_bits_per_weight_speed_up_decode_not_prefill():
    base = answers(LLAMA_8B, H100, serving(batch=1, input=4096, output=64))
    four = answers(LLAMA_8B, H100, serving(batch=1, input=4096, output=64, weights="int4"))
    assert four["performance.tpot"] < 0.5 * base["performance.tpot"]
    assert four["performance.ttft"] > 0.9 * base["performance.ttft"]


def test_smaller_cache_speeds_up_long_contexts():
    base = answers(LLAMA_8B, H100, serving(batch=16, input=16384, output=64))
    small = answers(LLAMA_8B, H100, serving(batch=16, input=16384, output=64, kv_cache="fp8"))
    assert small["performance.tpot"] < base["performance.tpot"]
    assert small["feasibility.memory_required"] < base["feasibility.memory_required"]


def test_kernels_that_do_not_share_keys_wait_for_the_cache():
    alone = attrs.evolve(STACK, features=attrs.evolve(STACK.features, shared_kv=False))
    workload = serving(batch=64, input=4096, output=64)
    shared = answers(LLAMA_8B, H100, workload)
    repeated = answers(LLAMA_8B, H100, workload, alone)
    extra = 64 * 4128 * 131_072 * (4 / 1.6 - 1) / (3.35e12 * 0.88)
    assert repeated["performance.tpot"] - shared["performance.tpot"] == pytest.approx(extra, rel=1e-6)
    assert repeated["performance.bytes"] == shared["performance.bytes"]


def test_unfused_attention_writes_its_scores():
    workload = serving(batch=1, input=8192, output=2)
    fused, plain = answers(LLAMA_8B, H100, workload), answers(LLAMA_8B, H100, workload, PLAIN)
    scores = 32 * 32 * 8192.0 * 8192.0
    assert plain["performance.bytes"] - fused["performance.bytes"] > 8 * scores
    assert plain["performance.flops"] == pytest.approx(fused["performance.flops"])
    assert plain["performance.ttft"] > fused["performance.ttft"]


def test_a_window_bounds_cache_traffic():
    shape = transformer_shape(GEMMA, GEMMA.transformer)
    element = 2 * 4 * 256 * 2.0
    assert caches(decode(shape, BF16, FUSED, 1.0, 8000.0 - 0.5, 1.0)) == pytest.approx(element * 13 * (8000 + 4096))
    assert caches(decode(shape, BF16, FUSED, 1.0, 100.0 - 0.5, 1.0)) == pytest.approx(element * 26 * 100)


def test_multi_query_attention_reads_one_head():
    shape = transformer_shape(MQA, MQA.transformer)
    assert caches(decode(shape, BF16, FUSED, 2.0, 100.0 - 0.5, 1.0)) == 2 * 100 * 32 * 2 * 64 * 2.0


def test_experts_read_what_the_batch_reaches():
    shape = transformer_shape(MIXTRAL, MIXTRAL.transformer)
    expert = 32 * 3 * 4096 * 14336 * 2.0

    def expert_weights(batch):
        return weights(rows_named(decode(shape, BF16, FUSED, batch, 100.0, 1.0), "experts up", "experts down"))

    assert expert_weights(1.0) == pytest.approx(2 * expert)
    assert expert_weights(2.0) < expert_weights(4.0) < 8 * (1 - 0.75**4) * expert
    assert expert_weights(1e4) == pytest.approx(8 * expert)


def test_weights_around_attention_may_stay_wide():
    shape = transformer_shape(MIXTRAL, MIXTRAL.transformer)
    narrow = BF16._replace(weight=0.5, operand=1.0)
    spared = narrow._replace(outer=2.0, head=2.0, narrow=True)
    few, some = (decode(shape, formats, FUSED, 4.0, 100.0, 1.0) for formats in (narrow, spared))
    names = ("query-key-value projection", "output projection", "router", "output projection to vocabulary")
    wide = rows_named(some, *names)
    assert {row.kind for row in wide} == {"wide_gemm"}
    assert weights(wide) == 4.0 * weights(rows_named(few, *names))
    assert weights(rows_named(some, "experts up")) == weights(rows_named(few, "experts up"))


def test_shared_experts_start_beside_the_routed_ones():
    shape = transformer_shape(MIXTRAL, MIXTRAL.transformer)
    shared = shape._replace(shared_ffn=1024.0)
    alone, both = (decode(s, BF16, FUSED, 4.0, 100.0, 1.0) for s in (shape, shared))
    assert sum(r.count * r.kernels for r in both) == sum(r.count * r.kernels for r in alone)
    assert weights(both) > weights(alone)


def test_experts_work_by_active_and_weigh_by_total():
    from mlsysim.shapes import matmul_parameters, parameters

    shape = transformer_shape(MIXTRAL, MIXTRAL.transformer)
    table = decode(shape, BF16, FUSED, 32.0, 1.0, 1.0)
    attention = sum(r.count * r.flops for r in table if r.kind == "attention")
    assert flops(table) - attention == pytest.approx(2 * 32 * matmul_parameters(MIXTRAL.transformer).total)
    assert shape.parameters == parameters(MIXTRAL).total == 46_702_792_704


def test_each_expert_pads_to_its_own_tiles():
    # 16 tokens reach almost 8 experts with 4 rows each, and each pays for a tile of 64.
    shape = transformer_shape(MIXTRAL, MIXTRAL.transformer)
    (row,) = rows_named(prefill(shape, BF16, FUSED, 1.0, 16.0), "experts up")
    assert row.m == pytest.approx(4.0, rel=0.06)
    tiles = tuple((tile.m, tile.n, tile.rate) for tile in STACK.tiles)
    area = tile_menu(tiles, 132.0).area(row.m, row.n, row.k, row.batch)
    assert row.batch * row.m * row.n / (132.0 * area) <= row.m / 64


def test_latent_attention_reads_the_compressed_cache():
    shape = transformer_shape(DEEPSEEK, DEEPSEEK.transformer)
    table = decode(shape, BF16, FUSED, 3.0, 1000.0 - 0.5, 1.0)
    assert caches(table) == 3 * 1000 * 70_272
    scores = rows_named(table, "attention over cache")[0]
    assert scores.flops == 3 * 1000 * 2 * 128 * (512 + 64 + 512)


def test_latent_attention_unfolds_keys_in_prefill_only():
    from mlsysim.shapes import matmul_parameters

    shape = transformer_shape(DEEPSEEK, DEEPSEEK.transformer)
    read = {name: {row.name for row in table} for name, table in (
        ("prefill", prefill(shape, BF16, FUSED, 1.0, 100.0)), ("decode", decode(shape, BF16, FUSED, 1.0, 100.0, 1.0)),
    )}  # fmt: skip
    assert "key-value expansion" in read["prefill"]
    assert "key-value expansion" not in read["decode"]
    assert {"query absorption", "value expansion"} <= read["decode"]
    # Absorbed or not, the same matrices are read, each once.
    matmul = matmul_parameters(DEEPSEEK.transformer)
    step = decode(shape, BF16, FUSED, 1.0, 100.0, 1.0)
    dense = sum(r.count * r.weight_bytes for r in step if not r.name.startswith(("experts", "output projection to")))
    shared_and_dense = 2 * (matmul.attention + 3 * 3 * 7168 * 18432 + 58 * (3 * 7168 * 2048 + 7168 * 256))
    assert dense == shared_and_dense


def test_leading_dense_layers_are_dense():
    shape = transformer_shape(DEEPSEEK, DEEPSEEK.transformer)
    table = prefill(shape, BF16, FUSED, 1.0, 64.0)
    counts = {row.name: row.count for row in table}
    assert counts["experts up"] == 58.0
    assert sorted(r.count for r in rows_named(table, "MLP up")) == [3.0, 58.0]


def test_first_tokens_in_fp8_stay_below_the_roofs():
    found = answers(LLAMA_70B, H100, serving(batch=8, input=2048, output=16, precision="fp8"))
    assert 0 < found["performance.utilisation"] < 0.9 * 1402.6 / 1978.9
    assert 0 < found["performance.bandwidth_utilisation"] < 0.88


def test_overrides_change_the_answer_and_are_said():
    request = request_of(LLAMA_8B, H100, serving(), settings={"memory_ceiling": 0.5})
    columns = prepare_columns(request)
    assert any("memory_ceiling" in note for note in columns["assumptions"])
    assert SOLVER.compute(columns)["performance.tpot"] > answers(LLAMA_8B, H100, serving())["performance.tpot"]
