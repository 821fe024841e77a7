"""First-order analytical physics of machine-learning systems, for mlsysim.

Solver classes are imported when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .distributed import DistributedSolver
    from .in_flight import InFlightSolver
    from .parallel_serving import ParallelServingSolver
    from .single_node import SingleNodeSolver

__all__ = ["DistributedSolver", "InFlightSolver", "ParallelServingSolver", "SingleNodeSolver"]

_WHERE = {
    "DistributedSolver": "distributed",
    "InFlightSolver": "in_flight",
    "ParallelServingSolver": "parallel_serving",
    "SingleNodeSolver": "single_node",
}


def __getattr__(name: str) -> object:
    """Import a solver class on first use."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
