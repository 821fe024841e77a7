"""Loads in flight: one row of a product asks for less than memory could deliver, several ask for all of it."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import H100, LLAMA_8B, STACK, request_of

from mlsysim.records.scenario import Serving
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.formulas.loads import issue_rate, loaded_bandwidth, stored_share

SOLVER = SingleNodeSolver()
STORED = attrs.evolve(STACK, ceilings=attrs.evolve(STACK.ceilings, stored_work=450.0))
LONE = attrs.evolve(STACK, ceilings=attrs.evolve(STACK.ceilings, lone_issue=10.0))


def device(bandwidth, vendor="NVIDIA", processors=78.0):
    compute = attrs.evolve(H100.compute, processors=processors, clock=1.8e9)
    return attrs.evolve(H100, vendor=vendor, compute=compute, memory=attrs.evolve(H100.memory, bandwidth=bandwidth))


def answers(hardware, stack=LONE, batch=1):
    work = Serving(model="x", precision="bf16", batch=batch, input=128, output=128)
    columns = SOLVER.prepare(request_of(LLAMA_8B, hardware, work, stack))
    return SOLVER.compute(columns)


def test_the_limit_is_that_of_one_row_and_grows_with_the_rows():
    assert loaded_bandwidth(4e12, 1.4e12, 1.0) == 1.4e12
    assert loaded_bandwidth(4e12, 1.4e12, 0.3) == 1.4e12
    assert loaded_bandwidth(4e12, 1.4e12, 2.0) == 2.8e12
    assert loaded_bandwidth(4e12, 1.4e12, 8.0) == 4e12
    rows = np.linspace(0.1, 40.0, 200)
    found = loaded_bandwidth(4e12, 1.4e12, rows)
    assert (np.diff(found) >= 0.0).all()
    assert found.max() == 4e12


def test_one_request_gets_no_faster_with_faster_memory():
    slow, fast = (answers(device(one))["performance.tpot"] for one in (4e12, 8e12))
    assert slow == pytest.approx(fast)
    # Twice the processors ask for twice as much.
    more = answers(device(8e12, processors=156.0))["performance.tpot"]
    assert 0.5 * slow <= more < 0.6 * slow
    traffic = answers(device(8e12))["performance.bytes"] / 128
    assert issue_rate(10.0, 78.0, 1.8e9) * fast == pytest.approx(traffic, rel=0.1)


def test_many_requests_do_not_feel_it():
    plain = answers(device(4e12), STACK, batch=8)
    assert answers(device(4e12), batch=8) == plain
    # Nor does a device whose processors ask for all that there is.
    assert answers(device(1e12))["performance.tpot"] == answers(device(1e12), STACK)["performance.tpot"]
    # What copies blocks ahead of time into memories of its own has no such limit.
    assert answers(device(4e12, "Test"))["performance.tpot"] == answers(device(4e12, "Test"), STACK)["performance.tpot"]


def test_prompts_are_read_by_kernels_for_many_rows():
    assert answers(device(4e12))["performance.ttft"] == answers(device(4e12), STACK)["performance.ttft"]


def test_the_interval_knows_that_the_loads_in_flight_are_an_estimate():
    doubt = answers(device(4e12))["performance.tpot.log_sd"]
    assert doubt > answers(device(4e12), STACK)["performance.tpot.log_sd"] + 0.05
    unlimited = answers(device(1e12))["performance.tpot.log_sd"]
    assert unlimited == pytest.approx(answers(device(1e12), STACK)["performance.tpot.log_sd"])


def test_a_sweep_over_batches_says_the_same():
    work = Serving(model="x", precision="bf16", batch=1, input=128, output=128)
    columns = SOLVER.prepare(request_of(LLAMA_8B, device(4e12), work, LONE))
    swept = SOLVER.compute({**columns, "batch": np.array([1.0, 2.0, 8.0])})
    for i, batch in enumerate((1, 2, 8)):
        alone = answers(device(4e12), batch=batch)
        for name in ("performance.tpot", "performance.tpot.log_sd", "performance.latency"):
            assert swept[name][i] == pytest.approx(alone[name])


def prompts(stack=STORED, weights="int4", faster=1.0, clock=1.8e9, processors=78.0):
    """Return the time to first token of a long prompt."""
    peak = attrs.evolve(H100.compute.peak["bf16"], dense=faster * H100.compute.peak["bf16"].dense)
    compute = attrs.evolve(H100.compute, processors=processors, clock=clock, peak={**H100.compute.peak, "bf16": peak})
    work = Serving(model="x", precision="bf16", weights=weights, batch=4, input=4096, output=2)
    columns = SOLVER.prepare(request_of(LLAMA_8B, attrs.evolve(H100, compute=compute), work, stack))
    return SOLVER.compute(columns)["performance.ttft"]


def test_stored_weights_reach_what_is_left_of_a_rate():
    assert stored_share(450.0, 100.0, 2e9, 180e12) == pytest.approx(0.5)
    assert stored_share(450.0, 100.0, 2e9, 45e12) == 1.0
    assert (np.diff(stored_share(450.0, 100.0, 2e9, np.linspace(10e12, 1e15, 50))) <= 0.0).all()


def test_products_of_stored_weights_follow_processors_and_clock_not_matrix_units():
    slow = prompts()
    assert slow > 2.0 * prompts(STACK)
    # Of matrix units twice as fast only attention gains, with clocks the products do.
    assert 0.9 * slow < prompts(faster=2.0) <= slow
    assert prompts(clock=3.6e9) < 0.6 * slow
    # Where matrix units are slower than that, they set the pace.
    assert prompts(faster=0.05) == pytest.approx(prompts(STACK, faster=0.05))


def test_weights_as_wide_as_the_arithmetic_are_multiplied_as_ever():
    assert prompts(weights="bf16") == prompts(STACK, weights="bf16")
