"""What is refused, with the argument, the value and what to do; and what is assumed, said aloud."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from solver_cases import (
    A100,
    BERT,
    H100,
    LLAMA_8B,
    MCU,
    MICRO,
    RESNET_50,
    STACK,
    TINY,
    VIT,
    request_of,
    serving,
)  # fmt: skip

import mlsysim
import mlsysim_solvers
from mlsysim.errors import ConfigError, MlsysimError, SolverError
from mlsysim.provenance import Claim, judge, today
from mlsysim.records.model import Model
from mlsysim.records.scenario import Inference, Parallelism, Training
from mlsysim.records.stack import Calibration, Ceilings
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.declarations.single_node import SETTINGS
from mlsysim_solvers.formulas import constants

SOLVER = SingleNodeSolver()
SOURCES = Path(mlsysim_solvers.__file__).parent


def prepare(*args, **kwargs):
    return SOLVER.prepare(request_of(*args, **kwargs))


NO_BANDWIDTH = attrs.evolve(H100, memory=attrs.evolve(H100.memory, bandwidth=None))
NO_FLASH_RATE = attrs.evolve(MCU, storage=attrs.evolve(MCU.storage, bandwidth=None))
TOO_GOOD = attrs.evolve(STACK, ceilings=Ceilings(compute=1.3, memory=0.9, overhead=0.0, reserve=0.0))
REFUSED = [
    ((LLAMA_8B, A100, serving(precision="fp8")), "workload.precision", "It has bf16, fp16"),
    ((LLAMA_8B, H100, serving(precision="fp13")), "workload.precision", ""),
    ((LLAMA_8B, H100, serving(weights="int7")), "workload.weights", ""),
    ((LLAMA_8B, H100, serving(kv_cache="int7")), "workload.kv_cache", ""),
    ((LLAMA_8B, H100, Training(model="m", batch=1, sequence=8, master="x")), "workload.master", ""),
    ((LLAMA_8B, H100, serving(input=131072, output=1)), "workload.input", "131,072"),
    ((BERT, H100, Inference(model="m", precision="bf16", sequence=513)), "workload.sequence", "512"),
    ((BERT, H100, Inference(model="m", precision="bf16")), "workload.sequence", "512"),
    ((LLAMA_8B, H100, Training(model="m", batch=1)), "workload.sequence", ""),
    ((LLAMA_8B, H100, Training(model="m", batch=1, sequence=8, tokens=1e6, samples=1e6)), "workload.samples", "one"),
    ((RESNET_50, H100, serving()), "workload.model", "inference"),
    ((VIT, H100, serving()), "workload.model", "inference"),
    ((BERT, H100, serving()), "workload.model", "inference"),
    ((RESNET_50, H100, Training(model="m", batch=1, sequence=8)), "workload.sequence", "Leave"),
    ((RESNET_50, H100, Training(model="m", batch=1, tokens=1e6)), "workload.tokens", "samples"),
    ((VIT, H100, Training(model="m", batch=1, tokens=1e6)), "workload.tokens", "samples"),
    ((RESNET_50, H100, Training(model="m", batch=1, recompute="full")), "workload.recompute", "none"),
    ((Model(name="empty", lab="Test"), H100, serving()), "workload.model", ""),
    ((TINY, MCU, Training(model="m", batch=1), MICRO), "system.stack", "inference"),
    ((LLAMA_8B, NO_BANDWIDTH, serving()), "system.device", "memory.bandwidth"),
    ((TINY, NO_FLASH_RATE, Inference(model="m"), MICRO), "system.device", "storage.bandwidth"),
]


@pytest.mark.parametrize(("arguments", "where", "remedy"), REFUSED)
def test_refused_with_place_and_remedy(arguments, where, remedy):
    with pytest.raises(MlsysimError) as caught:
        prepare(*arguments)
    assert caught.value.where == where
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("change", [{"devices": 8}, {"parallelism": Parallelism(tensor=2)}])
def test_several_devices_are_another_solver(change):
    with pytest.raises(SolverError, match="one device") as caught:
        prepare(LLAMA_8B, H100, serving(), **change)
    assert caught.value.where in ("system.devices", "parallelism")


def test_a_stack_lifts_no_device_above_its_peak():
    columns = prepare(LLAMA_8B, H100, serving(), TOO_GOOD)
    assert columns["compute_ceiling"] * columns["achieved"] == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["compute_ceiling", "memory_ceiling"])
def test_override_above_the_roof_is_refused(name):
    with pytest.raises(SolverError):
        prepare(LLAMA_8B, H100, serving(), settings={name: 1.5})


def test_every_setting_changes_an_answer():
    plain = attrs.evolve(STACK, features=attrs.evolve(STACK.features, shared_kv=False, fused_attention=False))
    other = {"compute_ceiling": 0.5, "memory_ceiling": 0.5, "kernel_overhead": 1e-4, "attention_ceiling": 0.1,
             "kv_reread_ratio": 1.1, "prefill_tokens": 100.0, "dropout": 1.0, "beyond_context": 1.0,
             "power_limit": 100.0, "channels_first": 1.0, "chunked_loss": 1.0, "eager": 1.0,
             "fused_updates": 1.0, "wide_attention": 1.0}  # fmt: skip
    assert set(other) == set(SETTINGS)
    del other["power_limit"]  # for chips whose power is known: test_shares
    del other["channels_first"]  # for convolutions: test_training
    del other["chunked_loss"]  # for training: test_training
    del other["fused_updates"]  # for training: test_saving_memory
    del other["eager"]  # for stacks that say how long a launch takes: test_eager_servers
    del other["wide_attention"]  # for weights of few bits: test_wide_attention
    del other["beyond_context"]  # it changes what is refused, not an answer
    for name, value in other.items():
        work = Training(model="m", batch=1, sequence=64) if name == "dropout" else serving(batch=64, input=512)
        stack = STACK if name == "attention_ceiling" else plain
        before = SOLVER.compute(
            prepare(LLAMA_8B, H100, work, stack, settings={k: s.default for k, s in SETTINGS.items()})
        )
        after = SOLVER.compute(prepare(LLAMA_8B, H100, work, stack, settings={name: value}))
        assert before != after, name


def test_declared_defaults_are_those_of_the_physics():
    assert SETTINGS["attention_ceiling"].default == constants.ATTENTION_CEILING
    assert SETTINGS["kv_reread_ratio"].default == 0.0  # the device's own ratio
    assert SETTINGS["prefill_tokens"].default == constants.PREFILL_TOKENS


def test_assumptions_are_said():
    bare = attrs.evolve(A100, compute=attrs.evolve(A100.compute, processors=None))
    said = "\n".join(prepare(LLAMA_8B, bare, serving())["assumptions"])
    assert "not calibrated" in said
    assert "processors" in said
    assert "usable memory" in said


def test_calibration_replaces_ceilings_and_spread():
    fitted = Calibration(device="dev", precision="bf16", rows=("a", "b", "c"), command="c", version="1", date="2026-01-01",
                         sigma=0.05, compute=0.7, memory=0.8, overhead=1e-6,
                         covariance=((0.01, 0.001, 0.0), (0.001, 0.004, 0.0), (0.0, 0.0, 0.1)))  # fmt: skip
    columns = prepare(LLAMA_8B, H100, serving(), attrs.evolve(STACK, calibrations=(fitted,)))
    assert (columns["compute_ceiling"], columns["memory_ceiling"], columns["overhead"]) == (0.7, 0.8, 1e-6)
    assert columns["reserve"] == STACK.ceilings.reserve
    variances = [columns[name] for name in ("var_compute", "cov_cm", "scatter")]
    assert variances == pytest.approx([one * constants.UNKNOWN_SCATTER**2 for one in (0.01, 0.001, 0.0025)])
    assert not any("calibrated" in note for note in columns["assumptions"])
    other = prepare(LLAMA_8B, H100, serving(precision="fp8"), attrs.evolve(STACK, calibrations=(fitted,)))
    assert other["compute_ceiling"] == STACK.ceilings.compute


def test_ranges_of_claims_become_spreads():
    guess = Claim("ceilings.memory", "0.88", 0.88, "1", "estimate", reason="usual", low=0.7, high=0.97)
    claim, narrow = (
        judge([found], {}, tolerance=0.02, today=today()) for found in (guess, attrs.evolve(guess, low=0.86, high=0.9))
    )
    wide = prepare(LLAMA_8B, H100, serving(), claims={("stack", "ceilings.memory"): claim})
    tight = prepare(LLAMA_8B, H100, serving(), claims={("stack", "ceilings.memory"): narrow})
    assert wide["var_memory"] > tight["var_memory"] > 0
    device = prepare(LLAMA_8B, H100, serving(), claims={("device", "memory.bandwidth"): claim})
    assert device["var_memory"] > prepare(LLAMA_8B, H100, serving())["var_memory"]


def test_image_models_have_no_tokens():
    columns = prepare(VIT, H100, Training(model="m", batch=4, samples=8.0))
    assert "performance.token_throughput" not in SOLVER.compute(columns)
    with pytest.raises(ConfigError):
        prepare(VIT, H100, Training(model="m", batch=4, sequence=197))


def test_listing_and_importing_need_no_numpy():
    code = (
        "import sys, mlsysim_solvers, mlsysim_solvers.plugin;"
        "assert 'mlsysim_solvers.single_node' not in sys.modules;"
        "mlsysim_solvers.SingleNodeSolver();"
        "assert not {'numpy', 'pint', 'requests'} & set(sys.modules), set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_export():
    with pytest.raises(AttributeError, match="Nothing"):
        _ = mlsysim_solvers.Nothing
    assert "SingleNodeSolver" in dir(mlsysim_solvers)


def _literals(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node.value


PHYSICS = sorted(
    p for room in ("formulas", "lowering") for p in (SOURCES / room).glob("*.py") if not p.name.endswith("constants.py")
)


@pytest.mark.parametrize("path", PHYSICS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_no_constant_but_small_numbers_of_an_equation(path):
    allowed = {0.5, 0.0, *range(13)}
    assert {value for value in _literals(path) if value not in allowed} == set()


@pytest.mark.parametrize(("precision", "asked", "width", "said"), [
    ("bf16", "", 2.0, ""), ("fp8", "", 1.0, "key-value cache in fp8 (set workload.kv_cache)"),
    ("int4", "", 1.0, "key-value cache in int8 (set workload.kv_cache)"), ("int4", "int4", 0.5, ""),
    ("fp8", "bf16", 2.0, ""),
])  # fmt: skip
def test_the_cache_follows_the_arithmetic_down_to_eight_bits_and_says_so(precision, asked, width, said):
    device = attrs.evolve(H100, compute=attrs.evolve(H100.compute, peak={
        **H100.compute.peak, "int4": H100.compute.peak["bf16"], "fp8": H100.compute.peak["bf16"],
    }))  # fmt: skip
    columns = prepare(LLAMA_8B, device, serving(precision=precision, kv_cache=asked))
    assert columns["kv_width"] == width
    notes = [note for note in columns["assumptions"] if "cache" in note]
    assert notes == ([said] if said else [])


def test_attention_on_an_array_wider_than_its_heads_runs_at_half_rate():
    wide = attrs.evolve(H100, compute=attrs.evolve(H100.compute, array=256.0))
    exact = attrs.evolve(H100, compute=attrs.evolve(H100.compute, array=128.0))
    full, half = (prepare(LLAMA_8B, device, serving())["attention_ceiling"] for device in (exact, wide))
    assert full == prepare(LLAMA_8B, H100, serving())["attention_ceiling"]
    assert half == pytest.approx(0.5 * full)


def test_a_stack_may_keep_the_cache_in_16_bits_beside_narrower_arithmetic():
    wide = attrs.evolve(STACK, features=attrs.evolve(STACK.features, wide_cache=True))
    columns = prepare(LLAMA_8B, H100, serving(precision="fp8"), stack=wide)
    assert columns["kv_width"] == 2.0
    assert "key-value cache in bf16 (set workload.kv_cache)" in columns["assumptions"]
    assert prepare(LLAMA_8B, H100, serving(precision="fp8", kv_cache="fp8"), stack=wide)["kv_width"] == 1.0


@pytest.mark.parametrize(("solver", "case"), [("single-node", "llama-3.1-8b-h100"),
                                              ("distributed", "llama-3.1-405b-h100-16k")])  # fmt: skip
@pytest.mark.parametrize("value", ["0", "1.5"])
def test_a_ceiling_of_attention_is_a_share(solver, case, value):
    with pytest.raises(MlsysimError, match=r"attention_ceiling = \d"):
        mlsysim.evaluate(case, {f"settings.{solver}.attention_ceiling": value})
