"""Finding, loading and listing plugins, each on its own: a broken one breaks nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from . import hookspecs, running
from .entry_points import EntryPoint, entry_points
from .errors import PluginError, UnitError, UnknownNameError
from .hookspecs import PROJECT
from .names import did_you_mean

if TYPE_CHECKING:
    from .entities import Registry, RegistrySource
    from .solving import SolverSpec

__all__ = ["PluginInfo", "Plugins", "load_plugins", "plugins"]


@attrs.frozen
class PluginInfo:
    """One plugin, as listed.

    Parameters
    ----------
    name : str
        Name of the entry point.
    distribution, version : str
        Where it comes from.
    status : str
        ``ok`` or ``broken``.
    reason : str
        Why it is broken.
    hooks : tuple of str
        Hooks that it implements.
    solvers : tuple of str
        Names of the solvers that it offers.
    packages : tuple of str
        Names of the data packages that it offers.
    """

    name: str
    distribution: str
    version: str
    status: str = "ok"
    reason: str = ""
    hooks: tuple[str, ...] = ()
    solvers: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@attrs.define
class Plugins:
    """Everything that was found.

    Parameters
    ----------
    manager : pluggy.PluginManager
        Holds the working plugins.
    infos : list of PluginInfo
        Working and broken ones, in loading order.
    solvers : dict of str to SolverSpec
        By name.
    sources : list of RegistrySource
        Data packages.
    renderers, executors : dict of str to object
        By name.
    """

    manager: pluggy.PluginManager
    infos: list[PluginInfo] = attrs.field(factory=list)
    solvers: dict[str, SolverSpec] = attrs.field(factory=dict)
    sources: list[RegistrySource] = attrs.field(factory=list)
    renderers: dict[str, Any] = attrs.field(factory=dict)
    executors: dict[str, Any] = attrs.field(factory=dict)
    _registry: Registry | None = None

    @property
    def registry(self) -> Registry:
        """All data packages as one."""
        if self._registry is None:
            from .entities import Registry

            self._registry = Registry(self.sources, self.manager.hook.mlsysim_resolve)
        return self._registry

    @property
    def broken(self) -> list[PluginInfo]:
        """Plugins that could not be used."""
        return [info for info in self.infos if info.status == "broken"]

    def solver(self, name: str) -> SolverSpec:
        """Return a spec by name.

        Parameters
        ----------
        name : str
            Name of a solver.

        Returns
        -------
        SolverSpec

        Raises
        ------
        UnknownNameError
            If no working plugin offers it; broken plugins are named in the remedy.
        """
        if name in self.solvers:
            return self.solvers[name]
        remedy = did_you_mean(name, self.solvers)
        raise UnknownNameError(f"there is no solver {name!r}", remedy=(remedy + self.broken_hint()).strip())

    def broken_hint(self) -> str:
        """Name the broken plugins, for the end of a "not found" message.

        Returns
        -------
        str
            Empty when all plugins work.
        """
        if not self.broken:
            return ""
        return " (broken plugins: " + "; ".join(f"{info.name}: {info.reason}" for info in self.broken) + ")"


@lru_cache(maxsize=1)
def plugins() -> Plugins:
    """Return the loaded plugins, loading them on first use.

    Returns
    -------
    Plugins
    """
    return load_plugins()


def load_plugins(offered: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load plugins, built-in ones first.

    Parameters
    ----------
    offered : iterable of EntryPoint, optional
        What to load; the installed ones of the group ``mlsysim`` by default.

    Returns
    -------
    Plugins

    Raises
    ------
    PluginError
        On the first broken plugin, when ``MLSYSIM_STRICT_PLUGINS=1``.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(running, name="core")
    loaded = Plugins(manager)
    found = entry_points(PROJECT) if offered is None else offered
    for entry_point in sorted(found, key=_loading_order):
        info = _load_one(loaded, entry_point)
        loaded.infos.append(info)
        if info.status == "ok":
            manager.hook.mlsysim_plugin_registered.call_historic(kwargs={"name": info.name, "info": info})
        elif os.environ.get("MLSYSIM_STRICT_PLUGINS") == "1":
            raise PluginError(f"the plugin {info.name} is broken: {info.reason}", remedy="Repair or uninstall it")
    return loaded


def _loading_order(entry_point: EntryPoint) -> tuple[bool, str]:
    return not entry_point.value.startswith(("mlsysim_registry.", "mlsysim_solvers.")), entry_point.name


def _load_one(loaded: Plugins, entry_point: EntryPoint) -> PluginInfo:
    """Load one plugin; on any fault take back what it contributed and say why."""
    info = PluginInfo(entry_point.name, entry_point.distribution or entry_point.value, entry_point.version)
    manager = loaded.manager
    plugin = None
    try:
        if manager.has_plugin(entry_point.name):
            raise PluginError(  # noqa: TRY301 - reported like every other fault of a plugin
                f"another plugin is called {entry_point.name!r} already"
            )
        plugin = entry_point.load()
        _check_hook_names(plugin)
        manager.register(plugin, name=entry_point.name)
        return _collect(loaded, plugin, info)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises is its own fault
        if plugin is not None and manager.is_registered(plugin):
            manager.unregister(plugin)
        text = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        return attrs.evolve(info, status="broken", reason=text)


def _check_hook_names(plugin: object) -> None:
    """Refuse a hook that does not exist: pluggy itself would ignore the typo."""
    known = [name for name in vars(hookspecs) if name.startswith("mlsysim_")]
    for name in dir(plugin):
        if name.startswith("mlsysim_") and name not in known and callable(getattr(plugin, name)):
            raise PluginError(f"there is no hook {name!r}. {did_you_mean(name, known)}")


def _collect(loaded: Plugins, plugin: Any, info: PluginInfo) -> PluginInfo:
    """Ask one plugin for its contributions, check all, then keep all."""
    from .executors import ExecutorSpec
    from .renderers import Renderer
    from .solving import SolverSpec
    from .units import UnitDef, register_units

    def offered(hook: str, kind: type | None, name_of: Callable[[Any], str] = lambda item: str(item.name)) -> list[Any]:
        return _offered(loaded.manager, plugin, info.name, hook, kind, name_of)

    solvers = offered("mlsysim_register_solvers", SolverSpec)
    sources = offered("mlsysim_register_sources", None)
    renderers = offered("mlsysim_register_renderers", Renderer)
    executors = offered("mlsysim_register_executors", ExecutorSpec)
    units = offered("mlsysim_register_units", UnitDef, lambda unit: str(unit.symbol))
    _refuse_taken("solver", [s.name for s in solvers], {n: _owner(loaded, n) for n in loaded.solvers})
    built_in = dict.fromkeys(("text", "json", "markdown"), "mlsysim-core")
    _refuse_taken(
        "renderer", [r.name for r in renderers], {**dict.fromkeys(loaded.renderers, "another plugin"), **built_in}
    )
    _refuse_taken("executor", [e.name for e in executors], dict.fromkeys(loaded.executors, "another plugin"))
    _refuse_taken_keys(loaded, sources)
    register_units(units)
    _check_specs(solvers)
    loaded.solvers.update({spec.name: spec for spec in solvers})
    loaded.sources.extend(sources)
    loaded.renderers.update({r.name: r for r in renderers})
    loaded.executors.update({e.name: e for e in executors})
    hooks = tuple(caller.name for caller in loaded.manager.get_hookcallers(plugin) or ())
    return attrs.evolve(
        info, hooks=hooks, solvers=tuple(s.name for s in solvers), packages=tuple(s.name for s in sources)
    )


def _offered(
    manager: pluggy.PluginManager, plugin: Any, name: str, hook: str, kind: type | None, name_of: Callable[[Any], str]
) -> list[Any]:
    """Call one collecting hook of one plugin and check what it returns."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    answers = manager.subset_hook_caller(hook, others)()
    items: list[Any] = []
    for answer in answers:
        if isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
            raise PluginError(f"{hook}() of {name} returned {type(answer).__name__}, not a list")
        items.extend(answer)
    for item in items:
        if isinstance(item, type):
            raise PluginError(f"{hook}() of {name} returned the class {item.__name__}. Did you forget the ()?")
        if kind is not None and not isinstance(item, kind):
            raise PluginError(f"{hook}() of {name} returned a {type(item).__name__}, not a {kind.__name__}")
        if kind is None and not all(callable(getattr(item, m, None)) for m in ("keys", "entry", "aliases")):
            raise PluginError(
                f"{hook}() of {name} returned a {type(item).__name__} without keys(), entry() and aliases()"
            )
    names = [name_of(item) for item in items]
    repeated = {n for n in names if names.count(n) > 1}
    if repeated:
        raise PluginError(f"{hook}() of {name} returned {sorted(repeated)} twice")
    return items


