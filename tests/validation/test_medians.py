"""Accuracy does not regress: the medians of each set are recorded, and change only with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

RECORDED = json.loads(Path(__file__).with_name("medians.json").read_text())
SLACK = 0.02
"""A set may get worse by two points before the record must be changed, with a reason."""


@pytest.mark.parametrize("name", sorted(RECORDED["sets"]))
def test_a_set_is_not_worse_than_recorded(report, name):
    found = {"/".join(s.name): s for s in report.sets}[name]
    recorded = RECORDED["sets"][name]
    assert found.group_median_ape is not None, f"{name} is refused now"
    assert found.group_median_ape <= recorded["group_median_ape"] + SLACK
    assert found.predicted >= recorded["rows"], "rows that were predicted are refused now"


def test_the_record_says_why():
    assert len(RECORDED["reason"]) > 10


def test_every_set_that_is_predicted_is_recorded(report):
    predicted = {"/".join(s.name) for s in report.sets if s.predicted}
    assert predicted <= set(RECORDED["sets"]), "run tests/validation/record_medians.py"


def test_refused_rows_say_why(report):
    assert all(outcome.reason for outcome in report.outcomes if outcome.predicted is None)
    assert report.overall.refused == sum(count for _, count in report.reasons)


@pytest.mark.parametrize("metric", ["tokens_per_s_total", "ttft_ms"])
def test_single_device_sets_beat_the_best_constant(report, metric):
    """Ranks and errors together: the physics explains what a constant per set cannot."""
    known = [s for s in report.sets if s.name[1] == metric and s.name[0].startswith("trtllm_v") and s.predicted > 5]
    assert known
    for found in known:
        assert found.median_ape < found.baseline_median_ape
        assert found.spearman > 0.95
