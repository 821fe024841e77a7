"""What has to fit: published activation sizes, caches, and the largest batch."""

from __future__ import annotations

import attrs
import pytest
from solver_cases import (
    BERT,
    DEEPSEEK,
    GEMMA,
    H100,
    LLAMA_8B,
    LLAMA_70B,
    MCU,
    MICRO,
    MOBILENET_V2,
    PLAIN,
    RESNET_50,
    STACK,
    TINY,
    answers,
    gpt,
    serving,
)  # fmt: skip

from mlsysim.records.scenario import Inference, Training
from mlsysim.shapes import kv_bytes_per_token
from mlsysim_solvers.execution.training.activations import Keeping, Widths, layer_activations
from mlsysim_solvers.formulas.pipeline import in_flight_chunks
from mlsysim_solvers.lowering.shape import transformer_shape

GIB = 2.0**30
WIDTHS = Widths(activation=2.0, mask=1.0, statistic=4.0)
PUBLISHED = [
    # layers, hidden, heads, batch, t, p, v, GiB kept: nothing recomputed, selective with sequence parallelism
    (48, 6144, 64, 4, 8, 1, 1, 59.25, 9.5625, 45.5625),
    (96, 12288, 96, 1, 8, 8, 3, 66.84375, 12.3515625, 45.5625),
    (105, 20480, 128, 1, 8, 35, 3, 114.0234375, 23.076171875, 31.640625),
    (128, 25600, 160, 1, 8, 64, 1, 131.25, 26.5625, 32.958984375),
]


@pytest.mark.parametrize(("layers", "hidden", "heads", "b", "t", "p", "v", "none", "selective", "state"), PUBLISHED)
def test_activations_of_korthikanti(layers, hidden, heads, b, t, p, v, none, selective, state):
    model = gpt(layers, hidden, heads)
    shape = transformer_shape(model, model.transformer)
    held = in_flight_chunks(float(p), 0.0, float(v), 64.0) * layers / (p * v)
    plain = Keeping(WIDTHS, "none", fused_attention=False, dropout=1.0, tensor=float(t))
    lean = plain._replace(recompute="selective", sequence_shards=float(t))
    kept, less = (held * layer_activations(shape, how, float(b), 2048.0) for how in (plain, lean))
    assert kept / GIB == none
    assert less / GIB == selective
    assert 18 * 12 * layers * hidden * hidden / (t * p) / GIB == state


@pytest.mark.parametrize("sequence_parallel", [False, True])
def test_activations_equal_the_closed_forms(sequence_parallel):
    model = gpt(48, 6144, 64)
    shape = transformer_shape(model, model.transformer)
    s, b, h, a, t = 2048.0, 4.0, 6144.0, 64.0, 8.0
    how = Keeping(WIDTHS, "none", fused_attention=False, dropout=1.0, tensor=t,
                  sequence_shards=t if sequence_parallel else 1.0)  # fmt: skip
    none = (
        s * b * h / t * (34 + 5 * a * s / h) if sequence_parallel else s * b * h * (10 + 24 / t + 5 * a * s / (h * t))
    )
    selective = 34 * s * b * h / t if sequence_parallel else s * b * h * (10 + 24 / t)
    for recompute, expected in (("none", none), ("selective", selective), ("full", 2 * s * b * h)):
        found = layer_activations(shape, how._replace(recompute=recompute), b, s)
        assert found == pytest.approx(expected, rel=1e-15)


def test_fused_attention_keeps_no_scores():
    shape = transformer_shape(LLAMA_8B, LLAMA_8B.transformer)
    kept, fused = (
        layer_activations(shape, Keeping(WIDTHS, "none", fused_attention=fused), 1.0, 8192.0) for fused in (False, True)
    )
    scores = 32 * 8192.0 * 8192.0 * 2
    assert kept - fused == pytest.approx(scores - 4 * 32 * 8192.0)


def test_gated_layer_by_its_tensors():
    # Two norms and two products read h; queries, keys, values and output; gate, up and their product.
    shape = transformer_shape(LLAMA_8B, LLAMA_8B.transformer)
    kept = layer_activations(shape, Keeping(WIDTHS, "selective", fused_attention=False), 1.0, 1.0)
    assert kept == 2 * (4 * 4096 + 4096 + 2 * 1024 + 4096 + 3 * 14336)


def test_cache_of_llama_70b_and_of_deepseek():
    assert kv_bytes_per_token(LLAMA_70B.transformer, 2.0) == 327_680
    assert kv_bytes_per_token(DEEPSEEK.transformer, 2.0) == 70_272
    small = answers(LLAMA_8B, H100, serving(batch=1, input=1000, output=1000))
    large = answers(LLAMA_8B, H100, serving(batch=2, input=1000, output=1000))
    added = large["feasibility.memory_required"] - small["feasibility.memory_required"]
    cache, logits, live = 2000 * 131_072, 128_256 * 4, (2 * 4096 + 3 * 14336) * 1000 * 2
    assert added == pytest.approx(cache + logits + live, rel=1e-12)


