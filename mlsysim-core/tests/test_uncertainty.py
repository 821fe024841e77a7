"""What is said where an answer is less sure than what it is held against, or not known at all."""

from __future__ import annotations

import math

import attrs
import pytest
from core_toys import PERFORMANCE, scenario

from mlsysim.evaluation import Answer, Violation, _answers, evaluate
from mlsysim.evaluation.scorecard import NOT_KNOWN
from mlsysim.renderers import content, limits, markdown, text
from mlsysim.solving import Result


def answer(factor):
    return Answer("performance.latency", 2.0, "s", "latency", "toy", 2.0 / factor, 2.0 * factor)


@pytest.mark.parametrize(("factor", "told"), [(1.1, True), (9.9, True), (10.1, False), (1e29, False)])
def test_an_interval_that_does_not_tell_the_order_of_magnitude_is_not_printed(factor, told):
    found = answer(factor)
    assert found.informative is told
    assert (NOT_KNOWN in str(found)) is not told
    assert (content.interval(found) == NOT_KNOWN) is not told


def test_what_carries_no_interval_is_not_called_unknown():
    assert attrs.evolve(answer(2.0), low=None, high=None).informative
    assert attrs.evolve(answer(2.0), value=0.0, low=0.0, high=0.0).informative


def test_a_spread_without_measure_gives_finite_ends():
    found = _answers(PERFORMANCE, Result("toy", {"performance.latency": 2.0}, {"performance.latency": 1e6}))
    ends = found["performance.latency"]
    assert 0.0 < ends.low < 2.0 < ends.high < math.inf
    assert not ends.informative


@pytest.mark.parametrize(
    ("factor", "met", "sure"), [(0.9, False, False), (1.1, True, False), (1.5, True, True), (0.5, False, True)]
)
def test_a_limit_inside_the_interval_is_said_to_be_so(world, factor, met, sure):
    latency = evaluate(scenario())["latency"].value
    card = evaluate(scenario() | {"constraints": {"latency": f"<= {factor * latency} s"}})
    (check,) = limits.checks(card)
    assert (check.met, check.sure) == (met, sure)
    for written in (text.render_text(card), markdown.render_markdown(card)):
        assert (limits.UNSURE in written) is not sure


def test_a_limit_that_nobody_answered_is_violated_for_sure(world):
    card = attrs.evolve(evaluate(scenario()), violations=(Violation("performance.other <= 1 s", ""),))
    assert [(check.met, check.sure) for check in limits.checks(card)] == [(False, True)]


def test_what_fits_by_less_than_its_uncertainty_is_said_to(world):
    card = evaluate(scenario())
    required, usable = (card[f"feasibility.memory_{name}"] for name in ("required", "usable"))
    for high, close in ((usable.value * 1.01, True), (usable.value * 0.99, False)):
        answers = card.answers | {required.name: attrs.evolve(required, low=required.value, high=high)}
        said, _ = content.headroom(attrs.evolve(card, answers=answers))
        assert said.endswith(limits.UNSURE) is close
