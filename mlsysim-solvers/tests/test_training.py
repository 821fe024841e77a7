"""Training steps: work, recomputation, optimizer, and image models."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import (
    A100,
    BERT,
    H100,
    LLAMA_8B,
    MCU,
    MICRO,
    MOBILENET_V2,
    PLAIN,
    RESNET_50,
    STACK,
    TINY,
    VIT,
    answers,
    gpt,
    request_of,
)  # fmt: skip

from mlsysim.errors import ConfigError
from mlsysim.records.scenario import Inference, Parallelism, Training
from mlsysim.shapes import matmul_parameters, network_work, parameters
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.lowering.network import NetworkKernels, lower_network, network_shape
from mlsysim_solvers.lowering.operators import Formats

SOLVER = SingleNodeSolver()
BF16 = Formats(2.0, 2.0, 2.0, 2.0, 2.0)


def step(model=LLAMA_8B, stack=STACK, device=H100, **kw):
    return answers(model, device, Training(**{"model": "m", "batch": 1, "sequence": 2048, **kw}), stack)


def test_work_is_six_per_weight_and_the_attention():
    t = LLAMA_8B.transformer
    tokens = 2048.0
    attention = 6 * tokens * tokens * t.heads * t.head_dim * t.layers
    expected = 6 * matmul_parameters(t).total * tokens + attention
    assert step()["performance.flops"] == pytest.approx(expected)


def test_work_of_a_gpt_is_that_of_megatron_with_half_the_attention():
    layers, hidden, heads, vocab, s = 24, 2048, 16, 51200, 2048.0
    found = step(gpt(layers, hidden, heads, vocab), batch=4)["performance.flops"]
    # Narayanan et al. 2021, arXiv:2104.04473, equation 3, without recomputation.
    full = 72 * 4 * s * layers * hidden**2 * (1 + s / (6 * hidden) + vocab / (12 * layers * hidden))
    assert found == pytest.approx(full - 3 * 2 * 4 * s * s * hidden * layers)


def test_recomputation_takes_time_and_is_no_work_of_the_model():
    none, selective, full = (step(stack=PLAIN, recompute=r) for r in ("none", "selective", "full"))
    assert none["performance.step_time"] < selective["performance.step_time"] < full["performance.step_time"]
    assert none["performance.flops"] == selective["performance.flops"] == full["performance.flops"]
    assert none["performance.utilisation"] > full["performance.utilisation"]
    assert full["performance.step_time"] < 4 / 3 * none["performance.step_time"]


def test_selective_recomputation_of_fused_attention_changes_nothing_and_says_so():
    columns = SOLVER.prepare(
        request_of(LLAMA_8B, H100, Training(model="m", batch=1, sequence=64, recompute="selective"), STACK)
    )
    assert any("selective" in note for note in columns["assumptions"])
    assert step(recompute="selective")["performance.step_time"] == step()["performance.step_time"]


def test_backward_shapes_are_their_own():
    # One row: the weight gradient has an inner dimension of 1, so the step is far from three forward passes of padding.
    table = SOLVER.prepare(request_of(LLAMA_8B, H100, Training(model="m", batch=1, sequence=1)))
    assert SOLVER.compute(table)["performance.bound"] == 1.0


def test_optimizer_reads_and_writes_its_states():
    # bf16 with fp32 master: 2 (4 + 8 + 2) + 2 = 30 bytes per parameter; 8-bit states save 12 of them.
    moved = step()["performance.bytes"] - step(optimizer="adam8bit")["performance.bytes"]
    assert moved == pytest.approx(12 * 8_030_261_248)
    fewer = step()["performance.bytes"] - step(optimizer="sgd")["performance.bytes"]
    assert fewer == pytest.approx(8 * 8_030_261_248)


def test_run_time_counts_tokens():
    found = step(batch=2, tokens=4096e3)
    assert found["performance.run_time"] == pytest.approx(1000 * found["performance.step_time"])
    assert found["performance.token_throughput"] == pytest.approx(4096 / found["performance.step_time"])
    other = step(batch=2, samples=500.0)
    assert other["performance.run_time"] == pytest.approx(250 * other["performance.step_time"])
    assert "performance.run_time" not in step()


def test_training_in_fp8_keeps_16_bit_weights():
    # Same stored bytes, faster products.
    eight, sixteen = step(precision="fp8"), step()
    assert eight["performance.step_time"] < sixteen["performance.step_time"]
    assert eight["feasibility.memory_required"] == sixteen["feasibility.memory_required"]


def test_encoder_has_no_loss_over_a_vocabulary():
    found = step(BERT, sequence=512, batch=8)
    t = BERT.transformer
    tokens, pooler = 8 * 512, 8 * 1024 * 1024
    attention = 12 * 8 * 512.0**2 * t.heads * t.head_dim * t.layers
    assert found["performance.flops"] == pytest.approx(6 * (matmul_parameters(t).total * tokens + pooler) + attention)


def test_resnet_50_and_mobilenet_counts():
    assert parameters(RESNET_50).total == 25_557_032
    assert parameters(MOBILENET_V2).total == 3_504_872
    assert network_work(RESNET_50.network) == pytest.approx(4.09e9, rel=0.005)
    assert network_work(MOBILENET_V2.network) == pytest.approx(0.30e9, rel=0.01)


@pytest.mark.parametrize("model", [RESNET_50, MOBILENET_V2, TINY])
def test_network_table_has_the_work_and_the_weights_of_its_layers(model):
    shape = network_shape(model.network)
    table = lower_network(shape, BF16, 4.0, NetworkKernels(fused=True))
    assert sum(r.count * r.flops for r in table) == 4 * 2 * network_work(model.network)
    padded = sum(2 * r.count * r.m * r.n * r.k * r.batch for r in table if r.kind in ("conv", "gemm", "depthwise"))
    assert padded == 4 * 2 * network_work(model.network)
    vectors = parameters(model).total - sum(r.count * r.weight_bytes for r in table) / 2
    assert 0 < vectors < 0.05 * parameters(model).total + 150


def test_depthwise_convolutions_are_bound_by_memory():
    shape = network_shape(MOBILENET_V2.network)
    for row in lower_network(shape, BF16, 1.0, NetworkKernels(fused=True)):
        if row.kind == "depthwise":
            intensity = row.flops / (row.weight_bytes + row.activation_bytes)
            assert intensity < 9


def test_training_a_network_is_three_passes_of_work():
    found = answers(RESNET_50, H100, Training(model="m", batch=32, samples=1.28e6))
    assert found["performance.flops"] == 32 * 6 * network_work(RESNET_50.network)
    assert found["performance.run_time"] == pytest.approx(40000 * found["performance.step_time"])
    assert found["performance.throughput"] == 32 / found["performance.step_time"]


def test_unfused_network_moves_more():
    fused = answers(RESNET_50, A100, Training(model="m", batch=32))
    plain = answers(RESNET_50, A100, Training(model="m", batch=32), PLAIN)
    assert plain["performance.step_time"] > fused["performance.step_time"]
    assert plain["performance.bytes"] > fused["performance.bytes"]


def test_images_with_their_channels_first_are_transposed_for_matrix_units():
    job = Training(model="m", batch=32)
    last, first = answers(RESNET_50, A100, job), answers(RESNET_50, A100, job, settings={"channels_first": 1.0})
    assert first["performance.bytes"] > last["performance.bytes"]
    assert first["performance.step_time"] > 1.1 * last["performance.step_time"]
    assert answers(VIT, A100, job) == answers(VIT, A100, job, settings={"channels_first": 1.0})


def test_vision_transformer_sees_197_tokens():
    found = answers(VIT, H100, Inference(model="m", precision="bf16", batch=2))
    t = VIT.transformer
    patches = 2 * 2 * 196 * 768 * 768
    inner = 2 * 2 * 197 * 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    attention = 2 * 4 * 197.0**2 * t.heads * t.head_dim * t.layers
    assert found["performance.flops"] == pytest.approx(patches + inner + attention + 2 * 2 * 768 * 1000)


def test_microcontroller_waits_for_its_flash():
    found = answers(TINY, MCU, Inference(model="m", batch=1, rate=0.5), MICRO)
    fast = attrs.evolve(MCU, storage=attrs.evolve(MCU.storage, bandwidth=960e6))
    quick = answers(TINY, fast, Inference(model="m", batch=1, rate=0.5), MICRO)
    assert quick["performance.latency"] <= found["performance.latency"]
    assert found["performance.duty"] == 0.5 * found["performance.latency"]


def test_causal_model_in_one_pass_predicts_one_token():
    found = answers(LLAMA_8B, H100, Inference(model="m", precision="bf16", batch=2, sequence=128))
    t, tokens = LLAMA_8B.transformer, 256.0
    m = matmul_parameters(t)
    attention = 2 * 2 * 128.0**2 * t.heads * t.head_dim * t.layers
    assert found["performance.flops"] == pytest.approx(2 * (m.attention + m.mlp) * tokens + 2 * 2 * m.head + attention)


def accumulating(micro, model=LLAMA_8B, **kw):
    job = Training(**{"model": "m", "batch": 8, "sequence": 2048, **kw})
    return request_of(model, H100, job, STACK, parallelism=Parallelism(micro_batch=micro))


def test_gradients_of_micro_batches_take_room_for_one_and_one_visit_of_the_optimizer():
    parts, each, whole = (SOLVER.compute(SOLVER.prepare(accumulating(micro))) for micro in (2, 0, 8))
    # The sums of one table and of two differ by rounding.
    assert each == pytest.approx(whole, rel=1e-14)
    assert parts["performance.flops"] == pytest.approx(whole["performance.flops"])
    alone = step(batch=2)
    name = "performance.step_time"
    assert 0.0 < 4 * alone[name] - parts[name] < 3 * alone[name]
    assert parts["feasibility.memory_required"] == pytest.approx(alone["feasibility.memory_required"])
    assert parts["feasibility.memory_required"] < whole["feasibility.memory_required"]
    columns = SOLVER.prepare(accumulating(2))
    several = SOLVER.compute({**columns, "micro_batch": np.array([2.0, 8.0])})[name]
    assert list(several) == pytest.approx([parts[name], whole[name]])
    with pytest.raises(ConfigError, match="more than the 8 samples"):
        SOLVER.prepare(accumulating(9))


def test_a_loss_that_goes_through_the_vocabulary_piece_by_piece_keeps_no_logits():
    job = Training(model="m", batch=4, sequence=2048)
    plain, less = (answers(LLAMA_8B, H100, job, STACK, settings=given) for given in ({}, {"chunked_loss": 1.0}))
    saved = plain["feasibility.memory_required"] - less["feasibility.memory_required"]
    # Logits and their gradient, in 32 bits, are alive together.
    assert saved == pytest.approx(2 * 4 * 2048 * LLAMA_8B.transformer.vocab * 4.0)
    assert less["performance.step_time"] == plain["performance.step_time"]


EAGER = attrs.evolve(STACK, features=attrs.evolve(STACK.features, graphs=False))
HOSTED = attrs.evolve(EAGER, ceilings=attrs.evolve(STACK.ceilings, host=1e-3, step=0.02))


@pytest.mark.parametrize(("recompute", "passes"), [("none", 3), ("full", 4)])
def test_a_small_model_waits_for_the_host_that_issues_its_passes(recompute, passes):
    job = {"model": gpt(24, 256, 4, 1024), "batch": 1, "sequence": 128, "recompute": recompute}
    wait = step(stack=HOSTED, **job)["performance.step_time"] - 0.02
    assert wait == pytest.approx(passes * 24 * 1e-3, rel=0.02)
    assert step(stack=EAGER, **job)["performance.step_time"] < 0.5 * wait


def test_a_large_model_waits_for_the_end_of_a_step_only():
    plain, hosted = (step(stack=stack, batch=8)["performance.step_time"] for stack in (EAGER, HOSTED))
    assert hosted == pytest.approx(plain + 0.02)


def test_rows_that_wait_and_rows_that_do_not_answer_as_alone():
    columns = SOLVER.prepare(request_of(LLAMA_8B, H100, Training(model="m", batch=1, sequence=2048), HOSTED))
    peaks = np.array([1.0, 30.0]) * columns["peak"]
    several = SOLVER.compute({**columns, "peak": peaks, "bandwidth": 1e15})["performance.step_time"]
    alone = [SOLVER.compute({**columns, "peak": p, "bandwidth": 1e15})["performance.step_time"] for p in peaks]
    assert list(several) == pytest.approx(alone, rel=1e-12)
    assert several[1] >= 3 * 32 * 1e-3
