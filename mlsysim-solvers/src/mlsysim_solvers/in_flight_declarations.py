"""What the solver of requests in flight declares: outputs, columns and settings. Imports nothing heavy."""

from __future__ import annotations

from .declarations import OUTPUTS as SINGLE
from .declarations import SETTINGS as SINGLE_SETTINGS
from .serving_declarations import COLUMNS as SERVING
from .serving_declarations import LABELS as SERVING_LABELS

__all__ = ["COLUMNS", "LABELS", "OUTPUTS", "SETTINGS"]

_LEFT_OUT = ("performance.bound_factor", "performance.flops", "performance.bytes")

OUTPUTS: dict[str, str] = {
    **{name: unit for name, unit in SINGLE["serving"].items() if name not in _LEFT_OUT},
    "performance.bound": "choice: compute, memory, overhead, communication",
    "performance.communication": "1",
    "performance.in_flight": "sample",
    "performance.waiting": "sample",
    "performance.pass_time": "s",
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
    "feasibility.keeps_up": "keeps up with the requests that arrive",
    "performance.capacity": "largest rate of requests",
    **{f"performance.ttft_{at}": f"time to first token, {at}" for at in ("p50", "p90", "p99")},
    **{f"performance.latency_{at}": f"latency, {at}" for at in ("p50", "p90", "p99")},
}
"""Words for the outputs, where they differ from those of a fixed batch."""

COLUMNS: dict[str, str] = {
    **{name: unit for name, unit in SERVING.items() if name not in ("batch", "micro_batch", "batch_tokens")},
    "concurrency": "sample", "rate": "sample/s", "requests": "sample", "max_batch": "sample", "max_tokens": "token",
    "input_variation": "1", "output_variation": "1", "cached": "1", "cache_share": "1",
    "hold": "1", "interval": "1", "intake": "s", "intake_token": "s/token", "delivery": "s",
}  # fmt: skip
"""Unit of every number that ``prepare`` may return."""

SETTINGS: dict[str, tuple[str, str, float]] = {
    name: given for name, given in SINGLE_SETTINGS.items() if name not in ("prefill_tokens", "dropout")
}
"""Unit, help and default of each setting."""
