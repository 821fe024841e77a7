"""A batched queue against a simulation of it, and the solver that answers with it."""

from __future__ import annotations

import bisect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlsysim
from mlsysim.evaluation import build_request
from mlsysim.plugins import plugins
from mlsysim.testing import BadInput, SolverCase, parametrize_checks
from mlsysim_solvers.dynamic_batching import DynamicBatchingSolver
from mlsysim_solvers.execution.serving.batch_queue import Service, curve_of, queue_at
from mlsysim_solvers.execution.serving.batch_waits import largest_rate, quantile
from mlsysim_solvers.plugin import DYNAMIC_BATCHING

CASE = "resnet-50-server-t4"
LOADS = (0.05, 0.3, 0.6, 0.8, 0.9)
AFFINE = [(lambda k, t=t, a=a: t + a * k, most)
          for t, a in ((1.0, 0.01), (1.0, 0.1), (1.0, 1.0), (0.1, 1.0)) for most in (1, 4, 16, 128)]  # fmt: skip
# Weights set the time of few requests and arithmetic that of many, at once or operator by operator.
ROOFS = [(lambda k, c=c, n=n: 0.1 + (1.0 + (k / c) ** n) ** (1.0 / n), most)
         for n in (2, 20) for c in (2.0, 8.0) for most in (16, 128)]  # fmt: skip


def simulated(rate, curve, requests):
    """Serve requests one batch after the other and return their latencies and the mean batch."""
    arrivals = np.cumsum(np.random.default_rng(1).exponential(1.0 / rate, requests)).tolist()
    most = int(curve.most)
    times = [0.0, *(curve.time(float(size)) for size in range(1, most + 1))]
    latencies, batches, done, free = np.empty(requests), 0, 0, 0.0
    while done < requests:
        start = max(free, arrivals[done])
        last = min(bisect.bisect_right(arrivals, start, done), done + most)
        free = start + times[last - done]
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


def test_rows_whose_limit_no_request_keeps_cost_more_than_all_others():
    found = mlsysim.sweep(CASE, {"limit": [1e-6, 0.015]})
    assert found.outputs["performance.limited_throughput"][0] == 0.0
    none, some = found.outputs["macro.cost_within_limit"]
    assert none > 1e6 * some > 0.0


def curve_through(time, most):
    sizes = tuple(float(most) ** (k / 4.0) for k in range(5))
    return curve_of(Service(sizes, tuple(time(size) for size in sizes)))


def affine(tau, alpha, most):
    return curve_through(lambda size: tau + alpha * size, most)


@pytest.fixture(scope="module")
def errors():
    found = []
    for time, most in AFFINE + ROOFS:
        curve = curve_through(time, most)
        for load in LOADS:
            rate = load * most / curve.longest
            times, batch = simulated(rate, curve, 80_000)
            queue = queue_at(curve, rate)
            found.append([
                queue.latency / times.mean() - 1.0, quantile(queue, "p50") / np.quantile(times, 0.5) - 1.0,
                quantile(queue, "p99") / np.quantile(times, 0.99) - 1.0, queue.batch / batch - 1.0,
            ])  # fmt: skip
    return np.abs(np.array(found))


