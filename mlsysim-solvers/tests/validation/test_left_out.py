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
from mlsysim_solvers.calibration.samples import Neighbours
from mlsysim_solvers.calibration.scatter import NOBODY, Unseen, fitted_scale, unseen
from mlsysim_solvers.calibration.spreads import Group, fitted_scales, row_correlation
from mlsysim_solvers.calibration.stacks import calibrate_stack
from mlsysim_solvers.formulas.constants import GROUP_LOG_SDS, INTERVAL_QUANTILE
from mlsysim_solvers.formulas.uncertainty import effective_rows, student_tail
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


def _scatter(without, loose) -> float:
    general = (GROUP_LOG_SDS[0], GROUP_LOG_SDS[-1])  # one constant, and the whole
    return fitted_scale(unseen(without, loose, general)) * math.hypot(*general)


@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_the_scatter_is_that_of_groups_not_seen(spread):
    """Residuals about the fit understate it when rows of a group are off together."""
    found = np.mean([_scatter(*_fits(25, spread, seed)[1:]) for seed in range(8)])
    assert found == pytest.approx(math.hypot(spread, 0.03), rel=0.25)


def test_an_interval_from_many_groups_holds_nine_of_ten_new_ones():
    random = np.random.default_rng(7)
    inside = []
    for seed in range(12):
        whole, without, loose = _fits(30, 0.1, seed)
        new = random.normal(0.0, math.hypot(0.1, 0.03), 200)
        centre = -math.log(whole.values[0])
        spread = math.sqrt(whole.variances[0] + _scatter(without, loose) ** 2)
        inside.append(np.mean(np.abs(new - centre) <= INTERVAL_QUANTILE * spread))
    assert 0.85 <= np.mean(inside) <= 0.97


def test_what_a_row_leaves_open_is_not_counted_twice():
    _, without, loose = _fits(10, 0.2)
    assert _scatter(without, loose + 0.1**2) < _scatter(without, loose)


def test_few_groups_are_pulled_to_what_is_usual():
    # Student's t with four degrees of freedom: 2.132 at 95 % and 2.776 at 97.5 %.
    assert student_tail(2.132) == pytest.approx(0.10, rel=1e-3)
    assert student_tail(2.776) == pytest.approx(0.05, rel=1e-3)
    assert student_tail(0.0) == 1.0
    assert fitted_scale(NOBODY) == pytest.approx(2.132 / INTERVAL_QUANTILE, rel=1e-3)
    one = _scatter(*_fits(2, 0.0)[1:])
    assert one > _scatter(*_fits(20, 0.0)[1:])


def test_rows_of_a_group_say_less_than_as_many_groups():
    assert effective_rows(1.0, 0.4) == 1.0
    assert effective_rows(10.0, 0.0) == 10.0
    assert effective_rows(10.0, 1.0) == 1.0
    assert 1.0 < effective_rows(1000.0, 0.4) < 1.0 / 0.4


def test_one_wild_group_in_many_leaves_the_others_their_interval():
    """A tenth lies outside anyway; how far outside says nothing about the rest."""
    squares = np.full(30, 0.05**2)
    wild = np.append(squares, 2.6**2)
    none, general = np.zeros(31), np.full(31, 0.07**2)
    rows = Unseen(wild, none, general, np.ones(31))
    usual = Unseen(np.append(squares, 0.05**2), none, general, np.ones(31))
    assert fitted_scale(rows) < 1.5 * fitted_scale(usual)


def test_scales_are_found_again_from_residuals_made_with_them():
    random = np.random.default_rng(3)
    groups = []
    for i in range(400):
        share = (i % 4) / 3.0
        slopes = np.column_stack([np.full(3, share**2), np.zeros(3), np.zeros(3), np.ones(3)])
        own = random.standard_t(4.0, size=2) * (0.2 * share, 0.06)
        groups.append(Group(np.full(3, own.sum()) + random.normal(0.0, 1e-3, 3), np.zeros(3), slopes))
    scales = fitted_scales(groups)
    assert scales[0] == pytest.approx(0.2, rel=0.25)
    assert scales[3] == pytest.approx(0.06, rel=0.25)
    assert row_correlation(groups, scales) > 0.9


def test_calibrations_of_a_stack_lend_each_other_what_they_left_out():
    entry = plugins().registry.get("stacks", "exllamav2-0.0.1")
    near = Neighbours(entry)
    for device, other in (("rtx-3090-ti", "rtx-4090"), ("rtx-4090", "rtx-3090-ti")):
        lent = near.of(device)
        rows = entry.record.calibration_for(other, "fp16").rows
        assert len(lent.squares) == len(rows)
        assert lent.weights.sum() < len(rows)
    assert len(near.of("*").squares) == 0


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
