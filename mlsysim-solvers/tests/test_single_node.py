"""What must hold for every answer: roofs, monotony, units, one physics for floats and arrays."""

from __future__ import annotations

import itertools
import math

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solver_cases import (
    A100,
    BERT,
    DEEPSEEK,
    GEMMA,
    H100,
    LLAMA_8B,
    MCU,
    MICRO,
    MIXTRAL,
    MQA,
    PLAIN,
    RESNET_50,
    STACK,
    TINY,
    VIT,
    request_of,
    serving,
)  # fmt: skip

import mlsysim
from mlsysim.records.device import Peak
from mlsysim.records.scenario import Inference, Training
from mlsysim.testing import prove_rescaling
from mlsysim.tracing import TracedFloat, formula_calls, trace_record
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.declarations.single_node import COLUMNS, OUTPUTS

SOLVER = SingleNodeSolver()
FAST = settings(max_examples=25, deadline=None)
CASES = {
    "dense": (LLAMA_8B, H100, serving(batch=32, input=1024, output=256), STACK),
    "dense, nothing fused": (LLAMA_8B, A100, serving(batch=4, input=700, output=30), PLAIN),
    "windows": (GEMMA, A100, serving(batch=4, input=4000, output=500), STACK),
    "one key-value head": (MQA, A100, serving(batch=4, input=500, output=300), STACK),
    "experts": (MIXTRAL, H100, serving(batch=16, input=300, output=200, precision="fp8"), STACK),
    "latent": (DEEPSEEK, H100, serving(batch=16, input=300, output=200, precision="fp8"), STACK),
    "encoder": (BERT, A100, Inference(model="m", precision="bf16", batch=8, sequence=128, rate=10.0), STACK),
    "vision transformer": (VIT, A100, Inference(model="m", precision="bf16", batch=8), PLAIN),
    "network": (RESNET_50, A100, Inference(model="m", precision="bf16", batch=8), STACK),
    "microcontroller": (TINY, MCU, Inference(model="m", batch=1, rate=0.1), MICRO),
    "training": (LLAMA_8B, H100, Training(model="m", batch=2, sequence=2048, tokens=1e9), STACK),
    "training with recomputation": (MIXTRAL, H100, Training(model="m", batch=1, sequence=512, recompute="full"), PLAIN),
    "training of images": (RESNET_50, A100, Training(model="m", batch=64, samples=1e6), PLAIN),
}
TEXT = ("dense", "dense, nothing fused", "windows", "one key-value head", "experts", "latent")
TIMES = ("performance.latency", "performance.ttft", "performance.tpot", "performance.run_time")


def columns_of(name, **kwargs):
    model, device, workload, stack = CASES[name]
    return SOLVER.prepare(request_of(model, device, workload, stack, **kwargs))


def numbers(columns):
    return {name: value for name, value in columns.items() if name in COLUMNS}


@pytest.mark.parametrize("name", CASES)
def test_every_answer_is_declared_finite_and_of_its_type(name):
    columns = columns_of(name)
    for key, value in numbers(columns).items():
        assert type(value) is float, key
    found = SOLVER.compute(columns)
    declared = OUTPUTS[columns["kind"]]
    for key, value in found.items():
        assert key.removesuffix(".log_sd") in declared
        assert type(value) is (bool if declared.get(key) == "bool" else float), key
        assert math.isfinite(value)
        assert key == "feasibility.headroom" or value >= 0
    optional = {
        "performance.run_time", "performance.forward_time", "performance.duty", "feasibility.keeps_up",
        "performance.token_throughput",
    }  # fmt: skip
    assert set(declared) - set(found) <= optional


@pytest.mark.parametrize("name", CASES)
def test_no_hidden_constant_has_a_dimension(name):
    columns = columns_of(name)
    fixed = {k: v for k, v in columns.items() if k not in COLUMNS}
    given_numbers = numbers(columns)
    units = {key: COLUMNS[key] for key in given_numbers}
    declared = OUTPUTS[columns["kind"]]

    def solve(**inputs):
        return SOLVER.compute({**fixed, **inputs})

    returns = {key: declared.get(key, "1") for key in solve(**given_numbers)}
    draws = {key: (lambda _, value=value: value) for key, value in given_numbers.items()}
    prove_rescaling(solve, units, returns=returns, discrete=("token", "sample"), draws=draws)


