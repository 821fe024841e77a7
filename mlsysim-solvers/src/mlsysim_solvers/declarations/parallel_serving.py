"""What the parallel-serving solver declares: outputs, columns and settings."""

from __future__ import annotations

from mlsysim.solving import SolverSpec

from .common import SHARES
from .distributed import COLUMNS as WIDE
from .single_node import COLUMNS as SINGLE
from .single_node import OUTPUTS as SINGLE_OUTPUTS
from .single_node import SETTINGS, SINGLE_NODE

__all__ = ["COLUMNS", "LABELS", "OUTPUTS", "PARALLEL_SERVING"]

OUTPUTS: dict[str, str] = {
    **{name: unit for name, unit in SINGLE_OUTPUTS["serving"].items() if name != "performance.bound_factor"},
    **{name: unit for name, unit in SINGLE_OUTPUTS["inference"].items() if name != "performance.bound_factor"},
    "performance.bound": "choice: compute, memory, overhead, communication",
    "performance.communication": "s",
}
"""Unit of each output."""

LABELS: dict[str, str] = {
    "feasibility.memory_required": "memory required per device",
    "feasibility.memory_usable": "memory usable per device",
    "feasibility.headroom": "headroom per device",
    "performance.communication": "of which communication",
}
"""Words for the outputs, where they differ from those of one device."""

_WAYS = ("short_", "long_", "direct_")

_NETWORK = (
    "domain", "pod", "inner_rate", "outer_rate", "crossing_rate", "reduced_rate", "torus_links", "torus_dimensions",
    "torus_members", "torus_wrap",
    "inner_occupancy", "outer_occupancy", "mixed_occupancy", "data", "tensor", "pipeline", "micro_batch",
)  # fmt: skip

COLUMNS: dict[str, str] = {
    **SINGLE,
    **{name: unit for name, unit in WIDE.items() if name in _NETWORK or name.startswith(_WAYS)},
    "batch_tokens": "token",
    "handover": "s",
}
"""Unit of every number that ``prepare`` may return."""

PARALLEL_SERVING = SolverSpec(
    name="parallel-serving",
    title="Does a model fit several devices, how fast does it answer there, and what binds?",
    question="performance",
    scenarios=("serving", "inference"),
    devices="many",
    target="mlsysim_solvers.parallel_serving:ParallelServingSolver",
    inputs=("model", "device", "stack", "node?", "cluster?", "fabric?", "inner?", "outer?"),
    outputs=OUTPUTS,
    at_most=SHARES,
    columns=COLUMNS,
    settings=SETTINGS,
    labels={name: text for name, text in SINGLE_NODE.labels.items() if name in OUTPUTS} | LABELS,
    references=(
        "Shoeybi et al. 2019, Megatron-LM, arXiv:1909.08053",
        "Huang et al. 2019, GPipe, arXiv:1811.06965",
        "NVIDIA NCCL, src/graph/tuning.cc",
    ),
)
