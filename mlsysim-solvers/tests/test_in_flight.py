"""Requests in flight: the closed form against an engine simulated pass by pass, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from in_flight_simulation import Rules, simulate, tpot, ttft

from mlsysim.config import SimulationConfig
from mlsysim.errors import ConfigError
from mlsysim.evaluation import build_request, evaluate
from mlsysim.plugins import plugins
from mlsysim.sweeping import sweep
from mlsysim.testing import BadInput, SolverCase, parametrize_checks
from mlsysim.testing.checks import check_monotone
from mlsysim_solvers.execution.device.engine import Totals
from mlsysim_solvers.execution.serving import batching, open_loop, pass_times
from mlsysim_solvers.execution.serving import ending as ends
from mlsysim_solvers.execution.serving.ending import ending
from mlsysim_solvers.execution.serving.passes import Engine, Pass
from mlsysim_solvers.execution.serving.room import completed
from mlsysim_solvers.formulas.queue_constants import BEFORE
from mlsysim_solvers.in_flight import InFlightSolver
from mlsysim_solvers.plugin import IN_FLIGHT

CLIENTS = "llama-3.1-8b-h100-traffic"
UP = 1 + 1e-12
NOTHING = Totals(*([0.0] * 7))


def varied(**overrides):
    return SimulationConfig.load(CLIENTS, {name: str(value) for name, value in overrides.items()})


def columns(**overrides):
    config = varied(**overrides)
    return InFlightSolver().prepare(build_request(config, plugins().solver("in-flight"), {}))


def caches(c):
    return c.get("data", 1.0) * c.get("attention", 1.0)


def answers(**overrides):
    return InFlightSolver().compute(columns(**overrides))


CASE = SolverCase(
    IN_FLIGHT,
    scenarios=[
        CLIENTS,
        varied(concurrency=0),
        varied(stack="sglang-0.4", requests=640, input_variation=0.3, output_variation=0.3),
        varied(model="llama-3.1-70b", devices=4, concurrency=400, stack="tensorrt-llm-1.0", cached=0.25),
        varied(concurrency=400, stack="tensorrt-llm-1.0", scheduler="tensorrt"),
        SimulationConfig.load("llama-3.1-8b-h100-rate"),
        SimulationConfig.load("llama-3.1-8b-h100-rate", {"model": "llama-3.1-70b", "devices": "8", "rate": "2 sample/s"}),
        SimulationConfig.load("llama-3.1-8b-h100-rate", {"rate": "100 sample/s", "stack": "sglang-0.4"}),
        SimulationConfig.load("deepseek-v3-b200-attention-dp", {"settings.in-flight.rank_wait": "20"}),
        varied(model="llama-3.1-70b", devices=4, **{"parallelism.attention": 2, "parallelism.tensor": 2}),
        varied(model="mixtral-8x7b", devices=16, **{"parallelism.attention": 2, "parallelism.tensor": 2,
               "parallelism.pipeline": 2, "parallelism.data": 2, "parallelism.expert": 2}),
        varied(model="mixtral-8x7b", devices=8, **{"parallelism.tensor": 2, "parallelism.pipeline": 2, "parallelism.data": 2}),
    ],
    discrete=("token", "sample"),
    never_falls={"overhead": ("performance.latency", "performance.tpot"), "capacity": ("feasibility.max_batch",)},
    never_rises={"reserve": ("feasibility.max_batch",), "peak": ("performance.latency", "performance.pass_time")},
    limits={
        "arithmetic is never above the peak": lambda c, a: a["performance.utilisation"] <= UP,
        "traffic is never above the bandwidth": lambda c, a: a["performance.bandwidth_utilisation"] <= UP,
        "the first token comes before the last": lambda c, a: a["performance.ttft"] <= a["performance.latency"] * UP,
        "nobody is in flight beyond the limit": lambda c, a: a["performance.in_flight"]
        <= max(1.0, min(c["max_batch"], a["feasibility.max_batch"] / caches(c))) * caches(c) * UP,
        "quantiles are in order": lambda c, a: "rate" not in c
        or (a["performance.ttft_p50"] <= a["performance.ttft_p90"] <= a["performance.ttft_p99"]
        and a["performance.latency_p50"] <= a["performance.latency_p90"] <= a["performance.latency_p99"]),
        "no more is answered than can be": lambda c, a: "rate" not in c
        or a["performance.throughput"] == min(c["rate"], a["performance.capacity"]),
        "an engine keeps up below its capacity": lambda c, a: "rate" not in c
        or bool(a["feasibility.keeps_up"]) == (c["rate"] < a["performance.capacity"]),
        "clients are in flight or wait": lambda c, a: "concurrency" not in c or "requests" in c
        or a["performance.in_flight"] + a["performance.waiting"] == pytest.approx(c["concurrency"]),
    },
    bad_inputs=(
        BadInput("workload.rate", {"rate": "4 sample/s"}),
        BadInput("workload.cached", {"cached": "1"}),
        BadInput("workload.input", {"input": "1e9"}),
        BadInput("precision", {"precision": "fp5"}),
        BadInput("system.stack", {"stack": "pytorch-2"}),
    ),
)  # fmt: skip


@parametrize_checks(CASE)
def test_in_flight(check):
    check()


def test_passes_never_get_longer_with_bandwidth():
    outputs = ("performance.latency", "performance.pass_time")
    check_monotone(
        SolverCase(IN_FLIGHT, scenarios=CASE.scenarios, discrete=CASE.discrete, never_rises={"bandwidth": outputs})
    )


def passes(monkeypatch, rules, input_, output, variation, arrivals):
    """Give passes the simulation's times, and return the columns of such an engine."""
    monkeypatch.setattr(Engine, "brief", lambda engine: engine)
    for module in (batching, ends, open_loop, pass_times):
        monkeypatch.setattr(module, "decoding_pass", lambda e, d, a: Pass(rules.plain(d), 0.0 * d, NOTHING))
        monkeypatch.setattr(module, "reading_pass", lambda e, d, t, a: Pass(rules.reading(d, t), 0.0 * t, NOTHING))
    return {"input": float(input_), "output": float(output), "cached": 0.0, "max_tokens": float(rules.budget),
            "mixed": rules.mixed, "input_variation": variation, "output_variation": variation, "arrivals": arrivals, "chunked": rules.chunked,
            "overlap": rules.overlap, "hold": float(rules.hold), "interval": float(rules.interval),
            "intake": rules.intake / BEFORE, "intake_token": 0.0}  # fmt: skip


