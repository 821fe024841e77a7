"""From a scenario to a scorecard, with toy solvers alone."""

from __future__ import annotations

import json
import math

import attrs
import core_toys
import numpy as np
import pytest
from core_toys import ECONOMICS, LIFETIME, PERFORMANCE, SUSTAINABILITY, ToyPlugin, scenario

import mlsysim
from mlsysim.config import SimulationConfig
from mlsysim.errors import ConfigError, OOMError, SLAViolation, SolverError
from mlsysim.evaluation import LEVELS, QUESTIONS, Answer, SystemEvaluation, _answers, choose_solvers, evaluate
from mlsysim.intervals import INTERVAL_QUANTILE
from mlsysim.solving import Result
from mlsysim.testing import given_plugins

WEIGHTS = 1e9 * 2
LATENCY = max(2e9 * 4 / 100e12, WEIGHTS / 1e12)


def copy_of(**kinds):
    return {**core_toys.CLASSES, **kinds}


def test_toy_solvers_alone_fill_the_whole_scorecard(world):
    card = evaluate(scenario())
    assert card.unanswered == {}
    assert set(card.solvers) == set(QUESTIONS)
    assert all(card.level(level) for level in LEVELS)
    assert card["latency"].value == LATENCY
    assert card["performance.throughput"].value == 4 / LATENCY
    assert card["macro.cost"].value == 7.2 / 3600 / 2 * LATENCY
    assert card["macro.energy"].value == 300 * LATENCY
    assert card["macro.carbon"].value == pytest.approx(300 * LATENCY * 480e-3 / 3.6e6, rel=1e-15)
    assert card.fits
    assert card.exit_code == 0
    card.raise_for_status()


def test_every_way_in_gives_the_same_card(world, tmp_path):
    from mlsysim import Scenario, SimulationConfig

    path = tmp_path / "toys.json"
    path.write_text(json.dumps(scenario()))
    card = evaluate(scenario())
    config = SimulationConfig.from_dict(scenario())
    assert isinstance(card.scenario, Scenario)
    for given in (str(path), path, config, config.scenario):
        assert evaluate(given) == card
    assert mlsysim.evaluate(scenario(), {"batch": "8"})["throughput"].value == pytest.approx(8 / LATENCY)


def test_answers_carry_unit_label_solver_interval_and_text(world):
    answer = evaluate(scenario())["latency"]
    assert (answer.unit, answer.label, answer.solver) == ("s", "time per batch", "toy-performance")
    assert answer.low == pytest.approx(LATENCY * math.exp(-0.16448536269514722))
    assert answer.high == pytest.approx(LATENCY * math.exp(0.16448536269514722))
    assert str(answer).startswith("2 ms  [1.7")
    assert answer.quantity.to("s").magnitude == LATENCY
    card = evaluate(scenario())
    assert card["fits"].value is True
    assert str(card["fits"]) == "yes"
    assert card["bound"].value == "memory"
    assert str(card["bound"]) == "memory"
    assert card["throughput"].low is None


def test_assumptions_of_core_and_solver_are_listed(world):
    text = " ".join(evaluate(scenario()).assumptions)
    for word in ("toy-stack", "World", "Toy rental", "PUE 1", "toys do not melt"):
        assert word in text
    assert evaluate(scenario()).entities["device"] == "devices/toy-one"


def test_unknown_answer_suggests_near_ones(world):
    with pytest.raises(ConfigError, match="latency"):
        evaluate(scenario())["latensy"]


def test_what_does_not_fit_is_a_typed_result(world, isolated_plugins):
    texts = {**core_toys.CLASSES, "devices": {"toy-one": core_toys.DEVICE.replace("16 GB", "1 GB")}}
    isolated_plugins(ToyPlugin(sources=(core_toys.ToySource(texts),)))
    card = evaluate(scenario())
    assert not card.fits
    assert card.exit_code == 3
    assert "1 GB more than the usable 1 GB" in card.shortfall()
    with pytest.raises(OOMError, match="does not fit"):
        card.raise_for_status()


def test_a_shortfall_names_the_largest_batch_that_fits(world):
    card = evaluate(scenario())

    def lacking(batch):
        return attrs.evolve(card, answers={**card.answers, "feasibility.max_batch": Answer(
            "feasibility.max_batch", batch, "sample", "", "")}).shortfall()  # fmt: skip

    assert lacking(3.0).endswith("the largest batch that fits is 3")
    assert lacking(0.0).endswith("not even batch 1 fits")
    assert attrs.evolve(card, answers={}).shortfall() == "toys does not fit"


def test_a_missed_constraint_is_a_violation(world):
    card = evaluate(scenario(constraints={"latency": "<= 1 ms", "throughput": ">= 1 sample/s"}))
    assert card.exit_code == 4
    (violation,) = card.violations
    assert "performance.latency <= 1 ms" in str(violation)
    assert "2 ms" in str(violation)
    with pytest.raises(SLAViolation, match="<= 1 ms"):
        card.raise_for_status()
    assert evaluate(scenario(constraints={"latency": "<= 2 ms"})).exit_code == 0


