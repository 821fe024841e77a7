"""From a scenario to a scorecard in three levels: Feasibility, Performance, Macro.

This module names no solver. It asks, for each question, the one installed solver that
answers it for this kind of scenario, in the order in which outputs feed inputs. A question
that nobody answered says why, and never counts as passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from .config import SimulationConfig
from .constraints import Constraint, full_output_name
from .errors import ConfigError, MlsysimError, OOMError, SLAViolation
from .plugins import Plugins, plugins
from .provenance import Standing
from .records import Scenario
from .solving import Request, Result, SolverSpec, solve
from .units import format_quantity

__all__ = ["LEVELS", "QUESTIONS", "Answer", "SystemEvaluation", "Violation", "build_request", "evaluate"]

LEVELS = {"feasibility": "Feasibility", "performance": "Performance", "macro": "Macro"}
"""Levels of the scorecard: the first part of an output's name, and its heading."""

QUESTIONS = {
    "performance": "Does it fit, and how fast is it?",
    "economics": "What does it cost?",
    "sustainability": "What energy, carbon and water does it take?",
}
"""Questions that every scorecard answers or says why not."""

Z90 = 1.6448536269514722
"""95 % quantile of the normal distribution: half-width of a 90 % interval in standard deviations."""


@attrs.frozen
class Answer:
    """One line of the scorecard.

    Parameters
    ----------
    name : str
        Output name, for example ``performance.latency``.
    value : float, bool or str
        In SI.
    unit : str
        Unit, ``bool`` or ``choice``.
    label : str
        Words for people.
    solver : str
        Who answered.
    low, high : float or None
        90 % interval in SI.
    """

    name: str
    value: Any
    unit: str
    label: str
    solver: str
    low: float | None = None
    high: float | None = None

    @property
    def quantity(self) -> Any:
        """The value as a pint quantity."""
        from .quantity import Quantity

        return Quantity(self.value, self.unit)

    def __str__(self) -> str:
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if isinstance(self.value, str):
            return self.value
        text = format_quantity(self.value, self.unit)
        if self.low is not None and self.high is not None:
            text += f"  [{format_quantity(self.low, self.unit, 3)} .. {format_quantity(self.high, self.unit, 3)}]"
        return text


@attrs.frozen
class Violation:
    """A declared constraint that the answers do not meet.

    Parameters
    ----------
    constraint : str
        The limit, as text.
    value : str
        What was found instead, as text; empty when nobody answered.
    """

    constraint: str
    value: str

    def __str__(self) -> str:
        return f"{self.constraint}: {self.value or 'not evaluated, so not passed'}"


