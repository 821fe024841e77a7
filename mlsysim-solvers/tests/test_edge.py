"""Batteries and brakes: published and worked numbers through the solvers, and what they refuse."""

from __future__ import annotations

from types import SimpleNamespace

import attrs
import numpy as np
import pytest
from solver_cases import MCU

import mlsysim
from mlsysim.errors import ConfigError, SolverError
from mlsysim.records.device import Power
from mlsysim.records.scenario import Inference
from mlsysim.records.supply import Battery
from mlsysim.running import run_solver
from mlsysim.solving import Request
from mlsysim_solvers.battery import BatterySolver
from mlsysim_solvers.braking import BrakingSolver
from mlsysim_solvers.plugin import BATTERY, BRAKING

DAY = 86400.0
CELL = Battery(name="Test", charge=5.2 * 3600, voltage=3.7, usable=0.85)
# Fifty wake-ups a day: 0.35 W for 0.3 s, then 0.5 W for 4 s; 30 uA at 3.7 V asleep.
DUTY = {"inference_power": "0.35 W", "send_power": "0.5 W", "send_time": "4 s", "sleep_power": "111 uW"}
ROAD = {"speed": "27.8 m/s", "friction": "0.7", "reach": "100 m"}


def battery(latency=0.3, *, rate=50 / DAY, cell=CELL, device=MCU, **settings):
    request = Request(
        scenario=SimpleNamespace(workload=Inference(model="m", rate=rate)),
        records={"battery": cell, "device": device},
        settings=BATTERY.read_settings({**DUTY, **settings}),
        inputs={"performance.latency": latency},
    )
    return run_solver(BATTERY, BatterySolver(), request)


def braking(latency, **settings):
    request = Request(
        scenario=SimpleNamespace(),
        records={"device": MCU},
        settings=BRAKING.read_settings({**ROAD, **settings}),
        inputs={"performance.latency": latency},
    )
    return run_solver(BRAKING, BrakingSolver(), request).outputs


def test_a_doorbell_runs_for_513_days():
    found = battery().outputs
    assert found["macro.wake_energy"] == pytest.approx(0.35 * 0.3 + 0.5 * 4.0)
    assert found["macro.daily_energy"] == pytest.approx(114.8, abs=0.05)
    assert found["feasibility.battery_life"] / DAY == pytest.approx(513, abs=0.5)


def test_what_shortens_the_life_of_a_battery():
    life = battery().outputs["feasibility.battery_life"]
    for change in ({"latency": 0.6}, {"rate": 60 / DAY}, {"sleep_power": "200 uW"}, {"self_discharge": "0.02 1/month"},
                   {"capture_power": "1 W", "capture_time": "0.1 s"}, {"cell": attrs.evolve(CELL, usable=0.8)}):  # fmt: skip
        assert battery(**change).outputs["feasibility.battery_life"] < life, change
    seldom = battery(send_share="0.1").outputs
    assert seldom["macro.wake_energy"] == pytest.approx(0.35 * 0.3 + 0.5 * 4.0 * 0.1)


def test_a_battery_without_a_usable_share_says_what_it_assumes():
    found = battery(cell=attrs.evolve(CELL, usable=None))
    assert found.outputs["feasibility.battery_life"] / DAY == pytest.approx(513 / 0.85, rel=1e-3)
    assert found.assumptions == ("battery: all of its rated energy reaches the load",)


def test_self_discharge_alone_bounds_the_life():
    found = battery(rate=1e-12, sleep_power="1e-12 W", self_discharge="0.1 1/year").outputs
    assert found["feasibility.battery_life"] / DAY == pytest.approx(3652.5, rel=1e-2)


def test_what_a_battery_device_cannot_do_is_refused():
    with pytest.raises(ConfigError, match=r"workload\.rate: a battery device needs a rate"):
        battery(rate=0.0)
    with pytest.raises(ConfigError, match=r"workload\.rate: it takes 4\.3 s .* every 2 s"):
        battery(rate=0.5)
    for name in ("inference_power", "sleep_power"):
        with pytest.raises(SolverError, match=rf"settings\.battery\.{name}: .* is not known"):
            battery(**{name: "0 W"})


def test_powers_that_are_not_set_are_those_of_the_device():
    powered = attrs.evolve(MCU, power=Power(tdp=0.35, sleep=111e-6))
    found = battery(device=powered, inference_power="0 W", sleep_power="0 W")
    assert found.outputs == battery().outputs


def test_in_a_sweep_a_device_that_cannot_keep_up_never_sleeps():
    solver = BatterySolver()
    request = Request(
        scenario=SimpleNamespace(workload=Inference(model="m", rate=0.1)),
        records={"battery": CELL, "device": MCU},
        settings=BATTERY.read_settings(DUTY),
        inputs={"performance.latency": np.array([0.3, 16.0, 32.0])},
    )
    found = solver.compute(solver.prepare(request))["macro.daily_energy"]
    asleep = 111e-6 * DAY
    assert found[0] == pytest.approx(0.1 * DAY * (0.35 * 0.3 + 2.0) + asleep)
    for row, latency in ((1, 16.0), (2, 32.0)):
        assert found[row] == pytest.approx(DAY / (latency + 4.0) * (0.35 * latency + 2.0) + asleep)


@pytest.mark.parametrize(("latency", "distance"), [(0.1, 59.0), (0.3, 64.6)])
def test_stopping_distances_of_a_car(latency, distance):
    found = braking(latency)
    assert found["performance.stopping_distance"] == pytest.approx(distance, abs=0.1)
    # Seen exactly that far away, no time is left.
    edge = braking(latency, reach=f"{found['performance.stopping_distance']!r} m")
    assert edge["performance.latency_margin"] == pytest.approx(0.0, abs=1e-12)


def test_sensing_and_actuation_take_from_the_budget():
    free, slow = braking(0.1), braking(0.1, sensing="50 ms", actuation="150 ms")
    assert slow["performance.latency_budget"] == pytest.approx(free["performance.latency_budget"] - 0.2)
    assert slow["performance.stopping_distance"] == pytest.approx(free["performance.stopping_distance"] + 27.8 * 0.2)


def test_a_car_that_sees_too_little_has_no_budget():
    found = braking(0.1, reach="50 m")
    assert found["performance.latency_budget"] < 0
    assert found["performance.latency_margin"] == pytest.approx(found["performance.latency_budget"] - 0.1)


@pytest.mark.parametrize("name", ["speed", "friction", "reach"])
def test_a_car_that_stands_or_slides_or_sees_nothing_is_refused(name):
    unit = {"speed": " m/s", "reach": " m"}.get(name, "")
    with pytest.raises(ConfigError, match=rf"settings\.braking\.{name}: a {name} of 0"):
        braking(0.1, **{name: f"0{unit}"})


def test_samples_that_come_faster_than_they_are_done_are_infeasible():
    card = mlsysim.evaluate("smart-doorbell", {"rate": "1000 sample/s"})
    assert card.infeasible == ("feasibility.keeps_up",)
    assert card.exit_code == 3
    found = mlsysim.sweep("smart-doorbell", {"rate": ["1 sample/s", "1000 sample/s"]})
    assert found.feasible.tolist() == [True, False]


def test_a_sweep_prints_what_only_the_solver_of_the_varied_column_answers(capsys):
    from mlsysim.cli import main

    assert main(["sweep", "smart-doorbell", "--vary", "voltage=3 V,3.7 V"]) == 0
    assert "daily_energy" in capsys.readouterr().out
    assert main(["sweep", "smart-doorbell", "--vary", "batch=1,2"]) == 0
    assert "daily_energy" not in capsys.readouterr().out
