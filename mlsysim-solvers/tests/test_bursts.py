"""Bursts of natural lengths: the closed form against an engine simulated pass by pass, and what must hold of any."""

from __future__ import annotations

import math
import random
from statistics import mean

import numpy as np
import pytest
from in_flight_simulation import Rules, simulate, ttft
from test_in_flight import Engine, batching, ends, passes, varied

from mlsysim.evaluation import evaluate
from mlsysim.sweeping import sweep
from mlsysim_solvers.formulas.waves import crowded_passes, empty_passes, largest_deviation, longest_answer

CHAT = {"concurrency": 0, "input": 217, "output": 202, "input_variation": 1.0}


def lasting(monkeypatch, rules, lengths, variation, requests, flying, crowded=0.0):
    """Return how long a run of finitely many requests takes under the simulation's times of passes."""
    input_, output = lengths
    c = passes(monkeypatch, rules, input_, output, variation, "offline") | {"requests": float(requests)}
    engine = Engine(c, None, None, None)
    state = batching.steady(engine, float(flying), 1.0, 0.0)
    return requests * state.residence / flying + ends.ending(c, engine, state, float(flying), crowded)


@pytest.mark.parametrize(("count", "variation"), [(2, 0.3), (16, 0.1), (50, 0.5), (256, 1.0), (1000, 1.0), (1000, 0.7)])
def test_the_longest_of_many_answers_is_that_of_gamma_numbers(count, variation):
    chance, shape = random.Random(1), variation**-2
    drawn = mean(max(chance.gammavariate(shape, 200 / shape) for _ in range(count)) for _ in range(600))
    assert longest_answer(200.0, variation, float(count)) == pytest.approx(drawn, rel=0.08)


def test_the_largest_of_normal_numbers_is_none_above_the_mean_where_there_is_one():
    chance = random.Random(2)
    assert largest_deviation(1.0) == 0.0
    for count in (2, 8, 64, 1000):
        drawn = mean(max(chance.gauss(0, 1) for _ in range(count)) for _ in range(1500))
        assert largest_deviation(float(count)) == pytest.approx(drawn, abs=0.12)


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("variation", [0.4, 1.0])
@pytest.mark.parametrize(("requests", "slots"), [(1000, 1024), (1000, 256), (400, 40), (50, 64)])
def test_a_burst_of_natural_lengths_pass_by_pass(monkeypatch, mixed, variation, requests, slots):
    rules = Rules(slots, 8192, mixed, natural=True)
    # The longest of few answers differs much from run to run.
    runs = [simulate(rules, input_=217, output=202, spread=variation, clients=requests, requests=requests, seed=seed)
            for seed in range(1 + 3000 // requests)]  # fmt: skip
    end = lasting(monkeypatch, rules, (217, 202), variation, requests, min(requests, slots))
    assert end == pytest.approx(mean(run.end for run in runs), rel=0.13)


def test_a_burst_lasts_as_long_as_its_longest_answer_at_least(monkeypatch):
    rules = Rules(1024, 8192, natural=True)
    end = lasting(monkeypatch, rules, (217, 202), 1.0, 1000, 1000)
    assert end > longest_answer(202.0, 1.0, 1000.0) * rules.plain(0)


@pytest.mark.parametrize(("requests", "room", "input_", "output"), [
    (800, 1_000_000, 128, 2048), (400, 850_000, 500, 2000), (300, 350_000, 1000, 500),
])  # fmt: skip
def test_answers_of_one_length_that_outgrow_memory_pass_by_pass(monkeypatch, requests, room, input_, output):
    rules = Rules(4096, 8192, room=room, per_token=1e-6)
    run = simulate(rules, input_=input_, output=output, clients=requests, requests=requests)
    held = room / (input_ + 0.5 * output)
    flying = min(requests, held)
    crowded = crowded_passes(float(input_), float(output), room / flying)
    blind = lasting(monkeypatch, rules, (input_, output), 0.0, requests, flying)
    end = lasting(monkeypatch, rules, (input_, output), 0.0, requests, flying, crowded)
    assert end == pytest.approx(run.end, rel=0.12)
    assert abs(end - run.end) < abs(blind - run.end)


def test_who_comes_at_once_waits_for_half_of_all_others():
    rules = Rules(32, 8192, natural=True)
    run = simulate(rules, input_=217, output=202, spread=0.5, clients=640, requests=640)
    # In the simulation all come at once: the mean over the whole run, not over its middle.
    assert mean(map(ttft, run.jobs)) == pytest.approx(0.5 * run.end, rel=0.15)
    burst = varied_answers(concurrency=640, requests=640, max_batch=32)
    lasting_run = varied_answers(concurrency=640, requests=64000, max_batch=32)
    assert burst["ttft"] == pytest.approx(0.5 * lasting_run["ttft"], rel=0.15)


def varied_answers(**overrides):
    found = evaluate(varied(**(CHAT | {"output_variation": 0.5} | overrides)))
    return {name: found[name].value for name in ("ttft", "throughput", "token_throughput")}


def test_scattered_answers_make_a_burst_slower_and_a_longer_run_less_so():
    alike, scattered = (varied_answers(output_variation=v, requests=500) for v in (0.0, 1.0))
    assert scattered["throughput"] < alike["throughput"]
    rates = [varied_answers(output_variation=1.0, requests=n)["throughput"] for n in (500, 5000, 50000)]
    assert rates == sorted(rates)


def test_a_sweep_of_spreads_answers_as_single_scenarios_do():
    spreads = np.array([0.0, 0.2, 0.7, 1.3])
    base = varied(**CHAT, requests=500)
    found = sweep(base, {"output_variation": spreads}, grid=False)
    for i, spread in enumerate(spreads):
        alone = evaluate(varied(**CHAT, requests=500, output_variation=float(spread)))
        for name in ("performance.throughput", "performance.ttft", "performance.token_throughput"):
            value = alone[name].value
            assert found.outputs[name][i] == pytest.approx(float(getattr(value, "value", value)), rel=1e-12), name


@pytest.mark.parametrize("places", [1.0, 2.0, 7.5, 300.0])
def test_no_place_is_empty_where_all_answers_are_alike(places):
    assert empty_passes(200.0, 0.0, 1.0, places) == 0.0
    assert math.isfinite(empty_passes(200.0, 3.0, 1.0, places))
