"""Scores and reports on outcomes whose answers are known."""

from __future__ import annotations

import json

import attrs
import numpy as np
import pytest
from measured_rows import of_table

from mlsysim_solvers.validation.chance import (
    chance_within,
    inside_correlation,
    inside_distribution,
    too_few,
    too_many,
)
from mlsysim_solvers.validation.predicting import Outcome, predict
from mlsysim_solvers.validation.reports import FORMATS, summarise
from mlsysim_solvers.validation.running import run_rows, select
from mlsysim_solvers.validation.scoring import baseline_error, quantile, score, spearman


@pytest.fixture(scope="module")
def rows():
    return list(of_table("inference").values())


@pytest.fixture(scope="module")
def outcomes(rows):
    return run_rows(select(rows, source="trtllm_v0.5.0"))


def test_a_small_set_seldom_holds_nine_of_ten_exactly():
    """Of ten independent rows only nine lie between 85 and 95 %: 10 x 0.9^9 x 0.1."""
    alone = [1] * 10
    assert chance_within(alone, 0.85, 0.95) == pytest.approx(10 * 0.9**9 * 0.1)
    assert chance_within(alone, 0.0, 1.0) == pytest.approx(1.0)
    assert chance_within([10], 0.85, 0.95, 0.0) == pytest.approx(chance_within(alone, 0.85, 0.95))
    assert chance_within([1] * 1000, 0.85, 0.95) > 0.999
    assert chance_within([100] * 10, 0.85, 0.95) < 0.85


def test_rows_of_a_group_go_in_or_out_together():
    """Mean and variance are those of correlated rows; one row has no other to be correlated with."""
    for sizes, correlation in (([7], 0.3), ([4, 9, 1], 0.2), ([5, 5], 0.0)):
        chances = inside_distribution(sizes, 0.8, correlation)
        counts = np.arange(len(chances))
        mean = float(chances @ counts)
        assert chances.sum() == pytest.approx(1.0)
        assert mean == pytest.approx(0.8 * sum(sizes))
        expected = sum(n * 0.8 * 0.2 * (1.0 + (n - 1) * correlation) for n in sizes)
        assert float(chances @ (counts - mean) ** 2) == pytest.approx(expected)


def test_few_groups_prove_less_than_many_rows():
    assert too_few([1] * 40, 28, 0.85) < 0.02 < too_few([40], 28, 0.85)
    assert too_many([1] * 100, 100, 0.95) < 0.01 < too_many([100], 100, 0.95)
    assert too_few([3, 4], 7, 0.85) == pytest.approx(1.0)
    assert too_many([3, 4], 0, 0.85) == pytest.approx(1.0)


def test_the_correlation_inside_groups_is_found_again():
    random = np.random.default_rng(2)
    ratio = 1.0 / 0.25 - 1.0
    shares = random.beta(0.9 * ratio, 0.1 * ratio, 4000)
    groups = [(random.random(6) < share).tolist() for share in shares]
    assert inside_correlation(groups) == pytest.approx(0.25, abs=0.03)
    assert inside_correlation([[True], [False]]) == 0.0


def test_quantile_and_rank():
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([0.0, 10.0], 0.9) == pytest.approx(9.0)
    assert spearman([1.0, 2.0, 3.0], [10.0, 20.0, 15.0]) == pytest.approx(0.5)
    assert spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None


def test_score_counts_coverage_and_bias(rows):
    base = rows[0]
    made = [
        Outcome(attrs.evolve(base, value=100.0), predicted=110.0, low=90.0, high=130.0),
        Outcome(attrs.evolve(base, value=100.0), predicted=80.0, low=70.0, high=90.0),
        Outcome(base, reason="no"),
    ]
    found = score(("x",), made)
    assert (found.n, found.predicted, found.refused) == (3, 2, 1)
    assert found.coverage90 == 0.5
    assert found.median_ape == pytest.approx(0.15)
    assert found.bias == pytest.approx(-0.05)


def test_the_best_constant_is_exact_where_one_ratio_explains_all(rows):
    made = [Outcome(attrs.evolve(rows[0], value=2.0 * v), predicted=1.0, ideal=v) for v in (1.0, 5.0, 9.0)]
    assert baseline_error(made) == pytest.approx(0.0)


def test_rows_are_predicted_or_refused_with_a_reason(outcomes):
    for outcome in outcomes:
        assert (outcome.predicted is None) == bool(outcome.reason)
        if outcome.predicted is not None:
            assert outcome.low < outcome.predicted < outcome.high


def test_processes_change_nothing(rows):
    chosen = rows[:130]
    alone, shared = run_rows(chosen, jobs=1), run_rows(chosen, jobs=2)
    assert [o.predicted for o in alone] == [o.predicted for o in shared]


def test_json_has_the_fields_that_are_promised(outcomes):
    data = json.loads(FORMATS["json"](summarise(outcomes)))
    assert {
        "id",
        "kind",
        "group",
        "status",
        "reason",
        "metric",
        "measured",
        "predicted",
        "low",
        "high",
        "error",
    } <= set(data["rows"][0])
    summary = data["summary"]
    assert summary["n"] == len(outcomes) == summary["predicted"] + summary["refused"]
    assert {"median_ape", "p90_ape", "bias", "spearman", "coverage90", "baseline_median_ape", "groups"} <= set(summary)


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_every_format_says_how_many_were_refused(outcomes, name):
    refused = [Outcome(outcomes[0].row, reason="nobody knows")] * 7
    report = summarise([*outcomes, *refused])
    text = FORMATS[name](report)
    assert str(report.overall.refused) in text
    assert "nobody knows" in text


def test_server_rows_of_samples_are_asked_for_a_rate_within_their_limit(rows):
    row = next(r for r in rows if r.kind == "server" and r.model == "resnet50")
    outcome = predict(row)
    assert outcome.predicted is not None
    assert any("front end" in what for what in outcome.assumed)


def test_a_first_token_takes_longer_for_a_longer_prompt(outcomes):
    found = {o.row.configuration["input_len"]: o.predicted for o in outcomes
             if o.row.name == "ttft_ms" and o.row.model == "LLaMA 7B" and o.row.device == "NVIDIA H100"}  # fmt: skip
    assert found["2048"] > 2.0 * found["128"]