def test_windowed_layers_keep_their_window_only():
    def cache(length):
        found = answers(GEMMA, H100, serving(batch=64, input=length - 8, output=8), settings={"prefill_tokens": 8192.0})
        return found["feasibility.memory_required"]

    per_token = 64 * 2 * 4 * 256 * 2.0
    assert cache(8000) - cache(7000) == pytest.approx(13 * 1000 * per_token, rel=1e-6)
    assert cache(3000) - cache(2000) == pytest.approx(26 * 1000 * per_token, rel=1e-6)


@pytest.mark.parametrize("stack", [STACK, PLAIN], ids=["fused", "scores written"])
def test_prompts_that_a_stack_cuts_need_the_room_of_one_pass(stack):
    cut = attrs.evolve(stack, pass_tokens=512.0)

    def required(length, stack):
        return answers(LLAMA_8B, H100, serving(batch=1, input=length, output=16), stack)["feasibility.memory_required"]

    caches = 4096 * kv_bytes_per_token(LLAMA_8B.transformer, 2.0)
    scores = 0.0 if stack is STACK else 512 * 4096 * LLAMA_8B.transformer.heads * 2.0
    assert required(8192, cut) - required(4096, cut) == pytest.approx(caches + scores, rel=1e-6)
    assert required(8192, cut) < required(8192, stack)
    assert required(400, cut) <= required(400, stack)


CASES = [
    (LLAMA_8B, H100, serving(batch=4, input=3000, output=500), STACK),
    (LLAMA_8B, H100, serving(batch=400, input=20, output=30), STACK),
    (LLAMA_8B, H100, serving(batch=4, input=3000, output=500), PLAIN),
    (LLAMA_8B, H100, serving(batch=4, input=3000, output=500), attrs.evolve(PLAIN, pass_tokens=512.0)),
    (LLAMA_8B, H100, serving(batch=400, input=20, output=30), attrs.evolve(PLAIN, pass_tokens=512.0)),
    (BERT, H100, Inference(model="m", precision="bf16", batch=1, sequence=384), STACK),
    (RESNET_50, H100, Inference(model="m", precision="bf16", batch=1), STACK),
    (BERT, H100, Training(model="m", batch=1, sequence=512), STACK),
    (RESNET_50, H100, Training(model="m", batch=1), STACK),
    (TINY, MCU, Inference(model="m", batch=1), MICRO),
]


@pytest.mark.parametrize(("model", "device", "workload", "stack"), CASES)
def test_largest_batch_fits_and_the_next_does_not(model, device, workload, stack):
    largest = answers(model, device, workload, stack)["feasibility.max_batch"]
    assert largest >= 1
    at = answers(model, device, attrs.evolve(workload, batch=int(largest)), stack)
    over = answers(model, device, attrs.evolve(workload, batch=int(largest) + 1), stack)
    assert at["feasibility.fits"] is True
    assert over["feasibility.fits"] is False
    assert over["feasibility.headroom"] < 0 <= at["feasibility.headroom"]


def test_what_does_not_fit_still_has_numbers():
    found = answers(LLAMA_70B, H100, serving(batch=1, input=1024, output=16))
    assert found["feasibility.fits"] is False
    assert found["feasibility.max_batch"] == 0.0
    assert found["feasibility.memory_required"] > 70.5e9 * 2
    assert found["performance.latency"] > 0


def test_usable_capacity_and_utilisation_count():
    found = answers(LLAMA_8B, H100, serving())
    assert found["feasibility.memory_usable"] == 85.5e9 * 0.9


def test_weights_in_storage_leave_memory_to_activations():
    found = answers(TINY, MCU, Inference(model="m", batch=1), MICRO)
    # The largest cut: 48 x 48 x 8 in and out of the first depthwise convolution.
    assert found["feasibility.memory_required"] == 32768 + max(96 * 96 + 48 * 48 * 8, 48 * 48 * 8 + 24 * 24 * 8)
    assert found["feasibility.fits"] is True


def test_network_larger_than_storage_does_not_fit():
    small = attrs.evolve(
        MCU, storage=attrs.evolve(MCU.storage, capacity=3e6), memory=attrs.evolve(MCU.memory, capacity=8e6)
    )
    found = answers(MOBILENET_V2, small, Inference(model="m", batch=1), MICRO)
    assert found["feasibility.fits"] is False
    assert found["feasibility.memory_usable"] == 3e6
    assert found["feasibility.memory_required"] == 3_504_872
    assert found["feasibility.max_batch"] == 0.0


def test_full_recompute_keeps_inputs_and_one_layer():
    def required(recompute):
        workload = Training(model="m", batch=1, sequence=4096, recompute=recompute)
        return answers(LLAMA_8B, H100, workload, PLAIN)["feasibility.memory_required"]

    none, selective, full = required("none"), required("selective"), required("full")
    assert full < selective < none
    assert none - selective == pytest.approx(32 * 32 * 4096.0 * 4096.0 * 2)


def test_model_state_of_training():
    def required(**kw):
        return answers(LLAMA_8B, H100, Training(model="m", batch=1, sequence=128, **kw))["feasibility.memory_required"]

    n = 8_030_261_248
    adam = required()
    assert adam - required(optimizer="sgd") == pytest.approx(4 * n)
    assert adam - required(optimizer="adam8bit") == pytest.approx(6 * n)
    assert adam - required(master="") == pytest.approx((4 + 2 * 2) * n)
    assert adam > 16 * n