def test_an_unanswered_constraint_never_passes(world, isolated_plugins):
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, ECONOMICS)))
    texts = {k: v for k, v in core_toys.CLASSES.items() if k != "prices"}
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, ECONOMICS), sources=(core_toys.ToySource(texts),)))
    card = evaluate(scenario(constraints={"cost": "<= 1000 USD"}))
    assert card.exit_code == 4
    assert "not evaluated, so not passed" in str(card.violations[0])
    assert "a price" in card.unanswered["economics"]
    assert "no installed solver" in card.unanswered["sustainability"]


def test_nothing_answered_is_exit_code_2(isolated_plugins):
    isolated_plugins(ToyPlugin(specs=()))
    card = evaluate(scenario())
    assert card.answers == {}
    assert set(card.unanswered) == set(QUESTIONS)
    assert card.exit_code == 2
    assert not card.fits


def test_a_broken_plugin_is_named_where_an_answer_is_missing(isolated_plugins):
    class Broken:
        def mlsysim_register_nothing(self) -> None: ...

    isolated_plugins(ToyPlugin(specs=(PERFORMANCE,)), Broken())
    card = evaluate(scenario())
    assert "Broken" in card.unanswered["economics"]
    assert card.exit_code == 0


def test_a_solver_that_refuses_leaves_its_question_open(isolated_plugins):
    texts = copy_of(prices={"toy-rental": core_toys.CLASSES["prices"]["toy-rental"]
                            .replace("on-demand", "purchase").replace("rate", "amount").replace("/h", "")})  # fmt: skip
    isolated_plugins(ToyPlugin(sources=(core_toys.ToySource(texts),)))
    card = evaluate(scenario())
    assert "is a purchase" in card.unanswered["economics"]
    assert card["macro.energy"].value > 0


def test_when_performance_refuses_the_evaluation_refuses(world):
    with pytest.raises(SolverError, match="Toy LM has no published work"):
        evaluate(scenario(workload={"model": "toy-lm"}))


def test_two_candidates_are_refused_unless_the_scenario_names_one(isolated_plugins):
    rival = attrs.evolve(ECONOMICS, name="toy-rival")
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, ECONOMICS, rival)))
    with pytest.raises(ConfigError, match="toy-economics and toy-rival both answer 'economics'") as caught:
        evaluate(scenario())
    assert "[solvers] economics" in caught.value.remedy
    card = evaluate(scenario(solvers={"economics": "toy-rival"}))
    assert card.solvers["economics"] == "toy-rival"
    assert card["macro.cost"].solver == "toy-rival"


def test_the_number_of_devices_decides_between_solvers_for_one_and_for_many(isolated_plugins):
    one = attrs.evolve(PERFORMANCE, devices="one")
    many = attrs.evolve(PERFORMANCE, name="toy-many", devices="many")
    isolated_plugins(ToyPlugin(specs=(one, many)))
    assert evaluate(scenario()).solvers["performance"] == "toy-performance"
    assert evaluate(scenario(system={"devices": 2})).solvers["performance"] == "toy-many"
    assert [spec.answers_for(1) for spec in (one, many, PERFORMANCE)] == [True, False, True]
    assert [spec.answers_for(8) for spec in (one, many, PERFORMANCE)] == [False, True, True]


def test_a_field_that_only_one_solver_answers_decides_before_the_number_of_devices(isolated_plugins):
    one = attrs.evolve(PERFORMANCE, devices="one")
    many = attrs.evolve(PERFORMANCE, name="toy-many", devices="many", options=("weights",))
    isolated_plugins(ToyPlugin(specs=(one, many)))
    serving = {"kind": "serving", "workload": {"model": "toy-net", "input": 8, "output": 8, "weights": "int8"}}
    assert evaluate(scenario(**serving)).solvers["performance"] == "toy-many"
    del serving["workload"]["weights"]
    assert evaluate(scenario(**serving)).solvers["performance"] == "toy-performance"


def test_solvers_run_in_the_order_of_outputs_to_inputs(isolated_plugins):
    specs = (LIFETIME, SUSTAINABILITY, ECONOMICS, PERFORMANCE)
    for order in (specs, specs[::-1]):
        loaded = isolated_plugins(ToyPlugin(specs=order))
        config = mlsysim.SimulationConfig.from_dict(scenario(settings={"toy-lifetime": {"horizon": "1 h"}}))
        chosen, _ = choose_solvers(config, loaded)
        assert chosen[0].name == "toy-performance"
        assert len(chosen) == 4
        assert evaluate(config)["macro.batches"].value == 3600 / LATENCY


def test_a_cycle_is_refused(isolated_plugins):
    first = attrs.evolve(PERFORMANCE, inputs=(*PERFORMANCE.inputs, "macro.cost"))
    isolated_plugins(ToyPlugin(specs=(first, ECONOMICS)))
    with pytest.raises(ConfigError, match="need each other's outputs"):
        evaluate(scenario())


