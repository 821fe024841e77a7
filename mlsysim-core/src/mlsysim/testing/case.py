"""What a plugin author declares, so that the checks know what to ask a solver."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

import attrs

from ..config import SimulationConfig
from ..entry_points import entry_points
from ..errors import ConfigError
from ..evaluation import ask, build_request, lacking
from ..hookspecs import PROJECT
from ..plugins import plugins
from ..running import load_solver
from ..solving import Columns, Request, Solver, SolverSpec

__all__ = ["BadInput", "SolverCase", "request_for"]


@attrs.frozen
class BadInput:
    """An input that the solver, or the core before it, must refuse.

    Parameters
    ----------
    names : str
        What the message must contain: the field or argument at fault.
    overrides : mapping of str to str
        Set on the first scenario of the case, as in :func:`mlsysim.evaluate`.
    change : callable, optional
        Instead of overrides: turns the first request into a bad one for the solver itself.
    """

    names: str
    overrides: Mapping[str, str] = attrs.field(factory=dict)
    change: Callable[[Request], Request] | None = None


@attrs.define(slots=False)
class SolverCase:
    """A solver with everything that its checks need.

    Parameters
    ----------
    spec : SolverSpec
        The solver.
    scenarios : sequence of str, Path, mapping or Scenario
        Scenarios on which it answers; each becomes one request.
    requests : callable, optional
        Further requests, made by hand.
    module : str
        Module of the plugin's entry point; looked up among the installed ones by default.
    discrete : tuple of str
        Base dimensions that the solver rounds or looks up; rescaling leaves them alone.
    rescale_static : callable, optional
        ``(columns, scale) -> columns`` where ``scale(unit)`` is the factor for a unit: rescales
        numbers with dimensions inside the objects that never vary. By default the solver's own
        attribute of that name.
    never_falls, never_rises : mapping of str to tuple of str
        Column to outputs that never fall (rise) when the column rises.
    limits : mapping of str to callable
        Name to ``(columns, answers) -> bool``: bounds that hold everywhere, such as "never above
        the roof".
    bad_inputs : tuple of BadInput
        What must be refused.
    """

    spec: SolverSpec
    scenarios: Sequence[Any] = ()
    requests: Callable[[], Sequence[Request]] | None = None
    module: str = ""
    discrete: tuple[str, ...] = ()
    rescale_static: Callable[[Columns, Callable[[str], float]], Columns] | None = None
    never_falls: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    never_rises: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    limits: Mapping[str, Callable[[Columns, Columns], bool]] = attrs.field(factory=dict)
    bad_inputs: tuple[BadInput, ...] = ()

    @cached_property
    def solver(self) -> Solver:
        """An instance of the solver."""
        return load_solver(self.spec)

    def all_requests(self) -> list[Request]:
        """Return the requests on which the checks run.

        Returns
        -------
        list of Request

        Raises
        ------
        AssertionError
            If the case gives none.
        """
        found = [request_for(self.spec, scenario) for scenario in self.scenarios]
        found += list(self.requests()) if self.requests is not None else []
        assert found, f"{self.spec.name}: give scenarios or requests on which it answers"
        return found

    def plugin_module(self) -> str:
        """Return the module that the plugin's entry point names.

        Returns
        -------
        str
        """
        if self.module:
            return self.module
        owners = {info.name for info in plugins().infos if self.spec.name in info.solvers}
        for point in entry_points(PROJECT):
            if point.name in owners:
                return point.value.partition(":")[0]
        return self.spec.target.partition(":")[0].partition(".")[0]

    @classmethod
    def of(cls, target: str | SolverSpec | SolverCase, **declared: Any) -> SolverCase:
        """Make a case of a spec, of a case, or of the name of one.

        Parameters
        ----------
        target : str, SolverSpec or SolverCase
            ``"package:SPEC"``, ``"package:CASE"`` or the object itself.
        **declared
            Fields of the case.

        Returns
        -------
        SolverCase

        Raises
        ------
        TypeError
            If it is neither.
        """
        found: Any = target
        if isinstance(target, str):
            module, _, name = target.partition(":")
            found = getattr(import_module(module), name)
        if isinstance(found, SolverCase):
            return attrs.evolve(found, **declared)
        if not isinstance(found, SolverSpec):
            raise TypeError(f"{target!r} is a {type(found).__name__}, neither a SolverSpec nor a SolverCase")
        return cls(found, **declared)

    def varied(self, columns: Columns, rows: int) -> Iterator[Columns]:
        """Vary the declared columns at random, each within what its value allows.

        Parameters
        ----------
        columns : dict
            As ``prepare`` returned it.
        rows : int
            How many variations.

        Yields
        ------
        dict
        """
        source = random.Random(0)  # noqa: S311 - repeatable numbers are wanted
        for _ in range(rows):
            yield {**columns, **{name: _vary(columns[name], source) for name in self.numbers(columns)}}

    def numbers(self, columns: Columns) -> list[str]:
        """Return the declared columns that hold a number in this request.

        Parameters
        ----------
        columns : dict
            As ``prepare`` returned it.

        Returns
        -------
        list of str
        """
        return [n for n in self.spec.columns if n in columns and _is_number(columns[n])]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _vary(value: float, source: random.Random) -> float:
    if value == int(value) and value >= 1:
        return float(value * source.choice((1, 2, 3, 4)))
    return float(value * source.uniform(0.5, 1.0))


def request_for(spec: SolverSpec, scenario: Any) -> Request:
    """Put together the request that evaluating a scenario would send to a solver.

    Parameters
    ----------
    spec : SolverSpec
        The solver; it need not be installed, the solvers whose outputs it needs must be.
    scenario : str, Path, mapping, Scenario or SimulationConfig
        As for :func:`mlsysim.evaluate`.

    Returns
    -------
    Request

    Raises
    ------
    ConfigError
        If the scenario lacks a record or an output that the solver needs.
    """
    config = SimulationConfig.of(scenario)
    known: dict[str, Any] = {}
    for _, other, result in ask(config) if spec.needs else ():
        if other is not None and other.name != spec.name and not isinstance(result, str):
            known.update(result.known)
    if missing := lacking(config, spec, known):
        raise ConfigError(f"{spec.name} needs {', '.join(missing)}, which {config.scenario.name} does not give")
    return build_request(config, spec, known)
