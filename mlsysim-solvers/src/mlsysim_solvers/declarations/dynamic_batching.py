"""What the solver of dynamic batching declares."""

from __future__ import annotations

from mlsysim.solving import Setting, SolverSpec

from .single_node import COLUMNS

__all__ = ["DYNAMIC_BATCHING"]

DYNAMIC_BATCHING = SolverSpec(
    name="dynamic-batching",
    title="What latency do requests of one pass each see when they arrive at random and are batched?",
    question="dynamic-batching",
    scenarios=("inference",),
    target="mlsysim_solvers.dynamic_batching:DynamicBatchingSolver",
    inputs=("model", "device", "stack", "macro.hourly_cost?"),
    outputs={
        "feasibility.within_limit": "bool",
        "performance.request_latency": "s",
        "performance.request_latency_p50": "s",
        "performance.request_latency_p99": "s",
        "performance.mean_batch": "sample",
        "performance.occupation": "1",
        "performance.full_throughput": "sample/s",
        "performance.limited_throughput": "sample/s",
        "macro.cost_within_limit": "USD/Msample",
    },
    at_most={"performance.occupation": 1.0},
    labels={
        "feasibility.within_limit": "99 % of requests within the limit",
        "performance.request_latency": "mean latency of a request",
        "performance.request_latency_p50": "latency of a request, p50",
        "performance.request_latency_p99": "latency of a request, p99",
        "performance.mean_batch": "mean batch",
        "performance.occupation": "occupation of the server",
        "performance.full_throughput": "rate of full batches",
        "performance.limited_throughput": "largest rate within the limit",
        "macro.cost_within_limit": "cost per million answers at that rate",
    },
    settings={"limit": Setting("s", "latency that 99 % of requests must keep")},
    columns={**COLUMNS, "limit": "s", "devices": "1", "cost": "USD/s"},
    references=("Little 1961, Operations Research 9(3)",),
)
