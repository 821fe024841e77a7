"""Examples that somebody else worked out and printed, from the numbers of the registry.

Places are chapters of Austin et al., How to Scale Your Model (github.com/jax-ml/scaling-book, inference.md,
applied-inference.md, applied-training.md, transformers.md and roofline.md), which rounds the bandwidth of TPU v5e to
8.1e11 or 8.2e11 B/s in different places: the results agree to the digits that it prints.
"""

from __future__ import annotations

import pytest

from mlsysim.plugins import plugins
from mlsysim_solvers.formulas.attention import attention_flops, full_pairs
from mlsysim_solvers.formulas.memory import kv_cache_bytes, weight_bytes
from mlsysim_solvers.formulas.roofline import compute_time, memory_time, operator_time, utilisation
from mlsysim_solvers.formulas.training import run_time

FLOP_PER_PARAMETER = 2.0
TRAINING = 3.0 * FLOP_PER_PARAMETER
"""FLOP for each parameter and token in training."""
DAY = 86400.0


def device(key):
    return plugins().registry.get("devices", key).record


def cache(key, tokens, width):
    """Bytes of one sequence, from the shape of the card."""
    shape = plugins().registry.get("models", key).record.transformer
    return kv_cache_bytes(tokens * shape.layers, 2.0 * shape.kv_heads * shape.head_dim, width)


def test_cache_of_llama_2_13b():
    """Inference: "8192 (T) x 40 (K) x 128 (H) x 40 (L) x 2 (bytes) x 2 = 6.7 GB"."""
    assert cache("llama-2-13b", 8192.0, 2.0) == pytest.approx(6.7e9, rel=0.005)


@pytest.mark.parametrize(
    ("batch", "milliseconds", "rate"),
    [(1, 4.98, 200.61), (8, 12.13, 659.30), (16, 20.30, 787.99), (32, 36.65, 873.21), (64, 69.33, 923.13),
     (240, 249.09, 963.53)],
)  # fmt: skip
def test_steps_of_llama_2_13b_on_eight_tpu_v5e(batch, milliseconds, rate):
    """Inference, table of theoretical step times: 26 GB of weights and 6.7 GB for each sequence."""
    traffic = weight_bytes(13e9, 2.0) + batch * cache("llama-2-13b", 8192.0, 2.0)
    step = memory_time(traffic, 8 * device("tpu-v5e").memory.bandwidth)
    assert step == pytest.approx(milliseconds * 1e-3, rel=0.01)
    assert batch / step == pytest.approx(rate, rel=0.01)


def test_llama_3_70b_in_8_bits_on_eight_tpu_v5e():
    """Applied inference: 112 GB, 17 ms a step, 1882 tokens/s at a batch of 32 and 8192 tokens."""
    traffic = weight_bytes(70e9, 1.0) + 32 * cache("llama-3.1-70b", 8192.0, 1.0)
    step = memory_time(traffic, 8 * device("tpu-v5e").memory.bandwidth)
    assert traffic == pytest.approx(112e9, rel=0.015)
    assert step == pytest.approx(17e-3, rel=0.02)
    assert 32 / step == pytest.approx(1882, rel=0.02)


def test_a_step_of_30_billion_parameters_on_sixteen_tpu_v5e():
    """Inference, pop quiz: 2.5 ms at a batch of 4; at 256, products and reading of the cache one after the other: 21."""
    chip, kept = device("tpu-v5e"), 100e3 * 8192
    few = memory_time(4 * kept + weight_bytes(30e9, 1.0), 16 * chip.memory.bandwidth)
    assert few == pytest.approx(2.5e-3, rel=0.02)
    read = memory_time(256 * kept, 16 * chip.memory.bandwidth)
    multiplied = compute_time(256 * FLOP_PER_PARAMETER * 30e9, 16 * chip.compute.peak["bf16"].dense)
    assert read + multiplied == pytest.approx(21e-3, rel=0.01)


def test_the_ridge_of_tpu_v5e():
    """Roofline: B > 1.97e14 / 8.20e11 = 240 tokens; there a product takes as long as its weights."""
    chip = device("tpu-v5e")
    batch = chip.compute.peak["bf16"].dense / chip.memory.bandwidth
    assert batch == pytest.approx(240, rel=0.01)
    weights = 8192.0 * 28672.0
    arithmetic = compute_time(batch * FLOP_PER_PARAMETER * weights, chip.compute.peak["bf16"].dense)
    assert operator_time(arithmetic, memory_time(2.0 * weights, chip.memory.bandwidth)) == pytest.approx(arithmetic)


def test_a_step_that_reads_all_of_a_tpu_v5e():
    """Applied inference: 16 GB / 8.2e11 = 19 ms."""
    chip = device("tpu-v5e")
    assert memory_time(16e9, chip.memory.bandwidth) == pytest.approx(19e-3, rel=0.03)


def test_training_llama_3_70b_on_a_pod_of_tpu_v5p():
    """Applied training: 6.3e24 FLOP, 3.8e6 s on 8960 chips at 40 % MFU, which is 44 days; 435 years on one chip."""
    work, peak = TRAINING * 70e9 * 15e12, device("tpu-v5p").compute.peak["bf16"].dense
    assert work == pytest.approx(6.3e24)
    time = run_time(1.0, compute_time(work, 8960 * peak * 0.4))
    assert time == pytest.approx(3.8e6, rel=0.01)
    assert round(time / DAY) == 44
    assert utilisation(work, time, 8960 * peak) == pytest.approx(0.4)
    assert compute_time(work, peak) / (365 * DAY) == pytest.approx(435, rel=0.005)


def test_the_utilisation_of_deepseek_v3():
    """Transformers, question 7: 2.79 million hours of an H800 of 1.513e15 FLOP/s, 37 billion parameters: 3.3e24 / 1.52e25, 21.7 %."""
    work = TRAINING * 37e9 * 14.8e12
    found = utilisation(work, 2.79e6 * 3600, device("h800-pcie").compute.peak["fp8"].dense)
    assert work == pytest.approx(3.3e24, rel=0.005)
    assert found == pytest.approx(0.217, abs=0.001)


def test_attention_and_its_projections_take_as_long_at_twice_the_width():
    """Transformers, question 5: 24 BTDNH = 12 BT^2NH at T = 2D, 8192 tokens for D = 4096."""
    width, heads, tokens = 4096.0, 32.0, 8192.0
    projections = 4.0 * FLOP_PER_PARAMETER * width * width * tokens
    scores = attention_flops(full_pairs(tokens, tokens), heads, width / heads, width / heads, FLOP_PER_PARAMETER)
    assert scores == projections


def test_the_cache_of_a_token():
    """Transformers, question 1: 2 x 64 x 4096 in 8 bits, 512 kB."""
    assert kv_cache_bytes(64.0, 2.0 * 4096, 1.0) == 512 * 1024