@pytest.mark.parametrize(
    ("column", "median", "ninth", "most"),
    [(0, 0.02, 0.10, 0.20), (1, 0.02, 0.12, 0.30), (2, 0.05, 0.20, 0.35), (3, 0.01, 0.05, 0.15)],
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
    curve = affine(*shape)
    queue = queue_at(curve, 1e-5 * shape[2] / curve.longest / shape[2])
    assert queue.latency == pytest.approx(curve.alone, rel=1e-3)
    assert quantile(queue, "p50") == curve.alone


@given(services, st.floats(0.02, 0.9))
@settings(max_examples=60, deadline=None)
def test_more_requests_wait_longer(shape, load):
    curve = affine(*shape)
    top = shape[2] / curve.longest
    fewer, more = queue_at(curve, load * top), queue_at(curve, (load + 0.08) * top)
    assert fewer.latency <= more.latency * (1 + 1e-9)
    assert fewer.batch <= more.batch * (1 + 1e-9)
    assert 0.0 <= fewer.busy <= 1.0
    assert quantile(fewer, "p50") <= quantile(more, "p50") * (1 + 1e-9)
    # Where hardly anybody waits yet, who does is a changing part of the last hundredth.
    assert quantile(fewer, "p99") <= quantile(more, "p99") * 1.001
    assert quantile(fewer, "p50") <= quantile(fewer, "p99")


roofs = st.tuples(st.floats(0.0, 5.0), st.floats(0.001, 1.0), st.floats(0.0, 0.1))


@given(st.lists(roofs, min_size=1, max_size=3), st.floats(0.0, 0.5), st.sampled_from([2, 4, 32, 256]),
       st.floats(0.02, 0.95), st.floats(1.001, 4.0))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_a_faster_device_never_answers_later(operators, overhead, most, load, faster):
    def curve(bandwidth):
        def time(size):
            return overhead + sum(max(work * size, (read + each * size) / bandwidth) for read, work, each in operators)

        return curve_through(time, most)

    rate = load * most / curve(1.0).longest
    slow, fast = queue_at(curve(1.0), rate), queue_at(curve(faster), rate)
    assert fast.batch <= slow.batch * (1 + 1e-9)
    assert fast.latency <= slow.latency * (1 + 1e-6)
    assert quantile(fast, "p50") <= quantile(slow, "p50") * (1 + 1e-6)
    # The tail is read off how much passes vary upwards, which may grow where those of small batches get shorter.
    assert quantile(fast, "p99") <= quantile(slow, "p99") * 1.10


@pytest.mark.parametrize("at", ["", "_p50", "_p99"])
@pytest.mark.parametrize("names", [("bandwidth",), ("peak",), ("overhead",)])
@pytest.mark.parametrize("batch", [4, 32, 128])
def test_a_faster_device_never_answers_later_in_a_scenario(names, batch, at):
    spec = plugins().solver("dynamic-batching")
    config = mlsysim.SimulationConfig.load(CASE, {"batch": str(batch)})
    columns = DynamicBatchingSolver().prepare(build_request(config, spec, {"limit": 0.015}))
    dice = np.random.default_rng(0)
    scale, faster = dice.uniform(0.3, 3.0, 2000), dice.uniform(1.0, 2.0, 2000)
    way = -1.0 if names == ("overhead",) else 1.0
    slow = {**columns, **{name: columns[name] * scale**way for name in names}, "rate": np.ones(2000)}
    fast = {**columns, **{name: columns[name] * (scale * faster) ** way for name in names}}
    rate = DynamicBatchingSolver().compute(slow)["performance.full_throughput"] * dice.uniform(0.02, 0.95, 2000)
    before = DynamicBatchingSolver().compute({**slow, "rate": rate})
    after = DynamicBatchingSolver().compute({**fast, "rate": rate})
    name = f"performance.request_latency{at}"
    assert (after[name] <= before[name] * (1 + 1e-4)).all()


@given(services, st.floats(1.2, 50.0))
@settings(max_examples=40, deadline=None)
def test_the_largest_rate_reaches_its_limit_and_grows_with_it(shape, times):
    curve = affine(*shape)
    limit = times * curve.alone
    rate = largest_rate(curve, limit)
    assert 0.0 < rate < shape[2] / curve.longest
    assert quantile(queue_at(curve, rate), "p99") <= limit * (1 + 1e-9)
    assert rate <= largest_rate(curve, 1.5 * limit) * (1 + 1e-9)
    if 1.02 * rate < 0.99 * curve.most / curve.longest:
        assert quantile(queue_at(curve, 1.02 * rate), "p99") > limit
    assert largest_rate(curve, 0.9 * curve.alone) == 0.0


def test_arrays_answer_as_floats():
    curve = affine(1.0, 0.1, 32)
    rates = np.linspace(0.01, 1.2, 97) * 32 / curve.longest
    together = queue_at(curve, rates)
    for index in (0, 40, 96):
        alone = queue_at(curve, float(rates[index]))
        for name in ("latency", "batch", "busy"):
            assert getattr(together, name)[index] == pytest.approx(getattr(alone, name), rel=1e-12)
        assert quantile(together, "p99")[index] == pytest.approx(quantile(alone, "p99"), rel=1e-12)


@pytest.mark.parametrize("rows", [1, 3, 200, 3000])
def test_the_largest_rates_of_few_and_many_rows_are_those_of_each(rows):
    dice = np.random.default_rng(rows)
    limits, slopes = dice.uniform(0.5, 50.0, rows), dice.uniform(0.01, 1.0, rows)
    found = largest_rate(affine(1.0, slopes, 24), limits)
    for row in range(0, rows, 1 + rows // 20):
        alone = largest_rate(affine(1.0, float(slopes[row]), 24), float(limits[row]))
        assert found[row] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("vary", [
    {"bandwidth": [2e11, 4e11], "limit": [0.001 * 1.01**step for step in range(400)]},
    {"limit": [0.001 * 1.02**step for step in range(300)], "bandwidth": [2e11, 3e11, 4e11, 8e11]},
    {"rate": [10.0, 300.0, 2000.0], "batch": [4.0, 32.0], "bandwidth": [1e11 * 1.01**step for step in range(100)]},
    {"limit": [0.001 * 1.01**step for step in range(600)]},
    {"capacity": [1.6e10, 2.4e10, 4.8e10], "limit": [0.001 * 1.02**step for step in range(300)]},
])  # fmt: skip
def test_rows_that_share_a_curve_answer_as_alone(vary):
    found = mlsysim.sweep(CASE, vary)
    assert len(found) >= 600
    for row in range(0, len(found), 97):
        alone = mlsysim.sweep(CASE, {name: [float(values[row])] for name, values in found.varied.items()})
        for name, value in alone.outputs.items():
            assert found.outputs[name][row] == pytest.approx(value[0], rel=1e-12), name


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
        # A limit that random variations do not push below what one request takes: then no price is answered.
        scenarios=[
            {
                "name": "server",
                "kind": "inference",
                "system": {"device": "t4", "stack": "tensorrt-10"},
                "workload": {"model": "resnet-50", "precision": "int8", "batch": 32, "rate": "3000 sample/s"},
                "settings": {"dynamic-batching": {"limit": "150 ms"}},
            }
        ],
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


def test_latency_is_not_known_where_slower_passes_would_not_keep_up():
    top = mlsysim.evaluate(CASE)["performance.full_throughput"]
    card = mlsysim.evaluate(CASE, {"rate": f"{0.97 * top.value} sample/s"})
    assert top.low < 0.97 * top.value
    assert not card["performance.request_latency_p99"].informative
    assert mlsysim.evaluate(CASE)["performance.request_latency_p99"].informative
