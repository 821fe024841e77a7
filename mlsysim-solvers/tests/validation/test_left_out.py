"""Groups left out: their rows take no part in what predicts them, and intervals say how well that works."""

from __future__ import annotations

import json
import math

import attrs
import numpy as np
import pytest

from mlsysim.cli import main
from mlsysim.plugins import plugins
from mlsysim_solvers.calibration.fitting import Prior, fit_many
from mlsysim_solvers.calibration.left_out import left_out
from mlsysim_solvers.calibration.scatter import fitted_scatter
from mlsysim_solvers.calibration.stacks import calibrate_stack
from mlsysim_solvers.formulas.constants import INTERVAL_QUANTILE
from mlsysim_solvers.formulas.uncertainty import pooled_variance, student_ratio
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.reports import FORMATS, summarise
from mlsysim_solvers.validation.running import run_rows, select
from mlsysim_solvers.validation.tables import packaged_rows


@pytest.fixture(scope="module")
def rows():
    return packaged_rows()


@pytest.fixture(scope="module")
def both(rows):
    found = run_rows(select(rows, source="tiny_v1.1"), jobs=1)
    return found, left_out(found, jobs=1)


def test_a_row_left_out_is_predicted_by_others_only(rows, monkeypatch):
    """Measurements that are wrong by a factor of ten move no prediction of their own group."""
    chosen = select(rows, source="trtllm_v0.5.0", device="L40S", model="LLaMA 7B")
    found = run_rows(chosen, jobs=1)
    unseen = left_out(found, jobs=1)
    fitted = [(a, b) for a, b in zip(found, unseen, strict=True) if a.in_sample]
    assert fitted
    for before, after in fitted:
        assert not after.in_sample
        assert after.predicted != before.predicted
        assert after.row == before.row
    ids = {row.id for row in chosen}
    wrong = [attrs.evolve(row, value=10.0 * row.value) if row.id in ids else row for row in rows]
    monkeypatch.setattr("mlsysim_solvers.calibration.left_out.packaged_rows", lambda: wrong)
    again = left_out(found, jobs=1)
    assert [o.predicted for o in again] == [o.predicted for o in unseen]
    assert [o.log_sd for o in again] == [o.log_sd for o in unseen]


def test_what_was_not_fitted_stands_as_it_is(both):
    for before, after in zip(*both, strict=True):
        if before.predicted is None or not (before.calibrated or before.in_sample):
            assert after is before


def test_processes_change_nothing(both):
    found, alone = both
    assert [o.predicted for o in left_out(found, jobs=2)] == [o.predicted for o in alone]


def test_an_entity_stands_in_only_inside_the_block():
    registry = plugins().registry
    entry = registry.get("stacks", "tensorrt-llm-0.5")
    other = attrs.evolve(entry, record=attrs.evolve(entry.record, calibrations=()))
    with plugins().registry.replacing(other):
        assert registry.get("stacks", "tensorrt-llm-0.5").record.calibrations == ()
    assert registry.get("stacks", "tensorrt-llm-0.5") is entry