def closed_form(monkeypatch, rules, input_, output, spread, clients):
    """Return requests per time, time to first token and time per token under the simulation's times of passes."""
    c = passes(monkeypatch, rules, input_, output, spread / 3**0.5, "concurrency")
    flying = float(min(clients, rules.slots))
    gap = (1.0 + rules.overlap) * (1.0 - 1.0 / flying) if clients <= rules.slots else 0.0
    state = batching.steady(Engine(c, None, None, None), flying, 1.0, gap)
    rate = min(clients / (state.residence + rules.intake), flying / state.residence)
    wait = max(0.0, clients / rate - state.residence - rules.intake)
    return rate, wait + state.first, (state.residence - state.first) / (output - 1)


SPECIAL = {
    "whole prompts": {"chunked": False},
    "whole prompts, none beside another": {"chunked": False, "budget": 1500},
    "a pass is put together early": {"overlap": True},
    "held back": {"hold": 20},
    "looks now and then": {"mixed": False, "interval": 20},
    "a front end": {"intake": 0.02},
}


@pytest.mark.parametrize("output", [256, 1024])
@pytest.mark.parametrize("rules", SPECIAL.values(), ids=SPECIAL)
def test_what_an_engine_does_besides_agrees_pass_by_pass(monkeypatch, rules, output):
    rules = Rules(256, **{"budget": 8192} | rules)
    run = simulate(rules, input_=1024, output=output, spread=0.2, clients=16, requests=800)
    rate, first, token = closed_form(monkeypatch, rules, 1024, output, 0.2, 16)
    assert rate == pytest.approx(run.rate, rel=0.05)
    assert token == pytest.approx(run.mean(tpot), rel=0.05)
    assert first == pytest.approx(run.mean(ttft), rel=0.3)


