"""Which solver answers which question of a scenario, and in what order."""

from __future__ import annotations

from ..config import SimulationConfig
from ..errors import ConfigError
from ..plugins import Plugins
from ..solving import SolverSpec

__all__ = ["QUESTIONS", "choose_solvers"]

QUESTIONS = {
    "performance": "Does it fit, and how fast is it?",
    "economics": "What does it cost?",
    "sustainability": "What energy, carbon and water does it take?",
}
"""Questions that every scorecard answers or says why not."""


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
        able = _with_options(specs, scenario.workload)
        able = able or [spec for spec in specs if spec.answers_for(scenario.system.devices)]
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


def _with_options(specs: list[SolverSpec], workload: object) -> list[SolverSpec]:
    """Return the solvers that alone answer what the workload sets; none where all do."""
    wanted = {name for spec in specs for name in spec.options if getattr(workload, name, None)}
    return [spec for spec in specs if wanted <= set(spec.options)] if wanted else []


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
