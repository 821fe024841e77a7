"""Fits: they find what is there, reproduce to the last bit, and say what they do not know."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import numpy as np
import pytest
from measured_rows import published

from mlsysim.errors import ConfigError
from mlsysim.plugins import plugins
from mlsysim_solvers.calibration.fitting import Fit, Prior, fit, fit_many
from mlsysim_solvers.calibration.pooling import card_priors, pooled
from mlsysim_solvers.calibration.recalibration import recalibrate
from mlsysim_solvers.calibration.scatter import row_weights
from mlsysim_solvers.calibration.stacks import LEAST_ROWS, calibrate_stack
from mlsysim_solvers.calibration.writing import write_stack
from mlsysim_solvers.validation.predicting import predict

WORK, MOVED, KERNELS = (
    np.array([1.0, 5, 2, 9, 30, 0.2]),
    np.array([4.0, 1, 2, 3, 8, 0.3]),
    np.array([1.0, 1, 9, 2, 4, 7]),
)
PRIORS = [Prior("compute", 0.9, 1.0), Prior("memory", 0.6, 1.0), Prior("overhead", 0.05, 1.5)]


def times(values):
    """Return times of six rows for sets of constants, shape (k, 6)."""
    compute, memory, overhead = (values[:, j, None] for j in range(3))
    return np.maximum(WORK / compute, MOVED / memory) + KERNELS * overhead


FAR = 4.0
"""Standard deviations of a prior beyond which no constant that rows gave has been found."""

TRUE = np.array([[0.7, 0.8, 0.1]])


def test_a_fit_finds_the_constants_that_made_the_data():
    found = fit(times, times(TRUE)[0], PRIORS, 0.1)
    assert found.values == pytest.approx((0.7, 0.8, 0.1), rel=0.02)
    assert max(map(abs, found.residuals)) < 0.01


def test_fits_in_step_are_the_fits_of_each_selection():
    """Rows that a selection leaves out, however wrong, do not touch it."""
    measured = times(TRUE)[0] * np.array([1.1, 0.9, 1.05, 0.95, 1.0, 1.02])
    used = np.array([[True] * 6, [True, True, True, True, True, False], [False, True, True, True, True, True]])
    together = fit_many(times, measured, [PRIORS] * len(used), 0.1, used)
    for kept, found in zip(used, together, strict=True):
        alone = fit(lambda x, kept=kept: times(x)[:, kept], measured[kept], PRIORS, 0.1)
        assert found.values == pytest.approx(alone.values, rel=1e-4)
        assert found.sigma == pytest.approx(alone.sigma, rel=1e-3)
        assert found.covariance == pytest.approx(alone.covariance, rel=1e-2)
        assert len(found.residuals) == 6


def test_rows_that_are_worth_less_pull_less_and_leave_more_open():
    known, used = [Prior("compute", 1.0, 10.0)], np.ones((1, 10), dtype=bool)
    measured = np.array([1.0] * 8 + [1.1] * 2)

    def found(weights=None):
        return fit_many(lambda v: np.repeat(v, 10, axis=1), measured, [known], 0.1, used, weights)[0]

    plain, even = found(), found(row_weights(["many"] * 8 + ["few"] * 2))
    assert plain.values[0] == pytest.approx(found(np.ones(10)).values[0])
    assert plain.values[0] < even.values[0] < 1.05  # two devices, of which that with more rows still tells more
    assert even.covariance[0][0] > plain.covariance[0][0]


def test_without_data_that_speaks_the_prior_stays():
    priors = [Prior("compute", 0.8, 0.1), Prior("memory", 0.9, 0.1)]
    found = fit(lambda v: np.repeat(1.0 / v[:, :1], 4, axis=1), np.array([1.25] * 4), priors, 0.1)
    assert found.values[1] == pytest.approx(0.9)
    assert math.sqrt(found.covariance[1][1]) == pytest.approx(0.1, rel=0.01)


def test_other_devices_tell_of_the_next_one_what_their_rows_told():
    card = [Prior("compute", 0.8, 0.2), Prior("memory", 0.9, 0.05, 1.0), Prior("overhead", 5e-6, 0.5)]
    nothing = np.zeros(0)

    def found(values, log_sds):
        return Fit(values, np.diag(np.square(log_sds)), 0.05, nothing, nothing, nothing.astype(bool))

    assert pooled(card, []) == tuple(card)
    silent = found((0.8, 0.9, 5e-6), (0.2, 0.05, 0.5))
    assert [p.centre for p in pooled(card, [silent])] == pytest.approx([0.8, 0.9, 5e-6])
    clear = found((0.8, 0.9, 2e-5), (0.2, 0.05, 0.05))
    one, two = pooled(card, [clear]), pooled(card, [clear, clear])
    assert 1e-5 < one[2].centre < two[2].centre < 2e-5
    assert two[2].log_sd < one[2].log_sd < card[2].log_sd
    assert all(a.log_sd <= b.log_sd for a, b in zip(one, card, strict=True))
    assert [p.centre for p in one[:2]] == pytest.approx([0.8, 0.9])


def test_an_outlier_does_not_carry_the_fit_away():
    measured = np.array([1.0] * 9 + [30.0])
    found = fit(lambda v: np.repeat(1.0 / v[:, :1], 10, axis=1), measured, [Prior("compute", 1.2, 1.0)], 0.1)
    assert found.values[0] == pytest.approx(1.0, abs=0.08)


@pytest.fixture(scope="module")
def stacks():
    return plugins().registry.entries("stacks")


def test_no_constant_stands_on_fewer_than_three_rows(stacks):
    known = set(published())
    for entry in stacks:
        for found in entry.record.calibrations:
            assert len(set(found.rows)) >= LEAST_ROWS, (entry.key, found.device)
            assert set(found.rows) <= known, (entry.key, found.device)


def test_constants_lie_below_their_roofs_and_carry_their_spread(stacks):
    for entry in stacks:
        for found in entry.record.calibrations:
            assert 0.0 < found.memory <= 1.0
            assert found.overhead > 0.0
            assert found.sigma > 0.0
            assert np.all(np.linalg.eigvalsh(np.array(found.covariance)) > 0.0)


def test_constants_have_four_significant_digits(stacks):
    for entry in stacks:
        for found in entry.record.calibrations:
            for value in (found.compute, found.memory, found.overhead):
                assert float(f"{value:.4g}") == value


@pytest.mark.parametrize("key", ["exllamav2-0.0.1", "tensorrt-llm-0.5"])
def test_a_stack_is_reproduced_to_the_last_bit(key):
    """The recorded commands give the file that is there; also one at a time."""
    entry = plugins().registry.get("stacks", key)
    text = Path(entry.path).read_text(encoding="utf-8")
    (again,) = recalibrate([key], jobs=1)
    assert (again.failed, again.text, again.changed) == ("", text, False)
    stored = entry.record.calibrations[-1]
    on = stored.command.split("--on ")[1].split(" ")[0]
    found = calibrate_stack(key, on, device=stored.device, precision=stored.precision)
    assert write_stack(entry, found.calibration) == text


def test_what_cannot_be_fitted_again_spoils_no_other_stack(monkeypatch):
    def fail(*_, **__):
        raise ConfigError("no rows")

    monkeypatch.setattr("mlsysim_solvers.calibration.recalibration.calibrate_stack", fail)
    found = recalibrate(["exllamav2-0.0.1", "tensorrt-llm-0.5"], jobs=1)
    assert [again.failed for again in found] == ["no rows", "no rows"]


def test_constants_of_one_device_hold_for_that_device_alone():
    found = calibrate_stack("tensorrt-llm-0.5", "trtllm_v0.5.0", device="*", precision="fp16").calibration
    devices = {row.rsplit("-", 1)[0] for row in found.rows}
    assert devices == {"trtllm_v0.5.0"}
    assert found.device == "a100-sxm-80gb"
    assert "--device a100-sxm-80gb" in found.command


def test_too_few_rows_are_refused():
    with pytest.raises(ConfigError, match="rows of"):
        calibrate_stack("tensorrt-llm-0.5", "trtllm_v0.5.0-0047")


def test_a_misspelt_set_is_refused_with_a_suggestion():
    with pytest.raises(ConfigError) as caught:
        calibrate_stack("tensorrt-llm-0.5", "trtlm_v0.5.0")
    assert "trtllm_v0.5.0" in str(caught.value)


def test_constants_for_all_devices_name_those_they_were_fitted_on(stacks):
    known = {entry.key for entry in plugins().registry.entries("devices")}
    for entry in stacks:
        for found in entry.record.calibrations:
            assert set(found.devices) <= known
            assert (len(found.devices) > 1) == found.is_shared, (entry.key, found.device)
            maker = found.device.rpartition("/")[0]
            assert all(plugins().registry.get("devices", key).record.vendor == maker for key in found.devices if maker)


def test_what_is_uncertain_in_a_device_counts_where_nothing_was_fitted_on_it():
    """A device whose peak is known within a range widens the interval, unless the constants make up for it."""
    row = published()["tiny_v1.1-0005"]
    entry = plugins().registry.get("stacks", predict(row).stack)
    found = entry.record.calibration_for(predict(row).device, "int8")
    spreads = {}
    for devices in ((predict(row).device, "another"), ("another", "a third")):
        held = attrs.evolve(found, device="*", devices=devices)
        record = attrs.evolve(entry.record, calibrations=(held,))
        with plugins().registry.replacing(attrs.evolve(entry, record=record)):
            spreads[devices] = predict(row).log_sd
    known, unknown = spreads.values()
    assert known < unknown


def test_constants_of_the_cards_lie_where_their_cards_expect_them():
    """A fit that runs away absorbs something that is not its own; memory is never faster than its pins."""
    far, count = {}, 0
    for entry in plugins().registry.readable("stacks"):
        for found in entry.record.calibrations:
            assert found.memory is None or found.memory <= 1.0, (entry.key, found.device)
            for prior in card_priors(entry):
                value = getattr(found, prior.name)
                if value:
                    count += 1
                    far[entry.key, found.device, prior.name] = abs(math.log(value / prior.centre)) / prior.log_sd
    assert count > 200
    assert {place: distance for place, distance in far.items() if distance > FAR} == {}