@pytest.mark.parametrize(
    ("mixed", "input_", "output", "clients", "slots", "budget", "spread"),
    [
        (True, 1024, 256, 64, 256, 8192, 0.2),
        (True, 1024, 256, 64, 256, 8192, 0.0),
        (True, 1024, 1024, 16, 256, 8192, 0.1),
        (True, 4096, 128, 64, 256, 2048, 0.2),
        (True, 512, 512, 256, 64, 8192, 0.3),
        (True, 8192, 1024, 32, 256, 2048, 0.2),
        (True, 1024, 256, 1, 64, 8192, 0.0),
        (False, 1024, 256, 64, 256, 8192, 0.2),
        (False, 1024, 256, 64, 256, 8192, 0.0),
        (False, 128, 2048, 512, 1024, 8192, 0.1),
        (False, 8192, 1024, 32, 256, 2048, 0.2),
        (False, 512, 512, 256, 64, 8192, 0.3),
    ],
)
def test_an_engine_pass_by_pass_agrees(monkeypatch, mixed, input_, output, clients, slots, budget, spread):
    rules = Rules(slots, budget, mixed)
    run = simulate(rules, input_=input_, output=output, spread=spread, clients=clients, requests=max(20 * clients, 400))
    rate, first, token = closed_form(monkeypatch, rules, input_, output, spread, clients)
    assert rate == pytest.approx(run.rate, rel=0.05)
    assert token == pytest.approx(run.mean(tpot), rel=0.05)
    # How long a prompt waits for others depends on how far requests have drifted apart.
    assert first == pytest.approx(run.mean(ttft), rel=0.45)


@pytest.mark.parametrize("clients", [1, 3, 64, 300, 5000])
@pytest.mark.parametrize("stack", ["vllm-0.11", "sglang-0.4", "tensorrt-llm-1.0"])
def test_little(clients, stack):
    found = answers(concurrency=clients, stack=stack)
    assert found["performance.throughput"] * found["performance.latency"] == pytest.approx(clients, rel=1e-12)


def test_alone_a_request_takes_what_a_batch_of_one_takes():
    server = dict.fromkeys(("intake", "intake_token", "delivery", "step_request"), 0.0)
    alone = InFlightSolver().compute({**columns(concurrency=1), **server})
    still = evaluate("llama-3.1-8b-h100", {"batch": "1"})
    assert alone["performance.tpot"] == pytest.approx(still["tpot"].value, rel=1e-3)
    assert alone["performance.ttft"] == pytest.approx(still["ttft"].value, rel=0.1)
    assert alone["performance.latency"] == pytest.approx(still["latency"].value, rel=0.02)


def test_more_clients_answer_more_and_wait_longer():
    found = [answers(concurrency=n) for n in (1, 2, 4, 16, 64, 256)]
    for name in ("performance.throughput", "performance.latency", "performance.tpot"):
        values = [a[name] for a in found]
        assert values == sorted(values), name


def test_more_clients_than_fit_only_wait():
    full, over = answers(concurrency=0), answers(concurrency=4000)
    assert over["performance.throughput"] == pytest.approx(full["performance.throughput"], rel=1e-12)
    assert over["performance.waiting"] == 4000 - over["performance.in_flight"]
    assert over["performance.tpot"] == pytest.approx(full["performance.tpot"], rel=1e-12)


