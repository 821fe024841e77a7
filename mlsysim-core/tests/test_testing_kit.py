"""The conformance kit itself: what is right passes, and each kind of fault is found by the check meant for it."""

from __future__ import annotations

import random
import socket

import attrs
import core_toys
import numpy as np
import pytest
from core_toys import ECONOMICS, LIFETIME, PERFORMANCE, SUSTAINABILITY, ToyLifetime, ToyPerformance, roofline, scenario

import mlsysim
from mlsysim.errors import ConfigError
from mlsysim.formula import formula
from mlsysim.numeric import ceil, maximum, sqrt, where
from mlsysim.testing import (
    BadInput,
    ProofError,
    SolverCase,
    check_solver,
    draw_arguments,
    given_plugins,
    no_sockets,
    parametrize_checks,
    prove_arrays,
    prove_pint,
    prove_rescaling,
    request_for,
)
from mlsysim.testing.checks import CHECKS
from mlsysim.units import parse_unit

CASE = SolverCase(
    PERFORMANCE,
    scenarios=[scenario(), scenario(workload={"batch": 4000, "precision": "int8"})],
    module="core_toys",
    never_falls={"batch": ("performance.latency",)},
    never_rises={"bandwidth": ("performance.latency",), "peak": ("performance.latency",)},
    limits={
        "never above the peak": lambda c, a: bool(a["performance.throughput"] * c["work"] <= c["peak"] * (1 + 1e-12))
    },
    bad_inputs=(BadInput("workload.batch", {"batch": "0"}), BadInput("fp4", {"precision": "fp4"})),
)


@formula("s", tokens="token", tile="token", rate="token/s", discrete=("token",))
def tiled(tokens, tile, rate):
    """Return the time of whole tiles.

    Notes
    -----
    t = ceil(n / m) m / r.
    """
    return ceil(tokens / tile) * tile / rate


@formula("B/s", signal="W", noise="W", width="B/s")
def rooted(signal, noise, width):
    return width * sqrt(signal / noise)


@formula("m", area="m^2")
def side(area):
    return sqrt(area)


def formula_of_time(function):
    return formula("s", amount="B", rate="B/s")(function)


WRONG = {
    "multiplies instead of dividing": lambda amount, rate: amount * rate,
    "hidden seconds": lambda amount, rate: amount / rate + 5e-6,
    "hidden rate": lambda amount, rate: amount / where(rate > 50e9, 50e9, rate),
    "hidden bytes": lambda amount, rate: maximum(amount, 4096.0) / rate,
    "rounded": lambda amount, rate: ceil(amount / rate),
    "power": lambda amount, rate: (amount / rate) ** 2,
}


@pytest.mark.parametrize("right", [roofline, tiled, rooted, side])
def test_right_formulas_pass_all_proofs(right):
    prove_rescaling(right)
    prove_pint(right)
    prove_arrays(right)


@pytest.mark.parametrize("name", WRONG)
def test_a_hidden_constant_or_a_wrong_unit_is_found_by_rescaling(name):
    wrong = formula_of_time(WRONG[name])
    with pytest.raises(ProofError, match="does not scale as s"):
        prove_rescaling(wrong, draws={"amount": (1.0, 1e6), "rate": (1e9, 1e12)})


@pytest.mark.parametrize("name", ["multiplies instead of dividing", "hidden seconds", "hidden bytes", "power"])
def test_the_same_are_found_by_pint(name):
    with pytest.raises(ProofError, match="declared to return s"):
        prove_pint(formula_of_time(WRONG[name]))


def test_a_formula_that_rounds_must_say_so():
    sly = formula("s", tokens="token", rate="token/s")(lambda tokens, rate: ceil(tokens) / rate)
    with pytest.raises(ProofError, match="not declare discrete"):
        prove_rescaling(sly, draws={"tokens": (0.1, 2.0)})
    prove_rescaling(sly, draws={"tokens": (0.1, 2.0)}, discrete=("token",))
    with pytest.raises(TypeError, match="no base dimension"):
        prove_rescaling(sly, discrete=("tokens",))


def test_any_function_can_be_proved():
    def several(size, speed):
        return {"time": size / speed, "share": size / size}

    prove_rescaling(several, {"size": "B", "speed": "B/s"}, returns={"time": "s", "share": "1"})
    prove_rescaling(lambda size: size * 2, {"size": "B"}, returns="B")
    with pytest.raises(ProofError, match="share does not scale"):
        prove_rescaling(several, {"size": "B", "speed": "B/s"}, returns={"time": "s", "share": "B"})
    with pytest.raises(ProofError, match="no unit is declared for the output 'share'"):
        prove_rescaling(several, {"size": "B", "speed": "B/s"}, returns={"time": "s"})
    with pytest.raises(TypeError, match="give units and returns"):
        prove_rescaling(several)


