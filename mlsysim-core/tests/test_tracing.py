"""Traced numbers equal untraced ones and remember everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from core_toys import CLASSES, PERFORMANCE, ToyPerformance, ToySource, roofline, scenario
from hypothesis import given
from hypothesis import strategies as st

from mlsysim.numeric import ceil, exp, floor, log, maximum, minimum, sqrt, total, where
from mlsysim.testing import request_for
from mlsysim.tracing import Traced, TracedFloat, TracedInt, formula_calls, named, node_of, trace, trace_record

numbers = st.floats(min_value=1e-3, max_value=1e6) | st.integers(min_value=1, max_value=10**6)


def history(value):
    """All origins behind a number."""
    found, pending = set(), [value]
    while pending:
        node = node_of(pending.pop())
        found |= {node.origin} if node.origin else set()
        pending += [p for p in (*node.parents, *node.arguments.values()) if isinstance(p, Traced)]
    return found


def inputs(*values):
    return [trace(value, "input", origin=f"x{i}") for i, value in enumerate(values)]


CALCULATIONS = {
    "sum": lambda a, b: a + b + 1 + 2.0,
    "sum from the right": lambda a, b: 1 + a + (2.0 + b),
    "difference": lambda a, b: (a - b) - 1 - (5.0 - a),
    "product": lambda a, b: 2 * a * b * 3.0,
    "quotient": lambda a, b: a / b / 2 + 1 / a + 3.0 / b,
    "power": lambda a, b: (a / 1e6) ** 2 + 2.0 ** (b / 1e6) + (a / 1e6) ** (b / 1e6),
    "whole quotient": lambda a, b: a // b + 7 // b + a // 2,
    "negative": lambda a, b: -a * b,
    "maximum": maximum,
    "minimum": lambda a, b: minimum(a, 5.0) + minimum(2.0, b),
    "where": lambda a, b: where(a > b, a, b),
    "rounding": lambda a, b: ceil(a / 7.0) * floor(b / 3.0) + a,
    "roots": lambda a, b: sqrt(a) + log(b) + exp(a / 1e6) + b,
    "total": lambda a, b: total([a, 1.0, b]),
    "builtin sum": lambda a, b: sum([a, b]),
    "builtin max": lambda a, b: max(a, b) + min(a, b),
}


@pytest.mark.parametrize("name", CALCULATIONS)
@given(numbers, numbers)
def test_a_traced_value_equals_the_untraced_one_exactly(name, a, b):
    calculation = CALCULATIONS[name]
    plain, traced = calculation(a, b), calculation(*inputs(a, b))
    assert traced == plain
    assert type(plain) in (int, float)
    assert isinstance(traced, TracedInt if isinstance(plain, int) else TracedFloat)
    if name not in ("where", "builtin max"):
        assert history(traced) == {"x0", "x1"}
    assert history(traced) <= {"x0", "x1"}


def test_a_choice_remembers_both_arms_and_the_condition():
    a, b = inputs(1.0, 2.0)
    chosen = where(True, a, b)
    assert chosen == 1.0
    larger = maximum(a, b)
    assert larger.node.op == "maximum"
    assert [p.node.origin for p in larger.node.parents] == ["x0", "x1"]
    assert history(where(a > 0, a * 1.0, b)) >= {"x0"}


def test_a_traced_number_is_a_number():
    value = trace(2.0, "input", origin="x")
    whole = trace(3, "input", origin="y")
    assert isinstance(value, float)
    assert isinstance(whole, float)
    assert math.sqrt(value) == math.sqrt(2.0)
    assert (range(5)[whole], "abcde"[whole], len(range(whole)), [0] * whole) == (3, "d", 3, [0, 0, 0])
    assert (str(whole), f"{whole:d}", repr(whole), int(whole)) == ("3", "3", "3", 3)
    assert {value: 1}[2.0] == 1
    assert f"{value:.1f}" == "2.0"
    assert sorted([value, 1.0]) == [1.0, 2.0]
    assert (value * np.ones(2)).tolist() == [2.0, 2.0]
    with pytest.raises(TypeError):
        value + "text"


def test_whole_numbers_stay_exact():
    big = trace(10**17 + 1, "input", origin="x")
    assert int(big) == 10**17 + 1
    assert node_of(big * 10 - 10**18).value == 10
    assert history(2.0 * trace(3, "input", origin="y")) == {"y"}


@pytest.mark.parametrize("given_value", [True, None, "text", [1.0]])
def test_what_is_no_number_is_left_alone(given_value):
    assert trace(given_value, "input") is given_value


def test_plain_numbers_are_constants():
    assert (node_of(3.0).op, node_of(3.0).value) == ("constant", 3.0)
    assert named(3.0, "three") == 3.0
    labelled = named(trace(3.0, "input"), "three")
    assert labelled.node.label == "three"


def test_records_are_traced_to_their_fields():
    entry = ToySource().entry("devices", "toy-one")
    traced = trace_record(entry.record, "device")
    assert traced == entry.record
    assert history(traced.memory.bandwidth) == {"device.memory.bandwidth"}
    assert history(traced.compute.peak["bf16"].dense) == {"device.compute.peak.bf16.dense"}
    assert traced.memory.usable is None
    assert set(entry.claims) <= {o for c in entry.claims for o in [c]}
    stack = CLASSES["stacks"]["toy-stack"] + '\n[[tiles]]\nsource = "sheet"\nat = "p"\nm = 64\nn = 32\nrate = 1\n'
    record = trace_record(ToySource({"stacks": {"s": stack}}).entry("stacks", "s").record, "stack")
    assert history(record.tiles[0].n) == {"stack.tiles.0.n"}
    lm = trace_record(ToySource().entry("models", "toy-lm").record, "model")
    assert isinstance(lm.transformer.layers, TracedInt)
    assert history(lm.transformer.layers * lm.transformer.hidden) == {
        "model.transformer.layers",
        "model.transformer.hidden",
    }


def test_a_whole_solver_gives_the_same_answers_traced(world):
    request = request_for(PERFORMANCE, scenario())
    solver = ToyPerformance()
    columns = solver.prepare(request)
    traced = {k: trace(v, "input", origin=k) for k, v in columns.items()}
    assert solver.compute(traced) == solver.compute(columns)


def test_calls_of_formulas_are_noticed_and_only_inside_the_context():
    args = inputs(1.0, 2.0, 3.0, 4.0)
    with formula_calls():
        time = roofline(*args)
    assert time.node.formula is roofline
    assert list(time.node.arguments) == ["work", "peak", "traffic", "bandwidth"]
    assert time.node.arguments["bandwidth"] is args[3]
    assert roofline(*args).node.formula is None


def test_the_profiler_of_the_caller_comes_back():
    import sys

    def mine(frame, event, argument): ...

    before = sys.getprofile()
    sys.setprofile(mine)
    try:
        with pytest.raises(ValueError, match="inside"), formula_calls():
            raise ValueError("inside")
        assert sys.getprofile() is mine
    finally:
        sys.setprofile(before)