def test_a_front_end_sends_one_token_after_the_other_however_fast_the_engine_is():
    case = {**columns(concurrency=128), "intake": 0.01, "intake_token": 0.0, "answer_token": 3e-4}
    output = case["output"]
    behind = InFlightSolver().compute(case)
    assert behind["performance.throughput"] == pytest.approx(1.0 / (0.01 + 3e-4 * output))
    free = InFlightSolver().compute({**case, "answer_token": 0.0})
    assert free["performance.throughput"] > 1.2 * behind["performance.throughput"]
    # What requests are held up for is seen before the first token and between tokens.
    assert behind["performance.ttft"] > free["performance.ttft"]
    assert behind["performance.tpot"] > free["performance.tpot"]
    assert behind["performance.throughput"] * behind["performance.latency"] == pytest.approx(128.0)
    faster = InFlightSolver().compute({**case, "bandwidth": 2.0 * case["bandwidth"]})
    assert faster["performance.throughput"] == behind["performance.throughput"]
    # Messages of several tokens are fewer.
    together = columns(concurrency=128, **{"settings.in-flight.together": 4})
    assert together["answer_token"] == pytest.approx(0.25 * columns()["answer_token"])


def test_the_cache_limits_who_is_in_flight():
    small, large = answers(concurrency=0), answers(concurrency=0, device="h200-sxm")
    assert small["performance.in_flight"] < large["performance.in_flight"] <= 1024
    assert answers(concurrency=0, max_batch=16)["performance.in_flight"] == 16


def test_an_engine_that_sets_buffers_aside_for_every_place_holds_fewer_requests():
    engine = {"concurrency": 0, "stack": "tensorrt-llm-1.0", "scheduler": "tensorrt", "output": 2048}
    few, many = answers(**engine, max_batch=512), answers(**engine, max_batch=4096)
    usual = answers(**{**engine, "scheduler": ""}, max_batch=4096)
    assert many["feasibility.max_batch"] < few["feasibility.max_batch"]
    assert many["feasibility.max_batch"] < usual["feasibility.max_batch"]
    c = completed(columns(**engine, max_batch=4096))
    assert c["reserve"] - completed(columns(**engine, max_batch=2048))["reserve"] == pytest.approx(
        2048 * (c["place"] * c["shape"].vocab + c["place_token"] * (c["input"] + c["output"]))
    )


def test_choosing_a_token_looks_at_the_whole_vocabulary_on_every_device():
    c = columns(concurrency=0)
    moved = c["max_batch"] * c["shape"].vocab * c["sampling"]
    found, none = (InFlightSolver().compute({**c, "sampling": b}) for b in (c["sampling"], 0.0))
    gained = found["performance.pass_time"] - none["performance.pass_time"]
    assert 0.0 < gained < 2.0 * moved / (c["bandwidth"] * c["memory_ceiling"])
    assert found["performance.token_throughput"] < none["performance.token_throughput"]


def test_an_engine_that_the_stack_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="no scheduler 'triton'"):
        answers(concurrency=8, stack="tensorrt-llm-1.0", scheduler="triton")


def test_a_stack_that_reserves_whole_answers_holds_fewer():
    growing = columns(concurrency=0, output=2048)
    kept, grown = (InFlightSolver().compute({**growing, "reserves": r})["performance.in_flight"] for r in (True, False))
    assert kept < grown


def test_prompts_found_in_the_cache_need_no_reading():
    cold, warm = (answers(cached=share, output_variation=0.5) for share in (0, 0.5))
    assert warm["performance.ttft"] < cold["performance.ttft"]
    assert warm["performance.throughput"] > cold["performance.throughput"]


def test_a_budget_too_small_for_prompts_answers_less():
    rates = [answers(max_tokens=n, input=4096)["performance.throughput"] for n in (128, 512, 2048)]
    assert rates == sorted(rates)


