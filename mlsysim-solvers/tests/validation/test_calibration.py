"""Fits: they find what is there, reproduce to the last bit, and say what they do not know."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mlsysim.errors import ConfigError
from mlsysim.plugins import plugins
from mlsysim_solvers.calibration.fitting import Prior, fit
from mlsysim_solvers.calibration.stacks import LEAST_ROWS, calibrate_stack
from mlsysim_solvers.calibration.writing import write_stack
from mlsysim_solvers.validation.tables import SHAPES, packaged_tables, read_table


def test_a_fit_finds_the_constants_that_made_the_data():
    work, moved, kernels = (
        np.array([1.0, 5, 2, 9, 30, 0.2]),
        np.array([4.0, 1, 2, 3, 8, 0.3]),
        np.array([1.0, 1, 9, 2, 4, 7]),
    )

    def times(values):
        compute, memory, overhead = values
        return np.maximum(work / compute, moved / memory) + kernels * overhead

    priors = [Prior("compute", 0.9, 1.0), Prior("memory", 0.6, 1.0), Prior("overhead", 0.05, 1.5)]
    found = fit(times, times((0.7, 0.8, 0.1)), priors, 0.1)
    assert found.values == pytest.approx((0.7, 0.8, 0.1), rel=0.02)
    assert max(map(abs, found.residuals)) < 0.01


def test_without_data_that_speaks_the_prior_stays():
    priors = [Prior("compute", 0.8, 0.1), Prior("memory", 0.9, 0.1)]
    found = fit(lambda v: np.array([1.0 / v[0]] * 4), np.array([1.25] * 4), priors, 0.1)
    assert found.values[1] == pytest.approx(0.9)
    assert math.sqrt(found.covariance[1][1]) == pytest.approx(0.1, rel=0.01)


def test_an_outlier_does_not_carry_the_fit_away():
    measured = np.array([1.0] * 9 + [30.0])
    found = fit(lambda v: np.array([1.0 / v[0]] * 10), measured, [Prior("compute", 1.2, 1.0)], 0.1)
    assert found.values[0] == pytest.approx(1.0, abs=0.08)


@pytest.fixture(scope="module")
def stacks():
    return plugins().registry.entries("stacks")


def test_no_constant_stands_on_fewer_than_three_rows(stacks):
    known = {row.id for name in SHAPES for row in read_table(packaged_tables()[name])}
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


@pytest.mark.parametrize(
    ("key", "device", "precision"), [("exllamav2-0.0.1", "*", "fp16"), ("tensorrt-llm-0.5", "l40s", "fp8")]
)
def test_a_calibration_is_reproduced_to_the_last_bit(key, device, precision):
    entry = plugins().registry.get("stacks", key)
    stored = next(c for c in entry.record.calibrations if (c.device, c.precision) == (device, precision))
    again = calibrate_stack(key, stored.command.split("--on ")[1].split(" ")[0], device=device, precision=precision)
    assert write_stack(entry, again.calibration) == Path(entry.path).read_text(encoding="utf-8")


def test_too_few_rows_are_refused():
    with pytest.raises(ConfigError, match="rows of"):
        calibrate_stack("tensorrt-llm-0.5", "trtllm_v0.5.0-0047")


def test_a_misspelt_set_is_refused_with_a_suggestion():
    with pytest.raises(ConfigError) as caught:
        calibrate_stack("tensorrt-llm-0.5", "trtlm_v0.5.0")
    assert "trtllm_v0.5.0" in str(caught.value)
