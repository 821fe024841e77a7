"""A row that prints the shape of its model needs no model of the registry."""

from __future__ import annotations

import json

import attrs
import pytest
from measured_rows import published

from mlsysim.plugins import plugins
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.mapping.shapes import printed_parameters
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict


@pytest.fixture(scope="module")
def row():
    """GPT-39B of a table that prints layers, width, heads and vocabulary."""
    return published()["sc21t1-005"]


def with_(row, **cells):
    return attrs.evolve(row, model="Nobody's model", configuration={**row.configuration, "params": "", **cells})


def test_the_printed_shape_answers_like_the_model_of_the_registry(row):
    own = with_(row)
    assert question_for(own, names()).scenario.workload.model.startswith("config:")
    assert predict(own).predicted == pytest.approx(predict(row).predicted, rel=1e-3)


def test_what_the_row_does_not_print_of_a_shape_is_listed(row):
    found = predict(with_(row, heads="", ffn_hidden="", vocab=""))
    assert sum("which the row does not state" in one for one in found.assumed) >= 3
    assert found.predicted == pytest.approx(predict(row).predicted, rel=0.05)


def test_a_model_of_that_name_with_another_shape_is_another_model(row):
    half = attrs.evolve(row, configuration={**row.configuration, "layers": "24"})
    found = predict(half)
    assert any("is another model" in one for one in found.assumed)
    # The figure is a rate of work, of which there is half as much: only the ends of the model and the bubble change it.
    assert found.predicted == pytest.approx(predict(row).predicted, rel=0.15)


def test_experts_and_grouped_heads_are_read(row):
    model = question_for(
        with_(row, n_experts="16", experts_per_token="2", kv_heads="8", heads="64"), names()
    ).scenario.workload.model
    shape = plugins().registry.get("models", model).record.transformer
    assert (shape.kv_heads, shape.mixture.experts, shape.mixture.active) == (8, 16, 2)


def test_without_a_shape_an_unknown_model_is_refused(row):
    assert "no model" in predict(with_(row, layers="")).reason


@pytest.mark.parametrize(
    ("params", "name", "count"),
    [("7.5B", "x", 7.5e9), ("29,975,214,080", "x", 29975214080.0), ("", "GPT 7.5B", 7.5e9), ("39.1e9", "x", 39.1e9),
     ("350M", "GPT", 3.5e8), ("", "BERT", None), ("", "Mixtral 8x7B", None)],
)  # fmt: skip
def test_parameters_are_read_as_printed(row, params, name, count):
    assert printed_parameters(attrs.evolve(with_(row, params=params), model=name)) == count


def test_the_shape_that_gives_the_printed_parameters_is_taken(row):
    # Llama 2 7B: a width of 11008 in the MLP is less than four of the model, so it is gated.
    shape = {"layers": "32", "hidden": "4096", "heads": "32", "kv_heads": "32", "vocab": "32000"}
    plain = with_(row, **shape, ffn_hidden="16384", params="6.7B")
    gated = with_(row, **shape, ffn_hidden="16384", params="8.9B")
    models = [question_for(one, names()).scenario.workload.model for one in (plain, gated)]
    assert ["gpt2" in one for one in models] == [True, False]


def test_a_shape_that_misses_the_printed_parameters_is_refused(row):
    assert "are printed" in predict(with_(row, params="80B")).reason


def test_printed_parameters_are_as_exact_as_their_last_digit(row):
    less = with_(row, layers="44")  # 36 billion
    assert predict(attrs.evolve(less, configuration={**less.configuration, "params": "0.04T"})).predicted
    exact = attrs.evolve(less, configuration={**less.configuration, "params": "0.0400T"})
    assert "are printed" in predict(exact).reason


def test_a_shape_never_stands_for_an_architecture_that_none_expresses(row):
    hybrid = attrs.evolve(with_(row), model="gemma-3n-E4B-it")
    assert "no shape expresses" in predict(hybrid).reason


def test_a_printed_count_goes_before_the_size_in_a_name(row):
    assert printed_parameters(attrs.evolve(with_(row, params="8.03e9"), model="Llama-3 7B")) == 8.03e9


def test_a_width_that_no_row_states_follows_from_the_parameters(row):
    # 40 layers of 5,120 with 8 groups of keys, an MLP three times 17,920 wide and a vocabulary of 128,256: 14.84 billion.
    shape = {"layers": "40", "hidden": "5120", "heads": "40", "kv_heads": "8", "ffn_hidden": "", "vocab": "128256"}
    model = question_for(with_(row, **shape, params="14.84e9"), names()).scenario.workload.model
    assert json.loads(model.removeprefix("config:"))["intermediate_size"] == pytest.approx(17920, rel=0.02)


def test_experts_of_unknown_width_are_refused(row):
    experts = with_(row, ffn_hidden="", n_experts="8", experts_per_token="2")
    assert "the width of the experts" in predict(experts).reason