def test_a_formula_that_differs_on_arrays_is_found():
    def sly(amount, rate):
        return amount / rate * (1.0 if isinstance(amount, float) else 1.001)

    with pytest.raises(ProofError, match="inside an array"):
        prove_arrays(sly, {"amount": "B", "rate": "B/s"})


def test_draws_are_seeded_positive_and_within_their_range():
    units = {"n": "1", "t": "s", "b": "B", "v": "V", "w": "W", "odd": "FLOP USD/K"}
    first, again, other = draw_arguments(units), draw_arguments(units), draw_arguments(units, seed=1)
    assert first == again != other
    assert all(value > 0 for value in first.values())
    share = draw_arguments(units, draws={"n": (0.1, 0.9), "t": lambda source: source.choice([1, 2])}, seed=5)
    assert 0.1 <= share["n"] <= 0.9
    assert share["t"] in (1.0, 2.0)
    with pytest.raises(TypeError, match="draws for"):
        draw_arguments(units, draws={"x": (1.0, 2.0)})


def test_a_right_solver_passes_every_check(world):
    outcomes = check_solver(CASE)
    assert [o.check for o in outcomes] == list(CHECKS)
    assert [o for o in outcomes if not o.ok] == []


@pytest.mark.parametrize(
    ("spec", "declared"),
    [
        (
            ECONOMICS,
            {
                "never_falls": {"rate": ("macro.cost",)},
                "bad_inputs": (BadInput("toy-rental", {"place.price": "toy-rentall"}),),
            },
        ),
        (
            SUSTAINABILITY,
            {"never_falls": {"power": ("macro.carbon",)}, "bad_inputs": (BadInput("mars", {"grid": "mars"}),)},
        ),
        (
            LIFETIME,
            {
                "never_rises": {"latency": ("macro.batches",)},
                "scenarios": [scenario(settings={"toy-lifetime": {"horizon": "1 h"}})],
            },
        ),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_solvers_that_build_on_others_pass_too(world, spec, declared):
    declared = {"scenarios": [scenario()], "module": "core_toys", **declared,
                "limits": {"positive": lambda c, a: all(v > 0 for v in a.values())}}  # fmt: skip
    assert [o for o in check_solver(spec, **declared) if not o.ok] == []


def outcome(check, monkeypatch, solver=None, case=CASE, **changes):
    """Run one check on a variant of the toy solver."""
    if solver is not None:
        monkeypatch.setattr(core_toys, "ToyOdd", solver, raising=False)
        changes["target"] = "core_toys:ToyOdd"
    variant = attrs.evolve(case, spec=attrs.evolve(case.spec, **changes))
    with pytest.raises(AssertionError) as caught:
        CHECKS[check](variant)
    return str(caught.value)


class Odd(ToyPerformance):
    """A toy with a fault; ``twist`` makes it."""

    def compute(self, columns):
        answers = super().compute(columns)
        return {**answers, "performance.latency": self.twist(answers["performance.latency"], columns)}


class HiddenConstant(Odd):
    """Adds seconds of its own."""

    def twist(self, time, columns):
        return time + 5e-6


class Random(Odd):
    """Answers by chance."""

    def twist(self, time, columns):
        return time * random.random()


class Networked(Odd):
    """Asks the network."""

    def twist(self, time, columns):
        socket.create_connection(("example.org", 80))
        return time


class Meddling(Odd):
    """Changes what it is given."""

    def twist(self, time, columns):
        columns["batch"] = columns["batch"] * 1.0 + 1.0
        return time


class MeddlingInPlace(Odd):
    """Changes arrays that it is given."""

    def twist(self, time, columns):
        if isinstance(columns["batch"], np.ndarray):
            columns["batch"] += 1
        return time


class Scalar(Odd):
    """Answers arrays otherwise than floats."""

    def twist(self, time, columns):
        return time * (1.0 if isinstance(time, float) else 1.1)


class Integral(Odd):
    """Answers ints otherwise than floats."""

    def twist(self, time, columns):
        return time * (2 if type(columns["batch"]) is int else 1.0)


class Rootless(Odd):
    """Forgets where its number comes from."""

    def twist(self, time, columns):
        return float(time)


class Unlisted(ToyPerformance):
    """Returns a number that the spec gives no unit."""

    def prepare(self, request):
        return {**super().prepare(request), "fudge": 1.07}


class FloatBatch(ToyPerformance):
    """As the toy, with a batch that is a float."""

    def prepare(self, request):
        return {**super().prepare(request), "batch": float(request.scenario.workload.batch)}


@pytest.mark.parametrize(
    ("check", "solver", "words"),
    [
        ("check_units", HiddenConstant, "performance.latency does not scale as s"),
        ("check_units", Unlisted, "['fudge'], which spec.columns gives no unit"),
        ("check_pure", Random, "answered the same request with"),
        ("check_pure", Networked, "was looked up"),
        ("check_pure", Meddling, "changes its input ['batch']"),
        ("check_pure", MeddlingInPlace, "changes its input ['batch']"),
        ("check_sweep", Scalar, "in an array"),
        ("check_sweep", Integral, "for ints"),
        ("check_explain", Rootless, "performance.latency traces back to no input"),
    ],
)  # fmt: skip
def test_each_fault_of_a_solver_is_found_by_its_check(world, monkeypatch, check, solver, words):
    case = attrs.evolve(CASE, spec=attrs.evolve(PERFORMANCE, labels={}))
    if solver is Integral:
        solver = type("Integral", (Integral, FloatBatch), {"__doc__": "x"})
    assert words in outcome(check, monkeypatch, solver, case)


@pytest.mark.parametrize(
    ("check", "changes", "words"),
    [
        ("check_spec", {"title": ""}, "title is empty"),
        ("check_spec", {"references": ()}, "references is empty"),
        ("check_spec", {"layer": "Z"}, "none of A to E"),
        ("check_spec", {"scenarios": ("dreaming",)}, "scenarios are serving"),
        ("check_spec", {"inputs": ("modl",)}, "there is no record 'modl'"),
        ("check_spec", {"inputs": ("model", "performance.latency")}, "needs its own output"),
        ("check_spec", {"outputs": {"speed.latency": "s"}}, "is in no level"),
        ("check_spec", {"labels": {"performance.x": "x"}}, "which it does not answer"),
        ("check_docs", {"labels": {}}, "no label for"),
    ],
)
def test_each_fault_of_a_spec_is_found(world, monkeypatch, check, changes, words):
    assert words in outcome(check, monkeypatch, **changes)


def test_undocumented_formulas_are_found(world, monkeypatch):
    @formula("s", work="FLOP", peak="FLOP/s", traffic="B", bandwidth="B/s")
    def bare(work, peak, traffic, bandwidth):
        return maximum(work / peak, traffic / bandwidth)

    monkeypatch.setattr(core_toys, "roofline", bare)
    assert "gives no equation" in outcome("check_docs", monkeypatch)
    bare.__doc__ = "Notes\n-----\nt = max.\n"
    assert "the argument work is not documented" in outcome("check_docs", monkeypatch)
    bare.__doc__ = "Parameters\n----------\nwork : float\n    Work.\n\nNotes\n-----\nt = max.\n"
    assert "work is documented without its unit" in outcome("check_docs", monkeypatch)
    assert "names no reference" in outcome("check_explain", monkeypatch, references=())


def test_heavy_imports_are_found(world, monkeypatch):
    assert "loads numpy" in outcome(
        "check_import_budget", monkeypatch, case=attrs.evolve(CASE, module="mlsysim.sweeping")
    )
    assert "cannot be imported" in outcome(
        "check_import_budget", monkeypatch, case=attrs.evolve(CASE, module="no_such_one")
    )


def test_broken_directions_limits_and_refusals_are_found(world, monkeypatch):
    rising = attrs.evolve(CASE, never_falls={"bandwidth": ("performance.latency",)}, never_rises={})
    assert "performance.latency falls" in outcome("check_monotone", monkeypatch, case=rising)
    falling = attrs.evolve(CASE, never_rises={"batch": ("performance.latency",)}, never_falls={})
    assert "performance.latency rises" in outcome("check_monotone", monkeypatch, case=falling)
    limit = attrs.evolve(CASE, limits={"instant": lambda c, a: a["performance.latency"] < 1e-9})
    assert "breaks the limit 'instant'" in outcome("check_limits", monkeypatch, case=limit)
    lax = attrs.evolve(CASE, bad_inputs=(BadInput("batch", {"batch": "5"}),))
    assert "is not refused" in outcome("check_errors", monkeypatch, case=lax)
    mute = attrs.evolve(CASE, bad_inputs=(BadInput("temperature", {"batch": "0"}),))
    assert "does not name temperature" in outcome("check_errors", monkeypatch, case=mute)
    for check, field in (("check_monotone", "never"), ("check_limits", "limits"), ("check_errors", "bad_inputs")):
        assert f"declare {field}" in outcome(check, monkeypatch, case=SolverCase(PERFORMANCE, [scenario()]))
    assert "give scenarios or requests" in outcome("check_units", monkeypatch, case=SolverCase(PERFORMANCE))


def test_a_bad_request_may_be_made_by_hand(world):
    def no_price(request):
        bought = attrs.evolve(request.records["price"], rate=None, amount=1.0)
        return attrs.evolve(request, records={"price": bought})

    CHECKS["check_errors"](SolverCase(ECONOMICS, [scenario()], bad_inputs=(BadInput("place.price", change=no_price),)))


def test_statics_with_dimensions_are_rescaled_by_their_hook(world, monkeypatch):
    class Static(ToyPerformance):
        """Keeps the peak in an object."""

        def prepare(self, request):
            columns = super().prepare(request)
            return {**columns, "shape": [columns.pop("peak")]}

        def compute(self, columns):
            return super().compute({**columns, "peak": columns["shape"][0]})

    class Hooked(Static):
        """Knows how to rescale it."""

        def rescale_static(self, columns, scale):
            return {**columns, "shape": [columns["shape"][0] * scale("FLOP/s")]}

    assert "does not scale" in outcome("check_units", monkeypatch, Static)
    monkeypatch.setattr(core_toys, "ToyOdd", Hooked)
    CHECKS["check_units"](attrs.evolve(CASE, spec=attrs.evolve(PERFORMANCE, target="core_toys:ToyOdd")))


def test_expected_failures_are_strict(world, monkeypatch):
    monkeypatch.setattr(core_toys, "ToyOdd", HiddenConstant, raising=False)
    spec = attrs.evolve(PERFORMANCE, target="core_toys:ToyOdd")
    reasons = {"check_units": "a constant that nobody published", "check_docs": "none yet"}
    found = {o.check: o for o in check_solver(attrs.evolve(CASE, spec=spec), expected_failures=reasons)}
    assert (found["check_units"].status, found["check_units"].reason) == ("expected", reasons["check_units"])
    assert found["check_units"].ok
    assert found["check_docs"].status == "unexpected"
    assert not found["check_docs"].ok
    assert found["check_spec"].status == "passed"
    for wrong in ({"check_nothing": "x"}, {"check_units": " "}):
        with pytest.raises(TypeError):
            check_solver(CASE, expected_failures=wrong)


def test_an_exception_of_a_solver_is_a_failed_check(world, monkeypatch):
    monkeypatch.setattr(ToyPerformance, "compute", lambda self, columns: 1 / 0)
    found = {o.check: o for o in check_solver(CASE)}
    assert found["check_units"].status == "failed"
    assert "ZeroDivisionError" in found["check_units"].reason


@parametrize_checks(
    "core_toys:PERFORMANCE",
    scenarios=[scenario()],
    module="core_toys",
    bad_inputs=(BadInput("workload.batch", {"batch": "0"}),),
    limits={"positive": lambda columns, answers: answers["performance.latency"] > 0},
    expected_failures={"check_monotone": "no direction is declared here"},
)
def test_checks_become_tests(world, check):
    check()


def test_what_is_expected_to_fail_but_passes_fails(world):
    mark = parametrize_checks(CASE, expected_failures={"check_docs": "once"})
    checks = {param.id: param.values[0] for param in mark.args[1]}
    with pytest.raises(AssertionError, match="but passes: drop the expectation"):
        checks["check_docs"]()
    checks["check_spec"]()
    with pytest.raises(TypeError, match="neither a SolverSpec nor a SolverCase"):
        SolverCase.of("core_toys:SHEET")
    assert SolverCase.of(CASE, module="x").module == "x"


def test_the_module_of_an_installed_plugin_is_looked_up(isolated_plugins):
    assert SolverCase(PERFORMANCE).plugin_module() == "core_toys"
    assert LIFETIME.target == "core_toys:ToyLifetime"
    assert isinstance(SolverCase(LIFETIME).solver, ToyLifetime)


def test_given_plugins_come_and_go():
    before = mlsysim.plugins.plugins()
    with given_plugins(core_toys.ToyPlugin()) as loaded:
        assert mlsysim.plugins.plugins() is loaded
        with given_plugins() as none:
            assert mlsysim.plugins.plugins() is none
            assert none.solvers == {}
        assert mlsysim.plugins.plugins() is loaded
    assert mlsysim.plugins.plugins().solvers == before.solvers
    assert parse_unit("s").factor == 1.0


def test_sockets_are_refused_and_come_back():
    connect = socket.socket.connect
    with no_sockets():
        with pytest.raises(AssertionError, match="was looked up"):
            socket.getaddrinfo("example.org", 80)
        with socket.socket(socket.AF_INET) as made, pytest.raises(AssertionError, match="a connection to"):
            made.connect(("127.0.0.1", 9))
        here, there = socket.socketpair()
        here.close()
        there.close()
    assert socket.socket.connect is connect


def test_requests_say_what_a_scenario_lacks(world):
    with pytest.raises(ConfigError, match="needs a battery"):
        request_for(attrs.evolve(PERFORMANCE, inputs=("battery",)), scenario())
