"""The distributed solver passes the conformance kit on packaged training scenarios."""

from __future__ import annotations

from mlsysim.config import SimulationConfig
from mlsysim.testing import BadInput, SolverCase, parametrize_checks
from mlsysim_solvers.declarations.distributed import TERMS
from mlsysim_solvers.plugin import DISTRIBUTED

UP = 1 + 1e-12
TIMES = ("performance.step_time",)


def _sums(columns, answers):
    step = answers["performance.step_time"]
    return abs(sum(answers[f"performance.breakdown_{name}"] for name in TERMS) - step) <= 1e-12 * step


CASE = SolverCase(
    DISTRIBUTED,
    scenarios=[
        "gpt-175b-a100-1024", "llama-3.1-405b-h100-16k", "llama-70b-h100-64", "mpt-7b-h100-fsdp",
        SimulationConfig.load("gpt-175b-a100-1024", {"recompute": "full", "schedule": "gpipe", "virtual": "1"}),
        SimulationConfig.load("llama-70b-h100-64", {
            "offload": "true", "offload_layers": "3", "offload_optimizer": "0.5", "recompute": "selective",
            "recompute_modules": "attention, norm, activation, mlp",
        }),
        SimulationConfig.load("mpt-7b-h100-fsdp", {
            "recompute": "full", "recompute_layers": "4", "recompute_method": "uniform",
            "stack": "maxtext-training-0.1",
        }),
        SimulationConfig.load("llama-3.1-8b-lora-4090", {"weights": "nf4", "adapter_modules": "all"}),
        SimulationConfig.load("llama-3.1-8b-lora-4090", {
            "adapter": "0", "stack": "torchtune-0.3", "optimizer": "adam8bit", "offload_optimizer": "1",
            "optimizer_in_backward": "true",
        }),
        SimulationConfig.load(
            "llama-70b-h100-64",
            {"cluster": "two-sites-512", "node": "", "devices": "512", "parallelism.data": "128", "parallelism.pipeline": "1",
             "parallelism.virtual": "1", "batch": "512", "workload.run.evaluation_steps": "100", "workload.run.evaluation_samples": "512"},
        ),
    ],
    discrete=("token", "sample"),
    never_falls=dict.fromkeys(("sequence", "overhead", "long_base", "far_step"), TIMES)
    | {"reserve": ("feasibility.memory_required",)},
    never_rises=dict.fromkeys(("peak", "bandwidth", "inner_rate", "outer_rate", "crossing_rate", "long_share"), TIMES)
    | {"reserve": ("feasibility.max_micro_batch",)},
    limits={
        "arithmetic is never above the peak": lambda c, a: a["performance.hardware_utilisation"] <= UP,
        "recomputation is work of the hardware only": lambda c, a: a["performance.utilisation"]
        <= a["performance.hardware_utilisation"] * UP,
        "the terms sum to the step": _sums,
        "a forward pass is part of a step": lambda c, a: 0.0 < a.get("performance.forward_time", 1e-9)
        <= a["performance.step_time"] * UP,
        "devices compute at most all the time": lambda c, a: 0.0 < a["performance.active_share"] <= UP,
        "it fits only when the memory does": lambda c, a: a["feasibility.headroom"] >= 0.0 or not a["feasibility.fits"],
    },
    bad_inputs=(
        BadInput("parallelism.tensor", {"parallelism.tensor": "7"}),
        BadInput("parallelism", {"parallelism.data": "17"}),
        BadInput("parallelism.micro_batch", {"parallelism.micro_batch": "4096"}),
        BadInput("parallelism.schedule", {"parallelism.schedule": "gpipe"}),
        BadInput("placement", {"parallelism.placement": "tensor, data"}),
        BadInput("precision", {"precision": "fp8"}),
    ),
)  # fmt: skip


@parametrize_checks(CASE)
def test_distributed(check):
    check()
