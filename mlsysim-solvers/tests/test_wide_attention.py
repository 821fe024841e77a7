"""Checkpoints of few bits whose maker leaves attention in 16: what they weigh, and what a token takes."""

from __future__ import annotations

import pytest

from mlsysim.evaluation import evaluate

ATTENTION = 126 * 2 * 16384 * (128 * 128 + 8 * 128)
"""Weights around attention in Llama 3.1 405B: queries and outputs of 128 heads, keys and values of 8."""


def served(wide, **workload):
    return evaluate({
        "name": "wide attention", "kind": "serving", "parallelism": {"tensor": 8},
        "system": {"device": "h100-sxm", "devices": 8, "stack": "vllm-0.11"},
        "workload": {"model": "llama-3.1-405b", "precision": "fp8", "batch": 1, "input": 128, "output": 128} | workload,
        "settings": {"parallel-serving": {"wide_attention": wide}},
    })  # fmt: skip


def test_attention_in_16_bits_weighs_a_byte_more_for_each_weight():
    narrow, wide = (served(told)["feasibility.memory_required"].value for told in (0, 1))
    assert wide - narrow == pytest.approx(ATTENTION / 8, rel=1e-6)


def test_a_token_reads_these_bytes_too():
    narrow, wide = (served(told)["performance.tpot"].value for told in (0, 1))
    assert 0.8 * ATTENTION / 8 / 3.35e12 < wide - narrow < 1.6 * ATTENTION / 8 / 3.35e12


def test_prompts_are_read_more_slowly():
    narrow, wide = (served(told, batch=16, input=2048)["performance.ttft"].value for told in (0, 1))
    assert 1.05 * narrow < wide < 1.3 * narrow


def test_weights_in_16_bits_are_told_nothing_new():
    told, untold = (served(wide, precision="bf16") for wide in (1, 0))
    for name in ("feasibility.memory_required", "performance.latency"):
        assert told[name] == untold[name]


def test_mixtures_in_4_bits_have_it_anyway():
    def token(wide):
        return evaluate({
            "name": "wide", "kind": "serving", "system": {"device": "b200-sxm", "stack": "vllm-0.11"},
            "workload": {"model": "gpt-oss-120b", "precision": "nvfp4", "batch": 1, "input": 64, "output": 64},
            "settings": {"single-node": {"wide_attention": wide}},
        })["performance.tpot"]  # fmt: skip

    assert token(1) == token(0)
