"""Every column of every solver can vary: a row is what its values alone give, or a sentence says why it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.errors import ConfigError, MlsysimError
from mlsysim.evaluation import build_request
from mlsysim.plugins import plugins
from mlsysim.running import load_solver
from mlsysim.solving import column_units
from mlsysim.sweeping import answering_solvers, sweep
from mlsysim.sweeping.chunks import Chunk, Rows

ALONE = 512
"""Equal rows that are computed as one number."""


def numbers_of(config: SimulationConfig, specs: list[Any]) -> dict[str, float]:
    """Return every column that is a number in a scenario."""
    known: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    for spec in specs:
        solver = load_solver(spec)
        columns = solver.prepare(build_request(config, spec, known))
        numbers = {n: v for n, v in columns.items() if type(v) is float and n in spec.columns} | numbers
        known |= solver.compute(columns)
    return numbers


def answered(chunk: Chunk, name: str, values: list[float]) -> dict[str, Any] | str:
    """Return the answers of some rows, or what is said instead."""
    try:
        return chunk(Rows({name: np.array(values)}, len(values)))
    except MlsysimError as error:
        return str(error)


@pytest.mark.parametrize("scenario", plugins().registry.keys("scenarios"))
def test_every_column_varies_or_says_why_not(scenario):
    config = SimulationConfig.load(scenario)
    specs = answering_solvers(config)
    numbers, chunk, reached = numbers_of(config, specs), Chunk(config, tuple(specs)), 0
    for name in column_units(specs):
        first = numbers.get(name, 1.0) or 0.5
        both, alone = (answered(chunk, name, rows) for rows in ([first, 1.5 * first], [1.5 * first] * ALONE))
        for said in (both, alone):
            assert not isinstance(said, str) or "report" not in said, name
        # One and a half devices, or micro-batches, are no layout: such rows never fit, and their times mean nothing.
        if isinstance(both, str) or isinstance(alone, str) or not both["feasibility.fits"][1]:
            continue
        reached += 1
        assert alone.keys() <= both.keys(), name
        for output, values in alone.items():
            assert both[output][1] == pytest.approx(values[0], rel=1e-9, abs=0.0), (name, output)
    assert reached > 0.8 * len(numbers) or not chunk(Rows({}, 1))["feasibility.fits"][0]


def test_half_a_sample_is_no_micro_batch():
    fits = sweep("gpt-175b-a100-1024", {"micro_batch": [1.0, 1.5, 2.0]}).outputs["feasibility.fits"]
    assert fits.tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["cov_co", "cov_mo"])
@pytest.mark.parametrize("rows", [1, ALONE])
def test_a_covariance_that_leaves_no_variance_is_refused(name, rows):
    for scenario in ("llama-3.1-8b-h100", "gpt-175b-a100-1024"):
        with pytest.raises(ConfigError, match="no covariances of quantities"):
            sweep(scenario, {name: np.repeat([0.0, 1e3], rows)})


def test_equal_values_of_two_columns_that_the_scenario_lacks_are_two_cases():
    config = SimulationConfig.load("resnet-50-server-t4")
    chunk = Chunk(config, tuple(answering_solvers(config)))
    latency = [answered(chunk, name, [2.5] * ALONE)["performance.latency"][0] for name in ("passes", "contexts")]
    assert latency[0] != latency[1]
