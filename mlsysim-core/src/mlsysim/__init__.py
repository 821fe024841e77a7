"""mlsysim: what a machine-learning system will do, before it exists.

Everything below is imported on first use, so that ``import mlsysim`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "Quantity": "units.quantity", "Scenario": "records", "SimulationConfig": "config", "SolverSpec": "solving",
    "Setting": "solving", "Request": "solving", "Result": "solving", "SystemEvaluation": "evaluation",
    "evaluate": "evaluation", "explain": "explaining", "hookimpl": "hookspecs",
    "plot_scorecard": "plotting", "plot_sweep": "plotting", "registry": "front", "solver": "front", "sweep": "sweeping",
    "MlsysimError": "errors", "ConfigError": "errors", "OOMError": "errors", "PluginError": "errors",
    "RegistryError": "errors", "SLAViolation": "errors", "SolverError": "errors", "UnitError": "errors",
    "UnknownNameError": "errors", "InfeasibleError": "errors",
}  # fmt: skip
__all__ = [*_WHERE, "__version__"]  # noqa: PLE0604 - the table above lists them once

if TYPE_CHECKING:
    # isort: off
    from .config import SimulationConfig as SimulationConfig
    from .errors import (
        ConfigError as ConfigError,
        InfeasibleError as InfeasibleError,
        MlsysimError as MlsysimError,
        OOMError as OOMError,
        PluginError as PluginError,
        RegistryError as RegistryError,
        SLAViolation as SLAViolation,
        SolverError as SolverError,
        UnitError as UnitError,
        UnknownNameError as UnknownNameError,
    )  # fmt: skip
    from .evaluation import SystemEvaluation as SystemEvaluation, evaluate as evaluate
    from .explaining import explain as explain
    from .front import registry as registry, solver as solver
    from .hookspecs import hookimpl as hookimpl
    from .plotting import plot_scorecard as plot_scorecard, plot_sweep as plot_sweep
    from .units.quantity import Quantity as Quantity
    from .records import Scenario as Scenario
    from .solving import Request as Request, Result as Result, Setting as Setting, SolverSpec as SolverSpec
    from .sweeping import sweep as sweep


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _WHERE:
        return getattr(import_module(f".{_WHERE[name]}", __name__), name)
    if name[:1].isupper():  # a class of another distribution: SingleNodeSolver, ProvenanceMap ...
        return import_module(".front", __name__).elsewhere(name)
    raise AttributeError(f"module 'mlsysim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