def test_a_run_that_ends_answers_less_per_time_than_one_that_does_not():
    forever = answers(output_variation=0.3)
    runs = [answers(output_variation=0.3, requests=n) for n in (128, 640, 6400)]
    rates = [a["performance.throughput"] for a in runs]
    assert rates == sorted(rates)
    assert rates[-1] < forever["performance.throughput"]
    waits = [a["performance.ttft"] for a in runs]
    assert waits == sorted(waits, reverse=True)


@pytest.mark.parametrize("requests", [100, 400, 700])
@pytest.mark.parametrize(("input_", "output", "slots"), [(128, 1024, 256), (2048, 128, 64), (512, 512, 64)])
@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_a_run_of_finitely_many_requests_pass_by_pass(monkeypatch, requests, input_, output, slots, spread):
    rules = Rules(slots, 8192)
    run = simulate(rules, input_=input_, output=output, spread=spread, clients=requests, requests=requests)
    c = passes(monkeypatch, rules, input_, output, spread / 3**0.5, "offline") | {"requests": float(requests)}
    engine, flying = Engine(c, None, None, None), float(min(requests, slots))
    state = batching.steady(engine, flying, 1.0, 0.0)
    end = requests * state.residence / flying + ending(c, engine, state, flying)
    assert end == pytest.approx(run.end, rel=0.05 if spread == 0 else 0.13)


def test_tokens_per_time_are_requests_times_their_answers():
    found = answers()
    assert found["performance.token_throughput"] == pytest.approx(256 * found["performance.throughput"])


def test_answers_of_one_token_are_prompts_only():
    found = answers(output=1)
    assert found["performance.tpot"] == 0.0
    assert found["performance.latency"] == pytest.approx(found["performance.ttft"])


def test_a_sweep_answers_as_single_scenarios_do():
    clients, lengths = np.array([1.0, 7.0, 64.0, 900.0]), np.array([128.0, 1024.0, 4000.0, 300.0])
    found = sweep(CLIENTS, {"concurrency": clients, "input": lengths}, grid=False)
    for i, (n, length) in enumerate(zip(clients, lengths, strict=True)):
        alone = answers(concurrency=int(n), input=length)
        for name, values in found.outputs.items():
            if name in alone:
                assert values[i] == pytest.approx(float(alone[name]), rel=1e-12), name


RATE = "llama-3.1-8b-h100-rate"


def at_rate(rate, **overrides):
    config = SimulationConfig.load(RATE, {"rate": f"{rate} sample/s"} | {k: str(v) for k, v in overrides.items()})
    return InFlightSolver().compute(InFlightSolver().prepare(build_request(config, plugins().solver("in-flight"), {})))


@pytest.mark.parametrize("rate", [0.3, 2.0, 8.0])
def test_who_comes_at_random_misses_the_pass_that_is_put_together_meanwhile(rate):
    def first(overlap):
        rules = Rules(512, 8192, overlap=overlap)
        return simulate(rules, input_=256, output=200, spread=0.5, rate=rate, requests=2500).mean(ttft)

    def answered(overlap):
        config = SimulationConfig.load(RATE, {"rate": f"{rate} sample/s"})
        c = InFlightSolver().prepare(build_request(config, plugins().solver("in-flight"), {}))
        return InFlightSolver().compute({**c, "overlap": overlap, "input": 256.0, "output": 200.0})

    busy, later = answered(False), answered(True)
    missed = later["performance.ttft"] - busy["performance.ttft"]
    assert missed == pytest.approx(busy["performance.duty"] * busy["performance.pass_time"])
    # Everybody misses as much, so that the slowest do not miss more.
    assert later["performance.ttft_p99"] - busy["performance.ttft_p99"] == pytest.approx(missed)
    # The simulation's passes take 10 ms and more, and it is busy as long as anybody is in flight.
    seconds = first(False) + 200 * 10e-3
    share = 1.0 - np.exp(-rate * seconds)
    assert first(True) - first(False) == pytest.approx(share * 10.5e-3, rel=0.25)