def _check_specs(solvers: list[SolverSpec]) -> None:
    """Refuse a unit that nobody knows, on which scorecards would fail, and a kind of scenario that nobody asks."""
    from .records.scenario import WORKLOADS
    from .solving import is_number
    from .units import parse_unit

    for spec in solvers:
        for kind in set(spec.scenarios) - set(WORKLOADS):
            raise PluginError(f"the solver {spec.name} answers {kind!r}, which is no kind of scenario",
                              remedy=did_you_mean(kind, WORKLOADS))  # fmt: skip
        for unit in {*spec.outputs.values(), *spec.columns.values(), *(s.unit for s in spec.settings.values())}:
            try:
                parse_unit(unit if is_number(unit) else "1")
            except UnitError as error:
                raise PluginError(f"the solver {spec.name}: {error}") from None


def _owner(loaded: Plugins, solver: str) -> str:
    return next((info.name for info in loaded.infos if solver in info.solvers), "another plugin")


def _refuse_taken(kind: str, names: list[str], taken: dict[str, str]) -> None:
    for name in names:
        if name in taken:
            raise PluginError(f"the {kind} {name!r} is offered by {taken[name]} already")


def _refuse_taken_keys(loaded: Plugins, sources: list[RegistrySource]) -> None:
    if not (loaded.sources and sources):
        return
    from .records import KINDS

    for source in sources:
        for kind in KINDS:
            mine = set(source.keys(kind))
            for other in loaded.sources if mine else ():
                both = mine & set(other.keys(kind))
                if both:
                    raise PluginError(f"{kind}/{min(both)} of {source.name} exists already in {other.name}")
