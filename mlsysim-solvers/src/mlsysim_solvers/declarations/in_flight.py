"""What the solver of requests in flight declares: outputs, columns and settings."""

from __future__ import annotations

from mlsysim.solving import Setting, SolverSpec

from .parallel_serving import COLUMNS as SERVING
from .parallel_serving import LABELS as SERVING_LABELS
from .single_node import OUTPUTS as SINGLE
from .single_node import SETTINGS as SINGLE_SETTINGS
from .single_node import SINGLE_NODE

__all__ = ["ANSWERED_IF", "COLUMNS", "IN_FLIGHT", "LABELS", "OUTPUTS", "POOLED", "POOLS", "SETTINGS"]

_LEFT_OUT = ("performance.bound_factor", "performance.flops", "performance.bytes")

POOLS = ("prefill", "decode")
"""Pools of workers of a disaggregated server."""

POOLED: dict[str, str] = {
    "workers": "1", "data": "1", "attention": "1", "tensor": "1", "pipeline": "1", "expert": "1",
    "max_batch": "sample", "max_tokens": "token",
}  # fmt: skip
"""Columns that each pool has for itself, with the pool's name before them."""

OUTPUTS: dict[str, str] = {
    **{name: unit for name, unit in SINGLE["serving"].items() if name not in _LEFT_OUT},
    "performance.bound": "choice: compute, memory, overhead, communication",
    "performance.communication": "1",
    "performance.in_flight": "sample",
    "performance.waiting": "sample",
    "performance.pass_time": "s",
    "feasibility.prefill_memory": "B",
    "feasibility.decode_memory": "B",
    "performance.prefill_time": "s",
    "performance.transfer_time": "s",
    **{f"performance.{pool}_capacity": "sample/s" for pool in POOLS},
    **{f"performance.{pool}_busy": "1" for pool in POOLS},
    **{f"performance.{pool}_idle": "1" for pool in POOLS},
    "performance.matching_prefill": "1",
    "performance.slower_pool": "choice: prefill, decode",
    "feasibility.keeps_up": "bool",
    "performance.capacity": "sample/s",
    "performance.duty": "1",
    **{f"performance.{name}_{at}": "s" for name in ("ttft", "latency") for at in ("p50", "p90", "p99")},
}
"""Unit of each output."""

LABELS: dict[str, str] = {
    **SERVING_LABELS,
    "feasibility.max_batch": "most requests in flight that the cache holds",
    "performance.throughput": "requests answered",
    "performance.token_throughput": "tokens written",
    "performance.tpot": "time per output token",
    "performance.communication": "share of communication",
    "performance.in_flight": "requests in flight",
    "performance.waiting": "requests that wait to be admitted",
    "performance.pass_time": "mean time of a pass",
    "feasibility.prefill_memory": "memory required per prefill device",
    "feasibility.decode_memory": "memory required per decode device",
    "performance.prefill_time": "of which reading the prompt",
    "performance.transfer_time": "of which moving its cache",
    "performance.prefill_capacity": "most that the prefill pool reads",
    "performance.decode_capacity": "most that the decode pool answers",
    "performance.prefill_busy": "busy share of the prefill pool",
    "performance.decode_busy": "places taken in the decode pool",
    "performance.prefill_idle": "idle prefill workers",
    "performance.decode_idle": "idle decode workers",
    "performance.matching_prefill": "prefill workers that match the decode pool",
    "performance.slower_pool": "slower pool",
    "feasibility.keeps_up": "keeps up with the requests that arrive",
    "performance.capacity": "largest rate of requests",
    **{f"performance.ttft_{at}": f"time to first token, {at}" for at in ("p50", "p90", "p99")},
    **{f"performance.latency_{at}": f"latency, {at}" for at in ("p50", "p90", "p99")},
}
"""Words for the outputs, where they differ from those of a fixed batch."""

_AT_A_RATE = "at a rate of random arrivals (set workload.rate)"
_IN_POOLS = "for pools of workers (set [pools])"

