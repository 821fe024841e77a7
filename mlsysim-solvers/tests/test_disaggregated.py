"""Prompts read in one pool, answers written in another: against a simulation of clients, and what must hold of any."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.errors import ConfigError, SolverError
from mlsysim.evaluation import build_request, evaluate
from mlsysim.plugins import plugins
from mlsysim.sweeping import sweep
from mlsysim.testing import BadInput, SolverCase, parametrize_checks
from mlsysim_solvers.disaggregated import sent_rate, two_pools
from mlsysim_solvers.execution.serving.batching import intake_of
from mlsysim_solvers.formulas.disaggregation import (
    cache_transfer_time,
    exposed_transfer,
    idle_workers,
    matching_workers,
    pool_rate,
    prompt_stay,
    prompts_together,
    stay_of_slower_decode,
    stay_of_slower_prefill,
)
from mlsysim_solvers.in_flight import InFlightSolver
from mlsysim_solvers.plugin import IN_FLIGHT
from mlsysim_solvers.pool_workers import PrefillWorkers

POOLS = "deepseek-v3-b200-disaggregated"
SMALL = {
    "name": "pools", "kind": "traffic",
    "workload": {"model": "llama-3.1-8b", "concurrency": 64, "input": 1024, "output": 256},
    "system": {"device": "h100-sxm", "stack": "vllm-0.11", "devices": 3},
    "pools": {"prefill": {"workers": 1}, "decode": {"workers": 2}},
}  # fmt: skip
UP = 1 + 1e-9


def varied(**overrides):
    return SimulationConfig.load(POOLS, {key.replace("__", "."): str(value) for key, value in overrides.items()})


def columns(config):
    return InFlightSolver().prepare(build_request(config, plugins().solver("in-flight"), {}))


def answers(**overrides):
    return two_pools(columns(varied(**overrides)))


CASE = SolverCase(
    IN_FLIGHT,
    scenarios=[
        POOLS,
        varied(requests=2560, stack="sglang-0.4", pools__layerwise="true", pools__link="infiniband-ndr-400"),
        varied(concurrency=0),
        varied(concurrency=0, rate="4 sample/s", workload__input_variation=0.3, workload__output_variation=0.3),
        SimulationConfig.from_dict(SMALL),
    ],
    discrete=("token", "sample"),
    never_rises={"bandwidth": ("performance.latency",), "between_rate": ("performance.transfer_time",)},
    limits={
        "arithmetic is never above the peak": lambda c, a: a["performance.utilisation"] <= UP,
        "the slower pool limits": lambda c, a: a["performance.throughput"]
        <= min(a["performance.prefill_capacity"], a["performance.decode_capacity"]) * UP,
        "nobody is decoded beyond the places": lambda c, a: a["performance.decode_busy"] <= UP,
        "no pool is busier than always": lambda c, a: a["performance.prefill_busy"] <= UP,
        "the first token comes before the last": lambda c, a: a["performance.ttft"] <= a["performance.latency"] * UP,
    },
    bad_inputs=(
        BadInput("system.devices", {"pools.decode.workers": "3"}),
        BadInput("pools.prefill.parallelism.data", {"pools.prefill.parallelism.data": "2"}),
        BadInput("pools.link", {"pools.link": "string"}),
        BadInput("parallelism", {"parallelism.tensor": "24"}),
    ),
)  # fmt: skip


@parametrize_checks(CASE)
def test_disaggregated(check):
    check()


def simulate(clients, workers, most, alone, added, away, requests=20_000):
    """Send clients round a loop of workers that read whole batches and a delay; return rate and mean stay."""
    draw = np.random.default_rng(1)
    arrivals = [float(at) for at in draw.uniform(0.0, away, clients)]
    heapq.heapify(arrivals)
    ends, queue, stays, idle, now = [], [], [], workers, 0.0
    while len(stays) < requests:
        if ends and (not arrivals or ends[0][0] <= arrivals[0]):
            now, batch = heapq.heappop(ends)
            idle += 1
            for at in batch:
                stays.append(now - at)
                # Answers scatter, so that requests come at random.
                heapq.heappush(arrivals, now + away * draw.uniform(0.5, 1.5))
        else:
            now = heapq.heappop(arrivals)
            queue.append(now)
        while idle and queue:
            batch, queue = queue[:most], queue[most:]
            heapq.heappush(ends, (now + alone + (len(batch) - 1) * added, batch))
            idle -= 1
    return requests / now, float(np.mean(stays[requests // 10 :]))


@pytest.mark.parametrize("clients", [1, 4, 16, 64, 256])
@pytest.mark.parametrize(("workers", "most"), [(1, 1), (4, 1), (1, 8), (2, 8)])
def test_readers_against_clients_that_go_round(clients, workers, most):
    alone, added, away = 0.25, 0.02, 5.0
    rate, stay = simulate(clients, workers, most, alone, added, away)
    capacity = pool_rate(float(workers), float(most), alone + (most - 1.0) * added)
    readers = PrefillWorkers({}, float(workers), float(most), alone, added, 0.0, 0.0, {}, capacity, 1.0 / capacity)
    found = sent_rate(readers, float(clients), away)
    assert found == pytest.approx(rate, rel=0.02)
    assert clients / found - away == pytest.approx(stay, rel=0.15)


@pytest.mark.parametrize("clients", [1, 2, 7, 64, 511])
def test_every_client_is_in_one_place(clients):
    found = answers(concurrency=clients)
    rate, written = found["performance.throughput"], found["performance.in_flight"]
    assert written < clients
    assert written + rate * found["performance.ttft"] == pytest.approx(clients)
    assert found["performance.decode_busy"] <= clients / (2 * 32)


@pytest.mark.parametrize("clients", [1.0, 4.0, 20.0, 60.0, 200.0, 2000.0])
def test_the_stay_answers_to_slower_workers_as_its_derivative_says(clients):
    service, spacing, away, step = 0.4, 0.1, 5.0, 1e-6
    stay = prompt_stay(service, spacing, clients, away)
    slower = prompt_stay(service * (1.0 + step), spacing * (1.0 + step), clients, away) - stay
    longer = prompt_stay(service, spacing, clients, away * (1.0 + step)) - stay
    both = stay_of_slower_prefill, stay_of_slower_decode
    found = tuple(formula(service, spacing, clients, away, stay) for formula in both)
    assert found == pytest.approx((slower / step, -longer / step), rel=1e-3, abs=1e-6)


def places(clients, workers, most, alone, away, requests):
    """Send requests, all clients at once, past a reader of one prompt to workers with places; return the mean wait."""
    events, flying, next_, waits, free = [], [0] * workers, 0, [], 0.0
    lines = [[] for _ in range(workers)]
    queue = [0.0] * clients
    left = requests - clients
    while queue or events:
        if queue and (not events or max(free, queue[0]) <= events[0][0]):
            began = queue.pop(0)
            free = max(free, began) + alone
            heapq.heappush(events, (free, 1, next_ % workers, began))
            next_ += 1
            continue
        now, read, worker, began = heapq.heappop(events)
        if read:
            lines[worker].append(began)
        else:
            flying[worker] -= 1
            if left:
                left, queue = left - 1, [*queue, now]
        while lines[worker] and flying[worker] < most:
            flying[worker] += 1
            waits.append(now - lines[worker].pop(0))
            heapq.heappush(events, (now + away, 0, worker, 0.0))
    return float(np.mean(waits))


@pytest.mark.parametrize(("clients", "most"), [(6, 1), (9, 2), (30, 8), (60, 16), (180, 32)])
def test_clients_beyond_the_places_wait_for_an_answer(clients, most):
    # Workers take the requests in turn; a prompt takes no time, so that only places are short.
    wait = places(clients, 3, most, 1e-4, 10.0, 10 * clients)
    found = answers(
        concurrency=clients, requests=10 * clients, pools__decode__max_batch=most, pools__decode__workers=3,
        system__devices=8 + 3 * 8, workload__input=64, pools__decode__parallelism__attention=1,
        pools__decode__parallelism__tensor=8,
    )  # fmt: skip
    stay = 1023.0 * found["performance.tpot"]
    assert found["performance.ttft"] / stay == pytest.approx(wait / 10.0, abs=0.12)


def test_prompts_that_come_while_others_are_read_are_read_together():
    assert prompts_together(0.1, 1.0, 0.2, 8.0) == 1.0
    assert prompts_together(100.0, 1.0, 0.2, 8.0) == 8.0
    together = prompts_together(2.0, 1.0, 0.2, 8.0)
    assert together == pytest.approx(2.0 * (1.0 + (together - 1.0) * 0.2))


def test_rates_of_pools_by_hand():
    assert pool_rate(2.0, 8.0, 0.5) == 32.0
    assert matching_workers(2.0, 32.0, 48.0) == 3.0
    assert idle_workers(4.0, 16.0, 64.0) == 3.0
    assert cache_transfer_time(1e9, 50e9, 4.0, 1e-5) == pytest.approx(0.005 + 1e-5)
    assert exposed_transfer(0.1, 1.0, 50.0) == pytest.approx(0.002)
    assert exposed_transfer(2.0, 1.0, 50.0) == pytest.approx(1.02)


def test_the_cache_of_a_prompt_is_that_of_the_model():
    found = answers(concurrency=1)
    # 61 layers of 512 + 64 elements, one byte each, over one device's 90 % of 400 Gb/s.
    assert found["performance.transfer_time"] == pytest.approx(61 * 576 * 8192 / (0.9 * 50e9), rel=0.02)


def test_one_client_waits_for_nobody():
    found, c = answers(concurrency=1), columns(varied(concurrency=1))
    parts = found["performance.prefill_time"] + found["performance.transfer_time"] + intake_of(c) + c["delivery"]
    # The answer of the worker that reads comes back to the router, which hands it to one that decodes.
    parts += c["delivery"] + c["intake"] + 1.5 * found["performance.tpot"]
    assert found["performance.ttft"] == pytest.approx(parts, rel=1e-6)
    assert found["performance.latency"] == pytest.approx(found["performance.ttft"] + 1023.0 * found["performance.tpot"])
    assert found["performance.throughput"] == pytest.approx(1.0 / found["performance.latency"], rel=1e-3)


@pytest.mark.parametrize("clients", [4, 64, 256, 1024, 4096])
def test_clients_are_read_or_decoded_or_wait(clients):
    found = answers(concurrency=clients)
    inside = found["performance.throughput"] * found["performance.latency"]
    assert inside == pytest.approx(clients, rel=0.03)


def test_many_clients_bring_out_the_slower_pool():
    few_readers = answers(concurrency=8192, pools__decode__max_batch=512)
    assert few_readers["performance.throughput"] == pytest.approx(few_readers["performance.prefill_capacity"], rel=0.02)
    assert few_readers["performance.slower_pool"] == 0.0
    few_places = answers(concurrency=8192, pools__decode__max_batch=4)
    assert few_places["performance.throughput"] == pytest.approx(few_places["performance.decode_capacity"], rel=0.02)
    assert few_places["performance.slower_pool"] == 1.0
    assert few_places["performance.decode_idle"] == pytest.approx(0.0, abs=0.05)


def test_no_prompt_comes_between_two_tokens():
    apart = answers()
    together = InFlightSolver().compute(columns(SimulationConfig.load("deepseek-v3-b200-attention-dp",
                                                                      {"input": "8192", "concurrency": "125"})))  # fmt: skip
    assert apart["performance.tpot"] < together["performance.tpot"]


def test_each_pool_must_fit():
    assert not bool(answers(precision="bf16", concurrency=1)["feasibility.fits"])


def test_a_sweep_counts_the_devices_of_both_pools():
    found = sweep(POOLS, {"prefill_workers": [1, 2], "decode_workers": [1, 3]})
    assert found.varied["devices"].tolist() == [16, 32, 24, 40]
    assert evaluate(POOLS, {"pools.prefill.workers": "2", "pools.decode.workers": "3", "devices": "40"}).answers[
        "macro.cost_per_token"
    ].value == pytest.approx(found.outputs["macro.cost_per_token"][-1])


@pytest.mark.parametrize(
    ("name", "vary", "told"),
    [(POOLS, {"tensor": [1, 2]}, "Vary prefill_tensor or decode_tensor"),
     ("llama-3.1-8b-h100-traffic", {"prefill_workers": [1, 2]}, "the scenario has no pools")],
)  # fmt: skip
def test_what_a_sweep_cannot_vary_is_told(name, vary, told):
    with pytest.raises(ConfigError, match=told):
        sweep(name, vary)


def test_pools_serve_requests_that_come_and_go():
    fixed = SMALL | {"kind": "serving", "workload": {"model": "llama-3.1-8b", "batch": 8}}
    with pytest.raises(ConfigError, match="pools serve requests that come and go"):
        evaluate(fixed)


def test_pools_that_no_link_joins_are_refused_with_a_remedy():
    lone = SMALL | {"system": SMALL["system"] | {"device": "jetson-agx-thor"}}
    with pytest.raises(SolverError, match="no link leads from the prefill to the decode pool") as refused:
        evaluate(lone | {"workload": SMALL["workload"] | {"model": "llama-3.2-1b"}})
    assert "Name one" in str(refused.value)
