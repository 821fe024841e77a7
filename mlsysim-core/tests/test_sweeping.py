"""Many configurations at once."""

from __future__ import annotations

import signal
import time

import attrs
import core_toys
import numpy as np
import pytest
from core_toys import ECONOMICS, PERFORMANCE, ToyPerformance, ToyPlugin, ToySource, scenario
from hypothesis import given
from hypothesis import strategies as st

import mlsysim
from mlsysim import sweep
from mlsysim.errors import ConfigError, SolverError, UnitError
from mlsysim.evaluation import evaluate
from mlsysim.executors import process_pool
from mlsysim.sweeping.result import SweepResult


def numbers(result):
    return {name: values for name, values in result.outputs.items() if not name.endswith(".log_sd")}


def test_every_row_is_what_a_single_evaluation_gives(world):
    result = sweep(scenario(), {"batch": [1, 2, 4, 8, 400, 1000]})
    for row, batch in enumerate(result.varied["batch"]):
        card = evaluate(scenario(workload={"batch": int(batch)}))
        for name, answer in card.answers.items():
            if answer.unit.startswith("choice"):
                assert result.row(row)[name] == answer.value
            else:
                assert numbers(result)[name][row] == pytest.approx(float(answer.value), rel=1e-12)
    assert result.outputs["performance.latency.log_sd"].tolist() == [0.1] * 6
    assert result.units["performance.latency"] == "s"


def test_a_grid_combines_every_value_with_every_other(world):
    result = sweep(scenario(), {"batch": [1, 2], "bandwidth": ["1 TB/s", "2 TB/s", 3e12]})
    assert len(result) == 6
    assert set(zip(result.varied["batch"], result.varied["bandwidth"], strict=True)) == {
        (b, w) for b in (1.0, 2.0) for w in (1e12, 2e12, 3e12)
    }


def test_points_are_taken_row_by_row(world):
    result = sweep(scenario(), {"batch": [1, 2, 3], "peak": [1e12, 2e12, 3e12]}, grid=False)
    assert result.varied["batch"].tolist() == [1.0, 2.0, 3.0]
    assert result.varied["peak"].tolist() == [1e12, 2e12, 3e12]


def test_a_column_of_one_number_reaches_solvers_as_that_number(world, monkeypatch):
    seen = []
    compute = ToyPerformance.compute

    def watched(self, columns):
        seen.append(columns)
        return compute(self, columns)

    monkeypatch.setattr(ToyPerformance, "compute", watched)
    batches = np.arange(1.0, 601.0)
    grid = sweep(scenario(), {"peak": [1e12, 2e12], "batch": batches}, chunk=600)
    assert [columns["peak"] for columns in seen if isinstance(columns["batch"], np.ndarray)] == [1e12, 2e12]
    one = sweep(scenario(), {"peak": np.repeat([1e12, 2e12], 600), "batch": np.tile(batches, 2)}, grid=False)
    for name, values in grid.outputs.items():
        assert np.array_equal(values, one.outputs[name])


@given(st.integers(1, 40), st.integers(1, 50))
def test_the_size_of_chunks_changes_nothing(world, rows, chunk):
    whole = sweep(scenario(), {"batch": np.arange(1, rows + 1)})
    parts = sweep(scenario(), {"batch": np.arange(1, rows + 1)}, chunk=chunk)
    for name, values in whole.outputs.items():
        assert np.array_equal(values, parts.outputs[name])


def test_processes_give_what_serial_gives(world):
    vary = {"batch": range(1, 200), "bandwidth": [1e12, 2e12]}
    serial = sweep(scenario(), vary, chunk=50)
    processes = sweep(scenario(), vary, chunk=50, executor="processes")
    for name, values in serial.outputs.items():
        assert np.array_equal(values, processes.outputs[name])


def test_progress_counts_rows(world):
    seen = []
    sweep(scenario(), {"batch": range(1, 11)}, chunk=4, progress=lambda done, rows: seen.append((done, rows)))
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_whole_numbers_do_not_overflow(world):
    """6 N D of a large model exceeds 2^63; as int64 it would silently be another number."""
    big = np.array([2**62, 2**62 + 2], dtype=np.int64)
    result = sweep(scenario(), {"work": big, "batch": np.array([1000], dtype=np.int64)})
    expected = 2.0**62 * 1000 / 100e12
    assert result.outputs["performance.latency"] == pytest.approx([expected] * 2, rel=1e-12)
    assert result.varied["work"].dtype == np.float64
    assert sweep(scenario(), {"work": [10**25]}).outputs["performance.latency"][0] == 10**25 * 4 / 100e12


def test_the_feasible_mask_best_and_ties(world):
    result = sweep(scenario(), {"weights": [8e9, 32e9, 1e9, 1e9]}, grid=False)
    assert result.feasible.tolist() == [True, False, True, True]
    assert result.best("latency") == 2
    assert result.best("latency", largest=True) == 0
    assert result.best("performance.throughput", largest=True) == 2
    assert result.row(1)["feasibility.fits"] == "no"
    assert result.row(0)["feasibility.fits"] == "yes"
    assert result.row(0)["weights"] == "8 GB"
    with pytest.raises(ConfigError, match="latency"):
        result.best("latncy")


