"""Clusters and layouts for the tests, without the registry."""

from __future__ import annotations

from types import SimpleNamespace

import attrs
from solver_cases import A100, H100, LLAMA_70B, MIXTRAL, TILES, gpt

from mlsysim.records.infrastructure import Link, Node
from mlsysim.records.scenario import Parallelism, Scenario, System, Training
from mlsysim.records.stack import Ceilings, Features, Stack
from mlsysim_solvers.distributed import DistributedSolver

__all__ = ["A100", "GPT_175B", "H100", "LLAMA_70B", "MIXTRAL", "answers", "columns", "gpt"]

NVLINK = Link(name="NVLink", bandwidth=25e9, achieved=20e9)
NETWORK = Link(name="InfiniBand", bandwidth=25e9)
NODE = Node(
    name="node", device="a100", devices=8.0, inner="nvlink", inner_links=12.0, domain=8.0, outer="ib", outer_links=8.0
)
PLAIN = Stack(
    name="plain", version="1", serves=("training",), tiles=TILES,
    features=Features(fused_elementwise=True),
    ceilings=Ceilings(compute=0.9, memory=0.88, overhead=3e-6, reserve=1e9),
)  # fmt: skip
OVERLAPPED = attrs.evolve(
    PLAIN,
    features=Features(
        fused_attention=True, fused_elementwise=True, overlap_tensor=True, overlap_data=True, overlap_pipeline=True,
        overlap_context=True, ends_as_layers=True,
    ),
)  # fmt: skip
GPT_175B = gpt(96, 12288, 96)


def request(model=GPT_175B, *, device=A100, stack=PLAIN, node=NODE, inner=NVLINK, outer=NETWORK, batch=64,
            sequence=2048, spread=False, precision="fp16", recompute="none", devices=None, settings=None, adapter=0, job=None, **layout):  # fmt: skip
    parallelism = Parallelism(sequence=spread, **layout)
    p = parallelism
    count = devices or p.data * p.tensor * p.pipeline * p.context
    scenario = Scenario(
        name="case", kind="training",
        workload=Training(model="m", batch=batch, precision=precision, sequence=sequence, recompute=recompute,
                          adapter=adapter, **(job or {})),
        system=System(device="d", stack="s", devices=count), parallelism=parallelism,
    )  # fmt: skip
    records = {"model": model, "device": device, "stack": stack, "node": node, "inner": inner, "outer": outer}
    return SimpleNamespace(
        scenario=scenario, records={k: v for k, v in records.items() if v is not None}, claims={},
        settings=settings or {}, inputs={},
    )  # fmt: skip


def columns(*args, **kwargs):
    """Prepare a case; what ``attrs.evolve`` needs is a real request."""
    from mlsysim.solving import Request

    made = request(*args, **kwargs)
    return DistributedSolver().prepare(Request(made.scenario, made.records, made.claims, made.settings, made.inputs))


def answers(*args, **kwargs):
    return DistributedSolver().compute(columns(*args, **kwargs))
