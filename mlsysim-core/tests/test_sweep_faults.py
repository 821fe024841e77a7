"""What a sweep refuses, or says, instead of passing it over."""

from __future__ import annotations

import numpy as np
import pytest
from core_toys import scenario

from mlsysim.errors import ConfigError
from mlsysim.sweep_result import idle
from mlsysim.sweeping import sweep


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
        with pytest.raises(ConfigError, match="no number"):
            ask()


def test_what_varies_and_changes_nothing_is_found(world):
    found = sweep(scenario(), {"batch": [1, 2, 4], "bandwidth": [1e12, 2e12]})
    assert idle(found) == []
    found.outputs.update({name: np.where(found.varied["batch"] > 1, 1.0, 2.0) for name in found.outputs})
    assert idle(found) == ["bandwidth"]