@pytest.mark.parametrize("name", CASES)
def test_an_array_answers_as_its_rows_do(name):
    columns = columns_of(name)
    rng = np.random.default_rng(1)
    rows = 40
    varied = {"batch": rng.integers(1, 300, rows), "peak": rng.uniform(1e14, 4e15, rows)}
    varied |= {"bandwidth": rng.uniform(5e11, 8e12, rows), "overhead": rng.uniform(0, 1e-5, rows)}
    if name in TEXT:
        varied |= {"input": rng.integers(1, 9000, rows), "output": rng.integers(1, 2000, rows)}
    elif columns["is_text"]:
        varied["sequence"] = rng.integers(1, 4000, rows)
    together = SOLVER.compute({**columns, **varied})
    for row in range(rows):
        alone = SOLVER.compute({**columns, **{key: float(values[row]) for key, values in varied.items()}})
        for key, value in alone.items():
            got = np.broadcast_to(together[key], rows)[row]
            assert got == pytest.approx(value, rel=1e-12, abs=0), key


def test_any_other_number_may_be_an_array_too():
    columns = columns_of("dense")
    for key, value in numbers(columns).items():
        at_once = SOLVER.compute({**columns, key: np.array([value, value * 1.5])})
        after = SOLVER.compute({**columns, key: value * 1.5})
        for name, expected in after.items():
            assert np.broadcast_to(at_once[name], 2)[1] == pytest.approx(expected, rel=1e-12), (key, name)


