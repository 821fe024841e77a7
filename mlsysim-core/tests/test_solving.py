"""How one solver is asked, and what is refused."""

from __future__ import annotations

import math

import attrs
import pytest
from core_toys import ECONOMICS, LIFETIME, PERFORMANCE, ToyPlugin, scenario

import mlsysim
from mlsysim.errors import ConfigError, PluginError, SolverError, UnitError, UnknownNameError
from mlsysim.running import load_solver, run_solver
from mlsysim.solving import Request, Result, Setting, SolverSpec, is_role, solve
from mlsysim.testing import request_for


class Answering:
    """Answers whatever it is made with."""

    def __init__(self, answers, columns=None):
        self.answers, self.columns = answers, columns or {}

    def prepare(self, request):
        return self.columns

    def compute(self, columns):
        return self.answers() if callable(self.answers) else self.answers


@pytest.fixture
def request_(world):
    return request_for(PERFORMANCE, scenario())


def test_a_request_holds_the_records_that_the_spec_names(world, request_):
    assert set(request_.records) == {"model", "device", "stack"}
    assert request_.records["device"].name == "Toy One"
    assert request_.claims["device", "memory.bandwidth"].badge == "measured"
    assert ("device", "power.tdp") in request_.claims
    assert ("device", "nothing") not in request_.claims
    assert ("nobody", "power.tdp") not in request_.claims
    assert len(request_.claims) == len(list(request_.claims)) > 10
    assert request_.settings == {}
    assert request_for(ECONOMICS, scenario()).inputs == {"performance.latency": 2e-3}


def test_solving_through_the_hook(world, request_):
    by_name, by_spec = solve("toy-performance", request_), solve(PERFORMANCE, request_)
    assert by_name == by_spec
    assert by_name.solver == "toy-performance"
    assert by_name.outputs["performance.latency"] == 2e-3
    assert by_name.log_sd == {"performance.latency": 0.1}
    assert by_name.assumptions == ("toys do not melt",)
    with pytest.raises(UnknownNameError, match="Did you mean 'toy-performance'"):
        solve("toy-perfomance", request_)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"performance.latecy": 1.0}, "answered 'performance.latecy', which it does not declare"),
        ({"performance.latency": math.nan}, "performance.latency = nan"),
        ({"performance.latency": math.inf}, "performance.latency = inf"),
        ({"performance.latency": 1.0, "performance.latency.log_sd": math.nan}, "log_sd = nan"),
        ({"performance.latency": None}, "performance.latency = None"),
        ({"performance.latency": "fast"}, "performance.latency = 'fast'"),
        ({"performance.latency": 1j}, "performance.latency = 1j"),
        (5, "compute() returned int, not outputs by name"),
        (None, "compute() returned NoneType, not outputs by name"),
        (lambda: 1 / 0, "failed: ZeroDivisionError"),
        (lambda: int("x"), "failed: ValueError"),
    ],
)
def test_an_answer_that_is_no_number_is_refused(answers, words):
    with pytest.raises(SolverError) as caught:
        run_solver(PERFORMANCE, Answering(answers), Request(None, {}))
    assert words in str(caught.value)
    assert "toy-performance" in str(caught.value)


def test_an_error_of_the_input_passes_unchanged():
    def refuse():
        raise ConfigError("too long", where="workload.input")

    with pytest.raises(ConfigError, match="too long"):
        run_solver(PERFORMANCE, Answering(refuse), Request(None, {}))


def test_bool_and_choice_answers_are_kept():
    result = run_solver(PERFORMANCE, Answering({"feasibility.fits": True, "performance.bound": 1.0}), Request(None, {}))
    assert result == Result("toy-performance", {"feasibility.fits": True, "performance.bound": 1.0})


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nothing_of_this_name:Solver", "ModuleNotFoundError"),
        ("core_toys:Nothing", "AttributeError"),
        ("core_toys:SHEET", "TypeError"),
        ("core_toys:ToySource", "has no method prepare()"),
        ("core_toys", "cannot be loaded"),
        (":", "cannot be loaded"),
    ],
)
def test_a_target_that_is_no_solver_is_refused(target, words):
    with pytest.raises(PluginError) as caught:
        load_solver(attrs.evolve(PERFORMANCE, target=target))
    assert words in str(caught.value)


def test_an_unloadable_solver_leaves_only_its_question_open(isolated_plugins):
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, attrs.evolve(ECONOMICS, target="core_toys:Nothing"))))
    card = mlsysim.evaluate(scenario())
    assert "cannot be loaded" in card.unanswered["economics"]
    assert card.fits


def test_roles_and_needs():
    spec = attrs.evolve(PERFORMANCE, inputs=("model", "site?", "performance.latency", "macro.cost?"))
    assert spec.roles == (("model", True), ("site", False))
    assert spec.needs == ("performance.latency", "macro.cost?")
    assert is_role("model")
    assert not is_role("performance.latency")


def test_settings_are_read_with_units_and_defaults():
    assert LIFETIME.read_settings({"horizon": "2 h"}) == {"horizon": 7200.0, "share": 1.0}
    assert LIFETIME.read_settings({"horizon": "2 h", "share": 0.5}) == {"horizon": 7200.0, "share": 0.5}
    assert PERFORMANCE.read_settings({}) == {}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ConfigError, "needs horizon (time to fill)"),
        ({"horizon": "1 h", "shares": 1}, ConfigError, "no setting 'shares'. Did you mean 'share'?"),
        ({"horizon": 3}, UnitError, "has no unit"),
        ({"horizon": "3 W"}, UnitError, "is needed"),
        ({"horizon": "-3 h"}, ConfigError, "'-3 h' is negative"),
        ({"horizon": "nan s"}, UnitError, "not a number"),
        ({"horizon": None}, UnitError, "expected a quantity"),
        ({"horizon": True}, UnitError, "expected a quantity"),
        ({"horizon": "1 h", "share": [1]}, UnitError, "expected a quantity"),
    ],
)
def test_a_bad_setting_is_refused_with_its_name(given, error, words):
    with pytest.raises(error) as caught:
        LIFETIME.read_settings(given)
    assert words in str(caught.value)
    assert caught.value.where.startswith("settings.toy-lifetime")
    with pytest.raises(ConfigError, match="It has none"):
        PERFORMANCE.read_settings({"x": 1})


def test_specs_are_data():
    from mlsysim.structure.converting import converter, to_plain

    for spec in ToyPlugin().specs:
        assert converter.structure(to_plain(spec), SolverSpec) == spec
    assert Setting("s", "help").default is None


def test_a_scenario_without_what_a_solver_needs_is_told(isolated_plugins):
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE,)))
    with pytest.raises(ConfigError, match=r"toy-lifetime needs macro\.cost"):
        request_for(attrs.evolve(LIFETIME, inputs=("macro.cost",), settings={}), scenario())
    with pytest.raises(ConfigError, match="needs a battery"):
        request_for(attrs.evolve(PERFORMANCE, inputs=("battery",)), scenario())