ANSWERED_IF: dict[str, str] = {
    **dict.fromkeys(("feasibility.keeps_up", "performance.capacity", "performance.duty"), _AT_A_RATE),
    **{f"performance.{name}_{at}": _AT_A_RATE for name in ("ttft", "latency") for at in ("p50", "p90", "p99")},
    **{name: _IN_POOLS for name in OUTPUTS if any(word in name for word in (*POOLS, "_pool", "transfer"))},
}
"""When those are answered that not every scenario gets."""

COLUMNS: dict[str, str] = {
    **{name: unit for name, unit in SERVING.items() if name not in ("batch", "micro_batch", "batch_tokens")},
    "concurrency": "sample", "rate": "sample/s", "requests": "sample", "max_batch": "sample", "max_tokens": "token",
    "input_variation": "1", "output_variation": "1", "cached": "1", "cache_share": "1", "beside": "B",
    "launch": "s",
    "replayed": "token",
    **{f"{pool}_{name}": unit for pool in POOLS for name, unit in POOLED.items()},
    "between_rate": "B/s", "between_latency": "s",
    "attention": "1", "expert": "1", "rank_imbalance": "1", "rank_wait": "1",
    "hold": "1", "interval": "1", "intake": "s", "intake_token": "s/token", "answer_token": "s/token",
    "delivery": "s", "step_request": "s", "compile_time": "s",
    "sampling": "B", "place": "B", "place_token": "B/token",
}  # fmt: skip
"""Unit of every number that ``prepare`` may return."""

_NOT_SERVED = ("prefill_tokens", "dropout", "channels_first", "chunked_loss", "fused_updates")

SETTINGS: dict[str, Setting] = {
    **{name: given for name, given in SINGLE_SETTINGS.items() if name not in _NOT_SERVED},
    "rank_imbalance": Setting("1", "prompt tokens of the busiest copy of attention over the mean", 1.14),
    "rank_wait": Setting(
        "1",
        "passes that a prompt waits at most until every copy of attention has one to read; 0 reads at once",
        0.0,
    ),
    "memory_share": Setting(
        "1", "share of a device's memory that a server was told to take for weights and cache; 0 takes the stack's", 0.0
    ),
    "overlap": Setting(
        "1", "1: a pass is put together while the one before runs, whatever the stack does; 0 takes what it does", 0.0
    ),
    "together": Setting(
        "token", "tokens of an answer that a server sends in one message; 0 and 1 send each at once", 0.0
    ),
    "sampled": Setting(
        "1", "1 where tokens are drawn by top-p or top-k, for which a server sorts the whole vocabulary", 0.0
    ),
    "compile_time": Setting(
        "s",
        "for how long kernels that read prompts in parts are compiled when the first is cut; 0: they were before",
        0.0,
    ),
    "replayed": Setting(
        "token", "tokens up to which a pass that reads prompts replays a graph; 0 takes what the stack does", 0.0
    ),
}
"""What a scenario may set."""

IN_FLIGHT = SolverSpec(
    name="in-flight",
    title="How many requests are answered, and how fast, when they come and go and are batched in flight?",
    question="performance",
    scenarios=("traffic",),
    target="mlsysim_solvers.in_flight:InFlightSolver",
    inputs=("model", "device", "stack", "node?", "cluster?", "fabric?", "inner?", "outer?", "between?"),
    outputs=OUTPUTS,
    answered_if=ANSWERED_IF,
    columns=COLUMNS,
    settings=SETTINGS,
    labels={name: text for name, text in SINGLE_NODE.labels.items() if name in OUTPUTS} | LABELS,
    references=(
        "Yu et al. 2022, Orca, OSDI",
        "Kwon et al. 2023, PagedAttention, arXiv:2309.06180",
        "Agrawal et al. 2024, Sarathi-Serve, arXiv:2403.02310",
        "Little 1961, Operations Research 9(3)",
    ),
)
