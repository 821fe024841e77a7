"""Weights that stay on a chip between passes, and those that do not fit."""

from __future__ import annotations

import attrs
import pytest
import solver_cases as cases

from mlsysim.records.device import Compute, Device, Memory, Peak
from mlsysim.records.model import Layer, Model, Network
from mlsysim.records.scenario import Inference
from mlsysim.records.stack import Ceilings, Features
from mlsysim_solvers import SingleNodeSolver

CHIP = Device(
    name="Behind a bus", vendor="Test", tier="edge",
    compute=Compute(peak={"int8": Peak(dense=1e15, achieved=1e15)}),
    memory=Memory(capacity=8e6, bandwidth=1e15), storage=Memory(capacity=1e9, bandwidth=500e6),
)  # fmt: skip
STACK = attrs.evolve(
    cases.MICRO,
    features=Features(fused_elementwise=True, in_place_weights=True, keeps_weights=True),
    ceilings=Ceilings(compute=0.9, memory=0.5, overhead=0.0, reserve=0.0),
)


def latency(parameters: int, stack=STACK):
    model = Model(
        name="net", lab="Test",
        network=Network(
            source="test", at="here", layers=(Layer("dense", parameters // 1000, norm=False),), height=1, width=1,
            channels=1000,
        ),
    )  # fmt: skip
    workload = Inference(model="net", precision="int8", batch=1)
    solver = SingleNodeSolver()
    return solver.compute(solver.prepare(cases.request_of(model, CHIP, workload, stack)))["performance.latency"]


def test_only_what_does_not_fit_crosses_the_bus():
    assert latency(20_000_000) == pytest.approx(12e6 / (500e6 * 0.5), rel=1e-3)


def test_a_network_that_fits_never_waits_for_the_bus():
    assert latency(8_000_000) < 0.01 * latency(9_000_000)


def test_without_keeping_everything_crosses_it():
    plain = attrs.evolve(STACK, features=attrs.evolve(STACK.features, keeps_weights=False))
    assert latency(20_000_000, plain) == pytest.approx(20e6 / (500e6 * 0.5), rel=1e-3)
