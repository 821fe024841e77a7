"""One device is asked as one, or as the smallest cluster: physics knows no difference."""

from __future__ import annotations

import attrs
import pytest
from solver_cases import BERT, MIXTRAL, VIT, gpt
from training_cases import LLAMA_70B, PLAIN, request

from mlsysim.solving import Request
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.distributed import DistributedSolver

STACKS = {
    name: attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, **given))
    for name, given in {
        "plain": {},
        "fused": {"fused_attention": True, "fused_loss": True},
        "wide": {"fused_attention": True, "wide_weights": True},
        "summed": {"adds_gradients": True, "sharded_optimizer": True, "wide_gradients": True},
        "compiled": {"fused_attention": True, "planned_memory": True, "selective": "products"},
        "once": {"fused_attention": True, "fused_loss": True, "one_copy": True},
    }.items()
}
MODELS = {"tied": gpt(12, 768, 12), "untied": LLAMA_70B, "mixture": MIXTRAL, "encoder": BERT, "images": VIT}


def solved(solver, model, **kwargs):
    made = request(model, **{"batch": 4, "sequence": 0 if model is VIT else 512, "precision": "bf16", **kwargs})
    return solver.compute(solver.prepare(Request(made.scenario, made.records, made.claims, made.settings, made.inputs)))


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
def test_memory_is_the_same_either_way(stack, model, recompute):
    case = {"stack": STACKS[stack], "recompute": recompute, "micro_batch": 2, "settings": {"dropout": 1.0}}
    one, many = (solved(solver(), MODELS[model], **case) for solver in (SingleNodeSolver, DistributedSolver))
    for name in ("memory_required", "memory_required.log_sd", "headroom", "fits"):
        assert one[f"feasibility.{name}"] == pytest.approx(many[f"feasibility.{name}"], rel=1e-12), name
    assert one["feasibility.max_batch"] == many["feasibility.max_micro_batch"]
    assert one["performance.checkpoint_size"] == pytest.approx(many["performance.checkpoint_size"], rel=1e-12)
