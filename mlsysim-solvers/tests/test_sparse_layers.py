"""Layers that attend to selected or compressed keys and values: what they keep, read and compute."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import H100, STACK, request_of

from mlsysim.records.model import Latent, Model, Sparse, Transformer
from mlsysim.records.scenario import Serving
from mlsysim.shapes import kv_bytes_per_token, matmul_parameters, parameters
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.formulas.attention import causal_pairs, windowed_mean_context
from mlsysim_solvers.formulas.sparse import seen_entries, seen_pairs
from mlsysim_solvers.lowering.serving import sharded
from mlsysim_solvers.lowering.shape import transformer_shape

SOLVER = SingleNodeSolver()
FULL = Transformer(
    layers=16, hidden=2048, heads=16, kv_heads=4, head_dim=128, ffn=5632, context=1048576, vocab=65536, gated=True
)
SELECTED = attrs.evolve(FULL, selected=Sparse(layers=16, top=2048, index_heads=4, index_dim=64))
LATENT = attrs.evolve(
    FULL, kv_heads=16, head_dim=192, latent=Latent(kv_rank=512, rope_dim=64, nope_dim=128, v_dim=128, q_rank=768),
)  # fmt: skip
DIRECT = attrs.evolve(
    FULL, kv_heads=1, head_dim=512, window=128, streams=4,
    latent=Latent(
        kv_rank=448, rope_dim=64, nope_dim=448, v_dim=512, q_rank=768, direct=True, o_rank=256, o_groups=4
    ),
    selected=Sparse(layers=8, ratio=4, top=512, index_heads=8, index_dim=128, overlap=True),
    compressed=Sparse(layers=6, ratio=128),
)  # fmt: skip


def named(shape):
    return Model(name="m", lab="x", transformer=shape)


def serve(shape, **fields):
    workload = Serving(**{"model": "m", "precision": "bf16", "batch": 1, "input": 1024, "output": 16, **fields})
    return SOLVER.compute(SOLVER.prepare(request_of(named(shape), H100, workload, STACK)))


def test_where_nothing_is_left_out_sparse_is_full():
    assert seen_pairs(5000.0, 1.0, 5000.0, 0.0) == causal_pairs(5000.0, 5000.0)
    assert seen_entries(5000.0, 100.0, 1.0, 5100.0, 0.0) == windowed_mean_context(5000.0, 100.0, 5100.0)
    plain, all_of_it = serve(FULL, input=8192), serve(attrs.evolve(FULL, selected=Sparse(layers=16)), input=8192)
    for name in ("performance.flops", "performance.tpot", "performance.ttft", "feasibility.memory_required"):
        assert all_of_it[name] == pytest.approx(plain[name], rel=1e-12)


def test_parameters_are_those_of_the_indexer_and_the_compressor():
    index = 16 * (2048 * 4 * 64 + 2048 * (64 + 4) + 2 * 64)
    assert parameters(named(SELECTED)).total - parameters(named(FULL)).total == index
    bare = attrs.evolve(DIRECT, selected=None, compressed=None, streams=1)
    selecting = 768 * 8 * 128 + 2048 * (2 * 2 * 128 + 8) + 2048 * 2 * 2 * 512 + (512 + 128) * (1 + 4 * 2)
    compressing = 2048 * 2 * 512 + 512 * (1 + 128)
    streams = 16 * 2 * (24 * (4 * 2048 + 1) + 3) + 4 * 4 * 2048 + 4 + 1
    more = parameters(named(DIRECT)).total - parameters(named(bare)).total
    assert more == 8 * selecting + 6 * compressing + streams


def test_of_a_long_context_a_token_attends_to_what_is_selected_and_scores_all():
    def per_token(shape):
        near, far = (serve(shape, input=n, output=2)["performance.bytes"] for n in (65536, 65536 + 1024))
        first = [serve(shape, input=n, output=1)["performance.bytes"] for n in (65536, 65536 + 1024)]
        return ((far - near) - (first[1] - first[0])) / 1024

    assert per_token(FULL) == pytest.approx(16 * 2 * 4 * 128 * 2, rel=1e-3)
    # The key of the indexer in 8 bits, and a score in 32 that is written and read.
    assert per_token(SELECTED) == pytest.approx(16 * (64 + 8), rel=1e-3)


def test_what_is_not_selected_is_kept_all_the_same():
    four, five = (serve(SELECTED, batch=n, input=65536)["feasibility.memory_required"] for n in (64, 65))
    tokens = 65536 + 16
    assert five - four == pytest.approx(16 * tokens * (2 * 4 * 128 * 2 + 64) + 4 * 65536, rel=1e-9)


def test_compressed_layers_keep_an_entry_for_so_many_tokens_and_a_window():
    four, five = (serve(DIRECT, batch=n, input=65536)["feasibility.memory_required"] for n in (64, 65))
    tokens = 65536 + 16
    entries = 8 * (tokens / 4 + 128) + 6 * (tokens / 128 + 128) + 2 * 128
    assert five - four == pytest.approx(entries * 512 * 2 + 8 * tokens / 4 * 128 + 4 * 65536, rel=1e-9)
    assert kv_bytes_per_token(DIRECT, 2) == 2 * 512 * (2 + 8 / 4 + 6 / 128)


def test_prompts_take_the_work_of_what_is_seen_and_of_the_scores():
    matrices, tokens = matmul_parameters(DIRECT), 65536.0
    seen = 8 * seen_pairs(tokens, 4.0, 2048.0, 128.0) + 6 * seen_pairs(tokens, 128.0, tokens, 128.0)
    seen += 2 * causal_pairs(tokens, 128.0)
    scores = 8 * 2 * 8 * 128 * causal_pairs(tokens, tokens) / 4
    wanted = 2 * tokens * (matrices.attention + matrices.mlp) + 2 * matrices.head + 2 * 1024 * 16 * seen + scores
    assert serve(DIRECT, input=65536, output=1)["performance.flops"] == pytest.approx(wanted, rel=5e-3)


def test_compressed_keys_are_gathered_beyond_what_is_selected_and_unfolded_before():
    chosen = attrs.evolve(LATENT, selected=Sparse(layers=16, top=2048, index_heads=4, index_dim=64))
    work = {
        n: [serve(s, input=n, output=1)["performance.flops"] for s in (LATENT, chosen)] for n in (2048, 4096, 131072)
    }

    def index(n):
        rows = matmul_parameters(chosen).attention - matmul_parameters(LATENT).attention
        return 2 * n * rows + 16 * 2 * 4 * 64 * causal_pairs(n, n)

    assert work[2048][1] - work[2048][0] == pytest.approx(index(2048), rel=1e-6)
    gathered = 16 * 2 * 16 * (1088 * causal_pairs(4096, 2048) - 320 * causal_pairs(4096, 4096))
    assert work[4096][1] - work[4096][0] == pytest.approx(gathered + index(4096), rel=1e-6)
    assert work[131072][1] < work[131072][0]


@pytest.mark.parametrize("shape", [SELECTED, DIRECT], ids=["selected", "compressed"])
def test_arrays_answer_as_numbers_do(shape):
    workload = Serving(model="m", precision="bf16", input=512, output=64)
    columns = SOLVER.prepare(request_of(named(shape), H100, workload, STACK))
    lengths, batches = np.array([100.0, 3000.0, 200_000.0]), np.array([1.0, 7.0, 64.0])
    rows = SOLVER.compute({**columns, "batch": batches, "input": lengths})
    for place, (batch, length) in enumerate(zip(batches, lengths, strict=True)):
        one = SOLVER.compute({**columns, "batch": float(batch), "input": float(length)})
        for name in ("performance.tpot", "performance.ttft", "feasibility.memory_required"):
            assert rows[name][place] == pytest.approx(one[name], rel=1e-12)


@pytest.mark.parametrize("shape", [SELECTED, DIRECT], ids=["selected", "compressed"])
def test_more_context_is_never_faster(shape):
    times = [serve(shape, input=n)["performance.tpot"] for n in (64, 512, 2048, 2049, 16384, 500_000)]
    assert times == sorted(times)


def test_devices_divide_heads_and_groups_and_copy_what_selects():
    shape = transformer_shape(named(DIRECT), DIRECT)
    half = sharded(shape, 2.0)
    assert (half.heads, half.o_groups, half.cache_elements) == (8.0, 2.0, 512.0)
    copied = 8 * (768 * 8 * 128 + 2048 * (2 * 2 * 128 + 8) + 2048 * 2 * 2 * 512) + 6 * 2048 * 2 * 512
    assert half.parameters > shape.parameters / 2 + copied / 2


def test_several_residual_vectors_move_more_and_compute_the_same():
    one = attrs.evolve(DIRECT, streams=1)
    slow, fast = serve(DIRECT, input=8192), serve(one, input=8192)
    assert slow["performance.ttft"] > fast["performance.ttft"]
    assert slow["performance.flops"] == fast["performance.flops"]
