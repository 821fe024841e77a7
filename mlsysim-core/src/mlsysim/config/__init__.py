"""A scenario that was checked against the registry before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from ..documents import SUFFIXES, Document, load_document
from ..entities import Entry
from ..errors import ConfigError, Fault, MlsysimError, UnknownNameError
from ..plugins import plugins
from ..records import Model, Node, Run, Scenario, Training
from ..records.precision import check_precision
from ..solving import SolverSpec
from ..structure import read_settings
from .assumptions import assume
from .constraints import Constraint, parse_constraints
from .layout import layout_faults
from .overrides import apply_overrides, flat, full_key, named_by
from .runs import length_faults, run_faults

__all__ = ["LINK_ROLES", "NAMED", "SimulationConfig"]

_ROLES = {"device": "devices", "stack": "stacks", "node": "nodes", "cluster": "clusters", "battery": "batteries"}
_NODE_LINKS = ("inner", "outer", "host")
LINK_ROLES = (*_NODE_LINKS, "far", "between")
"""Roles of links: between the devices of a node, out of it, to host memory, between the sites of a cluster, and
between pools."""
_PLACES = {"grid": "grids", "site": "sites", "price": "prices"}
NAMED = {"workload.model": "models", **{f"system.{role}": kind for role, kind in _ROLES.items()},
         **{f"place.{role}": kind for role, kind in _PLACES.items()}}  # fmt: skip
"""Keys of a scenario that name an entity, and its kind."""


@attrs.frozen
class SimulationConfig:
    """A validated scenario with the entities it names.

    Parameters
    ----------
    scenario : Scenario
        The scenario; keys and precisions in canonical form.
    entries : mapping of str to Entry
        By role: model, device, stack, node, cluster, fabric, far (link between its sites), inner, outer and host
        (links of the node), between (link of the pools), battery, grid, site, price.
    constraints : tuple of Constraint
        Parsed limits on outputs.
    assumptions : tuple of str
        What was assumed where the scenario is silent.
    document : Document
        What it was read from, with the keys that were set; without data for a record made in Python.
    """

    scenario: Scenario
    entries: Mapping[str, Entry] = attrs.field(repr=False)
    constraints: tuple[Constraint, ...] = ()
    assumptions: tuple[str, ...] = ()
    document: Document = attrs.field(default=Document("", {}), repr=False, eq=False)

    @classmethod
    def of(cls, scenario: Any, overrides: Mapping[str, str] | None = None) -> SimulationConfig:
        """Check a scenario, however it is given.

        Parameters
        ----------
        scenario : str, Path, mapping, Scenario or SimulationConfig
            A file, the name of a packaged scenario, data, a record, or what was checked already.
        overrides : mapping of str to str
            As in :meth:`load`.

        Returns
        -------
        SimulationConfig

        Raises
        ------
        MlsysimError
            With every fault found, or if values are set in what was checked already.
        """
        if isinstance(scenario, (SimulationConfig, Scenario)):
            if overrides:
                raise ConfigError("a checked scenario takes no values to set", where="overrides",
                                  remedy="Give a name, a file or a mapping, or set them in the scenario")  # fmt: skip
            return scenario if isinstance(scenario, SimulationConfig) else cls.from_scenario(scenario)
        if isinstance(scenario, Mapping):
            return cls.from_dict(scenario, overrides)
        if not isinstance(scenario, (str, Path)):
            raise ConfigError(f"{type(scenario).__name__} is not a scenario", where="scenario",
                              remedy="Give a name, a file, a mapping or a Scenario")  # fmt: skip
        return cls.load(scenario, overrides)

    @classmethod
    def load(cls, name: str | Path, overrides: Mapping[str, str] | None = None) -> SimulationConfig:
        """Load and check a scenario.

        Parameters
        ----------
        name : str or Path
            A ``.toml``, ``.json`` or ``.yaml`` file, or the name of a packaged scenario.
        overrides : mapping of str to str
            Values to set before checking, by dotted key; a short key such as ``batch`` is enough
            where only one table has it.

        Returns
        -------
        SimulationConfig

        Raises
        ------
        MlsysimError
            With every fault found.
        """
        if isinstance(name, Path) or name.lower().endswith(SUFFIXES):
            return cls.from_document(load_document(name), overrides)
        entry = plugins().registry.get("scenarios", name, where="scenario")
        return cls.from_document(load_document(entry.path), overrides)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], overrides: Mapping[str, str] | None = None) -> SimulationConfig:
        """Check a scenario given as dictionaries.

        Parameters
        ----------
        data : mapping
            As in a scenario file; quantities are text with units.
        overrides : mapping of str to str
            As in :meth:`load`.

        Returns
        -------
        SimulationConfig
        """
        return cls.from_document(Document("", dict(data)), overrides)

    @classmethod
    def from_document(cls, document: Document, overrides: Mapping[str, str] | None = None) -> SimulationConfig:
        """Check a parsed scenario file.

        Parameters
        ----------
        document : Document
            The file.
        overrides : mapping of str to str
            As in :meth:`load`.

        Returns
        -------
        SimulationConfig
        """
        data = apply_overrides(document.data, overrides or {})
        if isinstance(data.get("constraints"), dict):  # performance.latency is one name there, quoted or not
            data["constraints"] = flat(data["constraints"])
        document = Document(document.name, data, document.text)
        try:
            return cls.from_scenario(_read(document), document)
        except MlsysimError as error:
            keys = [full_key(key, data) for key in overrides or ()]
            raise type(error).from_faults(named_by(fault, keys) for fault in error.faults) from None

    def changed(self, overrides: Mapping[str, str]) -> SimulationConfig:
        """Check the same scenario with some keys set.

        Parameters
        ----------
        overrides : mapping of str to str
            As in :meth:`load`.

        Returns
        -------
        SimulationConfig

        Raises
        ------
        MlsysimError
            With every fault found, or if the scenario was made in Python.
        """
        if not self.document.data:
            raise ConfigError("a scenario that was made in Python takes no values to set", where="overrides",
                              remedy="Give a name, a file or a mapping, or set them in the scenario")  # fmt: skip
        return self.from_document(self.document, overrides)

    @classmethod
    def from_scenario(cls, scenario: Scenario, document: Document | None = None) -> SimulationConfig:
        """Check a scenario record.

        Parameters
        ----------
        scenario : Scenario
            The scenario.
        document : Document, optional
            The file it came from, for locations in messages.

        Returns
        -------
        SimulationConfig
        """
        return _Check(scenario, document or Document("", {})).run()


def _read(document: Document) -> Scenario:
    """Read the record of a scenario; where that fails, names that nothing has are faults of the same answer."""
    try:
        return read_settings(Scenario, document)
    except MlsysimError as error:
        given = flat(document.data)
        unknown: list[Fault] = []
        for path, kind in NAMED.items():
            try:
                if isinstance(given.get(path), str) and given[path]:
                    plugins().registry.get(kind, given[path], where=document.place(path))
            except MlsysimError as other:
                unknown += other.faults
        raise type(error).from_faults([*unknown, *error.faults]) from None


class _Check:
    """Collects the faults of one scenario against the registry."""

    def __init__(self, scenario: Scenario, document: Document) -> None:
        self.scenario = scenario
        self.document = document
        self.faults: list[Fault] = []
        self.entries: dict[str, Entry] = {}

    def run(self) -> SimulationConfig:
        scenario = self.scenario
        self.look_up("model", "models", scenario.workload.model, "workload.model")
        for role, kind in _ROLES.items():
            self.look_up(role, kind, getattr(scenario.system, role), f"system.{role}")
        if scenario.pools is not None and scenario.pools.link:
            self.look_up("between", "links", scenario.pools.link, "pools.link")
        for role, kind in _PLACES.items():
            self.look_up(role, kind, getattr(scenario.place, role), f"place.{role}")
        self.stop()
        self.check(self.network)
        self.stop()
        self.entries, assumptions = assume(scenario, self.entries, plugins().registry)
        self.check(self.network, self.precisions, self.stack, self.devices, self.price)
        self.check(self.layout, self.run_inputs, self.solvers)
        constraints = self.constraints()
        self.stop()
        return SimulationConfig(scenario, self.entries, constraints, assumptions, self.document)

    def stop(self) -> None:
        if self.faults:
            raise ConfigError.from_faults(self.faults)

    def check(self, *checks: Any) -> None:
        for one in checks:
            try:
                one()
            except MlsysimError as error:
                self.keep(error.faults)

    def keep(self, faults: Iterable[Fault]) -> None:
        self.faults += map(self.located, faults)

    def located(self, fault: Fault) -> Fault:
        """Put file and line to a fault that names a key of the scenario."""
        if re.fullmatch(r"[a-z_]+(\.[\w-]+)*", fault.where):
            return fault.at(self.document.place(fault.where))
        return fault

    def fault(self, what: str, path: str, remedy: str) -> None:
        self.faults.append(Fault(what, where=self.document.place(path), remedy=remedy))

    def look_up(self, role: str, kind: str, name: str, path: str) -> None:
        if not name:
            if role in ("model", "device"):
                self.fault(f"no {role} is named", path, f"`mlsysim list {kind}` shows all of them")
            return
        try:
            self.entries[role] = plugins().registry.get(kind, name, where=path)
        except MlsysimError as error:
            # What is not found may be in a plugin that does not load; a card that is at fault is not.
            hint = plugins().broken_hint() if isinstance(error, UnknownNameError) else ""
            self.keep(Fault(f.what, where=f.where, remedy=(f.remedy + hint).strip()) for f in error.faults)

    def precisions(self) -> None:
        workload = self.scenario.workload
        device = self.entries["device"].record
        check_precision(workload.precision, where="workload.precision")
        device.peak_of(workload.precision)
        for name in ("weights", "kv_cache", "master"):
            text = getattr(workload, name, "")
            if text:
                check_precision(text, where=f"workload.{name}")

    def stack(self) -> None:
        stack = self.entries["stack"].record
        kind = self.scenario.kind
        if not stack.runs(kind):
            able = [e.key for e in plugins().registry.readable("stacks") if e.record.runs(kind)]
            self.fault(
                f"{stack.name} does not run {kind} scenarios", "system.stack", "Stacks that do: " + ", ".join(able)
            )

    def devices(self) -> None:
        system = self.scenario.system
        node, cluster = self.entries.get("node"), self.entries.get("cluster")
        if node is None:
            return
        place = "system.node" if system.node else "system.cluster"
        if not self._holds(node.record):
            held = f"cards for {node.record.host}" if node.record.general else node.record.device
            self.fault(f"{node.record.name} holds {held}, not {system.device}", place,
                       "Name a node of that device, or its device")  # fmt: skip
        if cluster is not None:
            if plugins().registry.get("nodes", cluster.record.node).key != node.key:
                self.fault(f"{cluster.record.name} consists of {cluster.record.node}, not {node.key}", "system.node",
                           "Name one of the two")  # fmt: skip
            most, what = node.record.devices * cluster.record.nodes, cluster.record.name
        elif "outer" in self.entries:
            return
        else:
            most, what = max(node.record.devices, node.record.domain or 0.0), node.record.name
        if system.devices > most:
            self.fault(f"{system.devices} devices do not fit {what}", "system.devices", f"It holds {most:g}")

    def _holds(self, node: Node) -> bool:
        device = self.entries["device"]
        if node.general:
            return node.takes(device.record)
        return plugins().registry.get("devices", node.device).key == device.key

    def price(self) -> None:
        """Refuse an offer of another device: what it costs says nothing of this one."""
        offer, device = self.entries.get("price"), self.entries["device"]
        if offer is None:
            return
        sold = plugins().registry.get("devices", offer.record.device, where="place.price")
        if sold.key != device.key:
            self.fault(
                f"{offer.record.name} is an offer of {sold.key}, not of {device.key}", "place.price",
                "Leave it out, and the cheapest known offer of the device is taken; or name one of it",
            )  # fmt: skip

    def network(self) -> None:
        """Follow a cluster to its nodes and fabric, and a node to its links."""
        registry = plugins().registry
        cluster = self.entries.get("cluster")
        if cluster is not None:
            self.entries.setdefault("node", registry.get("nodes", cluster.record.node, where="system.cluster"))
            if cluster.record.fabric:
                self.entries["fabric"] = registry.get("fabrics", cluster.record.fabric, where="system.cluster")
            if cluster.record.far:
                self.entries["far"] = registry.get("links", cluster.record.far, where="system.cluster")
        node = self.entries.get("node")
        if node is not None:
            for role in _NODE_LINKS:
                link = getattr(node.record, role)
                if link:
                    self.entries[role] = registry.get("links", link, where="system.node")

    def run_inputs(self) -> None:
        workload, cluster = self.scenario.workload, self.entries.get("cluster")
        if isinstance(workload, Training):
            self.keep(length_faults(workload))
        if isinstance(workload, Training) and workload.run != Run():
            answered = {name for spec in plugins().solvers.values() for name in spec.outputs}
            self.keep(run_faults(workload.run, None if cluster is None else cluster.record, answered))

    def layout(self) -> None:
        model: Model = self.entries["model"].record
        pads = self.entries["stack"].record.features.pads_heads
        self.keep(layout_faults(self.scenario, model.transformer, pads_heads=pads))

    def solvers(self) -> None:
        for question, name in self.scenario.solvers.items():
            spec = self.solver(name, f"solvers.{question}")
            if spec is not None and spec.question != question:
                self.fault(f"{name} answers {spec.question!r}, not {question!r}", f"solvers.{question}", "")
        for name, given in self.scenario.settings.items():
            spec = self.solver(name, f"settings.{name}")
            if spec is not None:
                self.check(partial(spec.read_settings, given))

    def solver(self, name: str, path: str) -> SolverSpec | None:
        try:
            return plugins().solver(name)
        except MlsysimError as error:
            self.keep(fault.at(path) for fault in error.faults)
            return None

    def constraints(self) -> tuple[Constraint, ...]:
        try:
            return parse_constraints(self.scenario.constraints, plugins().solvers.values())
        except MlsysimError as error:
            self.keep(error.faults)
            return ()
