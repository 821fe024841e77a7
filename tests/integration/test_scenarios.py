"""Every packaged scenario, through every door."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from mlsysim import registry
from mlsysim.evaluation import LEVELS, SystemEvaluation, evaluate
from mlsysim.explaining import explain

SCENARIOS = registry().keys("scenarios")
EXPECTED = {"smart-doorbell", "autonomous-vehicle", "llama-3.1-8b-h100", "resnet-50-training"}


@pytest.fixture(scope="module", params=SCENARIOS)
def card(request: pytest.FixtureRequest) -> SystemEvaluation:
    return evaluate(request.param)


def test_the_promised_scenarios_are_there() -> None:
    assert set(SCENARIOS) >= EXPECTED


def test_all_three_levels_are_answered(card: SystemEvaluation) -> None:
    for level in LEVELS:
        assert card.level(level), level
    assert card.exit_code in (0, 3, 4)
    assert card.fits == (card.exit_code != 3)


def test_answers_are_finite_and_inside_their_intervals(card: SystemEvaluation) -> None:
    for name, answer in card.answers.items():
        if isinstance(answer.value, float):
            assert math.isfinite(answer.value), name
            if answer.low is not None and answer.high is not None:
                assert answer.low <= answer.value <= answer.high, name


def test_it_survives_json(card: SystemEvaluation) -> None:
    text = json.dumps(card.to_dict(), allow_nan=False)
    assert SystemEvaluation.from_dict(json.loads(text)) == card


def test_every_answer_can_be_explained(card: SystemEvaluation) -> None:
    for name, answer in card.answers.items():
        tree = explain(card, name)
        assert tree.name == name
        assert list(tree.lines())
        if isinstance(answer.value, float) and answer.unit != "bool":
            assert tree.children or tree.badge or tree.how in ("setting", "constant", "see above"), name


def test_every_number_behind_it_has_a_badge(card: SystemEvaluation) -> None:
    evidence = card.evidence()
    assert evidence
    assert all(standing.badge for standing in evidence.values())


@pytest.mark.parametrize("name", ["smart-doorbell", "llama-3.1-8b-h100", "resnet-50-training"])
def test_the_main_examples_are_good(name: str) -> None:
    assert evaluate(name).exit_code == 0


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("style", ["text", "json", "markdown"])
def test_every_format_prints(name: str, style: str, mlsysim: Callable[..., Any]) -> None:
    done = mlsysim("eval", name, "--format", style)
    assert done.code in (0, 3, 4), done.err
    assert done.out.strip()
    if style == "json":
        assert json.loads(done.out)["exit_code"] == done.code


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_file_says_what_the_name_says(name: str, mlsysim: Callable[..., Any], tmp_path: Any) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(mlsysim("show", f"scenarios/{name}", "--format", "toml").out, encoding="utf-8")
    assert mlsysim("eval", str(file)).out == mlsysim("eval", name).out


@pytest.mark.parametrize(
    ("device", "node"),
    [("l40", "server-pcie-4-x16"), ("rtx-5090", "server-geforce-pcie-5"), ("h100-sxm", "dgx-h100"), ("m2-ultra", None)],
)
def test_cards_that_no_node_names_are_joined_by_their_slots(device: str, node: str | None) -> None:
    from mlsysim.config.assumptions import node_for
    from mlsysim.plugins import plugins

    registry = plugins().registry
    found = node_for(registry.get("devices", device), 8, registry)
    assert (None if found is None else found.key) == node
