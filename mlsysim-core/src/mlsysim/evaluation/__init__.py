"""From a scenario to a scorecard in three levels: Feasibility, Performance, Macro.

This module names no solver. It asks, for each question, the one installed solver that
answers it for this kind of scenario, in the order in which outputs feed inputs. A question
that nobody answered says why, and never counts as passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..config import SimulationConfig
from ..config.constraints import Constraint
from ..errors import MlsysimError
from ..intervals import INTERVAL_QUANTILE
from ..plugins import plugins
from ..provenance import Standing
from ..records import Scenario
from ..solving import Request, Result, SolverSpec, choices_of, solve
from .choice import QUESTIONS, choose_solvers
from .scorecard import LEVELS, Answer, SystemEvaluation, Violation

__all__ = ["LEVELS", "QUESTIONS", "Answer", "SystemEvaluation", "Violation", "build_request", "evaluate", "lacking"]

_TABLES = {"price": "place", "grid": "place", "site": "place", "node": "system", "battery": "system"}
"""Tables of a scenario in which records are named that a solver may need."""

_WIDEST = 230.0
"""Exponents of intervals end here, a factor of 1e100: far beyond what tells anything, and still a number."""


def evaluate(
    scenario: str | Path | Mapping[str, Any] | Scenario | SimulationConfig, overrides: Mapping[str, str] | None = None
) -> SystemEvaluation:
    """Answer every question about a scenario.

    Parameters
    ----------
    scenario : str, Path, mapping, Scenario or SimulationConfig
        A file, the name of a packaged scenario, data, or a checked configuration.
    overrides : mapping of str to str
        Keys to set before checking, for example ``{"batch": "64"}``.

    Returns
    -------
    SystemEvaluation

    Raises
    ------
    MlsysimError
        When the scenario is not valid; see :class:`SimulationConfig`.
    """
    config = SimulationConfig.of(scenario, overrides)
    answers: dict[str, Answer] = {}
    unanswered: dict[str, str] = {}
    used: dict[str, str] = {}
    assumptions = list(config.assumptions)
    for question, spec, result in ask(config):
        if spec is None or isinstance(result, str):
            unanswered[question] = str(result)
            continue
        used[question] = spec.name
        answers.update(_answers(spec, result))
        assumptions += [a for a in result.assumptions if a not in assumptions]
    return SystemEvaluation(
        scenario=config.scenario,
        answers=answers,
        unanswered=unanswered,
        violations=_violations(config.constraints, answers, used, unanswered),
        assumptions=tuple(assumptions),
        entities={role: entry.name for role, entry in config.entries.items()},
        solvers=used,
        config=config,
    )


def ask(config: SimulationConfig, *, barring: bool = True) -> Iterator[tuple[str, SolverSpec | None, Result | str]]:
    """Ask one solver for each question, in the order in which outputs feed inputs.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    barring : bool
        Whether a solver that takes an answer of yes or no is left unasked where that answer is no.

    Yields
    ------
    question : str
    spec : SolverSpec or None
        Who answered.
    result : Result or str
        The answer, or the reason why there is none.
    """
    known: dict[str, Any] = {}
    labels: dict[str, str] = {}
    chosen, reasons = choose_solvers(config, plugins())
    for question, reason in reasons.items():
        yield question, None, reason
    for spec in chosen:
        if missing := lacking(config, spec, known):
            said = f"{spec.name} needs {', '.join(missing)}, which the scenario does not give"
            roles = [role for role in _TABLES if f"a {role}" in missing]
            settable = ", ".join(f"{_TABLES[role]}.{role}" for role in roles)
            own = " or ".join(f"`mlsysim registry new {role}`" for role in roles)
            yield spec.question, None, said + (f" (set {settable}; {own} writes a card of your own)" if roles else "")
            continue
        barred = [name.rstrip("?") for name in spec.needs if known.get(name.rstrip("?")) is False]
        if barred and barring:
            yield spec.question, None, "; ".join(f"{labels.get(name, name)}: no" for name in barred)
            continue
        try:
            result = solve(spec, build_request(config, spec, known))
        except MlsysimError as error:
            if spec.question == "performance":
                raise
            yield spec.question, None, str(error)
            continue
        known.update(result.known)
        labels.update(spec.labels)
        yield spec.question, spec, result


class Claims(Mapping[tuple[str, str], Standing]):
    """The standing of each number, judged when asked for.

    Parameters
    ----------
    entries : mapping of str to Entry
        By role.
    """

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self._entries = entries

    def __getitem__(self, key: tuple[str, str]) -> Standing:
        """Return the standing of a field of a role."""
        entry = self._entries.get(key[0])
        standing = entry.standing(key[1]) if entry is not None else None
        if standing is None:
            raise KeyError(key)
        found: Standing = standing
        return found

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Go through all sourced numbers."""
        for role, entry in self._entries.items():
            for field in entry.claims:
                yield role, field

    def __len__(self) -> int:
        """Count all sourced numbers."""
        return sum(len(entry.claims) for entry in self._entries.values())


