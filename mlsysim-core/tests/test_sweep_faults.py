"""What a sweep refuses, or says, instead of passing it over."""

from __future__ import annotations

import numpy as np
import pytest
from core_toys import scenario

from mlsysim.cli import main
from mlsysim.errors import ConfigError
from mlsysim.sweeping import sweep
from mlsysim.sweeping.result import counted, idle


@pytest.mark.parametrize(("key", "wrong"), [("device", "toy-onne"), ("precision", "bf61"), ("model", "toy-modell")])
def test_a_misspelt_choice_is_refused_although_others_could_be_answered(world, key, wrong):
    right = {"device": "toy-one", "precision": "bf16", "model": scenario()["workload"]["model"]}[key]
    with pytest.raises(ConfigError, match=wrong) as caught:
        sweep(scenario(), {key: [right, wrong]})
    assert caught.value.where == f"vary.{key}"


@pytest.mark.parametrize("output", ["fits", "bound"])
def test_what_is_no_number_is_not_the_least_of_anything(world, output):
    found = sweep(scenario(), {"batch": [1, 2]})
    for ask in (lambda: found.best(output), lambda: found.pareto([output])):
        with pytest.raises(ConfigError, match="not a number"):
            ask()


def test_what_varies_and_changes_nothing_is_found(world):
    found = sweep(scenario(), {"batch": [1, 2, 4], "bandwidth": [1e12, 2e12]})
    assert idle(found) == []
    found.outputs.update({name: np.where(found.varied["batch"] > 1, 1.0, 2.0) for name in found.outputs})
    assert idle(found) == ["bandwidth"]


def test_what_fits_and_cannot_work_is_not_said_not_to_fit(world):
    found = sweep(scenario(), {"batch": [1, 2]})
    assert counted(found) == "2 variations, 2 fit"
    found.outputs["feasibility.keeps_up"] = np.array([1.0, 0.0])
    found.units["feasibility.keeps_up"] = "bool"
    assert counted(found) == "2 variations, 1 can work"


def test_an_option_of_another_kind_is_told_how_to_ask_for_that_kind(world, capsys):
    assert main(["eval", "toy-net", "--on", "toy-one", "--concurrency", "4", "--kind", "inference"]) == 2
    assert "Add --kind traffic" in capsys.readouterr().err


def test_a_kind_alone_is_told_how_to_list_it(world, capsys):
    assert main(["show", "devices"]) == 2
    assert "`mlsysim list devices` shows its entries" in capsys.readouterr().err


@pytest.mark.parametrize("value", [1e-300, 1e31])
def test_what_no_float_can_be_reckoned_with_is_the_inputs_fault(world, value):
    with pytest.raises(ConfigError, match="out of range"):
        sweep(scenario(), {"bandwidth": [1e12, value]})
