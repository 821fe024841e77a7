"""The whole plugin contract. pluggy project and entry-point group: ``mlsysim``.

A plugin is a distribution with an entry point in the group ``mlsysim`` that names a module;
the module implements any of these hooks with :data:`hookimpl`. The built-in registry and
solvers use nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from .entities import Entry, RegistrySource
    from .executors import ExecutorSpec
    from .plugins import PluginInfo
    from .refreshing import Refresher
    from .renderers import Renderer
    from .solving import Request, Result, SolverSpec
    from .units import UnitDef

__all__ = ["PROJECT", "hookimpl", "hookspec"]

PROJECT = "mlsysim"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# --- what a plugin contributes: called once, when plugins are loaded -------------------------


@hookspec
def mlsysim_register_solvers() -> Iterable[SolverSpec]:  # type: ignore[empty-body]
    """Offer solvers.

    Called once when plugins are loaded. A spec is strings only: return it without importing
    the solver. Two plugins that offer one name: the later is listed as broken.

    Returns
    -------
    iterable of SolverSpec
    """


@hookspec
def mlsysim_register_sources() -> Iterable[RegistrySource]:  # type: ignore[empty-body]
    """Offer data packages.

    Called once when plugins are loaded. Files should be read on demand, not here.

    Returns
    -------
    iterable of RegistrySource
    """


@hookspec
def mlsysim_register_refreshers() -> Iterable[Refresher]:  # type: ignore[empty-body]
    """Offer live sources for ``mlsysim registry refresh``.

    Called only by ``mlsysim registry refresh``, never while solving. A refresher opens no
    connection itself: it says which addresses to read and parses what they answer.

    Returns
    -------
    iterable of Refresher
        Instances of subclasses, each with a name of its own.
    """


@hookspec
def mlsysim_register_units() -> Iterable[UnitDef]:  # type: ignore[empty-body]
    """Offer units for text in data and scenario files.

    Called once, before any file is read. A symbol that exists with another meaning is refused.

    Returns
    -------
    iterable of UnitDef
    """


@hookspec
def mlsysim_register_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Offer places where the chunks of a sweep run.

    Called once when plugins are loaded.

    Returns
    -------
    iterable of ExecutorSpec
    """


@hookspec
def mlsysim_register_renderers() -> Iterable[Renderer]:  # type: ignore[empty-body]
    """Offer output formats for an evaluation.

    Called once when plugins are loaded. The name of a renderer is the value of ``--format``.

    Returns
    -------
    iterable of Renderer
    """


@hookspec
def mlsysim_register_commands(commands: Any) -> None:
    """Add subcommands to the command line.

    Called once per run of the command line, after the built-in commands were added.

    Parameters
    ----------
    commands : argparse subparsers action
        Call ``commands.add_parser(name, help=...)`` and set ``run`` on it with
        ``set_defaults(run=function)``; the function takes the parsed arguments and returns an
        exit code.
    """


# --- taking part in an answer: called once per look-up or solve, never per configuration -----


@hookspec(firstresult=True)
def mlsysim_resolve(kind: str, key: str) -> Entry | None:
    """Find an entity that no data package lists, for example a model on a hub.

    Called when a name matches neither a key nor an alias. Only a key with an explicit scheme
    (``hf:org/name``) may open a network connection.

    Parameters
    ----------
    kind : str
        Plural kind, for example ``"models"``.
    key : str
        What the user wrote.

    Returns
    -------
    Entry or None
        None passes the question on.
    """


@hookspec(firstresult=True)
def mlsysim_solve(spec: SolverSpec, request: Request) -> Result | None:
    """Answer a request.

    Called for each question that a chosen solver answers. The core's own implementation runs last and calls the
    solver. Write a wrapper (``hookimpl(wrapper=True)``) to cache, trace or correct.

    Parameters
    ----------
    spec : SolverSpec
        The chosen solver.
    request : Request
        Scenario, records, settings and the outputs of earlier solvers.

    Returns
    -------
    Result or None
        None passes the request on.
    """


# --- life cycle --------------------------------------------------------------------------------


@hookspec(historic=True)
def mlsysim_plugin_registered(name: str, info: PluginInfo) -> None:
    """Learn of each plugin, also of those registered earlier.

    Called once for each plugin, when it is registered; late implementations hear of the earlier ones at once.

    Parameters
    ----------
    name : str
        Name of the entry point.
    info : PluginInfo
        Distribution, version, status and contributions.
    """