def test_nothing_feasible_is_an_error(world):
    result = sweep(scenario(), {"weights": ["32 GB", "64 GB"]})
    assert not result.feasible.any()
    with pytest.raises(SolverError, match="no configuration of the sweep fits"):
        result.best("latency")
    assert result.pareto(["latency"]).size == 0


def test_rows_that_break_a_constraint_stay_in_the_table_and_are_never_best(world):
    free = sweep(scenario(), {"batch": [1, 2, 4, 8, 400, 1000]})
    middle = float(np.median(free.outputs["performance.throughput"][free.feasible]))
    limited = scenario(constraints={"throughput": f">= {middle!r} sample/s"})
    kept = sweep(limited, {"batch": [1, 2, 4, 8, 400, 1000]})
    assert free.met is None
    assert free.acceptable.tolist() == free.feasible.tolist() == kept.feasible.tolist()
    wanted = kept.feasible & (kept.outputs["performance.throughput"] >= middle)
    assert kept.acceptable.tolist() == wanted.tolist()
    assert wanted.any()
    assert not wanted[free.best("latency")]
    assert wanted[kept.best("latency")]
    assert wanted[kept.pareto(["latency"], ["throughput"])].all()
    for row, batch in enumerate(kept.varied["batch"]):
        card = evaluate(scenario(constraints=limited["constraints"], workload={"batch": int(batch)}))
        assert bool(kept.met[row]) == (not card.violations)
    none = sweep(scenario(constraints={"latency": "<= 1 ns"}), {"batch": [1, 2]})
    with pytest.raises(SolverError, match="keeps the constraints"):
        none.best("latency")


def test_a_solver_beside_performance_that_cannot_answer_leaves_the_others(isolated_plugins):
    class Shy(core_toys.ToyEconomics):
        def prepare(self, request):
            if isinstance(request.inputs["performance.latency"], np.ndarray):
                raise SolverError("the toy is shy of arrays", where="settings.shy")
            return super().prepare(request)

    core_toys.Shy = Shy
    shy = attrs.evolve(ECONOMICS, target="core_toys:Shy")
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, shy)))
    found = sweep(scenario(), {"batch": [1, 2]})
    assert "performance.latency" in found.outputs
    assert found.unanswered == ("settings.shy: the toy is shy of arrays",)
    with pytest.raises(ConfigError, match=r"is not answered: settings\.shy: the toy is shy"):
        found.best(next(iter(ECONOMICS.outputs)))
    limited = scenario(constraints={next(iter(ECONOMICS.outputs)): "<= 1e9 USD"})
    assert not sweep(limited, {"batch": [1]}).acceptable.any()


def test_a_table_that_no_memory_holds_is_refused(world):
    many = np.ones(10**6)
    with pytest.raises(ConfigError, match=r"1,000,000,000,000 variations need .* for their answers"):
        sweep(scenario(), {"batch": many, "bandwidth": many})


def test_without_a_verdict_on_memory_every_row_counts():
    result = SweepResult({"a": np.arange(3.0)}, {"performance.latency": np.array([3.0, 1.0, 2.0])}, {})
    assert result.feasible.all()
    assert result.best("latency") == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=30))
def test_the_frontier_is_what_no_feasible_row_beats(rows):
    x, y, fits = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    result = SweepResult({"row": np.arange(len(rows), dtype=float)},
                         {"p.x": x, "p.y": y, "feasibility.fits": fits}, {})  # fmt: skip
    front = result.pareto(minimise=["x"], maximise=["y"])

    def beaten(i):
        return any(fits[j] and x[j] <= x[i] and y[j] >= y[i] and (x[j] < x[i] or y[j] > y[i]) for j in range(len(rows)))

    wanted = {(x[i], y[i]) for i in range(len(rows)) if fits[i] and not beaten(i)}
    assert {(x[i], y[i]) for i in front} == wanted
    assert len(front) == len(wanted)
    assert list(x[front]) == sorted(x[front])
    assert all(fits[i] for i in front)


def test_a_frontier_of_one_is_the_best_row(world):
    result = sweep(scenario(), {"bandwidth": ["1 TB/s", "3 TB/s", "2 TB/s"]})
    assert result.pareto(["latency"]).tolist() == [result.best("latency")] == [1]
    assert result.pareto(maximise=["throughput"]).tolist() == [1]
    for wrong in ([], ["latency", "throughput", "memory_required"]):
        with pytest.raises(ConfigError, match="one or two outputs"):
            result.pareto(wrong)