def _fits(groups: int, spread: float, seed: int = 0):
    """Fit one constant to groups of rows that are off together, and leave each group out."""
    random = np.random.default_rng(seed)
    each = 6
    bias = np.repeat(random.normal(0.0, spread, groups), each)
    measured = np.exp(bias + random.normal(0.0, 0.03, groups * each))
    out = [np.arange(groups * each) // each == g for g in range(groups)]
    used = np.array([np.ones(groups * each, dtype=bool), *(~rows for rows in out)])
    prior = [Prior("compute", 1.0, 0.5)]
    whole, *others = fit_many(lambda x: np.repeat(1.0 / x, groups * each, axis=1), measured, prior, 0.1, used)
    return whole, tuple(zip(out, others, strict=True)), np.zeros(groups * each)


@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_the_scatter_is_that_of_groups_not_seen(spread):
    """Residuals about the fit understate it when rows of a group are off together."""
    found = np.mean([fitted_scatter(*_fits(25, spread, seed)) for seed in range(8)])
    assert found == pytest.approx(math.hypot(spread, 0.03), rel=0.25)


def test_an_interval_from_many_groups_holds_nine_of_ten_new_ones():
    random = np.random.default_rng(7)
    inside = []
    for seed in range(12):
        whole, without, loose = _fits(20, 0.15, seed)
        scatter = fitted_scatter(whole, without, loose)
        new = random.normal(0.0, math.hypot(0.15, 0.03), 200)
        centre = -math.log(whole.values[0])
        inside.append(np.mean(np.abs(new - centre) <= INTERVAL_QUANTILE * math.hypot(scatter, 0.0)))
    assert 0.85 <= np.mean(inside) <= 0.97


def test_what_a_row_leaves_open_is_not_counted_twice():
    whole, without, loose = _fits(10, 0.2)
    assert fitted_scatter(whole, without, loose + 0.1**2) < fitted_scatter(whole, without, loose)


def test_few_groups_are_pulled_to_what_is_usual_and_widened():
    assert pooled_variance(4.0, 1.0, 1.0, 0.0) == 4.0
    assert pooled_variance(4.0, 1.0, 1.0, 2.0) == pytest.approx(2.0)
    # Student's t at 95 %: 2.132 for 4 and 1.812 for 10 degrees of freedom, against 1.645.
    assert student_ratio(INTERVAL_QUANTILE, 4.0) == pytest.approx(2.132 / 1.645, rel=0.01)
    assert student_ratio(INTERVAL_QUANTILE, 10.0) == pytest.approx(1.812 / 1.645, rel=0.002)
    one = fitted_scatter(*_fits(2, 0.0))
    assert one > fitted_scatter(*_fits(20, 0.0))


def test_every_format_shows_both_scores(both):
    report = summarise(*both)
    data = json.loads(FORMATS["json"](report))
    assert {"median_ape", "coverage90", "half_width"} <= set(data["summary"]["left_out"])
    assert all("left_out" in found for found in data["summary"]["sets"])
    assert {"predicted", "low", "high", "error", "calibrated"} == set(data["rows"][0]["left_out"])
    for name in ("text", "markdown", "html"):
        assert FORMATS[name](report).count("left out") >= 3


def test_the_command_leaves_out(capsys):
    assert main(["validate", "--source", "tiny_v1.2", "--left-out", "--jobs", "1"]) == 0
    assert "left out" in capsys.readouterr().out


def test_an_interval_of_a_calibration_holds_for_what_it_has_not_seen(rows):
    """Constants that were fitted on few groups leave more open than the scatter about the fit."""
    row = next(r for r in rows if r.id == "trtllm_v0.5.0-0047")
    outcome = predict(row)
    entry = plugins().registry.get("stacks", outcome.stack)
    found = entry.record.calibration_for(outcome.device, outcome.precision)
    assert outcome.log_sd >= found.sigma


def test_leaving_out_is_calibrating_on_the_rows_that_remain(rows):
    """Two ways to one number: the refit in step, and the ordinary command given the other rows by name."""
    row = next(r for r in rows if r.set == "trtllm_v0.5.0" and r.device == "NVIDIA L40S" and r.model == "LLaMA 7B")
    before = predict(row)
    entry = plugins().registry.get("stacks", before.stack)
    recorded = entry.record.calibration_for(before.device, before.precision)
    own = {r.id for r in rows if r.group == row.group}
    rest = [name for name in recorded.rows if name not in own]
    assert len(rest) < len(recorded.rows)
    again = calibrate_stack(entry.key, ",".join(rest), device=recorded.device, precision=recorded.precision)
    with plugins().registry.replacing(
        attrs.evolve(entry, record=attrs.evolve(entry.record, calibrations=(again.calibration,)))
    ):
        expected = predict(row)
    (unseen,) = left_out([before], jobs=1)
    assert unseen.predicted == pytest.approx(expected.predicted, rel=1e-3)
    assert unseen.log_sd == pytest.approx(expected.log_sd, rel=1e-2)
