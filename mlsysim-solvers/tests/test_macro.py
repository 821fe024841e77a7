"""Money, energy, carbon and water: each number follows from its parts, and what is missing is refused."""

from __future__ import annotations

from types import SimpleNamespace

import attrs
import numpy as np
import pytest
from solver_cases import H100

from mlsysim.errors import ConfigError, SolverError
from mlsysim.records.device import Power
from mlsysim.records.infrastructure import Node
from mlsysim.records.supply import Grid, Price, Site
from mlsysim.running import run_solver
from mlsysim.solving import Request, Result
from mlsysim_solvers.economics import EconomicsSolver
from mlsysim_solvers.plugin import ECONOMICS, SUSTAINABILITY
from mlsysim_solvers.sustainability import SustainabilitySolver

HOUR, YEAR, KWH = 3600.0, 365.25 * 86400.0, 3.6e6
RENT = Price(
    name="8 for 32 USD/h", provider="Test", device="h100", term="on-demand", date="2026-01-01", devices=8.0,
    rate=32.0 / HOUR,
)  # fmt: skip
BOUGHT = attrs.evolve(RENT, name="8 for 320,000 USD", term="purchase", rate=None, amount=320e3)
DEVICE = attrs.evolve(H100, power=Power(tdp=700.0, idle=100.0))
GRID = Grid(name="Test", carbon=0.4 / KWH, water=2e-3 / KWH)
SITE = Site(name="Test", pue=1.2, wue=0.3e-3 / KWH)


def ask(solver, spec, kind, records, inputs, settings=None, devices=1):
    request = Request(
        scenario=SimpleNamespace(kind=kind, system=SimpleNamespace(devices=devices)),
        records=records,
        settings=spec.read_settings(settings or {}),
        inputs={f"performance.{name}": value for name, value in inputs.items()},
    )
    return run_solver(spec, solver, request)


def cost(price, kind="serving", *, settings=None, devices=1, **inputs) -> Result:
    given = {"throughput": 10.0, "token_throughput": 1000.0, **inputs}
    return ask(EconomicsSolver(), ECONOMICS, kind, {"price": price}, given, settings, devices)


def energy(kind="serving", *, settings=None, devices=1, records=None, **inputs) -> dict[str, float]:
    given = {"throughput": 10.0, "token_throughput": 1000.0, **inputs}
    roles = {"device": DEVICE, **(records or {})}
    return ask(SustainabilitySolver(), SUSTAINABILITY, kind, roles, given, settings, devices).outputs


def test_a_device_of_a_machine_costs_its_share():
    assert cost(RENT).outputs["macro.hourly_cost"] * HOUR == pytest.approx(4.0)
    assert cost(RENT, devices=8).outputs["macro.hourly_cost"] * HOUR == pytest.approx(32.0)
    for devices, shared in ((1, True), (8, False), (12, True), (16, False)):  # whole machines are sold
        assert any("share of a machine of 8" in text for text in cost(RENT, devices=devices).assumptions) == shared
    assert "macro.capital" not in cost(RENT).outputs


def test_serving_is_paid_by_the_token_and_the_rest_by_the_sample():
    # 4 USD/h over 1,000 tokens/s.
    assert cost(RENT).outputs["macro.cost_per_token"] == pytest.approx(4.0 / HOUR / 1000.0)
    for kind in ("training", "inference"):
        found = cost(RENT, kind).outputs
        assert found["macro.cost_per_sample"] == pytest.approx(4.0 / HOUR / 10.0)
        assert "macro.cost_per_token" not in found


def test_a_run_costs_its_time():
    assert cost(RENT, "training", run_time=1000 * HOUR).outputs["macro.run_cost"] == pytest.approx(4000.0)
    assert "macro.run_cost" not in cost(RENT, "training").outputs


def test_a_purchase_is_written_off_over_its_service_life():
    found = cost(BOUGHT, settings={"lifetime": "4 year"}).outputs
    assert found["macro.capital"] == pytest.approx(40e3)
    assert found["macro.hourly_cost"] == pytest.approx(40e3 / (4 * YEAR), rel=1e-3)
    assert found["macro.cost_per_token"] == pytest.approx(found["macro.hourly_cost"] / 1000.0)


def test_without_a_service_life_a_purchase_has_no_cost_per_work():
    found = cost(BOUGHT)
    assert set(found.outputs) == {"macro.capital"}
    assert any("no depreciation" in text for text in found.assumptions)


def test_a_price_without_a_number_and_a_rent_with_a_service_life_are_refused():
    with pytest.raises(SolverError, match=r"place\.price: .* neither a rate nor an amount"):
        cost(attrs.evolve(RENT, rate=None))
    with pytest.raises(ConfigError, match=r"settings\.economics\.lifetime: .* is a rent"):
        cost(RENT, settings={"lifetime": "4 year"})


def test_the_price_is_as_uncertain_as_the_rate_of_work():
    found = cost(RENT, **{"token_throughput.log_sd": 0.2, "throughput.log_sd": 0.3})
    assert found.log_sd == {"macro.cost_per_token": 0.2}
    run = cost(RENT, "training", run_time=HOUR, **{"throughput.log_sd": 0.3, "run_time.log_sd": 0.4})
    assert run.log_sd == {"macro.cost_per_sample": 0.3, "macro.run_cost": 0.4}


