"""First tokens of a run in which all clients begin at once: the closed form against an engine simulated pass by pass."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import numpy as np
import pytest
from in_flight_simulation import Rules, simulate, ttft
from test_in_flight import NOTHING, Engine, Pass, answers, batching, passes

from mlsysim_solvers import in_flight
from mlsysim_solvers.formulas.admission import first_decoding, first_passes
from mlsysim_solvers.formulas.batching import crowded_away
from mlsysim_solvers.formulas.queue_constants import TURNS


def first_wave(monkeypatch, rules, input_, output, clients):
    """Return the mean time to first token of those that all come at once."""
    monkeypatch.setattr(in_flight, "decoding_pass", lambda e, d, a: Pass(rules.plain(d), 0.0 * d, NOTHING))
    c = passes(monkeypatch, rules, input_, output, 0.0, "concurrency") | {"delivery": 0.0}
    engine = Engine(c, None, None, None)
    state = batching.steady(engine, float(clients), 1.0, 1.0)
    return in_flight._burst(c, engine, state, float(clients))


WAVES = {
    "decoding takes half of a pass": ({"budget": 1024}, 512, 512),
    "decoding takes a part of a pass": ({"budget": 2048}, 1024, 256),
    "prompts are cut": ({"budget": 2048}, 1800, 16),
    "few prompts are cut": ({"budget": 8192}, 7400, 4),
    "all fit one pass": ({"budget": 16384}, 1024, 12),
    "the first is read alone": ({"budget": 16384, "intake": 1e-3}, 1024, 12),
    "whole prompts": ({"budget": 3000, "chunked": False}, 1024, 40),
    "nobody decodes while prompts are read": ({"budget": 2048, "mixed": False}, 1024, 64),
    "looks now and then": ({"budget": 16384, "mixed": False, "interval": 20, "intake": 1e-3}, 1024, 12),
    "a slow front end": ({"budget": 8192, "intake": 0.1}, 1024, 32),
}


@pytest.mark.parametrize(("given", "input_", "clients"), WAVES.values(), ids=WAVES)
def test_the_first_wave_agrees_pass_by_pass(monkeypatch, given, input_, clients):
    rules = Rules(1024, **given)
    first = handed_over(rules, input_, clients)
    assert first_wave(monkeypatch, rules, input_, 4000, clients) == pytest.approx(first, rel=0.1)


def handed_over(rules, input_, clients):
    """Return the mean time to first token, simulated, of those that all come at once, counted from when all were sent.

    The front end does its share of the work for all in turns, and the rest for one after the other.
    """
    line = (1.0 - TURNS) * rules.intake
    run = simulate(rules, input_=input_, output=4000, clients=clients, requests=clients, apart=line)
    return clients * TURNS * rules.intake + line + mean(job.first for job in run.jobs)


@pytest.mark.parametrize("input_", [256, 1024, 8000])
def test_one_request_alone_waits_for_its_own_intake_and_prompt(monkeypatch, input_):
    rules = Rules(1024, 8192, intake=20e-3)
    assert first_wave(monkeypatch, rules, input_, 4000, 1) == pytest.approx(rules.intake + rules.reading(0, input_))


@pytest.mark.parametrize("intake", [0.0, 5e-3, 20e-3])
def test_many_that_come_at_once_wait_for_half_of_all_prompts_and_for_the_front_end(monkeypatch, intake):
    """In the limit each client adds half of its prompt and the front end's turn, whichever engine reads it."""
    slopes = []
    for per_token in (10e-6, 30e-6):
        rules = Rules(1024, 8192, mixed=False, base=1e-6, per_request=0.0, per_token=per_token, intake=intake)
        few, many = (first_wave(monkeypatch, rules, 4096, 4000, clients) for clients in (512, 1024))
        slopes.append((many - few) / 512)
        assert slopes[-1] == pytest.approx(TURNS * intake + 0.5 * 4096 * per_token, rel=0.02)
        slower = first_wave(monkeypatch, replace(rules, intake=1.5 * intake), 4096, 4000, 512)
        assert slower > few or intake == 0.0
    # Faster devices take nothing from what the front end adds.
    assert slopes[1] - slopes[0] == pytest.approx(0.5 * 4096 * 20e-6, rel=0.02)


def test_who_was_read_first_takes_part_of_the_passes_that_read_the_others():
    assert first_decoding(16.0, 512.0, 8192.0) == 0.0
    few, many = (first_decoding(256.0, 1024.0, budget) for budget in (65536.0, 2048.0))
    assert 0.0 < few < many < 128.0
    assert first_decoding(4096.0, 1024.0, 2048.0) == 1024.0


def test_a_lone_prompt_ends_with_its_own_passes():
    assert first_passes(1.0, 512.0, 512.0, 1.0) == 1.0
    assert first_passes(40.0, 1024.0, 1024.0, 1.0) == first_passes(40.0, 1024.0, 1024.0, 0.0) == 20.5
    exact = mean(np.ceil(0.9 * np.arange(1, 65)))
    assert first_passes(64.0, 0.9, 1.0, 1.0) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(("input_", "output", "clients", "budget"), [
    (4096, 512, 64, 4200), (1024, 1024, 256, 2048), (4096, 512, 64, 16384), (512, 2048, 16, 8192),
])  # fmt: skip
def test_prompts_of_clients_that_began_together_agree_pass_by_pass(monkeypatch, input_, output, clients, budget):
    rules, requests, spread = Rules(1024, budget), 10 * clients, 0.1
    runs = [simulate(rules, input_=input_, output=output, spread=spread, clients=clients, requests=requests, seed=seed)
            for seed in range(4)]  # fmt: skip
    # Who came first is no part of the steady state.
    later = mean(ttft(job) for run in runs for job in sorted(run.jobs, key=lambda j: j.arrived)[clients:])
    c = passes(monkeypatch, rules, input_, output, spread / 3**0.5, "concurrency")
    engine, gap = Engine(c, None, None, None), 1.0 - 1.0 / clients
    forever = batching.steady(engine, float(clients), 1.0, gap)
    engine = Engine(c | {"requests": float(requests)}, None, None, None)
    found = batching.steady(engine, float(clients), 1.0, gap)
    assert found.first == pytest.approx(later, rel=0.25)
    assert abs(found.first - later) <= abs(forever.first - later) + 0.02 * later


def test_requests_come_back_over_the_whole_answer_when_they_have_scattered():
    away, first = 1024.0, 64.0
    near = [crowded_away(away, first, 60.0, waves) for waves in (1.0, 10.0, 100.0, 1e4)]
    assert near == sorted(near)
    assert near[0] < 0.5 * away
    assert near[-1] == away
    # Answers of one length keep their order: nobody comes before a place is free.
    assert crowded_away(away, first, 0.0, 10.0) == away


def test_kernels_that_are_compiled_on_first_use_hold_up_prompts_that_are_cut():
    def first(clients, **settings):
        given = {f"settings.in-flight.{name}": value for name, value in settings.items()}
        return answers(concurrency=clients, requests=10 * clients, **given)["performance.ttft"]

    assert first(2, compile_time="30 s") == first(2)
    assert first(256, compile_time="30 s") - first(256) == pytest.approx(0.1 * (1.0 - 1.0 / 256) * 30.0)