def test_whole_numbers_are_as_good_as_floats():
    columns = columns_of("dense")
    whole = {"batch": 8, "input": 100, "output": 20, "processors": 108}
    assert SOLVER.compute({**columns, **whole}) == SOLVER.compute(
        {**columns, **{k: float(v) for k, v in whole.items()}}
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("batch", [1.0, 7.0, 64.0, 1000.0, 100000.0])
def test_never_above_a_roof(name, batch):
    columns = {**columns_of(name), "batch": batch}
    found = SOLVER.compute(columns)
    ceiling = columns["achieved"] * columns["compute_ceiling"]
    assert found["performance.utilisation"] <= ceiling * (1 + 1e-12) <= 1 + 1e-12
    assert found["performance.bandwidth_utilisation"] <= columns["memory_ceiling"] * (1 + 1e-12) <= 1 + 1e-12
    if "performance.tpot" in found:
        for phase in ("ttft", "tpot"):
            assert found[f"performance.{phase}"] > 0


batches, lengths = st.integers(1, 512).map(float), st.integers(1, 8192).map(float)


@FAST
@given(
    name=st.sampled_from(list(CASES)), batch=batches, key=st.sampled_from(["peak", "bandwidth"]),
    factor=st.floats(1.0, 100.0),
)  # fmt: skip
def test_faster_parts_are_never_slower(name, batch, key, factor):
    columns = {**columns_of(name), "batch": batch}
    before, after = SOLVER.compute(columns), SOLVER.compute({**columns, key: columns[key] * factor})
    for time in TIMES:
        if time in before:
            assert after[time] <= before[time] * (1 + 1e-12)


@FAST
@given(name=st.sampled_from(TEXT), batch=batches, length=lengths, output=lengths, more=st.integers(1, 4096))
def test_more_tokens_are_never_faster(name, batch, length, output, more):
    columns = {**columns_of(name), "batch": batch, "input": length, "output": output}
    before = SOLVER.compute(columns)
    longer = SOLVER.compute({**columns, "input": length + more})
    further = SOLVER.compute({**columns, "output": output + more})
    assert longer["performance.ttft"] >= before["performance.ttft"] * (1 - 1e-12)
    assert longer["performance.latency"] >= before["performance.latency"] * (1 - 1e-12)
    assert further["performance.latency"] >= before["performance.latency"] * (1 - 1e-12)
    for other in (longer, further):
        assert other["feasibility.memory_required"] >= before["feasibility.memory_required"]
        assert other["feasibility.max_batch"] <= before["feasibility.max_batch"]


@FAST
@given(name=st.sampled_from(list(CASES)), batch=batches, factor=st.floats(1.0, 100.0))
def test_more_memory_never_fits_less(name, batch, factor):
    columns = {**columns_of(name), "batch": batch}
    before = SOLVER.compute(columns)
    larger = {key: columns[key] * factor for key in ("capacity", "storage") if key in columns}
    after = SOLVER.compute({**columns, **larger})
    assert after["feasibility.fits"] >= before["feasibility.fits"]
    assert after["feasibility.max_batch"] >= before["feasibility.max_batch"]
    more = SOLVER.compute({**columns, "batch": batch + 1})
    assert more["feasibility.memory_required"] >= before["feasibility.memory_required"]


@FAST
@given(name=st.sampled_from(list(CASES)), batch=batches)
def test_time_scales_with_all_rates_together(name, batch):
    columns = {**columns_of(name), "batch": batch}
    rates = {k: 2 * v for k, v in numbers(columns).items() if COLUMNS[k].endswith("/s") and COLUMNS[k] != "sample/s"}
    times = {key: value / 2 for key, value in numbers(columns).items() if COLUMNS[key] == "s"}
    half = SOLVER.compute({**columns, **rates, **times})
    assert half["performance.latency"] == pytest.approx(SOLVER.compute(columns)["performance.latency"] / 2, rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_elasticities_add_to_one(name):
    columns = columns_of(name)
    keys = ["peak", "vector_peak", "bandwidth", "weight_bandwidth", "overhead"]
    step, total = 1e-6, 0.0
    base = SOLVER.compute(columns)["performance.latency"]
    for key in keys:
        if key in columns:
            more = SOLVER.compute({**columns, key: columns[key] * (1 + step)})["performance.latency"]
            total += abs(more / base - 1) / step
    assert total == pytest.approx(1, abs=1e-3)


def test_intervals_come_from_the_share_of_each_ceiling():
    columns = {**columns_of("dense"), "overhead": 0.0, "input": 1.0, "batch": 1.0, "scatter": 0.0}
    found = SOLVER.compute(columns)
    assert found["performance.tpot.log_sd"] == pytest.approx(columns["var_memory"] ** 0.5, rel=1e-6)
    wide = SOLVER.compute({**columns, "var_memory": 4 * columns["var_memory"]})
    assert wide["performance.tpot.log_sd"] == pytest.approx(2 * found["performance.tpot.log_sd"], rel=1e-6)


def test_spread_of_the_time_is_what_its_ceilings_would_do():
    # The delta method: move each ceiling by its own spread, add the squares.
    columns = columns_of("dense")
    base = math.log(SOLVER.compute(columns)["performance.latency"])
    moved, h = 0.0, 1e-5
    ceilings = {"compute_ceiling": "var_compute", "memory_ceiling": "var_memory", "overhead": "var_overhead"}
    for key, variance in ceilings.items():
        slope = (math.log(SOLVER.compute({**columns, key: columns[key] * (1 + h)})["performance.latency"]) - base) / h
        moved += slope * slope * columns[variance]
    found = SOLVER.compute(columns)["performance.latency.log_sd"]
    assert found == pytest.approx((moved + columns["scatter"]) ** 0.5, rel=1e-3)


def test_bound_and_its_factor():
    columns = columns_of("dense")
    for bound, change in enumerate(
        ({"bandwidth": 1e16, "overhead": 0.0}, {"peak": 1e18, "overhead": 0.0}, {"overhead": 1.0})
    ):
        found = SOLVER.compute({**columns, **change})
        assert found["performance.bound"] == bound
        assert found["performance.bound_factor"] > 1


def test_traced_numbers_give_the_same_answers_and_know_their_origin():
    model, device, workload, stack = CASES["latent"]
    request = request_of(model, device, workload, stack)
    plain = SOLVER.compute(SOLVER.prepare(request))
    request.records = {role: trace_record(record, role) for role, record in request.records.items()}
    request.scenario = attrs.evolve(request.scenario, workload=trace_record(workload, "workload"))
    with formula_calls():
        traced = SOLVER.compute(SOLVER.prepare(request))
    assert {k: float(v) for k, v in traced.items()} == {k: pytest.approx(float(v), rel=1e-12) for k, v in plain.items()}
    latency = traced["performance.latency"]
    assert isinstance(latency, TracedFloat)
    origins, pending, seen = set(), [latency.node], set()
    while pending:
        node = pending.pop()
        if id(node) not in seen:
            seen.add(id(node))
            origins.add(node.origin)
            pending += [p.node for p in node.parents if hasattr(p, "node")]
    assert {"device.memory.bandwidth", "device.compute.peak.fp8.dense", "stack.ceilings.memory", "workload.batch",
            "model.transformer.hidden", "model.transformer.latent.kv_rank"} <= origins  # fmt: skip


def test_a_buffer_that_is_overwritten_is_read_anew():
    columns = columns_of("dense")
    batch = np.array([1.0, 2.0])
    SOLVER.compute({**columns, "batch": batch})
    batch[:] = [300.0, 500.0]
    again = SOLVER.compute({**columns, "batch": batch})
    fresh = SOLVER.compute({**columns, "batch": batch.copy()})
    assert again["performance.latency"].tolist() == fresh["performance.latency"].tolist()


def test_context_bounds_every_row():
    columns = columns_of("one key-value head")
    found = SOLVER.compute({**columns, "input": np.array([100.0, 2000.0]), "output": np.array([100.0, 100.0])})
    assert found["feasibility.fits"].tolist() == [True, False]


def test_same_inputs_same_answers():
    for name in itertools.chain(CASES, reversed(CASES)):
        assert SOLVER.compute(columns_of(name)) == SOLVER.compute(columns_of(name))


def _share(device, precision="bf16"):
    from mlsysim_solvers.execution.device.ceilings import ceiling_columns

    return ceiling_columns(device, STACK, "d", precision, {})["achieved"]


def _peaks(**peaks):
    return attrs.evolve(H100, compute=attrs.evolve(H100.compute, peak=peaks))


def test_units_slowed_for_wide_sums_reach_their_peak():
    usual = _share(_peaks(bf16=Peak(dense=1e14)))
    assert 0.5 < usual < 0.9
    assert _share(_peaks(bf16=Peak(dense=1e14), fp16=Peak(dense=1e14, narrow=2e14))) == 1.0
    assert _share(_peaks(bf16=Peak(dense=1e14), fp16=Peak(dense=1e14, narrow=1.1e14))) == pytest.approx(1.1 * usual)


def test_what_one_format_reaches_another_of_its_units_does():
    slow, fast = (_peaks(fp16=Peak(dense=1e14, achieved=a), fp8=Peak(dense=2e14)) for a in (3e13, 9e13))
    assert _share(slow, "fp8") == pytest.approx(0.3)
    assert _share(fast, "fp8") == pytest.approx(0.9)


def test_exponentials_of_large_cores_are_not_those_of_multiprocessors():
    """A prompt of 2,048 tokens takes Llama 2 7B 56.31 ms on a Gaudi 2.

    Intel, model performance data for Gaudi 2, software 1.18, low latency. Exponentials at the rate of two processors of
    a GPU, for its two matrix units, alone would take 48 ms.
    """
    scenario = {
        "name": "a prompt", "kind": "serving", "system": {"device": "gaudi2", "stack": "generic"},
        "workload": {"model": "llama-2-7b", "precision": "fp8", "batch": 1, "input": 2048, "output": 1},
    }  # fmt: skip
    assert mlsysim.evaluate(scenario)["ttft"].value == pytest.approx(56.31e-3, rel=0.2)


def test_a_ceiling_above_the_roof_is_refused_with_the_number_that_was_given():
    with pytest.raises(mlsysim.errors.MlsysimError, match=r"is 1\.5 of what the device achieves") as caught:
        mlsysim.evaluate("llama-8b-on-h100", {"settings.single-node.compute_ceiling": "1.5"})
    most = float(caught.value.remedy.rpartition(" ")[2])
    mlsysim.evaluate("llama-8b-on-h100", {"settings.single-node.compute_ceiling": f"{0.99 * most}"})
