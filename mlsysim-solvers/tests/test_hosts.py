"""Hosts that launch kernels, 16 bits on vector units, and tiles of vector units."""

from __future__ import annotations

import attrs
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import build_request
from mlsysim.plugins import plugins
from mlsysim.records.stack import Features
from mlsysim_solvers.execution.device.ceilings import counted_format
from mlsysim_solvers.execution.device.engine import Machine, run
from mlsysim_solvers.execution.device.launching import launch_columns
from mlsysim_solvers.execution.device.quantisation import TileMenu
from mlsysim_solvers.formulas.constants import FEW_ROWS
from mlsysim_solvers.lowering.operators import Operator
from mlsysim_solvers.single_node import SingleNodeSolver

TILES = ((128.0, 128.0, 1.0), (64.0, 64.0, 0.5))


def asked(device, stack, precision="fp16", batch="1", model="resnet-50"):
    scenario = {
        "name": "pictures",
        "kind": "inference",
        "workload": {"model": model, "batch": int(batch), "precision": precision},
        "system": {"device": device, "stack": stack},
    }
    return build_request(SimulationConfig.from_dict(scenario), plugins().solver("single-node"), {})


def test_sixteen_bits_on_vector_units_run_at_the_rate_of_thirty_two():
    request = asked("jetson-nano", "pytorch-2")
    device, stack = request.records["device"], request.records["stack"]
    assert counted_format(device, stack, "fp16") == "fp32"
    plain = attrs.evolve(stack, features=Features())
    assert counted_format(device, plain, "fp16") == "fp16"
    # Matrix units multiply 16 bits as such.
    card = asked("t4", "pytorch-2")
    assert counted_format(card.records["device"], card.records["stack"], "fp16") == "fp16"
    columns = SingleNodeSolver().prepare(request)
    assert columns["peak"] == device.peak_of("fp32").dense
    assert not columns["winograd"]


def test_a_slow_host_takes_longer_for_every_kernel():
    nano, card = asked("jetson-nano", "pytorch-2"), asked("t4", "pytorch-2")
    speed = nano.records["device"].host
    assert 0.0 < speed < 1.0
    slow, fast = SingleNodeSolver().prepare(nano), SingleNodeSolver().prepare(card)
    assert slow["kernel_launch"] == pytest.approx(fast["kernel_launch"] / speed)
    assert slow["overhead"] == pytest.approx(fast["overhead"] / speed)
    # Training counts the host apart, and replayed graphs need none.
    assert launch_columns(nano.records["device"], nano.records["stack"], "training") == {}
    server = plugins().registry.get("stacks", "vllm-0.11").record
    assert server.features.graphs
    assert server.ceilings.launch is not None
    assert launch_columns(card.records["device"], server, "serving") == {}


def test_one_picture_waits_for_the_host_and_many_do_not():
    solver = SingleNodeSolver()
    one, many = (solver.prepare(asked("a100-sxm-80gb", "pytorch-2", batch=batch)) for batch in ("1", "512"))
    ahead = dict(one)
    del ahead["kernel_launch"]
    assert solver.compute(one)["performance.latency"] > 2.0 * solver.compute(ahead)["performance.latency"]
    rest = dict(many)
    del rest["kernel_launch"]
    assert solver.compute(many)["performance.latency"] == solver.compute(rest)["performance.latency"]


def test_an_engine_without_a_graph_waits_for_its_host_where_layers_are_short():
    solver = SingleNodeSolver()

    def times(device, model, batch):
        columns = solver.prepare(asked(device, "tensorrt-10", "int8", batch, model))
        alone = {name: value for name, value in columns.items() if name != "kernel_launch"}
        return tuple(solver.compute(c)["performance.latency"] for c in (columns, alone))

    waits, alone = times("a100-sxm-80gb", "mobilenet-v1", "1")
    # 28 layers with weights and a pool.
    assert waits == pytest.approx(29 * 5e-6)
    assert alone < waits
    for device, model, batch in (("a100-sxm-80gb", "resnet-50", "256"), ("t4", "resnet-50", "1")):
        waits, alone = times(device, model, batch)
        assert waits == alone


def test_a_host_adds_only_what_the_device_does_not_hide():
    table = [Operator("product", "gemm", 1.0, 4096.0, 4096.0, 4096.0, 1.0, 1e9, 0.0, 1e6, 0.0, 4.0, 1e9)]
    machine = Machine(1e12, 1e12, 1e12, 1e12, 1e-6, 1.0, TileMenu((), 1.0), 2.0)
    busy = run(table, machine)
    assert run(table, machine._replace(launch=1e-9)).time == busy.time
    late = run(table, machine._replace(launch=1.0))
    assert late.time == pytest.approx(4.0)
    assert late.overhead == pytest.approx(4.0 - (busy.time - busy.overhead))


def test_a_product_of_many_rows_fills_tiles_on_vector_units_too():
    machine = Machine(1e12, 1e12, 1e12, 1e15, 0.0, 80.0, TileMenu(TILES, 80.0, macs=64.0), 2.0)

    def time(rows):
        work = 2.0 * rows * 128.0 * 1024.0
        return run([Operator("p", "gemm", 1.0, rows, 128.0, 1024.0, 1.0, work, 0.0, 0.0, 0.0, 0.0, work)], machine).time

    # One tile in 80 is busy, however fast the others would be.
    assert time(128.0) > 5.0 * 2.0 * 128.0 * 128.0 * 1024.0 / 1e12
    assert time(FEW_ROWS) == pytest.approx(2.0 * FEW_ROWS * 128.0 * 1024.0 / 1e12)


def test_small_tiles_lose_nothing_on_vector_units():
    wide, narrow = (SingleNodeSolver().prepare(asked("t4", "tensorrt-10", p))["tiles"] for p in ("fp32", "fp16"))
    assert {rate for _, _, rate in wide} == {1.0}
    assert min(rate for _, _, rate in narrow) < 1.0
