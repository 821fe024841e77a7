"""Groups left out: their rows take no part in what predicts them, and intervals say how well that works."""

from __future__ import annotations

import json
import math

import attrs
import numpy as np
import pytest

from mlsysim.cli import main
from mlsysim.plugins import plugins
from mlsysim_solvers.calibration.left_out import left_out, scatters
from mlsysim_solvers.calibration.scatter import Residuals, likelihoods, predictive_factor, row_weights, stack_scatter
from mlsysim_solvers.calibration.spreads import (
    NAMES,
    Terms,
    fitted_scales,
    row_correlation,
    terms_of,
    unknown_scatter,
)
from mlsysim_solvers.calibration.stacks import calibrate_stack
from mlsysim_solvers.calibration.writing import write_scatter
from mlsysim_solvers.execution.device.ceilings import scatter_of
from mlsysim_solvers.formulas.constants import (
    COMMUNICATION_LOG_SD,
    DEVICE_LOG_SDS,
    FIRST_TOKEN_LOG_SD,
    GROUP_LOG_SDS,
    INTERVAL_QUANTILE,
    LAYOUT_LOG_SD,
    STACK_LOG_SD,
    UNKNOWN_SCATTER,
)
from mlsysim_solvers.formulas.uncertainty import effective_rows, student_tail, unseen_variance
from mlsysim_solvers.validation.predicting import predict, rescaled
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


def test_rows_are_chosen_by_key_as_by_published_name(rows):
    published = {row.device for row in select(rows, device="l40s")}
    assert published == {row.device for row in rows if "l40s" in row.device.casefold()}
    assert {row.model for row in select(rows, model="llama-3.1-8b")} >= {"Llama 3.1 8B"}
    assert not select(rows, device="l40x")


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


@pytest.mark.parametrize(
    ("by", "like"),
    [
        ("device", lambda row, one: row.device == one.device),
        ("model", lambda row, one: row.model == one.model),
        ("set", lambda row, one: row.set == one.set),
    ],
)
def test_nothing_of_what_is_left_out_is_known(rows, monkeypatch, by, like):
    """Rows of the device (model, set) of a row move its prediction nowhere: not through the fit, nor what came before.

    Other rows do, so the test would notice a prediction that listens to none.
    """
    one = next(r for r in rows if r.set == "trtllm_v0.5.0" and r.device == "NVIDIA L40S" and r.model == "LLaMA 7B")
    found = run_rows([one], jobs=1)
    stack = {id_ for c in plugins().registry.get("stacks", found[0].stack).record.calibrations for id_ in c.rows}

    def under(changed):
        wrong = [attrs.evolve(r, value=3.0 * r.value) if r.id in stack and changed(r) else r for r in rows]
        monkeypatch.setattr("mlsysim_solvers.calibration.left_out.packaged_rows", lambda: wrong)
        (outcome,) = left_out(found, by, jobs=1)
        return outcome.predicted, outcome.log_sd, outcome.in_sample

    before = under(lambda r: False)
    assert before[0] != found[0].predicted
    assert not before[2]
    assert under(lambda r: like(r, one)) == before
    assert under(lambda r: not like(r, one)) != before


def test_a_device_left_out_has_no_measured_rate(rows):
    """A row without any fitted constant is predicted again, for rates measured on its device may have taken part."""
    row = next(r for r in rows if r.set == "k-mamf" and "H100" in r.device)
    before = run_rows([row], jobs=1)
    (group,), (device,) = left_out(before, jobs=1), left_out(before, "device", jobs=1)
    assert not before[0].calibrated
    assert device.predicted != group.predicted
    assert device.log_sd > group.log_sd


def test_what_was_not_fitted_keeps_its_figure(both):
    for before, after in zip(*both, strict=True):
        if before.predicted is None or not (before.calibrated or before.in_sample):
            assert (after.predicted, after.in_sample) == (before.predicted, before.in_sample)


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