def test_an_optional_need_is_used_when_it_is_there(isolated_plugins):
    hungry = attrs.evolve(ECONOMICS, inputs=("price", "performance.latency", "macro.energy?"))
    for specs in ((PERFORMANCE, hungry), (hungry, SUSTAINABILITY, PERFORMANCE)):
        isolated_plugins(ToyPlugin(specs=specs))
        assert evaluate(scenario())["macro.cost"].value > 0


def test_a_further_question_is_asked_only_when_the_scenario_raises_it(world):
    assert "macro.batches" not in evaluate(scenario()).answers
    card = evaluate(scenario(settings={"toy-lifetime": {"horizon": "2 h", "share": "50 %"}}))
    assert card["macro.batches"].value == 3600 / LATENCY
    assert card.solvers["lifetime"] == "toy-lifetime"


def test_dict_and_json_round_trip(world):
    card = evaluate(scenario(constraints={"latency": "<= 1 ms"}, settings={"toy-lifetime": {"horizon": "1 h"}}))
    plain = json.loads(json.dumps(card.to_dict(), allow_nan=False))
    again = SystemEvaluation.from_dict(plain)
    assert again == card
    assert again.to_dict() == card.to_dict()
    assert plain["exit_code"] == 4
    assert again.evidence().keys() == card.evidence().keys()


def test_evidence_lists_what_the_answers_stand_on(world):
    found = evaluate(scenario()).evidence()
    assert found["device.memory.bandwidth"].badge == "measured"
    assert found["device.power.tdp"].badge == "estimate"
    assert found["model.parameters"].badge == "stated"
    assert "price.rate" in found
    assert "grid.carbon" in found


def test_the_error_of_a_solver_reaches_the_caller_as_such(isolated_plugins):
    isolated_plugins(ToyPlugin(specs=(attrs.evolve(PERFORMANCE, outputs={"performance.latency": "s"}),)))
    with pytest.raises(SolverError, match="does not declare"):
        evaluate(scenario())


def test_values_to_set_are_never_lost():
    with given_plugins(ToyPlugin()):
        config = SimulationConfig.from_dict(scenario())
        for ready in (config, config.scenario):
            with pytest.raises(ConfigError, match="takes no values to set"):
                evaluate(ready, {"batch": "2"})
        with pytest.raises(ConfigError, match="int is not a scenario"):
            evaluate(3)


def test_the_interval_of_a_share_ends_at_one():
    result = Result("toy", {"performance.share": 0.9}, {"performance.share": 0.5})
    share = attrs.evolve(PERFORMANCE, outputs={"performance.share": "1"}, at_most={"performance.share": 1.0})
    found = _answers(share, result)["performance.share"]
    assert found.high == 1.0
    assert found.low == pytest.approx(0.9 * math.exp(-INTERVAL_QUANTILE * 0.5))
    assert _answers(attrs.evolve(share, at_most={}), result)["performance.share"].high > 1.0
    # One that passes the limit, as work that is done by fewer operations than it is counted for may, is as unsure above.
    beyond = _answers(share, Result("toy", {"performance.share": 1.2}, {"performance.share": 0.5}))["performance.share"]
    assert beyond.high == pytest.approx(1.2 * math.exp(INTERVAL_QUANTILE * 0.5))


def test_what_is_not_in_doubt_has_no_interval():
    exact = attrs.evolve(PERFORMANCE, outputs={"performance.throughput": "sample/s"})
    found = _answers(exact, Result("toy", {"performance.throughput": 4.0}, {"performance.throughput": 0.0}))
    assert found["performance.throughput"].low is found["performance.throughput"].high is None


def test_what_a_notebook_passes_by_mistake_is_refused_in_words(world):
    card = evaluate(scenario())
    with pytest.raises(ConfigError, match="is not a quantity"):
        _ = card["fits"].quantity
    with pytest.raises(ConfigError, match="sets no keys"):
        evaluate(scenario(), ["batch=3"])
    with pytest.raises(ConfigError, match="str is not an evaluation"):
        mlsysim.explain("toy", "latency")
    with pytest.raises(ConfigError, match="list names no columns"):
        mlsysim.sweep(scenario(), ["batch"])


def test_whole_numbers_of_numpy_are_numbers(world):
    given = scenario(workload={"batch": np.int64(4)})
    assert evaluate(given)["latency"].value == evaluate(scenario(workload={"batch": 4}))["latency"].value


@pytest.mark.parametrize("data", [{}, {"scenario": {}}, [], {"answers": 5}])
def test_data_that_are_no_evaluation_are_refused_in_words(data):
    with pytest.raises(ConfigError):
        SystemEvaluation.from_dict(data)


def test_a_name_that_is_no_text_is_refused_in_words(world):
    with pytest.raises(ConfigError, match="not the name of an output"):
        evaluate(scenario())[5]