def lacking(config: SimulationConfig, spec: SolverSpec, known: Mapping[str, Any]) -> list[str]:
    """Return what a solver needs and nothing gives: records, then outputs of other solvers.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    spec : SolverSpec
        The solver.
    known : mapping of str to object
        What other solvers answered.

    Returns
    -------
    list of str
    """
    records = [f"a {role}" for role, required in spec.roles if required and role not in config.entries]
    return records + [name for name in spec.needs if not name.endswith("?") and name not in known]


def build_request(config: SimulationConfig, spec: SolverSpec, known: Mapping[str, Any]) -> Request:
    """Put together what one solver is given.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    spec : SolverSpec
        The solver.
    known : mapping of str to number
        Outputs of the solvers asked before.

    Returns
    -------
    Request
    """
    roles = [role for role, _ in spec.roles]
    return Request(
        scenario=config.scenario,
        records={role: config.entries[role].record for role in roles if role in config.entries},
        claims=Claims(config.entries),
        settings=spec.read_settings(config.scenario.settings.get(spec.name, {})),
        inputs={name.rstrip("?"): known[name.rstrip("?")] for name in spec.needs if name.rstrip("?") in known},
    )


def _answers(spec: SolverSpec, result: Result) -> dict[str, Answer]:
    import math

    found: dict[str, Answer] = {}
    for name, unit in spec.outputs.items():
        if name not in result.outputs:
            continue
        value = result.outputs[name]
        label = spec.labels.get(name, name.rsplit(".", 1)[-1].replace("_", " "))
        low = high = None
        if unit == "bool":
            value = bool(value)
        elif choices := choices_of(unit):
            value = choices[int(value)]
        else:
            value = float(value)
            spread = result.log_sd.get(name)
            # What is not in doubt, as an answer that only repeats a rate asked for, has no interval.
            if spread and value:
                far = math.exp(min(INTERVAL_QUANTILE * spread, _WIDEST))
                low, high = value / far, value * far
                limit = spec.at_most.get(name, high)
                high = min(high, limit) if value <= limit else high
        found[name] = Answer(name, value, unit, label, spec.name, low, high)
    return found


def _violations(
    constraints: tuple[Constraint, ...], answers: Mapping[str, Answer], used: Mapping[str, str],
    unanswered: Mapping[str, str],
) -> tuple[Violation, ...]:  # fmt: skip
    found = []
    for constraint in constraints:
        answer = answers.get(constraint.output)
        if answer is None:
            from .unanswered import why_not

            found.append(Violation(str(constraint), "", why_not(constraint.output, used.values(), unanswered)))
        elif not constraint.holds(answer.value):
            found.append(Violation(str(constraint), str(answer)))
    return tuple(found)