def _drawn(factor: float, rows: int, seed: int, *, known: float = 0.0) -> Residuals:
    """Draw residuals of a stack that strays by a factor over what is usual, 0.1."""
    random = np.random.default_rng(seed)
    sizes = np.full(rows, 0.1**2)
    drawn = random.normal(0.0, 1.0, rows) * np.sqrt(factor**2 * sizes + known)
    return Residuals(drawn, sizes, np.full(rows, known), np.ones(rows))


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_an_interval_from_many_rows_holds_nine_of_ten_new_ones(factor):
    held = []
    for seed in range(20):
        found = stack_scatter(_drawn(factor, 60, seed))
        new = np.random.default_rng(seed + 1000).normal(0.0, 0.1 * factor, 300)
        held.append(np.mean(np.abs(new) <= INTERVAL_QUANTILE * found * 0.1))
    assert 0.86 <= np.mean(held) <= 0.95


def test_few_rows_are_pulled_to_what_is_usual():
    few, many = (np.mean([stack_scatter(_drawn(2.0, rows, seed)) for seed in range(20)]) for rows in (3, 200))
    assert 1.0 < few < many
    assert stack_scatter(Residuals(*[np.zeros(0)] * 4)) == UNKNOWN_SCATTER


def test_what_a_row_leaves_open_is_not_counted_twice():
    apart = np.mean([stack_scatter(_drawn(1.0, 100, seed, known=0.2**2)) for seed in range(20)])
    blind = np.mean([
        stack_scatter(_drawn(1.0, 100, seed, known=0.2**2)._replace(known=np.zeros(100))) for seed in range(20)
    ])  # fmt: skip
    assert apart < 0.7 * blind


def test_rows_that_are_alike_say_less_than_as_many_groups():
    rows = _drawn(2.5, 20, 0)
    one = row_weights(["a"] * 20, 0.5)
    assert one.sum() == pytest.approx(effective_rows(20.0, 0.5))
    assert row_weights(list(range(20)), 0.5).sum() == 20.0
    assert stack_scatter(rows._replace(weights=one)) < stack_scatter(rows)
    assert effective_rows(1.0, 0.4) == 1.0
    assert effective_rows(10.0, 0.0) == 10.0
    assert effective_rows(10.0, 1.0) == 1.0


def test_one_wild_row_in_many_leaves_the_others_their_interval():
    rows = _drawn(1.0, 31, 1)
    wild = rows.residuals.copy()
    wild[0] = 2.6
    assert stack_scatter(rows._replace(residuals=wild)) < 1.3 * stack_scatter(rows)


def test_the_likelihood_is_that_of_students_distribution():
    """Its integral over all residuals is one, whatever the factor, and a tenth lies beyond the interval."""
    grid = np.linspace(-60.0, 60.0, 400_001)
    for factor in (0.5, 3.0):
        own = np.full(len(grid), 0.3)
        logs = likelihoods(Residuals(grid, own, 0.1 + 0.0 * grid, np.ones(len(grid))), np.log([factor]))[:, 0]
        density = np.exp(logs) * 15.0 / (16.0 * 6.0**0.5)  # Gamma(7/2) / (Gamma(3) sqrt(6 pi))
        step = grid[1] - grid[0]
        assert density.sum() * step == pytest.approx(1.0, rel=1e-4)
        end = INTERVAL_QUANTILE * math.sqrt(factor**2 * 0.3 + 0.1)
        assert density[np.abs(grid) > end].sum() * step == pytest.approx(0.1, rel=1e-3)
    # Student's t with six degrees of freedom: 1.943 at 95 % and 2.447 at 97.5 %.
    assert student_tail(1.9432) == pytest.approx(0.10, rel=1e-3)
    assert student_tail(2.4469) == pytest.approx(0.05, rel=1e-3)
    assert student_tail(0.0) == 1.0


def test_scales_are_found_again_from_residuals_made_with_them():
    random = np.random.default_rng(3)
    rows = []
    for stack in range(12):
        factor = math.exp(random.normal(0.0, 0.4))
        for i in range(60):
            slopes = np.zeros(len(NAMES))
            slopes[0], slopes[8] = ((i % 4) / 3.0) ** 2, (1.0 - (i % 4) / 3.0) ** 2
            drawn = factor * math.sqrt(slopes[0] * 0.2**2 + slopes[8] * 0.06**2) * random.normal()
            rows.append(Terms(f"s{stack}", (f"s{stack}", str(i), "d", "m"), drawn, 0.0, 1e-6, slopes))
    scales, between = fitted_scales(rows)
    assert scales[0] == pytest.approx(0.2, rel=0.3)
    assert scales[8] == pytest.approx(0.06, rel=0.3)
    assert between == pytest.approx(0.4, rel=0.4)