def test_the_quantiles_of_a_lone_request_are_its_time():
    few = at_rate(1e-3, input_variation=0.0, output_variation=0.0)
    for name in ("p50", "p90", "p99"):
        assert few[f"performance.ttft_{name}"] == pytest.approx(few["performance.ttft"], rel=0.03), name


def test_more_arrivals_wait_longer_until_the_line_has_no_end():
    found = [at_rate(rate) for rate in (0.1, 1, 4, 8, 12, 16, 200)]
    for name in ("performance.ttft", "performance.tpot", "performance.latency", "performance.ttft_p99"):
        values = [a[name] for a in found]
        assert values == sorted(values), name
    keeps_up = [bool(a["feasibility.keeps_up"]) for a in found]
    assert keeps_up == sorted(keeps_up, reverse=True)
    assert keeps_up[0]
    assert not keeps_up[-1]


def test_a_line_without_end_is_infeasible_through_every_door():
    found = evaluate("llama-3.1-8b-h100-rate", {"rate": "100 sample/s"})
    assert found.exit_code == 3
    assert found["fits"].value, "memory is not what is short"
    rows = sweep("llama-3.1-8b-h100-rate", {"rate": ["1 sample/s", "100 sample/s"]})
    assert rows.feasible.tolist() == [True, False]


def test_little_holds_for_random_arrivals():
    found = at_rate(6)
    within = found["performance.in_flight"] + found["performance.waiting"]
    assert within == pytest.approx(6 * found["performance.latency"], rel=1e-12)


def test_an_idle_engine_answers_as_for_one_client():
    rare, alone = at_rate(0.001), answers(concurrency=1, input_variation=0.5, output_variation=0.5)
    assert rare["performance.tpot"] == pytest.approx(alone["performance.tpot"], rel=1e-3)
    assert rare["performance.duty"] < 0.01


def test_the_largest_rate_is_what_all_places_answer():
    offline = answers(concurrency=0, input_variation=0.5, output_variation=0.5)
    assert at_rate(1)["performance.capacity"] == pytest.approx(offline["performance.throughput"], rel=0.01)


def test_a_sweep_of_rates_answers_as_single_scenarios_do():
    rates, lengths = np.array([0.2, 3.0, 9.0, 60.0]), np.array([1024.0, 512.0, 2048.0, 1024.0])
    for vary in ({"rate": rates}, {"rate": rates, "input": lengths}):
        found = sweep(RATE, vary, grid=False)
        for i, rate in enumerate(rates):
            alone = at_rate(rate, **({"input": lengths[i]} if "input" in vary else {}))
            for name, values in found.outputs.items():
                if name in alone:
                    assert values[i] == pytest.approx(float(alone[name]), rel=1e-11), name


def test_a_run_that_comes_all_at_once_has_no_rate():
    with pytest.raises(ConfigError, match="all come at once"):
        evaluate(RATE, {"requests": "100"})


def test_a_sweep_of_other_arrivals_is_refused():
    with pytest.raises(ConfigError, match="rate varies, and the scenario gives a concurrency"):
        sweep(CLIENTS, {"rate": np.array([1.0, 2.0])})


def test_a_model_that_reads_everything_first_is_refused():
    with pytest.raises(ConfigError, match="joins no running batch"):
        evaluate(CLIENTS, {"model": "t5-large", "input": "256", "output": "64"})


def test_nobody_fits_where_the_weights_do_not():
    found = answers(model="llama-3.1-70b")
    assert not found["feasibility.fits"]
    assert found["feasibility.max_batch"] == 0


def test_prompts_alone_fill_their_passes():
    found = answers(output=1, concurrency=0)
    assert found["performance.throughput"] * 1024 <= 8192 / found["performance.pass_time"] * UP


