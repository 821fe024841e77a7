"""Processors that do one thing at a time."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import solver_cases as cases

from mlsysim.records.model import Layer, Model, Network
from mlsysim.records.scenario import Inference
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.formulas.constants import FLOP_PER_MAC, RESULT_MACS, UNSHARED_WORK, WINDOW_MACS

SOLVER = SingleNodeSolver()

RATE = 2e9
"""Peak of the test's microcontroller, FLOP/s."""


def one_layer(*layers: Layer, side: int = 16, channels: int = 16, live: tuple[int, ...] = ()) -> Model:
    return Model(
        name="one", lab="Test",
        network=Network(
            source="test", at="here", layers=layers, height=side, width=side, channels=channels, live=live
        ),
    )  # fmt: skip


def prepared(model: Model, stack=cases.MICRO):
    workload = Inference(model=model.name, precision="int8", batch=1)
    return SOLVER.prepare(cases.request_of(model, cases.MCU, workload, stack))


def latency(model: Model, stack=cases.MICRO, **changes) -> float:
    return SOLVER.compute({**prepared(model, stack), "overhead": 0.0, **changes})["performance.latency"]


def test_products_results_and_weights_add_up() -> None:
    model = one_layer(Layer("conv", 32, kernel=3, norm=False))
    results, weights = 16 * 16 * 32, 9 * 16 * 32
    products = FLOP_PER_MAC * 16 * 16 * 9 * 16 * (32 + WINDOW_MACS) / (RATE * 0.5)
    written = results * RESULT_MACS * FLOP_PER_MAC / (RATE * 0.8)
    read = weights / 40e6
    expected = (products + written) / prepared(model)["achieved"] + read
    assert latency(model) == pytest.approx(expected, rel=1e-9)


def test_a_row_that_meets_a_matrix_shares_no_operands() -> None:
    dense = one_layer(Layer("dense", 64, norm=False), side=1, channels=256)
    slow = latency(dense, bandwidth=1e18, weight_bandwidth=1e18, memory_ceiling=1e9)
    product = FLOP_PER_MAC * 256 * 64 / (RATE * prepared(dense)["achieved"] * 0.5)
    assert slow == pytest.approx(UNSHARED_WORK * product, rel=1e-6)


def test_only_windows_of_several_pixels_are_copied() -> None:
    pixel = one_layer(Layer("conv", 4, norm=False), channels=144)
    window = one_layer(Layer("conv", 4, kernel=3, norm=False))
    free = {"bandwidth": 1e18, "weight_bandwidth": 1e18, "memory_ceiling": 1e9}
    assert latency(window, **free) / latency(pixel, **free) == pytest.approx(1.0 + WINDOW_MACS / 4.0, rel=1e-6)


def test_thin_layers_take_longer_per_product() -> None:
    thin = one_layer(Layer("conv", 64, norm=False), channels=8)
    thick = one_layer(Layer("conv", 8, norm=False), channels=64)
    assert latency(thin) > 2.0 * latency(thick)


def test_a_compiler_that_drops_dead_channels_is_faster_where_there_are_any() -> None:
    drops = attrs.evolve(cases.MICRO, features=attrs.evolve(cases.MICRO.features, drops_dead_channels=True))
    # Of one pixel: nothing is copied for all channels, live or dead.
    half = one_layer(Layer("conv", 32, norm=False), live=(16,))
    assert latency(half, drops) == pytest.approx(latency(half) / 2.0, rel=0.01)
    full = one_layer(Layer("conv", 32, norm=False))
    assert latency(full, drops) == latency(full)


def test_a_sweep_agrees_with_single_solves() -> None:
    model = one_layer(Layer("conv", 32, kernel=3, norm=False), Layer("dense", 10, norm=False))
    ceilings = np.array([0.3, 0.5, 0.9])
    swept = latency(model, memory_ceiling=ceilings)
    assert swept == pytest.approx([latency(model, memory_ceiling=float(one)) for one in ceilings], rel=1e-12)
