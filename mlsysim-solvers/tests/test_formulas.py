"""Every formula is proved on units and arrays, and reproduces the numbers of its paper."""

from __future__ import annotations

import importlib
import math
import pkgutil

import pytest

import mlsysim_solvers.formulas as package
from mlsysim.formula import equation_of, formula_of
from mlsysim.testing import prove_arrays, prove_pint, prove_rescaling
from mlsysim_solvers.formulas import (
    attention,
    constants,
    edge,
    energy,
    gemm,
    memory,
    mixture,
    optimizer,
    uncertainty,
    vision,
)
from mlsysim_solvers.formulas.attention import array_share

FORMULAS = {
    f"{info.name}.{name}": value
    for info in pkgutil.iter_modules(package.__path__)
    for name, value in vars(importlib.import_module(f"{package.__name__}.{info.name}")).items()
    if formula_of(value) is not None and value.__module__ == f"{package.__name__}.{info.name}"
}
SHARE = (0.05, 0.95)
DRAWS = {
    "mixture.distinct_experts": {"experts": (64.0, 256.0), "active": (1.0, 8.0)},
    "gemm.tile_area": {"rate": SHARE, "tiles": (1e3, 1e5)},
    "uncertainty.time_log_sd": dict.fromkeys(("cov_cm", "cov_co", "cov_mo"), (0.001, 0.02))
    | dict.fromkeys(("compute", "memory", "overhead"), SHARE),
    "uncertainty.log_sd_of_range": {"low": (1.0, 2.0), "high": (3.0, 9.0)},
    "reliability.failures_per_interval": {"length": (1.0, 100.0), "mtbf": (10.0, 1e4)},
    "reliability.rework_per_interval": {"length": (1.0, 100.0), "mtbf": (10.0, 1e4)},
    "memory.headroom": {"usable": (1e10, 1e11), "required": (1e8, 1e9)},
    "edge.latency_budget": {"reach": (100.0, 200.0), "braking": (1.0, 50.0)},
}


def test_all_formula_modules_are_collected():
    assert len(FORMULAS) > 50
    assert {name.split(".")[0] for name in FORMULAS} >= {"roofline", "gemm", "memory", "edge", "carbon", "cost"}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_obeys_its_units_on_every_carrier(name):
    function, draws = FORMULAS[name], DRAWS.get(name)
    prove_rescaling(function, draws=draws)
    prove_pint(function, draws=draws)
    prove_arrays(function, draws=draws)


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_states_its_equation(name):
    assert equation_of(FORMULAS[name])[0]


def test_distinct_experts_of_256_with_8_active():
    # 222.4 where all are chosen alike; some are chosen more often than others.
    assert mixture.distinct_experts(256.0, 8.0, 64.0) == pytest.approx(256 * (1 - 31 / 32 / (1 + 63 / 32)))
    assert 160.0 < mixture.distinct_experts(256.0, 8.0, 64.0) < 222.4
    assert mixture.distinct_experts(256.0, 8.0, 1.0) == pytest.approx(8.0)
    assert mixture.distinct_experts(8.0, 2.0, 1e5) == pytest.approx(8.0)
    assert mixture.distinct_experts(8.0, 8.0, 3.0) == 8.0


def test_scales_cost_most_where_matrix_units_are_fastest():
    # An H100 does 30 operations of matrix units in the time of one of vector units, a B200 60: 128 go with each scale.
    for matrix, vector, share in ((1979e12, 66.9e12, 0.81), (4500e12, 75e12, 0.68)):
        assert mixture.block_scaled_rate(matrix, vector, 128.0, 1.0) / matrix == pytest.approx(share, abs=0.01)
    assert mixture.block_scaled_rate(1e15, 1e14, 1e12, 1.0) == pytest.approx(1e15)
    # As many more blocks cost what as many more instructions for each do.
    assert mixture.block_scaled_rate(1e15, 1e14, 32.0, 1.0) == mixture.block_scaled_rate(1e15, 1e14, 128.0, 4.0)


def test_groups_of_experts_are_chosen_more_evenly_than_experts():
    # Eight choices among eight nodes: 5.25 different ones where all are alike.
    assert 5.0 < mixture.reached_groups(8.0, 256.0, 8.0) < 8 * (1 - (7 / 8) ** 8)
    assert mixture.distinct_experts(8.0, 1.0, 8.0) < mixture.reached_groups(8.0, 256.0, 8.0)
    assert mixture.reached_groups(1.0, 256.0, 8.0) == 1.0
    assert mixture.reached_groups(8.0, 256.0, 1.0) == 1.0


