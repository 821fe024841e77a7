"""What is not answered says why: a name that solvers know is never called unknown."""

from __future__ import annotations

import pytest

import mlsysim
from mlsysim.errors import ConfigError
from mlsysim.plugins import plugins

CLIENTS = {"name": "clients", "kind": "traffic", "workload": {"model": "llama-3.1-8b", "concurrency": 8},
           "system": {"device": "h100-sxm"}}  # fmt: skip


@pytest.mark.parametrize(("name", "words"), [
    ("ttft_p99", "in-flight answers it at a rate of random arrivals (set workload.rate)"),
    ("performance.prefill_busy", "for pools of workers"), ("water_per_token", "set place.site"),
    ("step_time", "distributed answers it, and this scenario is answered by in-flight"), ("run_cost", "whole run"),
])  # fmt: skip
def test_an_output_of_other_scenarios_says_when_it_is_answered(name: str, words: str) -> None:
    card = mlsysim.evaluate(CLIENTS)
    with pytest.raises(ConfigError, match="is not answered here") as caught:
        card[name]
    assert words in caught.value.remedy


def test_a_name_that_no_solver_knows_is_unknown() -> None:
    with pytest.raises(ConfigError, match="no solver answers 'ttft_p98'"):
        mlsysim.evaluate(CLIENTS)["ttft_p98"]


def test_a_limit_on_what_is_not_answered_says_why() -> None:
    card = mlsysim.evaluate({**CLIENTS, "constraints": {"ttft_p99": "<= 1 s"}})
    assert str(card.violations[0]).endswith(
        "so not passed: in-flight answers it at a rate of random arrivals (set workload.rate)"
    )
    assert mlsysim.SystemEvaluation.from_dict(card.to_dict()) == card


def test_conditions_name_outputs() -> None:
    for spec in plugins().solvers.values():
        assert set(spec.answered_if) <= set(spec.outputs), spec.name
