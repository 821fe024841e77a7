"""What a device draws at work: limits, monotony, and its share of a node."""

from __future__ import annotations

from types import SimpleNamespace

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from solver_cases import H100

import mlsysim
from mlsysim.records.device import Power
from mlsysim.records.infrastructure import Node
from mlsysim.running import run_solver
from mlsysim.solving import Request
from mlsysim_solvers.formulas.energy import draw_log_sd, machine_power, memory_share, working_share
from mlsysim_solvers.formulas.power_constants import BIT_ENERGY, DRAW_LOG_SD, FLOOR_SHARE, FULL_LOAD, TRAINING_DRAW
from mlsysim_solvers.plugin import SUSTAINABILITY
from mlsysim_solvers.sustainability import SustainabilitySolver
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.tables import outside_rows

DEVICE = attrs.evolve(H100, power=Power(tdp=700.0, idle=100.0))
DEVICE = attrs.evolve(DEVICE, memory=attrs.evolve(DEVICE.memory, kind="HBM3"))
SHARE = st.floats(0.0, 1.0)


def ask(compute, memory, *, kind="serving", records=None, settings=None, **inputs):
    scenario = SimpleNamespace(kind=kind, system=SimpleNamespace(devices=1), workload=SimpleNamespace(precision="bf16"))
    given_ = {"throughput": 10.0, "token_throughput": 1000.0, "utilisation": compute, "bandwidth_utilisation": memory}
    request = Request(
        scenario=scenario, records={"device": DEVICE, **(records or {})},
        settings=SUSTAINABILITY.read_settings(settings or {}),
        inputs={f"performance.{name}": value for name, value in {**given_, **inputs}.items()},
    )  # fmt: skip
    return run_solver(SUSTAINABILITY, SustainabilitySolver(), request)


def test_each_operation_and_each_byte_has_its_energy():
    memory = BIT_ENERGY["HBM"] * 8.0 * DEVICE.memory.bandwidth / 700.0
    found = ask(0.1, 0.5).outputs["macro.device_power"]
    expected = FLOOR_SHARE + (1.0 - FLOOR_SHARE) * 0.1 / FULL_LOAD + 0.5 * memory
    assert found == pytest.approx(700.0 * expected)
    assert memory_share(BIT_ENERGY["HBM"], 8.0 * DEVICE.memory.bandwidth, 700.0) == pytest.approx(memory)


def test_a_device_that_neither_calculates_nor_fetches_draws_its_floor():
    assert ask(0.0, 0.0).outputs["macro.device_power"] == pytest.approx(700.0 * FLOOR_SHARE)


def test_the_limit_holds():
    assert ask(FULL_LOAD, 0.0).outputs["macro.device_power"] == pytest.approx(700.0)
    assert ask(1.0, 1.0).outputs["macro.device_power"] == pytest.approx(700.0)


@given(SHARE, SHARE, SHARE, SHARE)
def test_more_work_never_takes_less(floor, load, memory, streaming):
    power = working_share(floor, load, memory, streaming)
    assert min(1.0, floor) <= power <= 1.0
    assert working_share(floor, load + 0.1, memory, streaming) >= power - 1e-12
    assert working_share(floor, load, memory, streaming + 0.1) >= power - 1e-12


def test_only_the_device_draws_less_not_its_host():
    node = Node(name="Test", device="h100", devices=8.0, power=10.2e3)
    found = ask(0.0, 0.0, records={"node": node}).outputs
    assert found["macro.power"] == pytest.approx(1275.0 - 700.0 * (1.0 - FLOOR_SHARE))
    assert found["macro.device_power"] == pytest.approx(700.0 * FLOOR_SHARE)
    assert machine_power(1275.0, 700.0 / 1275.0, 1.0) == pytest.approx(1275.0)


def test_a_set_power_is_taken_as_it_is():
    found = ask(0.1, 0.5, settings={"power": "500 W"})
    assert found.outputs["macro.power"] == 500.0
    assert "macro.device_power" not in found.outputs
    assert "macro.power" not in found.log_sd


def test_where_the_energy_of_a_bit_is_unknown_the_maximum_is_taken_and_said_to_be_one():
    small = attrs.evolve(DEVICE, memory=attrs.evolve(DEVICE.memory, kind="SRAM"))
    found = ask(0.1, 0.5, records={"device": small})
    assert found.outputs["macro.power"] == 700.0
    assert any("an upper figure" in text for text in found.assumptions)


def test_the_part_of_traffic_that_is_idle_is_counted_once():
    busy, half = ask(0.2, 0.4), ask(0.1, 0.2, kind="traffic", duty=0.5)
    assert half.outputs["macro.device_power"] == pytest.approx(busy.outputs["macro.device_power"])
    own = half.outputs["macro.device_power"]
    assert half.outputs["macro.power"] == pytest.approx(0.5 * own + 0.5 * 100.0)


def test_energy_is_as_unsure_as_time_and_power_together():
    found = ask(0.1, 0.5, **{"token_throughput.log_sd": 0.1})
    own = float(draw_log_sd(DRAW_LOG_SD, found.outputs["macro.device_power"] / 700.0))
    assert found.log_sd["macro.power"] == pytest.approx(own)
    assert found.log_sd["macro.energy_per_token"] == pytest.approx(np.hypot(0.1, own))
    assert draw_log_sd(DRAW_LOG_SD, 1.0) == pytest.approx(0.5 * DRAW_LOG_SD)


def test_training_draws_its_share_while_it_computes():
    found = mlsysim.evaluate("llama-70b-h100-64")
    assert found.answers["macro.device_power"].value == pytest.approx(TRAINING_DRAW * 700.0)


def test_larger_batches_draw_more_and_take_less_for_a_token():
    found = mlsysim.sweep("llama-8b-on-h100", {"batch": np.array([1.0, 64.0])})
    power, energy = found.outputs["macro.device_power"], found.outputs["macro.energy_per_token"]
    assert power[0] < power[1] <= 700.0
    assert energy[0] > 5.0 * energy[1]


def test_a_published_power_asks_what_the_device_draws_in_that_run():
    rows = [row for row in outside_rows() if row.metric.quantity == "power"]
    asked = {row.id: question_for(row, names()) for row in rows if row.set in ("wattanl", "wattsplit")}
    assert len(asked) == 32
    assert {(question.output, question.amount) for question in asked.values()} == {("macro.device_power", None)}
    alone = predict(next(row for row in rows if row.id == "wattanl-001"))
    shared = predict(next(row for row in rows if row.id == "wattsplit-005"))
    assert alone.predicted == pytest.approx(alone.row.value, rel=0.25)
    assert shared.predicted < 400.0  # of one of eight devices, without the host
    assert alone.ideal == pytest.approx(400.0)
