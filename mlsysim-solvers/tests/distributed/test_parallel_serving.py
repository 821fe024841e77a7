"""Several devices that generate text: what sharding and staging change, and what they must not."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import H100, LLAMA_8B, LLAMA_70B, STACK

import mlsysim
from mlsysim.config import SimulationConfig
from mlsysim.errors import ConfigError
from mlsysim.evaluation import evaluate
from mlsysim.explaining import explain
from mlsysim.records.infrastructure import Link, Node
from mlsysim.records.scenario import Parallelism, Scenario, Serving, System
from mlsysim.solving import Request
from mlsysim.testing import BadInput, SolverCase, parametrize_checks
from mlsysim_solvers.lowering.serving import sharded
from mlsysim_solvers.lowering.shape import transformer_shape
from mlsysim_solvers.parallel_serving import ParallelServingSolver
from mlsysim_solvers.plugin import PARALLEL_SERVING
from mlsysim_solvers.single_node import SingleNodeSolver

NODE = Node(name="node", device="h100", devices=8.0, inner="nvlink", inner_links=18.0, domain=8.0)
NVLINK = Link(name="NVLink", bandwidth=25e9, achieved=20e9)
SILENT = {f"{way}_{part}": 0.0 for way in ("short", "long") for part in ("base", "inner_step", "outer_step")}
FAST = {"inner_rate": 1e30, "outer_rate": 1e30} | SILENT
SAME = ("performance.latency", "performance.ttft", "performance.tpot", "performance.token_throughput",
        "feasibility.memory_required", "feasibility.max_batch", "performance.flops", "performance.bytes",
        "performance.utilisation", "performance.latency.log_sd")  # fmt: skip


def columns(model=LLAMA_70B, *, stack=STACK, batch=8, input_=1024, output=256, devices=None, **layout):
    parallelism = Parallelism(**layout)
    count = devices or parallelism.data * parallelism.tensor * parallelism.pipeline
    job = Serving(model="m", precision="bf16", batch=batch, input=input_, output=output)
    scenario = Scenario(name="case", kind="serving", workload=job,
                        system=System(device="h100", stack="s", devices=count), parallelism=parallelism)  # fmt: skip
    records = {"model": model, "device": H100, "stack": stack, "node": NODE, "inner": NVLINK}
    solver = SingleNodeSolver() if count == 1 else ParallelServingSolver()
    return solver.prepare(Request(scenario, records))


def answers(*args, changes=None, **kwargs):
    return ParallelServingSolver().compute(columns(*args, **kwargs) | (changes or {}))


def test_a_group_of_one_is_one_device():
    alone = SingleNodeSolver().compute(columns(LLAMA_8B))
    found = answers(LLAMA_8B, tensor=2, changes={"tensor": 1.0})
    for name in SAME:
        assert found[name] == pytest.approx(alone[name], rel=1e-12), name
    assert found["performance.communication"] == 0.0


def test_parallel_attention_and_mlp_are_summed_up_once():
    """Everything but the logits is half of what it is with one sum after each."""
    beside = attrs.evolve(LLAMA_70B, transformer=attrs.evolve(LLAMA_70B.transformer, parallel=True))
    one, two = (answers(model, tensor=8, output=1)["performance.communication"] for model in (beside, LLAMA_70B))
    assert 0.5 * two < one < 0.6 * two


def test_without_network_cost_work_divides():
    """Kernels and norms do not divide; what is left over is theirs."""
    quiet = attrs.evolve(STACK, tiles=(), ceilings=attrs.evolve(STACK.ceilings, overhead=0.0))
    alone = answers(stack=quiet, tensor=2, changes=FAST | {"tensor": 1.0})
    for tensor in (2, 4, 8):
        found = answers(stack=quiet, tensor=tensor, changes=FAST)
        ratio = found["performance.latency"] * tensor / alone["performance.latency"]
        assert 1.0 <= ratio < 1.03
        assert found["performance.communication"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["inner_rate", "bandwidth", "peak"])
def test_more_of_anything_is_never_slower(name):
    base = columns(tensor=4)
    times = [ParallelServingSolver().compute(base | {name: base[name] * f})["performance.latency"] for f in (1, 2, 8)]
    assert times == sorted(times, reverse=True)


def test_a_layer_takes_two_all_reduces_and_the_logits_are_gathered():
    """With a slow network and no latencies the bytes alone count."""
    rate, rows, tensor = 1e6, 4, 4
    slow = SILENT | {"inner_rate": rate, "short_share": 1.0, "long_share": 1.0, "overhead": 0.0}
    found = answers(batch=rows, tensor=tensor, output=2, changes=slow)
    share = (tensor - 1) / tensor
    reduced = 2 * 80 * 2 * share * rows * 8192 * 2 / rate
    gathered = share * rows * 128256 * 2 / rate
    in_decode = found["performance.tpot"] - answers(batch=rows, tensor=tensor, output=2, changes=FAST | {
        "overhead": 0.0})["performance.tpot"]  # fmt: skip
    assert in_decode == pytest.approx(reduced + gathered, rel=1e-3)


def test_key_value_heads_are_copied_when_there_are_too_few():
    shape = transformer_shape(LLAMA_70B, LLAMA_70B.transformer)
    eight, sixteen = sharded(shape, 8.0), sharded(shape, 16.0)
    assert eight.cache_elements == sixteen.cache_elements == shape.cache_elements / 8
    own = LLAMA_70B.transformer
    copied = own.layers * own.hidden * 2 * own.head_dim
    assert sixteen.parameters > shape.parameters / 16 + 0.4 * copied
    assert sharded(shape, 2.0).cache_elements == shape.cache_elements / 2


def test_memory_is_held_against_each_device():
    whole, halves = answers(tensor=2, changes={"tensor": 1.0}), answers(tensor=2)
    assert not whole["feasibility.fits"]
    ratio = halves["feasibility.memory_required"] / whole["feasibility.memory_required"]
    assert 0.5 < ratio < 0.52
    assert answers(pipeline=2)["feasibility.memory_required"] == pytest.approx(
        halves["feasibility.memory_required"], rel=0.03
    )


def test_stages_take_turns_when_one_batch_is_in_flight():
    alone = answers(pipeline=4, changes=FAST | {"pipeline": 1.0})
    staged = answers(pipeline=4, changes=FAST)
    assert staged["performance.latency"] == pytest.approx(alone["performance.latency"], rel=1e-9)
    assert staged["performance.utilisation"] == pytest.approx(alone["performance.utilisation"] / 4, rel=1e-9)


def test_micro_batches_keep_stages_busy():
    turns, busy = answers(batch=256, pipeline=4), answers(batch=256, pipeline=4, micro_batch=64)
    assert busy["performance.token_throughput"] > 1.5 * turns["performance.token_throughput"]


def test_a_stack_that_splits_by_layers_overlaps_passes_of_one_prompt():
    split = attrs.evolve(STACK, features=attrs.evolve(STACK.features, layer_split=True), pass_tokens=512.0,
                         batch_tokens=2048.0)  # fmt: skip
    found = columns(LLAMA_8B, stack=split, devices=4, batch=1)
    assert (found["pipeline"], found["tensor"]) == (4.0, 1.0)
    for prompt, speedup in ((512, 1.0), (4096, 16 / 7)):
        one = answers(LLAMA_8B, stack=split, devices=4, batch=1, input_=prompt, changes=FAST | {"pipeline": 1.0})
        four = answers(LLAMA_8B, stack=split, devices=4, batch=1, input_=prompt, changes=FAST)
        assert one["performance.ttft"] / four["performance.ttft"] == pytest.approx(speedup, rel=1e-9)
        assert four["performance.tpot"] == pytest.approx(one["performance.tpot"], rel=1e-9)


def test_copies_share_the_batch():
    two, one = answers(LLAMA_8B, batch=16, data=2), answers(LLAMA_8B, batch=8, data=2, changes={"data": 1.0})
    assert two["performance.latency"] == one["performance.latency"]
    assert two["performance.throughput"] == pytest.approx(2 * one["performance.throughput"])
    assert two["feasibility.max_batch"] == pytest.approx(2 * one["feasibility.max_batch"])


@pytest.mark.parametrize(
    ("where", "layout"),
    [
        ("parallelism.context", {"context": 2, "devices": 2}),
        ("parallelism.data", {"data": 3}),
        ("parallelism.micro_batch", {"pipeline": 2, "micro_batch": 16}),
    ],
)
def test_what_cannot_be_is_refused(where, layout):
    with pytest.raises(ConfigError) as caught:
        columns(**layout)
    assert caught.value.faults[0].where == where


def varied(name, **overrides):
    return SimulationConfig.load(name, overrides)


def test_samples_are_answered_by_copies():
    from mlsysim.evaluation import evaluate

    one = evaluate(varied("bert-large-a100", **{"workload.batch": "16"}))
    four = evaluate(varied("bert-large-a100", **{"workload.batch": "64", "system.devices": "4"}))
    got, alone = four.answers["performance.throughput"].value, one.answers["performance.throughput"].value
    assert got == pytest.approx(4 * alone)
    assert four.answers["performance.latency"].value == pytest.approx(one.answers["performance.latency"].value)
    with pytest.raises(ConfigError, match="not divided"):
        evaluate(varied("bert-large-a100", **{"workload.batch": "64", "system.devices": "4",
                                              "parallelism.tensor": "4"}))  # fmt: skip


UP = 1 + 1e-12
TIMES = ("performance.latency",)
EIGHT = {"system.devices": "8", "workload.batch": "32"}
CASE = SolverCase(
    PARALLEL_SERVING,
    scenarios=[
        "llama-3.1-70b-h100-8",
        varied("llama-3.1-8b-h100", **EIGHT),
        varied("mixtral-8x7b-h200", **EIGHT),
        varied("bert-large-a100", **{"workload.batch": "64", "system.devices": "4"}),
        varied("llama-3.1-8b-h100", **EIGHT, **{"parallelism.tensor": "2", "parallelism.pipeline": "4"}),
        varied("llama-3.1-8b-h100", **{"system.devices": "8", "system.device": "rtx-4090",
                                       "system.stack": "llama.cpp-b3000", "workload.precision": "fp16",
                                       "workload.batch": "1"}),
    ],
    discrete=("token", "sample"),
    never_falls=dict.fromkeys(("input", "output", "overhead", "long_base"), TIMES)
    | {"reserve": ("feasibility.memory_required",)},
    never_rises=dict.fromkeys(("peak", "bandwidth", "inner_rate", "long_share"), TIMES)
    | {"reserve": ("feasibility.max_batch",)},
    limits={
        "arithmetic is never above the peak": lambda c, a: a["performance.utilisation"] <= UP,
        "communication is part of the latency": lambda c, a: 0.0 <= a.get("performance.communication", 0.0)
        <= a["performance.latency"],
        "the first token comes before the last": lambda c, a: a.get("performance.ttft", 0.0)
        <= a["performance.latency"] * UP,
        "the largest batch that fits decides": lambda c, a: c["batch"] <= a["feasibility.max_batch"] * UP
        or not a["feasibility.fits"],
    },
    bad_inputs=(
        BadInput("parallelism.tensor", {"parallelism.tensor": "7"}),
        BadInput("workload.batch", {"batch": "0"}),
        BadInput("precision", {"precision": "fp5"}),
    ),
)  # fmt: skip


@parametrize_checks(CASE)
def test_conforms(check):
    check()


def test_several_cards_are_looked_for_in_a_server_that_holds_several():
    config = varied("llama-3.1-8b-h100", **{"system.device": "rtx-4090", "workload.precision": "fp16",
                                            "system.devices": "4", "system.stack": "llama.cpp-b3000"})  # fmt: skip
    assert config.entries["node"].record.devices >= 4
    alone = varied("llama-3.1-8b-h100", **{"system.device": "rtx-4090", "workload.precision": "fp16"})
    assert "node" not in alone.entries


def test_an_explanation_names_the_parts_of_the_communication():
    found = explain(evaluate("llama-3.1-70b-h100-8"), "performance.communication")
    lines = "\n".join(found.lines(depth=2))
    assert "communication of the prefill" in lines
    assert "communication of the decode steps" in lines


def test_devices_that_cannot_share_the_heads_are_told_so():
    asked = {
        "name": "seven", "kind": "serving", "system": {"device": "h100-sxm", "devices": 7},
        "workload": {"model": "llama-3.1-70b", "batch": 32, "input": 512, "output": 64},
    }  # fmt: skip
    with pytest.raises(ConfigError, match="7 devices cannot share 64 attention heads") as refused:
        evaluate(asked)
    assert "Ask for 4 devices" in refused.value.remedy


def test_one_request_on_two_nodes_passes_stages_where_nothing_says_how():
    asked = {
        "name": "two nodes", "kind": "serving", "system": {"device": "h100-sxm", "devices": 16},
        "workload": {"model": "llama-3.1-405b", "precision": "fp8", "batch": 1, "input": 512, "output": 64},
    }  # fmt: skip
    card = evaluate(asked)
    assert any("8 devices, 2 pipeline stages between nodes" in note for note in card.assumptions)
    told = evaluate(asked | {"parallelism": {"tensor": 8, "pipeline": 2}})
    assert card["performance.tpot"].value == told["performance.tpot"].value
    copies = evaluate(asked | {"workload": asked["workload"] | {"batch": 2}})
    assert any("2 copies" in note for note in copies.assumptions)
    wide = evaluate(asked | {"workload": asked["workload"] | {"batch": 2, "precision": "bf16"}})
    assert any("2 pipeline stages" in note for note in wide.assumptions)  # 810 GB are more than eight of 80 GB hold
    assert wide["feasibility.fits"].value


PADDING = attrs.evolve(STACK, features=attrs.evolve(STACK.features, pads_heads=True))


def test_heads_that_are_left_over_are_padded_and_computed():
    """64 heads over 5 devices are 13 each, as 65 heads would be; where nothing is left over, nothing changes."""
    fuller = attrs.evolve(LLAMA_70B, transformer=attrs.evolve(LLAMA_70B.transformer, heads=65.0, kv_heads=13.0))
    padded, whole = (answers(model, stack=PADDING, tensor=5) for model in (LLAMA_70B, fuller))
    assert padded["performance.tpot"] <= whole["performance.tpot"]
    assert padded["performance.tpot"] == pytest.approx(whole["performance.tpot"], rel=0.05)
    assert padded["feasibility.fits"]
    assert not answers(LLAMA_70B, tensor=5)["feasibility.fits"]
    assert any(
        "padded to 65 over 5 devices" in one for one in columns(LLAMA_70B, stack=PADDING, tensor=5)["assumptions"]
    )
    same, plain = answers(LLAMA_70B, stack=PADDING, tensor=8), answers(LLAMA_70B, tensor=8)
    assert {name: value for name, value in same.items() if value != plain[name]} == {}


def test_a_stack_that_pads_heads_takes_any_degree_where_nothing_names_one():
    assert columns(LLAMA_70B, stack=PADDING, devices=5)["tensor"] == 5.0
    assert columns(LLAMA_70B, devices=5, batch=5)["tensor"] == 1.0


@pytest.mark.parametrize(("kind", "asked"), [("serving", {}), ("traffic", {"parallelism.tensor": "2", "devices": "2"})])
def test_rows_of_several_degrees_answer_as_alone(kind, asked):
    scenario = {"serving": "llama-3.1-70b-h100-8", "traffic": "llama-3.1-8b-h100-traffic"}[kind]
    dice, rows = np.random.default_rng(0), 2100
    vary = {
        "tensor": dice.choice([1.0, 2.0, 4.0, 8.0], rows, p=[0.1, 0.3, 0.3, 0.3]),
        "input": dice.integers(64, 4096, rows).astype(float),
        "batch" if kind == "serving" else "concurrency": dice.integers(1, 64, rows).astype(float),
    }
    for some in (slice(None), np.flatnonzero(vary["tensor"] > 1.0)):
        points = {name: values[some] for name, values in vary.items()}
        found = mlsysim.sweep(scenario, points, grid=False, overrides=asked)
        for row in range(0, len(found), 300):
            one = {name: values[row : row + 1] for name, values in points.items()}
            alone = mlsysim.sweep(scenario, one, grid=False, overrides=asked)
            for name, value in alone.outputs.items():
                assert found.outputs[name][row] == pytest.approx(value[0], rel=1e-12), name


def test_a_host_that_launches_kernel_by_kernel_starts_the_sums_over_devices_too():
    eager = attrs.evolve(
        STACK, features=attrs.evolve(STACK.features, graphs=False), ceilings=attrs.evolve(STACK.ceilings, launch=1e-3)
    )
    one = SingleNodeSolver().compute(columns(stack=eager, batch=1))["performance.tpot"]
    four = answers(stack=eager, batch=1, tensor=4)["performance.tpot"]
    # Two sums in each of 80 layers, beside what they take on the links.
    sums = 1e-3 * 2 * 80
    assert sums < four - one < 1.1 * sums


@pytest.mark.parametrize("devices", [10**9, 10**15])
def test_more_devices_than_anybody_has_are_refused_with_what_would_be_legal(devices):
    with pytest.raises(ConfigError, match="cannot share 32 attention heads") as caught:
        mlsysim.evaluate("llama-3.1-8b-h100", {"devices": str(devices)})
    assert caught.value.remedy == "Ask for 32 devices, or set [parallelism]"
    layout = {"devices": str(devices), "parallelism.data": str(devices), "batch": "12"}
    with pytest.raises(ConfigError, match="does not divide over") as caught:
        mlsysim.evaluate("llama-3.1-8b-h100", layout)
    assert caught.value.remedy.startswith("Nearest legal value: 12,")


@pytest.mark.parametrize(("given", "said"), [({}, True), ({"concurrency": "4"}, False), ({"requests": "9"}, False)])
def test_how_requests_come_is_said_where_nothing_says_it(given, said):
    scenario = {
        "name": "any", "kind": "traffic", "workload": {"model": "llama-3.1-8b"}, "system": {"device": "h100-sxm"},
    }  # fmt: skip
    card = mlsysim.evaluate(scenario, {"input": "100", "output": "100", **given})
    assert any("offline" in note for note in card.assumptions) is said