def test_every_time_of_random_arrivals_carries_an_interval_that_widens_with_the_load():
    calm, busy = at_rate(1), at_rate(12)
    times = [name for name in calm if name.startswith(("performance.ttft", "performance.tpot", "performance.latency"))]
    plain = {name.removesuffix(".log_sd") for name in times}
    assert {f"performance.{time}{at}" for time in ("ttft", "latency") for at in ("", "_p50", "_p90", "_p99")} < plain
    for name in plain:
        assert 0.0 < calm[f"{name}.log_sd"] < busy[f"{name}.log_sd"], name
    for time in ("ttft", "latency"):
        spreads = [calm[f"performance.{time}_{at}.log_sd"] for at in ("p50", "p90", "p99")]
        assert spreads == sorted(spreads)


def test_times_are_not_known_where_the_interval_of_the_largest_rate_holds_the_rate_asked_for():
    card = evaluate(RATE, {"rate": f"{0.97 * at_rate(1)['performance.capacity']} sample/s"})
    assert card["capacity"].low < 0.97 * card["capacity"].value
    assert card["keeps_up"].value
    assert not card["ttft_p99"].informative
    assert evaluate(RATE)["ttft_p99"].informative


def test_two_pools_tell_the_quantiles_of_random_arrivals_with_intervals():
    card = evaluate("deepseek-v3-b200-disaggregated", {"concurrency": "0", "rate": "4 sample/s"})
    for time in ("ttft", "latency"):
        for at in ("", "_p50", "_p90", "_p99"):
            answer = card[f"performance.{time}{at}"]
            assert answer.low < answer.value < answer.high


@pytest.mark.parametrize(("case", "vary"), [
    ("llama-3.1-8b-h100-rate", {"input": [64.0, 2048.0], "output": [16.0, 300.0], "rate": np.linspace(0.1, 9.0, 200)}),
    ("llama-3.1-8b-h100-rate", {"rate": np.linspace(0.1, 9.0, 600)}),
    ("deepseek-v3-b200-disaggregated", {"prefill_tensor": [4.0, 8.0], "input": [64.0, 2048.0],
                                        "concurrency": np.linspace(1.0, 600.0, 150)}),
])  # fmt: skip
def test_rows_that_differ_only_in_who_comes_answer_as_alone(case, vary):
    found = sweep(case, vary)
    assert len(found) >= 512
    for row in range(0, len(found), 83):
        varied = {name: [float(values[row])] for name, values in found.varied.items() if name in vary}
        for name, value in sweep(case, varied).outputs.items():
            assert found.outputs[name][row] == pytest.approx(value[0], rel=1e-12), name


def test_the_host_takes_its_time_for_each_request_between_passes_that_do_not_overlap():
    def token(clients, **settings):
        given = {f"settings.in-flight.{name}": value for name, value in settings.items()}
        return answers(concurrency=clients, **given)["performance.tpot"]

    few, many = (token(clients) - token(clients, overlap="1") for clients in (8, 128))
    assert 0.0 < few < 0.5e-3
    assert many > 4.0 * few


def _between_tokens(sampled, clients=128, **overrides):
    name = "settings.in-flight.sampled"
    return (
        evaluate(varied(**{"workload.concurrency": clients, name: sampled}, **overrides))
        .answers["performance.tpot"]
        .value
    )


def test_drawing_tokens_sorts_the_vocabulary_of_every_request():
    likeliest, drawn = (_between_tokens(sampled) for sampled in (0.0, 1.0))
    # 200 to 400 ps an entry, as chat servers of this model show on this device (ML.ENERGY leaderboard).
    assert 200e-12 * 128 * 128256 < drawn - likeliest < 400e-12 * 128 * 128256
    few = [_between_tokens(sampled, clients=8) for sampled in (0.0, 1.0)]
    assert few[1] - few[0] == pytest.approx((drawn - likeliest) / 16.0, rel=0.2)


def test_where_nobody_knows_what_drawing_takes_it_is_refused():
    with pytest.raises(ConfigError, match=r"settings\.in-flight\.sampled: nothing says what drawing a token"):
        _between_tokens(1.0, **{"system.stack": "sglang-0.4"})
