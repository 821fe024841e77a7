"""From an answer back to documents, and to the reason for each estimate."""

from __future__ import annotations

import json

import attrs
import core_toys
import pytest
from core_toys import LIFETIME, PERFORMANCE, SUSTAINABILITY, ToyPerformance, ToyPlugin, roofline, scenario

import mlsysim
from mlsysim.errors import ConfigError
from mlsysim.evaluation import SystemEvaluation, evaluate
from mlsysim.explaining import evidence, explain, traced_answers
from mlsysim.numeric import total
from mlsysim.tracing import named


def nodes(tree):
    yield tree
    for child in tree.children:
        yield from nodes(child)


def test_the_tree_reaches_documents_through_formulas(world):
    tree = explain(evaluate(scenario()), "latency")
    assert tree.name == "performance.latency"
    assert tree.value == str(evaluate(scenario())["latency"])
    assert tree.equation == "t = max(W / P, Q / B)."
    assert "Williams" in tree.reference
    found = {node.name.partition(" of ")[0]: node for node in tree.inputs()}
    assert found["device.memory.bandwidth"].source == "Data sheet of toys"
    assert found["device.memory.bandwidth"].badge == "measured"
    assert found["device.memory.bandwidth"].as_stated == "1 TB/s"
    assert found["device.memory.bandwidth"].at == "table 2"
    assert found["device.memory.bandwidth"].retrieved == "2026-01-01"
    assert found["model.work"].badge == "stated"
    assert {"device.compute.peak.bf16.dense", "model.parameters"} <= set(found)


def test_the_choices_of_the_user_are_settings(world):
    names = {node.name: node for node in nodes(explain(evaluate(scenario()), "throughput"))}
    assert names["workload.batch"].how == "setting"
    assert names["workload.batch"].badge == ""


def test_an_estimate_shows_its_reason(world):
    (tdp,) = [n for n in explain(evaluate(scenario()), "energy").inputs() if n.name.startswith("device.power.tdp")]
    assert tdp.badge == "estimate"
    assert tdp.as_stated == "typical of the class"
    assert tdp.source == ""


def test_outputs_of_other_solvers_are_explained_through(world):
    tree = explain(evaluate(scenario()), "macro.carbon")
    assert {"grid.carbon", "device.power.tdp", "device.memory.bandwidth"} <= {
        n.name.partition(" of ")[0] for n in tree.inputs()
    }
    assert any(node.equation for node in nodes(tree))


def test_settings_of_solvers_are_named(world):
    card = evaluate(scenario(settings={"toy-lifetime": {"horizon": "1 h"}}))
    assert any(node.name == "settings.toy-lifetime.horizon" for node in nodes(explain(card, "batches")))


def test_every_number_can_be_explained(world):
    card = evaluate(scenario(settings={"toy-lifetime": {"horizon": "1 h"}}))
    for name in card.answers:
        tree = explain(card, name)
        assert tree.name == name
        assert "\n".join(tree.lines())


def test_traced_answers_are_the_answers(world):
    card = evaluate(scenario())
    answers, units = traced_answers(card.config)
    for name, answer in card.answers.items():
        if answer.unit != "bool" and not answer.unit.startswith("choice"):
            assert answers[name] == answer.value
        assert units[name] == answer.unit


def test_a_card_that_was_read_back_can_be_explained(world):
    card = evaluate(scenario())
    again = SystemEvaluation.from_dict(json.loads(json.dumps(card.to_dict())))
    assert explain(again, "latency") == explain(card, "latency")
    assert evidence(again) == evidence(card)


def test_lines_can_be_cut_at_a_depth(world):
    tree = explain(evaluate(scenario()), "latency")
    everything, short = list(tree.lines()), list(tree.lines(depth=1))
    assert len(short) < len(everything)
    assert "more below" in short[-1]
    assert everything[0] == short[0]


