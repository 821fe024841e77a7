"""Intervals of 90 % hold what they say when the group of each measurement is left out of the fits.

Rows of a group go in or out together, so the coverage of a set says as much as it has groups. A set that holds too few
is named with its figure all the same. None is left out, and no set has a width of its own.
"""

from __future__ import annotations

from statistics import median

import pytest

from mlsysim_solvers.validation.chance import (
    INSIDE_CORRELATION,
    chance_within,
    inside_correlation,
    too_few,
    too_many,
)
from mlsysim_solvers.validation.scoring import groups_of

LEAST, LOW, HIGH = 10, 0.85, 0.95
"""Sets of ten rows or more are meant to lie between 85 and 95 %."""

TOO_FEW: dict[str, str] = {
    "mtv5p/model_tflops_per_accelerator": "81 %: 16 rows, one too few inside",
    "trtllm_v0.9.0/output_tokens_per_s_per_gpu": "83 %: 64 rows, two too few inside",
    "tiny_v1.2/samples_per_s": "82 %: 39 rows",
    "mlperf_v51/tokens_per_s_total": "84 %: 19 rows, one too few inside: prompts in 8 bits on an L40S among them",
}
"""Sets whose intervals hold fewer than 85 %, with their figure."""

DOUBTED: set[str] = set()
"""Sets that hold so few, or so many, as intervals of 85 to 95 % would in one of twenty cases or fewer."""

CALIBRATED, UNCALIBRATED = 0.25, 0.30
"""Median half-widths. 0.15 is wanted beside fitted groups: the errors are too large for it."""


@pytest.fixture(scope="module")
def large(unseen):
    """Return the scores of the sets that are judged."""
    return [found for found in unseen.left_out if found.predicted >= LEAST]


def test_over_all_rows_the_intervals_hold_nine_of_ten(unseen):
    assert unseen.left_out_overall.coverage90 >= 0.88


@pytest.mark.xfail(
    reason="92.5 %: 28 rows of 5,102 too many inside, as errors became less and intervals of stacks fitted elsewhere wider",
    strict=True,
)
def test_over_all_rows_the_intervals_are_no_wider_than_that(unseen):
    assert unseen.left_out_overall.coverage90 <= 0.92


def test_leaving_out_costs_accuracy_and_says_so(unseen):
    assert unseen.left_out_overall.predicted == unseen.overall.predicted
    assert unseen.left_out_overall.median_ape > unseen.overall.median_ape
    assert not any(outcome.in_sample for outcome in unseen.left_out_outcomes if outcome.row.table != "kernels")


def test_no_set_of_ten_rows_holds_fewer_than_it_says_unless_that_is_stated(large):
    few = {"/".join(found.name): round(found.coverage90, 3) for found in large if found.coverage90 < LOW}
    assert set(few) == set(TOO_FEW), few


def test_every_set_could_come_of_intervals_that_hold_what_they_say(large):
    """Not one in twenty times would they hold so few, or so many, given how few groups a set has."""
    doubted = {
        "/".join(found.name): (found.inside, found.predicted, len(found.group_rows))
        for found in large
        if too_few(found.group_rows, found.inside, LOW) < 0.05 or too_many(found.group_rows, found.inside, HIGH) < 0.05
    }
    assert set(doubted) == DOUBTED, doubted
    assert len(doubted) <= 0.05 * len(large)


def test_rows_of_a_group_are_as_alike_as_is_said(unseen):
    groups = groups_of([o for o in unseen.left_out_outcomes if o.predicted is not None]).values()
    found = inside_correlation([[(o.low or 0.0) <= o.row.value <= (o.high or 0.0) for o in rows] for rows in groups])
    assert found == pytest.approx(INSIDE_CORRELATION, abs=0.06)


def test_as_many_sets_lie_within_the_target_as_right_intervals_would_put_there(large):
    within = sum(LOW <= found.coverage90 <= HIGH for found in large)
    assert within >= 0.9 * sum(chance_within(found.group_rows, LOW, HIGH) for found in large)


@pytest.mark.xfail(reason="about half of the sets do, which is what right intervals would reach", strict=True)
def test_every_set_lies_within_the_target(large):
    assert all(LOW <= found.coverage90 <= HIGH for found in large)


def test_intervals_are_not_bought_with_width(large):
    """Every set counts alike, however many rows it has."""
    widths = {True: [], False: []}
    for found in large:
        widths[found.calibrated > 0.5].append(found.half_width)
    assert median(widths[True]) < CALIBRATED
    assert median(widths[False]) < UNCALIBRATED


@pytest.mark.xfail(reason="the errors of half of the sets do not allow it, whatever the statistics", strict=True)
def test_intervals_are_as_narrow_as_is_wanted(large):
    assert median(found.half_width for found in large if found.calibrated > 0.5) <= 0.15


def row_width(unseen, *, calibrated):
    """Return the median half-width over rows beside fitted groups, or without any fit."""
    found = [o for o in unseen.left_out_outcomes if o.predicted is not None and o.calibrated is calibrated]
    return median((outcome.high - outcome.low) / 2.0 / outcome.predicted for outcome in found)


def test_over_rows_intervals_are_not_bought_with_width(unseen):
    """Most rows beside fitted groups lie within a factor of 1.3."""
    assert row_width(unseen, calibrated=True) < 0.30


def test_over_rows_without_a_fit_neither(unseen):
    """They are meant to lie within a factor of 1.4."""
    assert row_width(unseen, calibrated=False) < 0.40
