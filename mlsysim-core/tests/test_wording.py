"""Numbers and setups as people write them."""

from __future__ import annotations

import attrs
import core_toys
import pytest
from core_toys import ECONOMICS, PERFORMANCE, ToyPlugin, scenario

from mlsysim.errors import MlsysimError, SolverError
from mlsysim.evaluation import Answer, evaluate
from mlsysim.records.parallelism import Parallelism
from mlsysim.renderers import content
from mlsysim.renderers.numbers import quantity
from mlsysim.units import dimension_text, parse_quantity, parse_unit


@pytest.mark.parametrize(
    ("given", "unit", "said"),
    [
        ("44 kWh", "kWh", "44 kWh"), ("4411 kWh", "kWh", "4.411 MWh"), ("4.411e6 kWh", "kWh", "4.411 GWh"),
        ("5e10 kWh", "kWh", "50,000 GWh"), ("20 Wh", "kWh", "20 Wh"), ("20870 kg", "kgCO2e", "20.87 tCO2e"),
        ("2087000 kg", "kgCO2e", "2,087 tCO2e"), ("20 kg", "kgCO2e", "20 kgCO2e"),
        ("1140 kgCO2e/Msample", "kgCO2e/Msample", "1.14 tCO2e/Msample"),
    ],
)  # fmt: skip
def test_large_amounts_of_energy_and_carbon_have_large_units(given, unit, said):
    si = parse_quantity(given, unit)
    assert quantity(si, unit) == said
    assert parse_quantity(said, unit) == pytest.approx(si, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(1024, "sample", "1,024"), (115305030, "sample", "115,305,030"), (15.6e12, "token", "15.6 T tokens"),
     (300e9, "token", "300 B tokens"), (8192, "token", "8,192 tokens"), (1e30, "sample", "1e+18 T")],
)  # fmt: skip
def test_counts_are_grouped_or_shortened(value, unit, said):
    assert content._counted(value, unit) == said


def test_the_setup_shows_the_layout(world):
    card = evaluate(scenario())
    assert "data 2" not in content.setup(card)
    layout = Parallelism(data=2, tensor=8, micro_batch=1, sequence=True, zero=1)
    divided = attrs.evolve(card, scenario=attrs.evolve(card.scenario, parallelism=layout))
    assert {"data 2", "tensor 8", "micro-batch 1", "sequence parallel", "zero 1"} <= set(content.setup(divided))


def test_parts_of_nothing_are_left_out_and_other_zeros_are_not(world):
    card = evaluate(scenario())
    for label, kept in (("of which waiting", False), ("waiting", True)):
        answers = {**card.answers, "performance.wait": Answer("performance.wait", 0.0, "s", label, "toy")}
        names = [row.name for row in content.rows(attrs.evolve(card, answers=answers), "performance")]
        assert ("performance.wait" in names) is kept


def test_a_shortfall_says_how_much_fits(world):
    card = evaluate(scenario(workload={"batch": 10**6}))
    for value, said in ((4.0, "the largest micro-batch that fits is 4"), (0.0, "not even micro-batch 1 fits")):
        kept = {name: a for name, a in card.answers.items() if name != "feasibility.max_batch"}
        most = Answer("feasibility.max_micro_batch", value, "sample", "most", "toy")
        assert said in attrs.evolve(card, answers={**kept, most.name: most}).shortfall()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"solvers": {"performance": "toy-performnce"}}, "solvers.performance: there is no solver"),
        ({"settings": {"nothing": {"a": 1}}}, "settings.nothing: there is no solver 'nothing'"),
        ({"workload": {"batch": 1.5}}, "1.5 is not a whole number. Give 1 or 2"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_to_do(world, change, said):
    with pytest.raises(MlsysimError) as caught:
        evaluate(scenario(**change))
    assert any(said in str(fault) for fault in caught.value.faults)


@pytest.mark.parametrize(("unit", "text"), [("W", "W"), ("kWh", "J"), ("B/s", "B/s"), ("kg/J", "s^2/m^2")])
def test_power_and_energy_have_names_of_their_own(unit, text):
    assert dimension_text(parse_unit(unit).dimension) == text


@pytest.mark.parametrize("key", ["device.memory.bandwidth", "model.layers", "price.rate"])
def test_a_key_of_an_entity_says_how_its_numbers_are_changed(world, key):
    with pytest.raises(MlsysimError) as caught:
        evaluate(scenario(), {key: "1"})
    (fault,) = caught.value.faults
    assert fault.where == f"--set {key}"
    assert "--columns" in fault.remedy
    assert "MLSYSIM_DATA" in fault.remedy


def test_open_questions_are_asked_in_words(isolated_plugins):
    class Silent(core_toys.ToyEconomics):
        def prepare(self, request):
            raise SolverError("nothing to say")

    core_toys.Silent = Silent
    extra = attrs.evolve(
        ECONOMICS, name="toy-extra", question="extra", title="What else?", target="core_toys:Silent",
        outputs={"macro.extra": "USD"}, labels={},
    )  # fmt: skip
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, extra)))
    asked = dict(content.open_questions(evaluate(scenario())))
    assert asked["What else?"] == "nothing to say"
