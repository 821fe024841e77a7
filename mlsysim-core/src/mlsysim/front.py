"""What the front door offers besides plain names: the registry, solvers, and names that live elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .plugins import plugins

if TYPE_CHECKING:
    from .entities import Registry

__all__ = ["elsewhere", "registry", "solver"]


def registry() -> Registry:
    """Return all installed data as one registry.

    Returns
    -------
    Registry
    """
    return plugins().registry


def solver(name: str) -> Any:
    """Return an instance of a solver.

    Parameters
    ----------
    name : str
        Name of an installed solver, for example ``"single-node"``.

    Returns
    -------
    Solver

    Raises
    ------
    UnknownNameError
        If no working plugin offers it.
    """
    from .running import load_solver

    return load_solver(plugins().solver(name))


def elsewhere(name: str) -> Any:
    """Find a public class of another distribution through the hooks.

    Parameters
    ----------
    name : str
        Class name: that of a solver, or of something a data package exports.

    Returns
    -------
    type

    Raises
    ------
    AttributeError
        If no installed plugin offers it.
    """
    from importlib import import_module

    loaded = plugins()
    for spec in loaded.solvers.values():
        module, _, target = spec.target.partition(":")
        if target == name:
            return getattr(import_module(module), name)
    for source in loaded.sources:
        found = getattr(import_module(type(source).__module__.partition(".")[0]), name, None)
        if found is not None:
            return found
    raise AttributeError(f"module 'mlsysim' has no attribute {name!r}; no installed plugin offers it")
