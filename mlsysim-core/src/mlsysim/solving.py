"""The contract of a solver, and how one is asked.

A solver is a class with two methods: ``prepare`` flattens the records of a request into
columns (name to SI number), ``compute`` turns columns into outputs. One case and a million
take the same ``compute``; the numbers in the columns are then floats or arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import attrs

from .errors import ConfigError, SolverError, UnitError
from .names import did_you_mean
from .units import parse_quantity

if TYPE_CHECKING:
    from .records import Scenario

__all__ = [
    "Columns",
    "Request",
    "Result",
    "Setting",
    "Solver",
    "SolverSpec",
    "choices_of",
    "column_units",
    "is_number",
    "is_role",
    "solve",
]

Columns = dict[str, Any]


def choices_of(unit: str) -> tuple[str, ...]:
    """Return the words among which an output or a column chooses.

    Parameters
    ----------
    unit : str
        For example ``choice: compute, memory``; its values are positions among them.

    Returns
    -------
    tuple of str
        Nothing for other units.
    """
    head, colon, words = unit.partition("choice:")
    return tuple(word.strip() for word in words.split(",")) if colon and not head else ()


def is_number(unit: str) -> bool:
    """Tell a unit of numbers from yes or no (``bool``) and from a choice of words.

    Parameters
    ----------
    unit : str
        Unit of an output or a column.

    Returns
    -------
    bool
    """
    return unit != "bool" and not unit.startswith("choice:")


@attrs.frozen
class Setting:
    """One input of a solver that a scenario may set under ``[settings.<solver>]``.

    Parameters
    ----------
    unit : str
        Unit of the value.
    help : str
        What it is.
    default : float or None
        Value in SI when the scenario gives none; None makes the setting required, and a solver
        with a required setting is asked only by scenarios that give its table.
    """

    unit: str
    help: str
    default: float | None = None


@attrs.frozen
class SolverSpec:
    """What a solver says about itself; listing solvers imports none of them.

    Parameters
    ----------
    name : str
        Unique name, for example ``single-node``.
    title : str
        The question in words.
    question : str
        The question's id; evaluation asks one solver for each question.
    scenarios : tuple of str
        Scenario kinds for which it answers.
    target : str
        ``package.module:Class``.
    inputs : tuple of str
        Records it needs (``model``, ``device``, ``price`` ...; a trailing ``?`` makes one
        optional) and outputs of other solvers (names with a dot).
    outputs : dict of str to str
        Output name to unit; ``bool`` and ``choice: a, b`` are units too.
    labels : dict of str to str
        Output name to the words that a scorecard prints.
    settings : dict of str to Setting
        Inputs that a scenario may set.
    at_most : dict of str to float
        Output name to what it can never exceed, in SI, for example 1 for a share: its interval ends there.
    answered_if : dict of str to str
        Output name to the words that say when it is answered, for those that not every scenario gets: ``at a rate of
        random arrivals (set workload.rate)``.
    columns : dict of str to str
        Unit of each number that ``prepare`` returns; the rescaling proof needs it.
    layer : str
        Layer it belongs to, A to E.
    references : tuple of str
        What it builds on.
    devices : str
        How many devices it answers for: ``one``, ``many`` or ``any``. Two solvers of one question that
        answer for different numbers are no conflict: the scenario's number decides.
    options : tuple of str
        Fields of a workload that others of its question do not answer: a scenario that sets one is for it, whatever
        its number of devices.
    """

    name: str
    title: str
    question: str
    scenarios: tuple[str, ...]
    target: str
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    labels: dict[str, str] = attrs.field(factory=dict)
    settings: dict[str, Setting] = attrs.field(factory=dict)
    columns: dict[str, str] = attrs.field(factory=dict)
    at_most: dict[str, float] = attrs.field(factory=dict, kw_only=True)
    answered_if: dict[str, str] = attrs.field(factory=dict, kw_only=True)
    layer: str = "E"
    references: tuple[str, ...] = ()
    devices: Literal["one", "many", "any"] = "any"
    options: tuple[str, ...] = ()

    def answers_for(self, devices: int) -> bool:
        """Tell whether it answers for so many devices.

        Parameters
        ----------
        devices : int, count
            Devices of a scenario.

        Returns
        -------
        bool
        """
        return self.devices == "any" or (self.devices == "many") == (devices > 1)

    @property
    def roles(self) -> tuple[tuple[str, bool], ...]:
        """Records it takes: name, and whether it is required."""
        return tuple((name.rstrip("?"), not name.endswith("?")) for name in self.inputs if is_role(name))

    @property
    def needs(self) -> tuple[str, ...]:
        """Outputs of other solvers that it takes; those with a trailing ``?`` are optional."""
        return tuple(name for name in self.inputs if not is_role(name))

    def read_settings(self, given: Mapping[str, object], where: str = "settings") -> dict[str, float]:
        """Read the scenario's settings for this solver and add defaults.

        Parameters
        ----------
        given : mapping of str to text or number
            As written.
        where : str
            Location for messages.

        Returns
        -------
        dict of str to float, SI

        Raises
        ------
        ConfigError
            On an unknown or missing setting.
        UnitError
            On a value of another dimension.
        """
        for name in given:
            if name not in self.settings:
                raise ConfigError(
                    f"the solver {self.name} has no setting {name!r}",
                    where=f"{where}.{self.name}",
                    remedy=did_you_mean(name, self.settings) or "It has none",
                )
        values: dict[str, float] = {}
        for name, declared in self.settings.items():
            place = f"{where}.{self.name}.{name}"
            if name in given:
                values[name] = _read_setting(given[name], declared.unit, place)
            elif declared.default is None:
                raise ConfigError(
                    f"the solver {self.name} needs {name} ({declared.help})",
                    where=place,
                    remedy=f"Give it in {declared.unit}",
                )
            else:
                values[name] = declared.default
        return values


def _read_setting(given: Any, unit: str, place: str) -> float:
    try:
        value = parse_quantity(given, unit)
    except UnitError as error:
        raise UnitError.from_faults(fault.at(place) for fault in error.faults) from None
    if value < 0:
        raise ConfigError(f"{given!r} is negative", where=place, remedy="Give 0 or more")
    return value


def is_role(name: str) -> bool:
    """Tell a record from an output of another solver.

    Parameters
    ----------
    name : str
        An entry of :attr:`SolverSpec.inputs`.

    Returns
    -------
    bool
    """
    return "." not in name


def column_units(specs: Sequence[SolverSpec]) -> dict[str, str]:
    """Return the unit of each column that can vary.

    Parameters
    ----------
    specs : sequence of SolverSpec
        The solvers that answer; the first names its columns first.

    Returns
    -------
    dict of str to str
    """
    return {name: unit for spec in reversed(specs) for name, unit in spec.columns.items()}


@attrs.frozen
class Request:
    """One question to one solver.

    Parameters
    ----------
    scenario : Scenario
        The scenario as validated.
    records : mapping of str to record
        By role: ``model``, ``device``, ``stack``, ``price`` ...
    claims : mapping of (str, str) to Standing
        By role and field path; how well each number is supported.
    settings : mapping of str to float
        Settings of this solver, in SI.
    inputs : mapping of str to float
        Outputs of the solvers asked before.
    """

    scenario: Scenario
    records: Mapping[str, Any]
    claims: Mapping[tuple[str, str], Any] = attrs.field(factory=dict, repr=False)
    settings: Mapping[str, float] = attrs.field(factory=dict)
    inputs: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Result:
    """What a solver answered.

    Parameters
    ----------
    solver : str
        Name of the solver.
    outputs : dict of str to number
        SI values by output name.
    log_sd : dict of str to float
        Standard deviation of the logarithm, for outputs that carry an interval.
    assumptions : tuple of str
        What the solver had to assume.
    """

    solver: str
    outputs: dict[str, Any]
    log_sd: dict[str, float] = attrs.field(factory=dict)
    assumptions: tuple[str, ...] = ()

    @property
    def known(self) -> dict[str, Any]:
        """What other solvers may take: the outputs, and their spreads as ``<output>.log_sd``."""
        return {**self.outputs, **{f"{name}.log_sd": spread for name, spread in self.log_sd.items()}}


class Solver(Protocol):
    """What the class that a spec names must offer."""

    def prepare(self, request: Request) -> Columns:
        """Flatten the records into columns.

        Parameters
        ----------
        request : Request
            The question.

        Returns
        -------
        dict of str to number or object
            SI floats under the names of :attr:`SolverSpec.columns`; objects that never vary
            (shapes, flags) under other names.
        """

    def compute(self, columns: Columns) -> Columns:
        """Answer, for floats and for arrays alike.

        Parameters
        ----------
        columns : dict
            As ``prepare`` returned, with any number replaced by an array.

        Returns
        -------
        dict of str to number
            Outputs in SI; ``<output>.log_sd`` beside those that carry an interval.
        """


def solve(spec: SolverSpec | str, request: Request) -> Result:
    """Ask a solver through the ``mlsysim_solve`` hook.

    Parameters
    ----------
    spec : SolverSpec or str
        The solver or its name.
    request : Request
        The question.

    Returns
    -------
    Result

    Raises
    ------
    UnknownNameError
        If no solver has the name.
    SolverError
        If nobody answered.
    """
    from .plugins import plugins

    loaded = plugins()
    chosen = loaded.solver(spec) if isinstance(spec, str) else spec
    answer = loaded.manager.hook.mlsysim_solve(spec=chosen, request=request)
    if not isinstance(answer, Result):
        raise SolverError(f"a hook answered for {chosen.name} with {type(answer).__name__}, not a Result")
    return answer