def test_service_life_and_rates_may_be_arrays():
    solver = EconomicsSolver()
    columns = {"kind": "serving", "amount": 320e3, "price_devices": 8.0, "devices": 1, "token_throughput": 1000.0}
    lifetimes = np.array([1.0, 2.0, 4.0]) * YEAR
    at_once = solver.compute({**columns, "lifetime": lifetimes})
    for row, lifetime in enumerate(lifetimes):
        alone = solver.compute({**columns, "lifetime": float(lifetime)})
        assert at_once["macro.cost_per_token"][row] == pytest.approx(alone["macro.cost_per_token"], rel=1e-12)


def test_overhead_of_the_building_enters_once():
    alone, housed = energy(), energy(records={"site": SITE})
    assert alone["macro.power"] == 700.0
    assert alone["macro.energy_per_token"] == pytest.approx(0.7)
    for name in ("macro.power", "macro.energy_per_token"):
        assert housed[name] == pytest.approx(1.2 * alone[name])


def test_water_is_that_of_the_site_and_that_of_the_overheads_electricity_too():
    found = energy(records={"site": SITE, "grid": GRID})
    # 0.7 J of the machine: 0.3 L/kWh on site, 2 L/kWh in power stations for 1.2 times as much.
    assert found["macro.water_per_token"] == pytest.approx(0.7 / KWH * (0.3 + 1.2 * 2.0) * 1e-3)
    assert "macro.water_per_token" not in energy(records={"grid": GRID})
    assert "macro.water_per_token" not in energy(records={"site": SITE, "grid": attrs.evolve(GRID, water=None)})


def test_carbon_follows_the_grid():
    found = energy(records={"site": SITE, "grid": GRID})
    assert found["macro.carbon_per_token"] == pytest.approx(found["macro.energy_per_token"] * 0.4 / KWH)
    clean = energy(records={"site": SITE, "grid": attrs.evolve(GRID, carbon=0.04 / KWH)})
    assert clean["macro.carbon_per_token"] == pytest.approx(found["macro.carbon_per_token"] / 10)
    assert clean["macro.energy_per_token"] == found["macro.energy_per_token"]
    assert not [name for name in energy() if "carbon" in name]


def test_a_run_takes_power_times_time():
    found = energy("training", devices=4, records={"site": SITE, "grid": GRID}, run_time=10 * HOUR)
    assert found["macro.run_energy"] / KWH == pytest.approx(4 * 0.7 * 10 * 1.2)
    assert found["macro.run_carbon"] == pytest.approx(4 * 0.7 * 10 * 1.2 * 0.4)


def test_between_samples_a_device_draws_its_idle_power():
    # 2 of 10 possible samples arrive each second: a fifth of the time at 700 W, the rest at 100 W.
    found = energy("inference", duty=0.2)
    assert found["macro.power"] == pytest.approx(0.2 * 700.0 + 0.8 * 100.0)
    assert found["macro.energy_per_sample"] == pytest.approx(found["macro.power"] / 2.0)
    assert energy("inference")["macro.energy_per_sample"] < found["macro.energy_per_sample"]
    assert energy("inference", duty=0.2, settings={"idle": "0.5 W"})["macro.power"] == pytest.approx(140.4)


def test_power_is_that_of_the_node_the_device_or_the_user():
    node = Node(name="Test", device="h100", devices=8.0, power=10.2e3)
    assert energy(records={"node": node})["macro.power"] == pytest.approx(10.2e3 / 8)
    assert energy(records={"node": node}, settings={"power": "500 W"})["macro.power"] == 500.0


def test_missing_powers_are_refused():
    with pytest.raises(SolverError, match=r"settings\.sustainability\.power: no power of H100"):
        energy(records={"device": attrs.evolve(DEVICE, power=None)})
    silent = attrs.evolve(DEVICE, power=Power(tdp=700.0))
    with pytest.raises(SolverError, match=r"settings\.sustainability\.idle: the idle power"):
        energy("inference", duty=0.2, records={"device": silent})
    assert energy("inference", records={"device": silent})["macro.power"] == 700.0


def test_a_training_device_that_waits_for_others_draws_its_idle_power():
    half = energy("training", active_share=0.5)
    assert half["macro.power"] == pytest.approx(0.5 * 700.0 + 0.5 * 100.0)
    assert half["macro.energy_per_sample"] == pytest.approx(half["macro.power"] / 10.0)
    assert energy("training", active_share=1.0)["macro.power"] == energy("training")["macro.power"] == 700.0
    assert energy("training", active_share=0.5, settings={"waiting": "300 W"})["macro.power"] == pytest.approx(500.0)
    # Its share of the host stays: of 1,275 W the device saves its own 600 W.
    node = Node(name="Test", device="h100", devices=8.0, power=10.2e3)
    assert energy("training", active_share=0.5, records={"node": node})["macro.power"] == pytest.approx(975.0)
    silent = attrs.evolve(DEVICE, power=Power(tdp=700.0))
    assert energy("training", active_share=0.5, records={"device": silent})["macro.power"] == 700.0


def test_the_wall_clock_of_a_run_is_what_is_paid_and_work_done_again_counts_once():
    run = {"run_time": 1000 * HOUR, "time_to_train": 1250 * HOUR, "goodput": 0.8}
    found = cost(RENT, "training", **run)
    assert found.outputs["macro.run_cost"] == pytest.approx(5000.0)
    assert found.outputs["macro.cost_per_sample"] == pytest.approx(4.0 / HOUR / 8.0)
    assert not any("steps alone" in text for text in found.assumptions)
    assert any("steps alone" in text for text in cost(RENT, "training", run_time=HOUR).assumptions)
    calm, rough = energy("training", run_time=1000 * HOUR), energy("training", **run)
    for name in ("macro.run_energy", "macro.energy_per_sample"):
        assert rough[name] == pytest.approx(1.25 * calm[name])