@attrs.frozen
class SystemEvaluation:
    """The scorecard of one scenario.

    Parameters
    ----------
    scenario : Scenario
        What was asked.
    answers : dict of str to Answer
        By output name.
    unanswered : dict of str to str
        Question to the reason why nobody answered it.
    violations : tuple of Violation
        Declared constraints that are not met.
    assumptions : tuple of str
        What was assumed where the scenario is silent.
    entities : dict of str to str
        Role to ``kind/key`` of what took part.
    solvers : dict of str to str
        Question to the solver that answered it.
    """

    scenario: Scenario
    answers: dict[str, Answer]
    unanswered: dict[str, str] = attrs.field(factory=dict)
    violations: tuple[Violation, ...] = ()
    assumptions: tuple[str, ...] = ()
    entities: dict[str, str] = attrs.field(factory=dict)
    solvers: dict[str, str] = attrs.field(factory=dict)
    config: SimulationConfig | None = attrs.field(default=None, eq=False, repr=False)

    def __getitem__(self, name: str) -> Answer:
        """Return an answer by full or short name.

        Parameters
        ----------
        name : str
            ``performance.latency`` or ``latency``.

        Returns
        -------
        Answer

        Raises
        ------
        ConfigError
            If nothing is called so; near names are suggested.
        """
        return self.answers[full_output_name(name, self.answers, where="output")]

    def level(self, name: str) -> dict[str, Answer]:
        """Return the answers of one level.

        Parameters
        ----------
        name : str
            ``feasibility``, ``performance`` or ``macro``.

        Returns
        -------
        dict of str to Answer
        """
        return {key: answer for key, answer in self.answers.items() if key.startswith(f"{name}.")}

    @property
    def fits(self) -> bool:
        """Whether memory suffices; False also when nobody answered."""
        answer = self.answers.get("feasibility.fits")
        return answer is not None and bool(answer.value)

    @property
    def exit_code(self) -> int:
        """0 good, 2 nothing answered, 3 does not fit, 4 a constraint is violated."""
        if "feasibility.fits" in self.answers and not self.fits:
            return OOMError.exit_code
        if self.violations:
            return SLAViolation.exit_code
        return 0 if self.answers else ConfigError.exit_code

    def raise_for_status(self) -> None:
        """Raise what the exit code says.

        Raises
        ------
        OOMError
            If it does not fit.
        SLAViolation
            If a declared constraint is not met.
        """
        if self.exit_code == OOMError.exit_code:
            raise OOMError(self.shortfall(), remedy="Use fewer bytes per weight, a smaller batch or more memory")
        if self.violations:
            raise SLAViolation("; ".join(map(str, self.violations)), where="constraints")

    def shortfall(self) -> str:
        """Say how much memory is missing and how much would fit.

        Returns
        -------
        str
        """
        required = self.answers.get("feasibility.memory_required")
        usable = self.answers.get("feasibility.memory_usable")
        most = self.answers.get("feasibility.max_batch")
        text = f"{self.scenario.name} does not fit"
        if required is not None and usable is not None:
            needed, missing = (format_quantity(b, "B") for b in (required.value, required.value - usable.value))
            text += f": it needs {needed}, {missing} more than the usable {format_quantity(usable.value, 'B')}"
        if most is not None:
            fits = f"the largest batch that fits is {most.value:,.0f}" if most.value >= 1 else "not even batch 1 fits"
            text += f"; {fits}"
        return text

    def evidence(self) -> dict[str, Standing]:
        """Return the standing of every sourced number that took part.

        Returns
        -------
        dict of str to Standing
            By ``role.field``, for example ``device.memory.bandwidth``.
        """
        from .explaining import evidence

        return evidence(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that :meth:`from_dict` reads back.

        Returns
        -------
        dict
            Dictionaries, lists, text and SI numbers only.
        """
        from .structure import to_plain

        plain = {
            field.name: to_plain(getattr(self, field.name))
            for field in attrs.fields(type(self))
            if field.name != "config"
        }
        return {"exit_code": self.exit_code, **plain}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SystemEvaluation:
        """Read what :meth:`to_dict` wrote.

        Parameters
        ----------
        data : mapping
            As written.

        Returns
        -------
        SystemEvaluation
        """
        from .structure import converter

        return cls(
            scenario=converter.structure(data["scenario"], Scenario),
            answers={name: Answer(**answer) for name, answer in data["answers"].items()},
            unanswered=dict(data["unanswered"]),
            violations=tuple(Violation(**v) for v in data["violations"]),
            assumptions=tuple(data["assumptions"]),
            entities=dict(data["entities"]),
            solvers=dict(data["solvers"]),
        )


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
    config = _as_config(scenario, overrides)
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
        violations=_violations(config.constraints, answers),
        assumptions=tuple(assumptions),
        entities={role: entry.name for role, entry in config.entries.items()},
        solvers=used,
        config=config,
    )


def _as_config(scenario: Any, overrides: Mapping[str, str] | None) -> SimulationConfig:
    if isinstance(scenario, SimulationConfig):
        return scenario
    if isinstance(scenario, Scenario):
        return SimulationConfig.from_scenario(scenario)
    if isinstance(scenario, Mapping):
        return SimulationConfig.from_dict(scenario, overrides)
    return SimulationConfig.load(scenario, overrides)


def ask(config: SimulationConfig) -> Iterator[tuple[str, SolverSpec | None, Result | str]]:
    """Ask one solver for each question, in the order in which outputs feed inputs.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.

    Yields
    ------
    question : str
    spec : SolverSpec or None
        Who answered.
    result : Result or str
        The answer, or the reason why there is none.
    """
    known: dict[str, Any] = {}
    chosen, reasons = choose_solvers(config, plugins())
    for question, reason in reasons.items():
        yield question, None, reason
    for spec in chosen:
        lacking = [name for name in spec.needs if not name.endswith("?") and name not in known]
        roles = [role for role, required in spec.roles if required and role not in config.entries]
        if lacking or roles:
            what = ", ".join([*(f"a {role}" for role in roles), *lacking])
            yield spec.question, None, f"{spec.name} needs {what}, which the scenario does not give"
            continue
        try:
            result = solve(spec, build_request(config, spec, known))
        except MlsysimError as error:
            if spec.question == "performance":
                raise
            yield spec.question, None, str(error)
            continue
        known.update(result.outputs)
        known.update({f"{name}.log_sd": spread for name, spread in result.log_sd.items()})
        yield spec.question, spec, result


def choose_solvers(config: SimulationConfig, loaded: Plugins) -> tuple[list[SolverSpec], dict[str, str]]:
    """Choose one solver for each question that this scenario raises.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    loaded : Plugins
        What is installed.

    Returns
    -------
    chosen : list of SolverSpec
        Each after those whose outputs it needs.
    reasons : dict of str to str
        Standard question to the reason why no solver was chosen.

    Raises
    ------
    ConfigError
        If two solvers answer one question and the scenario names neither.
    """
    scenario = config.scenario
    candidates: dict[str, list[SolverSpec]] = {}
    for spec in loaded.solvers.values():
        if scenario.kind in spec.scenarios and _is_raised(spec, config):
            candidates.setdefault(spec.question, []).append(spec)
    chosen: dict[str, SolverSpec] = {}
    for question, specs in candidates.items():
        named = scenario.solvers.get(question)
        able = [spec for spec in specs if spec.answers_for(scenario.system.devices)]
        # Where every candidate is for another number of devices, one of them says why it cannot answer.
        fitting = [spec for spec in specs if spec.name == named] if named else able or specs
        if len(fitting) > 1:
            names = " and ".join(sorted(spec.name for spec in fitting))
            raise ConfigError(
                f"{names} both answer {question!r}",
                where=f"solvers.{question}",
                remedy=f'Choose one: [solvers] {question} = "{fitting[0].name}"',
            )
        if fitting:
            chosen[question] = fitting[0]
    reasons = {
        question: f"no installed solver answers it for {scenario.kind} scenarios{loaded.broken_hint()}"
        for question in QUESTIONS
        if question not in chosen
    }
    return _in_order(list(chosen.values())), reasons


def _is_raised(spec: SolverSpec, config: SimulationConfig) -> bool:
    """Whether the scenario raises the solver's question: always for the standard ones, else by what it gives."""
    if spec.question in QUESTIONS or spec.name in config.scenario.settings:
        return True
    if any(setting.default is None for setting in spec.settings.values()):
        return False
    return all(role in config.entries for role, required in spec.roles if required)


def _in_order(specs: list[SolverSpec]) -> list[SolverSpec]:
    ordered: list[SolverSpec] = []
    waiting = list(specs)
    while waiting:
        missing = {output for spec in waiting for output in spec.outputs}
        ready = [s for s in waiting if not any(n.rstrip("?") in missing - set(s.outputs) for n in s.needs)]
        if not ready:
            names = " and ".join(sorted(spec.name for spec in waiting))
            raise ConfigError(f"the solvers {names} need each other's outputs", where="solvers", remedy="Uninstall one")
        ordered += ready
        waiting = [spec for spec in waiting if spec not in ready]
    return ordered


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
        elif unit.startswith("choice:"):
            value = [choice.strip() for choice in unit.removeprefix("choice:").split(",")][int(value)]
        else:
            value = float(value)
            spread = result.log_sd.get(name)
            if spread is not None:
                low, high = value * math.exp(-Z90 * spread), value * math.exp(Z90 * spread)
        found[name] = Answer(name, value, unit, label, spec.name, low, high)
    return found


def _violations(constraints: tuple[Constraint, ...], answers: Mapping[str, Answer]) -> tuple[Violation, ...]:
    found = []
    for constraint in constraints:
        answer = answers.get(constraint.output)
        if answer is None or not constraint.holds(answer.value):
            found.append(Violation(str(constraint), "" if answer is None else str(answer)))
    return tuple(found)
