"""Intervals of 90 % hold what they say when the group of each measurement is left out of the fits.

A set that misses the target is an expected failure with its figure; none is left out, and no set has a width of its own.
"""

from __future__ import annotations

from statistics import median

import pytest

from mlsysim_solvers.calibration.left_out import left_out
from mlsysim_solvers.validation.reports import Report, summarise

LEAST, LOW, HIGH = 10, 0.85, 0.95
"""Sets of ten rows or more are meant to lie between 85 and 95 %."""

TOO_FEW: dict[str, str] = {
    "mbridge/tokens_per_s_per_accelerator": "83 %: models that no other resembles, on devices with few of them",
    "k-devbench/TFLOP/s": "81 %: products and copies share one scatter, and products scatter more",
}
"""Sets whose intervals hold fewer, with their figure and the reason."""


@pytest.fixture(scope="module")
def unseen(report) -> Report:
    """Return the validation, each row also predicted without its group."""
    return summarise(report.outcomes, left_out(report.outcomes))


def test_over_all_rows_the_intervals_hold_nine_of_ten(unseen):
    assert LOW <= unseen.left_out_overall.coverage90 <= HIGH


def test_leaving_out_costs_accuracy_and_says_so(unseen):
    assert unseen.left_out_overall.predicted == unseen.overall.predicted
    assert unseen.left_out_overall.median_ape > unseen.overall.median_ape
    assert unseen.left_out_overall.half_width > unseen.overall.half_width
    assert not any(outcome.in_sample for outcome in unseen.left_out_outcomes if outcome.row.table != "kernels")


def test_no_set_of_ten_rows_holds_fewer_than_it_says_unless_that_is_stated(unseen):
    few = {
        "/".join(found.name): round(found.coverage90, 3)
        for found in unseen.left_out
        if found.predicted >= LEAST and found.coverage90 < LOW
    }
    assert set(few) == set(TOO_FEW), few


def test_intervals_are_not_bought_with_width(unseen):
    """Most rows beside fitted groups lie within a factor of 1.3, and rows without any fit within 1.4."""
    widths = {True: [], False: []}
    for outcome in unseen.left_out_outcomes:
        if outcome.predicted is not None:
            widths[outcome.calibrated].append((outcome.high - outcome.low) / 2.0 / outcome.predicted)
    assert median(widths[True]) < 0.30
    assert median(widths[False]) < 0.40
