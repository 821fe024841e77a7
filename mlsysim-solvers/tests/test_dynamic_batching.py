"""A batched queue against a simulation of it, and the solver that answers with it."""

from __future__ import annotations

import bisect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlsysim
from mlsysim.testing import BadInput, SolverCase, parametrize_checks
from mlsysim_solvers.execution.batch_queue import Service, largest_rate, quantile, queue_at
from mlsysim_solvers.plugin import DYNAMIC_BATCHING

CASE = "resnet-50-server-t4"
GRID = [
    (tau, alpha, most, load)
    for tau, alpha in ((1.0, 0.01), (1.0, 0.1), (1.0, 1.0), (0.1, 1.0))
    for most in (1, 4, 16, 128)
    for load in (0.05, 0.3, 0.6, 0.8, 0.9)
]


def simulated(rate, tau, alpha, most, requests):
    """Serve requests one batch after the other and return their latencies and the mean batch."""
    arrivals = np.cumsum(np.random.default_rng(1).exponential(1.0 / rate, requests)).tolist()
    latencies, batches, done, free = np.empty(requests), 0, 0, 0.0
    while done < requests:
        start = max(free, arrivals[done])
        last = min(bisect.bisect_right(arrivals, start, done), done + most)
        free = start + tau + alpha * (last - done)
        for index in range(done, last):
            latencies[index] = free - arrivals[index]
        batches, done = batches + 1, last
    return latencies[requests // 20 :], requests / batches


def test_a_limit_that_no_request_keeps_is_answered_and_has_no_price():
    card = mlsysim.evaluate(CASE, {"settings.dynamic-batching.limit": "1 us"})
    assert card["limited_throughput"].value == 0.0
    assert not card["within_limit"].value
    assert "macro.cost_within_limit" not in card.answers
    assert "dynamic-batching" not in card.unanswered


def affine(tau, alpha, most):
    sizes = tuple(float(most) ** (k / 4.0) for k in range(5))
    return Service(sizes, tuple(tau + alpha * size for size in sizes))


@pytest.fixture(scope="module")
def errors():
    found = []
    for tau, alpha, most, load in GRID:
        service = affine(tau, alpha, most)
        rate = load * most / service.times[-1]
        times, batch = simulated(rate, tau, alpha, most, 100_000)
        queue = queue_at(service, rate)
        found.append([
            queue.latency / times.mean() - 1.0, quantile(queue, "p50") / np.quantile(times, 0.5) - 1.0,
            quantile(queue, "p99") / np.quantile(times, 0.99) - 1.0, queue.batch / batch - 1.0,
        ])  # fmt: skip
    return np.abs(np.array(found))


@pytest.mark.parametrize(
    ("column", "median", "ninth", "most"),
    [(0, 0.03, 0.07, 0.10), (1, 0.03, 0.20, 0.30), (2, 0.08, 0.15, 0.25), (3, 0.01, 0.05, 0.15)],
    ids=["mean latency", "p50", "p99", "mean batch"],
)
def test_within_stated_per_cents_of_a_simulation(errors, column, median, ninth, most):
    own = errors[:, column]
    assert np.median(own) <= median
    assert np.quantile(own, 0.9) <= ninth
    assert own.max() <= most


def test_one_at_a_time_is_the_queue_of_pollaczek_and_khinchine():
    for load in (0.1, 0.5, 0.8):
        queue = queue_at(affine(0.0, 1.0, 1), load)
        assert queue.latency == pytest.approx(1.0 + load / (2.0 * (1.0 - load)), rel=0.08)
        assert queue.busy == pytest.approx(load, rel=1e-6)


services = st.tuples(st.floats(1e-4, 1.0), st.floats(1e-5, 0.1), st.sampled_from([1, 2, 8, 32, 256]))


@given(services)
@settings(max_examples=40, deadline=None)
def test_light_load_takes_a_pass_of_one(shape):
    service = affine(*shape)
    queue = queue_at(service, 1e-5 * shape[2] / service.times[-1] / shape[2])
    assert queue.latency == pytest.approx(service.times[0], rel=1e-3)
    assert quantile(queue, "p50") == service.times[0]


@given(services, st.floats(0.02, 0.9))
@settings(max_examples=60, deadline=None)
def test_more_requests_wait_longer(shape, load):
    service = affine(*shape)
    top = shape[2] / service.times[-1]
    fewer, more = queue_at(service, load * top), queue_at(service, (load + 0.08) * top)
    # The tail that is approximated may give back two per cent where one regime takes over from another.
    assert fewer.latency <= more.latency * 1.02
    assert fewer.batch <= more.batch * (1 + 1e-9)
    assert 0.0 <= fewer.busy <= 1.0
    assert quantile(fewer, "p50") <= quantile(fewer, "p99")


@given(services, st.floats(1.2, 50.0))
@settings(max_examples=40, deadline=None)
def test_the_largest_rate_reaches_its_limit_and_grows_with_it(shape, times):
    service = affine(*shape)
    limit = times * service.times[0]
    rate = largest_rate(service, limit)
    assert 0.0 < rate < shape[2] / service.times[-1]
    assert quantile(queue_at(service, rate), "p99") <= limit * (1 + 1e-9)
    assert rate <= largest_rate(service, 1.5 * limit) * (1 + 1e-9)
    assert largest_rate(service, 0.9 * service.times[0]) == 0.0


def test_arrays_answer_as_floats():
    service = affine(1.0, 0.1, 32)
    rates = np.linspace(0.01, 1.2, 97) * 32 / service.times[-1]
    together = queue_at(service, rates)
    for index in (0, 40, 96):
        alone = queue_at(service, float(rates[index]))
        for name in ("latency", "batch", "busy"):
            assert getattr(together, name)[index] == pytest.approx(getattr(alone, name), rel=1e-12)
        assert quantile(together, "p99")[index] == pytest.approx(quantile(alone, "p99"), rel=1e-12)


def test_a_rate_that_full_batches_cannot_serve_is_infeasible():
    card = mlsysim.evaluate(CASE, {"rate": "1e6 sample/s"})
    assert card["feasibility.within_limit"].value == 0
    assert card["feasibility.keeps_up"].value == 0
    assert card["performance.limited_throughput"].value < card["performance.full_throughput"].value


def test_devices_share_the_requests():
    one, four = mlsysim.evaluate(CASE), mlsysim.evaluate(CASE, {"devices": "4", "rate": "12000 sample/s"})
    name = "performance.request_latency_p99"
    assert four[name].value == pytest.approx(one[name].value)
    name = "performance.limited_throughput"
    assert four[name].value == pytest.approx(4 * one[name].value)


@parametrize_checks(
    SolverCase(
        DYNAMIC_BATCHING,
        scenarios=[CASE],
        discrete=("token", "sample"),
        never_falls={"limit": ("performance.limited_throughput",)},
        limits={
            "a limit costs throughput": lambda c, a: (
                a["performance.limited_throughput"] <= a["performance.full_throughput"]
            ),
            "a batch holds one at least": lambda c, a: 1.0 <= a["performance.mean_batch"] <= c["batch"] * (1 + 1e-9),
        },
        bad_inputs=(
            BadInput("limit", {"settings.dynamic-batching.limit": "0 s"}),
            BadInput("workload.batch", {"batch": "0"}),
        ),
    )
)
def test_conformance(check):
    check()