def test_adam_keeps_16_or_18_bytes_and_moves_34():
    assert memory.gradient_state_bytes(1.0, 2.0, 2.0, 4.0, 2.0, 4.0) == 16.0
    assert memory.gradient_state_bytes(1.0, 2.0, 4.0, 4.0, 2.0, 4.0) == 18.0
    assert memory.gradient_state_bytes(1.0, 2.0, 2.0, 4.0, 2.0, 1.0) == 10.0
    assert optimizer.optimizer_traffic(1.0, 2.0, 1.0, 4.0, 4.0, 2.0, 4.0) == 34.0
    assert optimizer.accumulation_traffic(3.0, 2.0, 4.0) == 30.0


def test_battery_of_a_doorbell():
    # 0.35 W x 0.3 s + 0.5 W x 4 s per wake-up, 50 a day, 30 uA asleep at 3.7 V.
    wake = edge.wake_energy(0.35, 0.3, 0.0, 0.0, 0.5, 4.0)
    day = edge.daily_energy(50.0, wake, 30e-6 * 3.7, 86400.0, 0.0)
    assert day == pytest.approx(114.8, abs=0.05)
    stored = edge.battery_energy(5.2 * 3600, 3.7, 0.85)
    assert edge.battery_life(stored, day, 86400.0) / 86400 == pytest.approx(513, abs=0.5)


def test_windowed_mean_context_equals_the_sum_over_steps():
    prompt, answer, window = 900.0, 400.0, 1024.0
    steps = [min(prompt + i + 0.5, window) for i in range(int(answer))]
    found = attention.windowed_mean_context(prompt, answer, window)
    assert found == pytest.approx(sum(steps) / answer, rel=1e-3)
    assert attention.windowed_mean_context(prompt, answer, 1e9) == attention.mean_context(prompt, answer)


def test_heads_fill_a_systolic_array_or_leave_a_part_of_it_idle():
    assert array_share(128.0, 128.0, 128.0) == array_share(256.0, 256.0, 256.0) == 1.0
    assert array_share(128.0, 128.0, 256.0) == 0.5
    # Latent attention: 192 of 256 rows for scores, 128 of 256 columns for values.
    assert array_share(192.0, 128.0, 256.0) == pytest.approx(320 / 512)


def test_causal_pairs_without_and_with_a_window():
    assert attention.causal_pairs(100.0, 100.0) == 5000.0
    exact = sum(min(i + 0.5, 10) for i in range(100))
    assert attention.causal_pairs(100.0, 10.0) == pytest.approx(exact, rel=1e-3)


def test_tile_efficiency_of_a_square_product_on_108_processors():
    tiles = gemm.output_tiles(8192.0, 8192.0, 1.0, 256.0, 128.0)
    assert tiles == 2048.0
    area = gemm.tile_area(tiles, 108.0, 256.0, 128.0, 1.0, 1.0)
    assert 8192.0 * 8192.0 / (108.0 * area) == pytest.approx(0.998, abs=5e-4)


def test_each_doubling_of_devices_adds_its_own_variance_and_copies_none():
    assert uncertainty.divided_variance(0.04, 1.0) == 0.0
    assert uncertainty.divided_variance(0.04, 2.0) == pytest.approx(0.04)
    once, twice = uncertainty.divided_variance(0.04, 4.0), uncertainty.divided_variance(0.04, 8.0)
    assert twice - once == pytest.approx(0.04)


def test_interval_of_a_range_and_back():
    sd = uncertainty.log_sd_of_range(0.7, 0.95, constants.INTERVAL_QUANTILE)
    middle = (0.7 * 0.95) ** 0.5
    assert middle * math.exp(-constants.INTERVAL_QUANTILE * sd) == pytest.approx(0.7)
    assert middle * math.exp(constants.INTERVAL_QUANTILE * sd) == pytest.approx(0.95)


def test_vision_transformer_has_196_patches():
    assert vision.image_patches(224.0, 16.0) == 196.0


def test_power_is_linear_between_idle_and_full():
    assert energy.device_power(100.0, 700.0, 0.5) == 400.0
