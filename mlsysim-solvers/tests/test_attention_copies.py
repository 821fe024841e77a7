"""Copies of attention that share experts: what they hold, compute and say, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.errors import ConfigError
from mlsysim.evaluation import build_request, evaluate
from mlsysim.plugins import plugins
from mlsysim.sweeping import sweep
from mlsysim_solvers.execution.serving.copies import place_of
from mlsysim_solvers.execution.serving.passes import decoding_pass, engine_of, reading_pass
from mlsysim_solvers.formulas.expert_parallel import busiest_experts, busiest_load, busiest_share, gathering_passes
from mlsysim_solvers.formulas.mixture import popularity_shape
from mlsysim_solvers.in_flight import InFlightSolver

COPIES = "deepseek-v3-b200-attention-dp"


def columns(name=COPIES, **overrides):
    given = {key.replace("__", "."): str(value) for key, value in overrides.items()}
    config = SimulationConfig.load(name, given)
    solver = InFlightSolver()
    return solver.prepare(build_request(config, plugins().solver("in-flight"), {}))


def answers(**overrides):
    return InFlightSolver().compute(columns(**overrides))


def layout(attention, tensor, expert):
    return {"parallelism__attention": attention, "parallelism__tensor": tensor, "parallelism__expert": expert}


def test_a_prompt_is_read_by_one_copy():
    assert busiest_load(8192.0, 8.0, 8192.0, 1.0) == 8192.0
    assert busiest_load(65536.0, 8.0, 8192.0, 1.0) == 8192.0
    assert busiest_load(100.0, 8.0, 8192.0, 1.0) == 100.0
    assert busiest_load(4.0, 8.0, 1.0, 1.0) == 1.0


def test_the_busiest_device_against_experts_that_are_drawn():
    draw = np.random.default_rng(1)
    for experts, devices, reached in ((256, 8, 8), (256, 8, 128), (128, 4, 100), (256, 64, 200)):
        chosen = draw.random((4000, experts)).argsort(axis=1)[:, :reached] // (experts // devices)
        busiest = np.mean([np.bincount(row, minlength=devices).max() for row in chosen])
        mean = reached / devices
        found = busiest_experts(float(reached), float(experts), float(devices))
        # An upper bound on the mean of the largest, and close to it.
        assert busiest * 0.97 <= found <= mean + 1.45 * (busiest - mean)
    assert busiest_experts(256.0, 256.0, 8.0) == 32.0
    assert busiest_experts(40.0, 256.0, 1.0) == 40.0


def test_the_busiest_device_against_experts_of_drawn_popularity():
    draw = np.random.default_rng(3)
    for experts, devices in ((256, 8), (128, 4), (16, 4)):
        popular = draw.gamma(popularity_shape(float(experts)), 1.0, (4000, devices, experts // devices)).sum(axis=2)
        over = np.mean(popular.max(axis=1) / popular.mean(axis=1)) - 1.0
        found = busiest_share(float(experts), float(devices)) - 1.0
        assert 0.97 * over <= found <= 1.7 * over
    assert busiest_share(256.0, 1.0) == 1.0
    assert busiest_share(2.0, 2.0) <= 2.0


def test_prompts_wait_as_long_as_collecting_one_for_each_copy_takes():
    draw = np.random.default_rng(2)
    ranks, rate = 8, 0.5
    waits = []
    for _ in range(4000):
        seen, passes = {0}, 0.0
        while len(seen) < ranks:
            passes += draw.exponential(1.0 / rate)
            seen.add(int(draw.integers(ranks)))
        waits.append(passes)
    assert gathering_passes(float(ranks), rate, 1e9) == pytest.approx(np.mean(waits), rel=0.03)
    assert gathering_passes(8.0, 0.5, 10.0) == 10.0
    assert gathering_passes(1.0, 0.5, 10.0) == 0.0


def test_all_weights_are_held_once_but_what_is_copied():
    c = columns()
    whole, own = c["shape"], place_of(c).shape
    routed = whole.expert_layers * whole.experts * 3.0 * whole.hidden * whole.expert_ffn
    assert own.parameters == pytest.approx((whole.parameters - routed) + routed / 8.0)
    tensor = place_of(columns(**layout(1, 8, 8))).shape
    assert tensor.parameters < own.parameters
    assert place_of(columns(**layout(1, 8, 1))).shape.parameters == pytest.approx(tensor.parameters)


def test_a_model_without_experts_shares_its_mlp():
    given = {"model": "llama-3.1-70b", "concurrency": 64, "precision": "bf16"}
    c = columns(**given, **layout(4, 2, 1))
    whole, own = c["shape"], place_of(c).shape
    mlp = whole.layers * 3.0 * whole.hidden * whole.ffn
    assert own.ffn == whole.ffn / 8.0
    assert own.parameters == pytest.approx((whole.parameters - mlp) / 2.0 + mlp / 8.0, rel=0.01)
    assert answers(**given, **layout(4, 2, 1))["performance.communication"] > 0.0


def test_copies_of_attention_hold_caches_of_their_own():
    copied, divided = answers(), answers(**layout(1, 8, 8))
    # Compressed keys and values cannot be divided by heads: every tensor-parallel device keeps them all.
    assert copied["feasibility.max_batch"] > 5.0 * divided["feasibility.max_batch"]
    assert bool(copied["feasibility.fits"])


def test_all_copies_wait_for_the_one_that_reads():
    # A host that is never waited for: short prompts would hide behind it.
    engine = engine_of(columns() | {"long_output": 1024.0, "launch": 0.0})
    one, eight = (reading_pass(engine, 64.0, 1024.0 * n, 1.0).time for n in (1.0, 8.0))
    alone = engine_of(columns(**layout(1, 8, 8)) | {"long_output": 1024.0, "launch": 0.0})
    # Eight times as many tokens for the experts, and as many for each attention.
    assert one < eight < 3.0 * one
    assert one > reading_pass(alone, 64.0, 1024.0, 1.0).time


def test_more_decoding_requests_take_longer_on_every_layout():
    for degrees in ((8, 1, 8), (8, 1, 1), (4, 2, 8), (2, 4, 4), (1, 8, 8)):
        engine = engine_of(columns(**layout(*degrees)) | {"long_output": 1024.0})
        times = [decoding_pass(engine, n, 1.0).time for n in (1.0, 8.0, 64.0, 512.0)]
        assert times == sorted(times)


def test_one_device_of_each_is_the_layout_without_copies():
    c = columns(**layout(1, 8, 8))
    plain = InFlightSolver().compute(c | {"expert": 1.0})
    again = InFlightSolver().compute(c | {"expert": np.ones(2), "attention": np.ones(2)})
    for name in ("performance.tpot", "performance.ttft", "feasibility.memory_required"):
        assert again[name] == pytest.approx(np.full(2, plain[name]), rel=1e-9)


def test_waiting_for_other_copies_delays_the_first_token():
    at_once, patient = answers(), answers(**{"settings__in-flight__rank_wait": 50})
    assert patient["performance.ttft"] > at_once["performance.ttft"]
    assert patient["performance.tpot"] <= at_once["performance.tpot"] * 1.01


def test_a_sweep_over_layouts_counts_devices_and_refuses_what_cannot_be():
    found = sweep(COPIES, {"attention": [1, 2, 8, 8], "tensor": [8, 4, 1, 3]}, grid=False)
    assert found.varied["devices"].tolist() == [8, 8, 8, 24]
    assert found.feasible.tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"parallelism.expert": "3"}, "expert = 3 does not divide 256 experts"),
        ({"parallelism.expert": "16"}, "does not divide the 8 devices that share a layer"),
        ({"parallelism.attention": "7"}, "data x attention x tensor x pipeline x context = 7"),
        ({"model": "llama-3.1-70b"}, "the model has no experts"),
        ({"model": "mamba-2.8b", "precision": "bf16", "parallelism.expert": "1"}, "only decoders are divided"),
        ({"devices": "24", "parallelism.attention": "24", "parallelism.expert": "8"}, "cannot share the 2048 columns"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(given, told):
    with pytest.raises(ConfigError, match=told):
        evaluate(COPIES, given)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("llama-3.1-70b-h100-8", {"parallelism.attention": "8", "devices": "64"}, "fixed batch"),
        ("llama-70b-h100-64", {"parallelism.attention": "2", "devices": "128"}, "training has no requests"),
    ],
)
def test_other_scenarios_have_no_copies_of_attention(name, given, told):
    with pytest.raises(ConfigError, match=told):
        evaluate(name, given)