def test_rows_of_one_group_are_alike():
    random = np.random.default_rng(4)
    groups = [(str(i // 5),) for i in range(500)]
    common = np.repeat(random.normal(0.0, 1.0, 100), 5)
    single = random.normal(0.0, 1.0, 500)
    assert row_correlation(common, np.ones(500), groups) == pytest.approx(1.0, abs=0.02)
    assert row_correlation(common + single, np.full(500, 2.0**0.5), groups) == pytest.approx(0.5, abs=0.1)
    assert row_correlation(single, np.ones(500), groups) == pytest.approx(0.0, abs=0.1)


def test_an_unknown_stack_has_the_doubt_about_it_in_its_interval():
    """A tenth of the measurements of stacks drawn at random lies beyond it."""
    assert unknown_scatter(1e-6) == pytest.approx(1.0, rel=1e-4)
    random = np.random.default_rng(5)
    drawn = random.standard_t(6.0, 400_000) * np.exp(random.normal(0.0, 0.4, 400_000))
    assert np.mean(np.abs(drawn) > 1.9432 * unknown_scatter(0.4)) == pytest.approx(0.1, abs=0.003)
    assert round(unknown_scatter(STACK_LOG_SD), 2) == UNKNOWN_SCATTER


@pytest.mark.parametrize(
    "name",
    ["trtllm_v0.5.0-0047", "mosaic-017", "minimaxm2_5_b200_vllm_fp8_agg_8192x1024_c8_cfg633:ttft", "k-deepgemm-0001"],
)
def test_the_terms_of_an_interval_add_up_to_it(rows, name):
    """The variance is the known part, the fixed part, and each slope with the square of its scale."""
    row = next(r for r in rows if r.id == name)
    entry = plugins().registry.get("stacks", predict(row).stack)
    calibrations = tuple(
        attrs.evolve(c, spread=(DEVICE_LOG_SDS if c.is_shared else GROUP_LOG_SDS)[:3],
                     sigma=(DEVICE_LOG_SDS if c.is_shared else GROUP_LOG_SDS)[3])
        for c in entry.record.calibrations
    )  # fmt: skip
    with plugins().registry.replacing(
        attrs.evolve(entry, record=attrs.evolve(entry.record, calibrations=calibrations, scatter=1.0))
    ):
        outcome, terms = terms_of(row)
        assert outcome == predict(row)
    scales = (*GROUP_LOG_SDS, *DEVICE_LOG_SDS, COMMUNICATION_LOG_SD, LAYOUT_LOG_SD, FIRST_TOKEN_LOG_SD)
    assert (terms.slopes > 0.0).any()
    total = terms.known + terms.fixed + terms.slopes @ np.square(scales)
    assert total == pytest.approx(outcome.log_sd**2, rel=1e-6)


def test_the_factor_of_a_stack_scales_what_is_its_own(rows):
    row = next(r for r in rows if r.id == "trtllm_v0.5.0-0047")
    entry = plugins().registry.get("stacks", predict(row).stack)
    found = {}
    for factor in (1.0, 2.0):
        record = attrs.evolve(entry.record, scatter=factor)
        with plugins().registry.replacing(attrs.evolve(entry, record=record)):
            found[factor] = predict(row)
    assert found[2.0].own_sd == pytest.approx(2.0 * found[1.0].own_sd)
    assert rescaled(found[1.0], 2.0).log_sd == pytest.approx(found[2.0].log_sd)
    assert found[2.0].predicted == found[1.0].predicted
    assert found[2.0].high > found[1.0].high


def test_a_group_takes_no_part_in_its_own_factor(both):
    found, _ = both
    again = [attrs.evolve(o, row=attrs.evolve(o.row, value=50.0 * o.row.value)) for o in found]
    group = next(o for o in found if o.own_sd).row.group
    mixed = [b if a.row.group == group else a for a, b in zip(found, again, strict=True)]
    pairs = zip(found, scatters(found, "group"), scatters(mixed, "group"), strict=True)
    own = {(before, after) for o, before, after in pairs if o.row.group == group and o.own_sd}
    assert own
    assert all(before == after for before, after in own)


def test_a_factor_is_written_where_it_is_read(tmp_path):
    entry = plugins().registry.get("stacks", "exllamav2-0.0.1")
    bare = write_scatter(entry, None)
    path = tmp_path / "stack.toml"
    path.write_text(write_scatter(entry, 0.75), encoding="utf-8")
    assert path.read_text(encoding="utf-8").count('scatter = "0.75"') == 1
    again = attrs.evolve(entry, path=str(path))
    assert write_scatter(again, 0.75) == path.read_text(encoding="utf-8")
    assert write_scatter(again, None) == bare
    assert scatter_of(attrs.evolve(entry.record, scatter=None)) == UNKNOWN_SCATTER


def test_every_format_shows_both_scores(both):
    report = summarise(*both)
    data = json.loads(FORMATS["json"](report))
    assert {"median_ape", "coverage90", "half_width"} <= set(data["summary"]["left_out"])
    assert all("left_out" in found for found in data["summary"]["sets"])
    assert {"predicted", "low", "high", "error", "calibrated"} == set(data["rows"][0]["left_out"])
    for name in ("text", "markdown", "html"):
        assert FORMATS[name](report).count("left out") >= 3


def test_devices_that_were_left_out_stand_in_every_format(both):
    found, unseen = both
    for by in ("device", "model"):
        report = summarise(found, unseen, by=by)
        data = json.loads(FORMATS["json"](report))["summary"]
        assert data["left_out"]["by"] == by
        assert sum(one["predicted"] for one in data[f"{by}s"]) == data["predicted"]
        assert {one["name"] for one in data[f"{by}s"]} == {getattr(o, by) for o in found if o.predicted is not None}
        names = [one["name"] for one in data[f"{by}s"]]
        for name in ("text", "markdown", "html"):
            assert all(one in FORMATS[name](report) for one in names)
    assert "devices" not in json.loads(FORMATS["json"](summarise(found, unseen, by="set")))["summary"]


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ([], "without the row's set, model and device"),
        (["group"], "without the row's set, model and device"),
        (["device"], "nothing fitted or measured on the row's device"),
        (["model"], "without any row of the row's model"),
        (["set"], "without any row of the row's set"),
    ],
)
def test_the_command_says_what_it_leaves_out(choice, says, capsys):
    assert main(["validate", "--source", "k-fa2", "--jobs", "1", "--left-out", *choice]) == 0
    assert says in capsys.readouterr().out


def test_the_command_refuses_to_leave_out_what_it_does_not_know(capsys):
    assert main(["validate", "--left-out", "colour"]) == 2
    assert "device, group, model, set" in capsys.readouterr().err


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
        attrs.evolve(entry, record=attrs.evolve(entry.record, calibrations=(again.calibration,), scatter=None))
    ):
        expected = predict(row)
    (unseen,) = left_out([before], jobs=1)
    assert unseen.predicted == pytest.approx(expected.predicted, rel=1e-3)
    assert unseen.log_sd == pytest.approx(expected.log_sd, rel=1e-2)


def test_what_few_rows_do_not_tell_of_a_factor_widens_its_intervals():
    logs = np.linspace(-1.6, 1.6, 641)
    sure, wide = (predictive_factor(logs, np.exp(-0.5 * (logs / spread) ** 2)) for spread in (0.01, 0.4))
    assert sure == pytest.approx(1.0, rel=0.01)
    assert wide > 1.1
    # Quiet rows make a stack narrow, the more surely the more there are of them.
    few, many = (np.mean([stack_scatter(_drawn(0.6, rows, seed)) for seed in range(20)]) for rows in (3, 200))
    assert 0.6 * 0.95 < many < few < UNKNOWN_SCATTER


def test_a_device_that_was_not_fitted_lies_further_from_few_than_from_many():
    assert unseen_variance(0.01, 1.0) == 0.02
    assert unseen_variance(0.01, 1e9) == pytest.approx(0.01)
    drawn = np.random.default_rng(0).normal(0.0, 0.1, (200_000, 4))
    assert np.var(drawn[:, 0] - drawn[:, 1:].mean(axis=1)) == pytest.approx(unseen_variance(0.01, 3.0), rel=0.02)
