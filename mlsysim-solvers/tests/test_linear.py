"""Numbers that grow evenly with the rows of a pass: what they give is what arrays give."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import build_request
from mlsysim.numeric import ceil, maximum, minimum, only, where
from mlsysim.plugins import plugins
from mlsysim_solvers import InFlightSolver
from mlsysim_solvers.execution.device.factored import factored, rows_of
from mlsysim_solvers.execution.serving.passes import decoding_pass, engine_of, reading_pass
from mlsysim_solvers.execution.serving.room import completed
from mlsysim_solvers.lowering.linear import Linear, expanded, linear

ROWS = np.array([1.0, 2.5, 17.0, 4096.0])
NUMBERS = st.floats(0.01, 1e9)
OPERATIONS = (operator.add, operator.sub, operator.mul, operator.truediv, operator.gt, operator.le)


def same(found, wanted):
    np.testing.assert_allclose(np.asarray(rows_of(found), dtype=float), np.asarray(wanted, dtype=float), rtol=1e-14)


@given(each=NUMBERS, fixed=NUMBERS, number=NUMBERS)
@pytest.mark.parametrize("of", OPERATIONS)
def test_arithmetic_is_that_of_arrays(of, each, fixed, number):
    one, array = Linear(ROWS, each, fixed), each * ROWS + fixed
    if of is not operator.sub:  # of numbers that are almost alike little is left
        same(of(one, number), of(array, number))
        same(of(number, one), of(number, array))
        same(of(one, number * ROWS), of(array, number * ROWS))
        same(of(number * ROWS, one), of(number * ROWS, array))
    same(of(one, Linear(ROWS, 0.5 * each, 0.5 * fixed)), of(array, 0.5 * each * ROWS + 0.5 * fixed))
    same(of(one, Linear(ROWS[::-1].copy(), -each, -fixed)), of(array, -each * ROWS[::-1] - fixed))


def test_what_is_even_stays_two_numbers_and_what_is_not_becomes_an_array():
    rows = linear(ROWS)
    work = 2.0 * (3.0 * rows + 5.0) / 4.0 - rows
    assert (type(work), work.each, work.fixed) == (Linear, 0.5, 2.5)
    same(-work, -(0.5 * ROWS + 2.5))
    same(1.0 - work, 1.0 - (0.5 * ROWS + 2.5))
    for uneven in (rows * rows, 1.0 / rows, rows**0.5, 2.0**-rows, maximum(rows, 3.0), ceil(rows), rows > 3.0):
        assert isinstance(uneven, np.ndarray)
    same(2.0**-rows, 2.0**-ROWS)
    same(minimum(5.0, rows), np.minimum(5.0, ROWS))
    same(only(ROWS > 2.0, rows), ROWS * (ROWS > 2.0))
    same(where(ROWS > 2.0, rows, 0.0), np.where(ROWS > 2.0, ROWS, 0.0))
    assert rows.min() == 1.0
    assert (7.0 - rows).min() == 7.0 - 4096.0
    assert expanded(rows) is ROWS
    assert linear(3.0) == 3.0


def test_rows_and_combinations_meet():
    few = factored({"batch": np.tile([1.0, 2.0, 4.0, 8.0], 256)}, ("batch",))["batch"]
    base = np.linspace(1.0, 9.0, 1024)
    for of in OPERATIONS:
        same(of(linear(base), few), of(base, few.rows()))
        same(of(few, linear(base)), of(few.rows(), base))
    same(maximum(few, linear(base)), np.maximum(few.rows(), base))
    same(maximum(linear(base), few), np.maximum(few.rows(), base))


@pytest.mark.parametrize(
    ("model", "layout"),
    [
        ("llama-3.1-8b", {}), ("gemma-3-4b", {}), ("mixtral-8x7b", {}), ("deepseek-v2-lite", {}), ("gpt-oss-20b", {}),
        ("nemotron-h-56b", {}), ("mixtral-8x7b", {"system.devices": "4", "parallelism.tensor": "4"}),
        ("deepseek-v2-lite", {"system.devices": "4", "parallelism.attention": "4", "parallelism.expert": "4"}),
    ],
)  # fmt: skip
def test_passes_of_many_rows_are_those_of_each_and_as_long_where_only_times_are_asked_for(model, layout):
    config = SimulationConfig.load("llama-3.1-8b-h100-rate", {"workload.model": model, **layout})
    c = completed(InFlightSolver().prepare(build_request(config, plugins().solver("in-flight"), {})))
    own, tokens = np.array([1.0, 3.3, 16.0, 17.0, 250.0]), np.array([40.0, 512.0, 64.0, 8191.5, 700.0])
    lengths = {"input": np.array([64.0, 900.0, 2048.0, 77.0, 8000.0])}

    def passes(columns, own, tokens, brief):
        engine = engine_of({**c, **columns})
        engine = engine.brief() if brief else engine
        return decoding_pass(engine, own, 1.0), reading_pass(engine, own, tokens, 1.0)

    many, brief = passes(lengths, own, tokens, False), passes(lengths, own, tokens, True)
    for i, number in enumerate(lengths["input"]):
        alone = passes({"input": float(number)}, float(own[i]), float(tokens[i]), False)
        for all_rows, short, one in zip(many, brief, alone, strict=True):
            assert short.time[i] == pytest.approx(one.time, rel=1e-12)
            for name, value in one.totals._asdict().items():
                found = np.broadcast_to(getattr(all_rows.totals, name), own.shape)[i]
                assert found == pytest.approx(value, rel=1e-12), name
