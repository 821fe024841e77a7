"""Processors on which all layers of a network lie side by side."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import solver_cases as cases

from mlsysim.records.device import Compute, Device, Memory, Peak
from mlsysim.records.model import Layer, Model, Network
from mlsysim.records.scenario import Inference
from mlsysim.records.stack import Ceilings, Features
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.formulas.constants import FLOP_PER_MAC, SPATIAL_OPERATIONS, STAGE_SHARE

SOLVER = SingleNodeSolver()
CHIP = Device(
    name="Spatial", vendor="Test", tier="edge",
    compute=Compute(peak={"int8": Peak(dense=10e12, achieved=10e12)}, processors=2.0),
    memory=Memory(capacity=10e6, bandwidth=1e12),
)  # fmt: skip
STACK = attrs.evolve(
    cases.MICRO,
    features=Features(fused_elementwise=True, spatial=True),
    ceilings=Ceilings(compute=0.5, memory=0.5, overhead=2e-3, reserve=0.0),
)


def network(*layers: Layer, side: int = 56, channels: int = 64) -> Model:
    return Model(
        name="net", lab="Test",
        network=Network(source="test", at="here", layers=layers, height=side, width=side, channels=channels),
    )  # fmt: skip


def answers(model: Model, batch: int = 1, chip: Device = CHIP):
    workload = Inference(model="net", precision="int8", batch=batch)
    return SOLVER.compute(SOLVER.prepare(cases.request_of(model, chip, workload, STACK)))


def test_a_network_that_fits_runs_at_the_pace_of_its_arithmetic_at_any_batch() -> None:
    model = network(Layer("conv", 64, kernel=3, norm=False, repeat=4))
    found = answers(model)
    macs = 4 * 9 * 64 * 64 * 56 * 56
    assert found["performance.latency"] == pytest.approx(FLOP_PER_MAC * macs / (10e12 * 0.5), rel=1e-9)
    assert answers(model, batch=8)["performance.throughput"] == pytest.approx(found["performance.throughput"])


def test_a_layer_with_large_maps_holds_up_all_others() -> None:
    model = network(Layer("conv", 256, norm=False), Layer("pool", kernel=56, stride=56), Layer("dense", 10, norm=False))
    maps = 56 * 56 * (64 + 256)
    assert answers(model)["performance.latency"] == pytest.approx(maps / (STAGE_SHARE * 1e12 * 0.5), rel=1e-9)


def test_a_network_that_needs_several_contexts_pays_for_each_once_per_batch() -> None:
    many = int(3 * SPATIAL_OPERATIONS)
    model = network(Layer("conv", 64, kernel=3, norm=False, repeat=many))
    one, eight = answers(model)["performance.latency"], answers(model, batch=8)["performance.latency"]
    each = (eight - one) / 7
    assert one - each == pytest.approx(2 * 2e-3, rel=1e-9)


def test_weights_beyond_the_memory_are_divided_into_contexts_instead_of_being_refused() -> None:
    model = network(Layer("dense", 25_000, norm=False), side=1, channels=1000)
    found = answers(model)
    assert found["feasibility.fits"]
    assert found["feasibility.memory_required"] == pytest.approx(25e6 / 3, rel=1e-9)
    assert found["performance.latency"] > 3 * 2e-3


def test_more_clusters_take_the_network_as_a_whole() -> None:
    model = network(Layer("conv", 64, kernel=3, norm=False, repeat=int(3 * SPATIAL_OPERATIONS)))
    wide = attrs.evolve(CHIP, compute=attrs.evolve(CHIP.compute, processors=4.0))
    assert answers(model, chip=wide)["performance.latency"] == pytest.approx(
        answers(model)["performance.latency"] - 2 * 2e-3, rel=1e-9
    )


def test_contexts_that_vary_give_what_each_number_of_them_gives() -> None:
    model = network(Layer("conv", 64, kernel=3, norm=False, repeat=2))
    columns = SOLVER.prepare(cases.request_of(model, CHIP, Inference(model="net", precision="int8", batch=4), STACK))
    several = SOLVER.compute({**columns, "contexts": np.array([1.0, 2.0, 3.0])})
    for row, contexts in enumerate((1.0, 2.0, 3.0)):
        for name, value in SOLVER.compute({**columns, "contexts": contexts}).items():
            assert np.broadcast_to(several[name], 3)[row] == pytest.approx(value, rel=1e-12), name
