"""Requests that arrive at random: the closed form against an engine simulated pass by pass, and what must hold of any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_flight_simulation import Rules, simulate, tpot, ttft
from test_in_flight import Engine, passes

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import evaluate
from mlsysim.sweeping import sweep
from mlsysim_solvers.execution.serving.arrivals import line_of, quantiles
from mlsysim_solvers.execution.serving.open_loop import run_at, settled
from mlsysim_solvers.execution.serving.pass_times import passes_at, prompts_of
from mlsysim_solvers.formulas.open_loop import (
    broken_passes,
    delayed_token,
    gathered,
    mixed_token,
    residual_quantile,
    residual_wait,
    roomy,
)

LOADS = [0.1, 0.35, 0.5, 0.65]

CASES = {
    "chat": (Rules(256, 8192), 1024, 256),
    "chat, prompts first": (Rules(256, 8192, False), 1024, 256),
    "few places": (Rules(64, 8192), 512, 512),
    "few tokens of long prompts": (Rules(1024, 8192, base=6e-3, per_token=11e-6), 2048, 32),
    "few tokens of long prompts, prompts first": (Rules(2048, 16384, False, base=6e-3, per_token=11e-6), 2048, 32),
    "a prompt that fills a pass": (Rules(1024, 2048, base=6e-3, per_token=11e-6), 2048, 32),
    "prompts in parts": (Rules(256, 8192), 16384, 128),
    "prompts in parts, prompts first": (Rules(256, 8192, False), 16384, 128),
    "hardly any answer": (Rules(256, 8192, base=8e-3, per_token=40e-6), 8192, 16),
    "hardly any answer, prompts first": (Rules(256, 16384, False, base=8e-3, per_token=40e-6), 8192, 16),
    "a tiny model": (Rules(256, 8192, base=2e-3, per_request=5e-6, per_token=1e-6), 128, 32),
}

LOOSE = {"hardly any answer, prompts first": (0.2, 0.4, 0.45)}
"""Where the closed form strays further: a pass has room for two prompts, and all that is decoded waits behind them."""


def at_rate(monkeypatch, rules, input_, output, variation, load):
    """Return the rate, how many are in flight, the time to first token and the time per token, in the closed form."""
    engine = Engine(passes(monkeypatch, rules, input_, output, variation, "rate"), None, None, None)
    found = passes_at(engine, float(rules.slots))
    rate = load * rules.slots / found.longest
    flight = settled(prompts_of(engine), found, rate)
    seen, cycle, _ = run_at(engine, found, rate, flight)
    assert cycle.time == pytest.approx(seen.token)
    assert flight.others == pytest.approx(rate * flight.stay, rel=1e-9)
    return rate, flight.others, seen


@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("case", CASES)
def test_an_engine_pass_by_pass_agrees(monkeypatch, case, load, spread):
    rules, input_, output = CASES[case]
    rate, others, seen = at_rate(monkeypatch, rules, input_, output, spread / 3**0.5, load)
    run = simulate(rules, input_=input_, output=output, spread=spread, rate=rate, requests=max(2000, 96_000 // output))
    first, token, flying = LOOSE.get(case, (0.1, 0.2, 0.25))
    assert seen.first == pytest.approx(run.mean(ttft), rel=first)
    assert seen.token == pytest.approx(run.mean(tpot), rel=token)
    assert others == pytest.approx(rate * run.mean(lambda job: job.done - job.admitted), rel=flying)


@pytest.mark.parametrize(
    ("mixed", "input_", "output", "slots", "budget", "spread"),
    [(True, 1024, 256, 256, 8192, 0.5), (True, 1024, 256, 16, 8192, 0.5), (True, 256, 1024, 512, 8192, 0.9),
     (False, 1024, 256, 256, 8192, 0.5), (False, 1024, 256, 16, 8192, 0.5)],
)  # fmt: skip
@pytest.mark.parametrize("load", [0.1, 0.5, 0.8])
def test_long_answers_agree_closely_and_so_do_lines_for_a_place(
    monkeypatch, mixed, input_, output, slots, budget, spread, load
):
    rules, variation = Rules(slots, budget, mixed), spread / 3**0.5
    rate, others, seen = at_rate(monkeypatch, rules, input_, output, variation, load)
    line = line_of(others, float(slots), load * slots / rate, variation)
    run = simulate(rules, input_=input_, output=output, spread=spread, rate=rate, requests=2500)
    assert others == pytest.approx(rate * run.mean(lambda job: job.done - job.admitted), rel=0.12)
    assert seen.token == pytest.approx(run.mean(tpot), rel=0.07)
    assert line.wait + seen.first == pytest.approx(run.mean(ttft), rel=0.3)
    under = residual_quantile(seen.load, seen.busy, seen.round, seen.plain, 0.01)
    waits = math.hypot(line.quantile(0.01), seen.queue.quantile(0.01), under)
    p99 = quantiles({"t": (seen.own, seen.own * variation)}, 0.0, lambda _: waits)["t_p99"]
    assert p99 == pytest.approx(run.quantile(ttft, 0.99), rel=0.8)


@pytest.mark.parametrize(
    ("model", "device", "devices", "stack", "input_", "output"),
    [
        ("llama-3.1-8b", "h100-sxm", 1, "vllm-0.11", 1024, 256),
        ("qwen1.5-32b", "b200-sxm", 8, "sglang-0.4", 2048, 32),
        ("llama-3.1-70b", "h100-sxm", 8, "tensorrt-llm-1.0", 8192, 16),
        ("deepseek-v3", "b200-sxm", 8, "sglang-0.4", 4096, 512),
        ("qwen2.5-7b", "l40s", 1, "vllm-0.11", 16384, 64),
    ],
)
def test_more_arrivals_never_shorten_a_time(model, device, devices, stack, input_, output):
    given_ = {"model": model, "device": device, "devices": str(devices), "stack": stack,
              "input": str(input_), "output": str(output)}  # fmt: skip
    config = SimulationConfig.load("llama-3.1-8b-h100-rate", given_)
    most = sweep(config, {"rate": [0.01, 0.02]}).outputs["performance.capacity"][0]
    found = sweep(config, {"rate": most * np.linspace(0.001, 0.85, 60)}).outputs
    for name in ("ttft", "ttft_p99", "tpot", "latency", "in_flight"):
        steps = np.diff(np.log(found[f"performance.{name}"]))
        assert steps.min() > -0.02, name


@given(st.floats(0.0, 5.0), st.floats(0.0, 2.0), st.floats(0.0, 63.0))
def test_a_pass_reads_one_prompt_at_least_and_no_more_than_it_has_room_for(fixed, each, room):
    found = gathered(fixed, each, room)
    assert 1.0 <= found <= 1.0 + room + 1e-9
    assert gathered(fixed + 0.1, each, room) >= found - 1e-9
    assert roomy(fixed, room) <= min(fixed, room) + 1e-9


@given(st.floats(1e-3, 1.0), st.floats(0.0, 0.95), st.floats(0.0, 5.0), st.integers(1, 500))
def test_nobody_decodes_faster_than_alone_nor_slower_than_in_passes_that_all_read(plain, load, first, steps):
    reading = 3.0 * plain
    token = mixed_token(plain, reading, load, first, float(steps))
    assert plain * (1 - 1e-12) <= token <= reading * (1 + 1e-12)
    delayed = delayed_token(plain, load, first, float(steps))
    assert delayed >= plain / (1.0 - load) * (1 - 1e-12)
    # D = S t_0 + rho (D + t_f)
    assert steps * delayed == pytest.approx(steps * plain + load * (steps * delayed + first))


def test_a_request_alone_waits_for_nobody():
    assert mixed_token(0.01, 0.05, 0.0, 0.05, 100.0) == 0.01
    assert delayed_token(0.01, 0.0, 0.05, 100.0) == 0.01
    assert residual_wait(0.0, 0.0, 0.05, 0.01, 0.0) == 0.0
    assert residual_quantile(0.0, 0.0, 0.05, 0.01, 0.01) == 0.0
    assert gathered(0.0, 0.0, 7.0) == 1.0


def test_the_wait_for_what_runs_is_that_of_one_server():
    """Half of it is over on average, and a share q of those who meet it see more than 1 - q / rho of it."""
    assert residual_wait(0.8, 0.8, 0.05, 0.01, 0.0) == pytest.approx(0.8 * 0.025)
    assert residual_quantile(0.8, 0.8, 0.05, 0.01, 0.08) == pytest.approx(0.05 * 0.9)
    assert residual_quantile(0.5, 1.0, 0.05, 0.01, 0.75) == pytest.approx(0.01 * 0.25)


def test_the_last_part_of_a_prompt_ends_within_a_pass():
    assert broken_passes(1.0, 0.0) == 0.0
    assert broken_passes(2.25, 0.0) == pytest.approx(0.75)
    assert broken_passes(2.25, 0.3) == 0.5
    assert math.isclose(broken_passes(3.0, 0.0), 0.0)


@pytest.mark.parametrize(("tensor", "data"), [(2, 4), (8, 1)])
def test_a_request_that_hardly_meets_another_is_read_as_alone(tensor, data):
    given_ = {"model": "llama-3.1-70b", "device": "h100-sxm", "devices": "8", "parallelism.tensor": str(tensor),
              "parallelism.data": str(data), "input_variation": "0", "output_variation": "0"}  # fmt: skip
    rare = evaluate("llama-3.1-8b-h100-rate", given_ | {"rate": "0.001 sample/s"})
    alone = evaluate("llama-3.1-8b-h100-traffic", given_ | {"concurrency": "1"})
    for name in ("ttft", "tpot"):
        assert rare[f"performance.{name}"].value == pytest.approx(alone[f"performance.{name}"].value, rel=0.01)
