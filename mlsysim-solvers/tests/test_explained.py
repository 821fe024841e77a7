"""An explanation speaks of layers, caches and powers: its upper levels hold no nameless term or factor."""

from __future__ import annotations

import pytest

import mlsysim

NAMELESS = {"term", "factor", "numerator", "denominator", "base", "exponent", "less"}
LEVELS = 3
ASKED = {
    "llama-3.1-8b-h100": (
        "latency",
        "ttft",
        "tpot",
        "cost_per_token",
        "energy_per_token",
        "memory_required",
        "max_batch",
    ),
    "mixtral-8x7b-h200": ("latency", "memory_required"),
    "llama-3.1-8b-training-h100": ("latency", "memory_required"),
    "bert-large-a100": ("latency", "memory_required"),
    "resnet-50-training": ("latency", "memory_required", "run_cost"),
    "smart-doorbell": ("battery_life", "latency", "memory_required"),
    "autonomous-vehicle": ("stopping_distance", "latency_margin"),
}


def nameless(tree, depth=0):
    if tree.name in NAMELESS:
        yield f"{tree.name} = {tree.value}"
    for child in tree.children if depth < LEVELS else ():
        yield from (f"{tree.name} > {found}" for found in nameless(child, depth + 1))


@pytest.mark.parametrize("scenario", ASKED)
def test_every_part_of_the_upper_levels_has_a_name(scenario):
    evaluation = mlsysim.evaluate(scenario)
    for output in ASKED[scenario]:
        assert list(nameless(mlsysim.explain(evaluation, output))) == [], output


def test_an_answer_that_feeds_another_keeps_its_name():
    tree = mlsysim.explain(mlsysim.evaluate("autonomous-vehicle"), "latency_margin")
    assert [child.name for child in tree.children] == ["latency budget", "latency"]


def test_why_a_resource_binds_is_told_by_the_times_that_each_alone_takes():
    card = mlsysim.evaluate("llama-3.1-8b-h100")
    (factor,) = mlsysim.explain(card, "bound").children
    assert [child.name for child in factor.children] == ["compute", "memory", "overhead"]
    assert card["bound"].value == "memory"
    assert f"{card['bound_factor'].value:.4g}" == factor.value


def test_constants_of_a_stack_say_on_what_they_were_fitted_and_estimates_between_what_limits_they_lie():
    tree = mlsysim.explain(mlsysim.evaluate("llama-3.1-8b-h100"), "latency")
    found = {node.name.partition(" of ")[0]: node for node in tree.inputs()}
    fitted = next(node for name, node in found.items() if name.startswith("stack.calibrations"))
    assert fitted.badge == "fitted"
    assert "mlsysim calibrate stack" in fitted.as_stated
    tile = found["stack.tiles.2.rate"]
    assert tile.badge == "estimate"
    assert tile.reason == "0.85 to 1"
    assert "(0.85 to 1)" in " ".join(" ".join(tile.lines()).split())
