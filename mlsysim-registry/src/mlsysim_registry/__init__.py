"""Sourced numbers for mlsysim: one TOML file per entity, a document behind every number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {"Catalog": "catalog", "ProvenanceMap": "provenance_map"}
__all__ = ["Catalog", "ProvenanceMap", "__version__"]

if TYPE_CHECKING:
    from .catalog import Catalog
    from .provenance_map import ProvenanceMap


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _WHERE:
        return getattr(import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module 'mlsysim_registry' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
