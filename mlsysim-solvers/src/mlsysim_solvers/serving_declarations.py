"""What the parallel-serving solver declares: outputs, columns and settings. Imports nothing heavy."""

from __future__ import annotations

from .declarations import COLUMNS as SINGLE
from .declarations import OUTPUTS as SINGLE_OUTPUTS
from .declarations import SETTINGS
from .training_declarations import COLUMNS as WIDE

__all__ = ["COLUMNS", "LABELS", "OUTPUTS", "SETTINGS"]

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