@pytest.mark.parametrize(
    ("vary", "error", "words"),
    [
        ({}, ConfigError, "nothing varies"),
        ({"bath": [1]}, ConfigError, "Did you mean 'batch'"),
        ({"batch": []}, ConfigError, "has no list of values"),
        ({"batch": np.ones((2, 2))}, ConfigError, "has no list of values"),
        ({"batch": [[1, 2]]}, ConfigError, "no numbers"),
        ({"batch": None}, ConfigError, "no numbers"),
        ({"batch": [None]}, ConfigError, "no numbers"),
        ({"batch": [1j]}, ConfigError, "no numbers"),
        ({"batch": np.array(["a"])}, ConfigError, "no numbers"),
        ({"batch": [10**400]}, ConfigError, "no numbers"),
        ({"batch": [1.0, float("nan")]}, ConfigError, "negative or not finite"),
        ({"batch": [float("inf")]}, ConfigError, "negative or not finite"),
        ({"batch": [-1]}, ConfigError, "negative or not finite"),
        ({"bandwidth": ["1 TB"]}, UnitError, "did you forget '/s'"),
        ({"bandwidth": "1 TB"}, UnitError, "did you forget '/s'"),
        ({"bandwidth": ["fast"]}, UnitError, "not a number"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(world, vary, error, words):
    with pytest.raises(error) as caught:
        sweep(scenario(), vary)
    assert words in str(caught.value)


def test_unequal_lists_an_unknown_executor_and_an_empty_chunk(world):
    with pytest.raises(ConfigError, match=r"unequal lengths \(batch: 2, peak: 3\)"):
        sweep(scenario(), {"batch": [1, 2], "peak": [1e12, 2e12, 3e12]}, grid=False)
    with pytest.raises(ConfigError, match="Did you mean 'processes'"):
        sweep(scenario(), {"batch": [1]}, executor="process")
    with pytest.raises(ConfigError, match="chunk"):
        sweep(scenario(), {"batch": [1]}, chunk=0)


def test_one_value_may_stand_alone(world):
    assert sweep(scenario(), {"bandwidth": "2 TB/s"}).outputs["performance.latency"].tolist() == [1e-3]
    assert sweep(scenario(), {"batch": 2}).varied["batch"].tolist() == [2.0]
    assert sweep(scenario(), {"bandwidth": 2e12}).outputs["performance.latency"].tolist() == [1e-3]


class Faulty(ToyPerformance):
    """Breaks its promise on arrays."""

    def compute(self, columns):
        answers = super().compute(columns)
        if np.ndim(columns["batch"]):
            answers["performance.latency"] = np.where(columns["batch"] > 2, np.nan, answers["performance.latency"])
        return answers


class Chatty(ToyPerformance):
    """Answers more than it declares."""

    def compute(self, columns):
        return {**super().compute(columns), "performance.mood": 1.0}


class Scalar(ToyPerformance):
    """Branches on a number, which an array cannot do."""

    def compute(self, columns):
        return super().compute(columns) if columns["batch"] else {}


class Refusing(ToyPerformance):
    """Refuses by itself."""

    def compute(self, columns):
        raise ConfigError("too many", where="batch")


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (Faulty, "performance.latency = nan in row 2 of a chunk, with batch = 3"),
        (Chatty, "not declare"),
        (Scalar, "failed on arrays of batch"),
    ],
)
def test_arrays_are_held_to_the_same_promises(isolated_plugins, monkeypatch, solver, words):
    monkeypatch.setattr(core_toys, "ToyOdd", solver, raising=False)
    isolated_plugins(ToyPlugin(specs=(attrs.evolve(PERFORMANCE, target="core_toys:ToyOdd"),)))
    with pytest.raises(SolverError, match=words):
        sweep(scenario(), {"batch": [1, 2, 3, 4]})


def test_what_a_scenario_lacks_is_left_out(isolated_plugins):
    texts = {kind: cards for kind, cards in core_toys.CLASSES.items() if kind != "prices"}
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, ECONOMICS), sources=(ToySource(texts),)))
    result = mlsysim.sweep(scenario(), {"batch": [1, 2]}, overrides={"precision": "int8"})
    assert "macro.cost" not in result.outputs
    assert result.outputs["feasibility.memory_required"].tolist() == [1e9, 1e9]


def test_a_refusal_of_the_solver_passes_unchanged(isolated_plugins, monkeypatch):
    monkeypatch.setattr(core_toys, "ToyOdd", Refusing, raising=False)
    isolated_plugins(ToyPlugin(specs=(attrs.evolve(PERFORMANCE, target="core_toys:ToyOdd"),)))
    with pytest.raises(ConfigError, match="batch: too many"):
        sweep(scenario(), {"batch": [1]})


def _rest(seconds):
    time.sleep(seconds)
    return seconds


def test_a_pool_that_is_interrupted_drops_what_waits():
    def interrupted():
        with process_pool(1, long=True) as pool:
            waiting.extend(pool.submit(_rest, 1000.0) for _ in range(20))
            raise KeyboardInterrupt

    waiting = []
    # A shell that starts the tests in the background has interrupts ignored from the beginning.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert all(one.done() for one in waiting)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