def test_an_unknown_output_is_refused(world):
    with pytest.raises(ConfigError, match="latency"):
        explain(evaluate(scenario()), "latncy")


def test_solvers_that_were_not_asked_are_left_out(isolated_plugins):
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, SUSTAINABILITY, LIFETIME)))
    card = evaluate(scenario())
    assert "macro.batches" not in card.evidence()
    assert mlsysim.explain(card, "energy").children


class Layered(ToyPerformance):
    """Twelve equal layers, a head, and what overlaps taken off."""

    def compute(self, columns):
        once = roofline(columns["work"] * columns["batch"], columns["peak"], columns["weights"], columns["bandwidth"])
        layer = named(once, "layer")
        head = named(layer * 0.5, "head")
        time = total([0.0, 12 * layer, head]) - 0.25 * layer**1
        return {**super().compute(columns), "performance.latency": time + 0.0 * head}


@pytest.fixture
def layered(isolated_plugins, monkeypatch):
    monkeypatch.setattr(core_toys, "ToyOdd", Layered, raising=False)
    isolated_plugins(ToyPlugin(specs=(attrs.evolve(PERFORMANCE, target="core_toys:ToyOdd"),)))
    return explain(evaluate(scenario()), "latency")


def test_multiples_shares_and_repetitions_are_told(layered):
    found = list(nodes(layered))
    assert any(node.name.startswith("12 x layer") for node in found)
    assert any(node.how == "see above" for node in found)
    assert len([node for node in found if node.equation]) == 1
    sums = [node for node in found if node.how == "sum" and all(c.share is not None for c in node.children)]
    assert sums
    for node in sums:
        assert sum(child.share for child in node.children) == pytest.approx(1.0)
    assert any(node.how == "difference" for node in found)


def test_a_tree_of_parts_reaches_the_same_documents(layered):
    assert {"device.memory.bandwidth", "model.work"} <= {n.name.partition(" of ")[0] for n in layered.inputs()}
    assert "\n".join(layered.lines(depth=2))


def test_what_a_word_or_a_yes_rests_on_is_shown(world):
    card = evaluate(scenario())
    for short, grounds in (("fits", {"memory_required", "memory_usable"}),):
        tree = mlsysim.explain(card, short)
        assert tree.how == "decision"
        assert len(tree.children) == len(grounds)
        assert "".join(tree.lines(depth=1)).startswith("feasibility.fits = yes")


def test_a_number_is_said_to_stand_above_only_where_it_was_drawn(world):
    lines = list(mlsysim.explain(evaluate(scenario()), "throughput").lines())
    seen = set()
    for line in lines:
        name = line.lstrip(" │├└─").partition(" = ")[0]
        if "(see above)" in line:
            assert name in seen
        seen.add(name)
    for depth in (1, 2, 3):
        drawn = list(mlsysim.explain(evaluate(scenario()), "throughput").lines(depth=depth))
        names = [line.lstrip(" │├└─").partition(" = ")[0] for line in drawn]
        for at, line in enumerate(drawn):
            assert "(see above)" not in line or names[at] in names[:at]


def test_a_solver_that_breaks_leaves_the_evidence_of_the_others(isolated_plugins):
    class Broken(core_toys.ToyEconomics):
        def compute(self, columns):
            return {"macro.cost": columns["latency"] / 0.0}

    core_toys.Broken = Broken
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE, attrs.evolve(core_toys.ECONOMICS, target="core_toys:Broken"))))
    card = evaluate(scenario())
    assert "ZeroDivisionError" in card.unanswered["economics"]
    assert evidence(card)
    assert explain(card, "latency").children


def test_what_binds_is_shown_by_the_terms_of_the_time(world):
    """Without a number that decides alone, "bound by memory" must not be an answer without grounds."""
    tree = explain(evaluate(scenario()), "bound")
    assert tree.how == "decision"
    assert any(node.name.startswith("device.memory.bandwidth") for node in tree.inputs())
