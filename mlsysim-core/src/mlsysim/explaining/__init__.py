"""From an answer back to its documents: the tree behind one number."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import ConfigError
from ..provenance import Standing
from ..tracing import Traced, formula_calls, named, node_of, origins_of, trace, trace_record
from .tree import Explanation, TreeBuilder, entity_of

if TYPE_CHECKING:
    from ..config import SimulationConfig
    from ..evaluation import SystemEvaluation
    from ..solving import Request, SolverSpec

__all__ = ["evidence", "explain", "traced_answers", "traced_request"]


def traced_request(spec: SolverSpec, request: Request) -> Request:
    """Return a request whose numbers remember where they came from; its inputs stay as they are.

    Parameters
    ----------
    spec : SolverSpec
        The solver that is asked.
    request : Request
        On plain numbers.

    Returns
    -------
    Request
    """
    scenario = request.scenario
    return attrs.evolve(
        request,
        scenario=attrs.evolve(
            scenario,
            workload=trace_record(scenario.workload, "workload"),
            system=trace_record(scenario.system, "system"),
        ),
        records={role: trace_record(record, role) for role, record in request.records.items()},
        settings={k: trace(v, "input", origin=f"settings.{spec.name}.{k}") for k, v in request.settings.items()},
    )


def traced_answers(config: SimulationConfig, *, formulas: bool = True) -> tuple[dict[str, Any], dict[str, str]]:
    """Solve a scenario once more on numbers that remember where they came from.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    formulas : bool
        Whether calls of formulas are noted; finding inputs alone does without, which is quicker.

    Returns
    -------
    answers : dict of str to traced number
        By output name.
    units : dict of str to str
        Unit of each output.
    """
    from ..evaluation import build_request, lacking
    from ..evaluation.choice import choose_solvers
    from ..plugins import plugins
    from ..running import load_solver

    known: dict[str, Any] = {}
    units: dict[str, str] = {}
    chosen, _ = choose_solvers(config, plugins())
    with formula_calls() if formulas else nullcontext():
        for spec in chosen:
            if lacking(config, spec, known):
                continue
            traced = traced_request(spec, build_request(config, spec, known))
            solver = load_solver(spec)
            try:
                answers = solver.compute(solver.prepare(traced))
            except Exception:  # noqa: BLE001 - the evaluation says "not evaluated" with this reason
                answers = {}
            known.update({name: _titled(value, spec.labels.get(name, "")) for name, value in answers.items()})
            units.update(spec.outputs)
    return {name: value for name, value in known.items() if name in units}, units


def _titled(answer: Any, label: str) -> Any:
    """Name an answer for the solvers that take it, unless it has a name."""
    node = node_of(answer)
    return answer if node.label or node.formula or node.origin else named(answer, label)


_DECIDED_BY = {"bound": ("bound_factor",), "fits": ("memory_required", "memory_usable")}
"""Answers in words, which have no history of their own, and the numbers that decide them."""

_SEEN_IN = {"bound": ("latency", "step_time")}
"""Where no number decides alone: those whose terms show it."""


def explain(evaluation: SystemEvaluation, output: str) -> Explanation:
    """Build the tree behind one answer.

    Parameters
    ----------
    evaluation : SystemEvaluation
        As :func:`mlsysim.evaluate` returned it.
    output : str
        Full or short name of an output.

    Returns
    -------
    Explanation

    Raises
    ------
    ConfigError
        If there is no such answer, or the evaluation was read back from a file.
    """
    if not hasattr(evaluation, "answers"):
        raise ConfigError(f"{type(evaluation).__name__} is not an evaluation", where="evaluation", remedy="Evaluate it")
    answer = evaluation[output]
    config = _config_of(evaluation)
    answers, units = traced_answers(config)
    builder = TreeBuilder(config, units)
    tree = builder.tree(node_of(answers[answer.name]), units[answer.name], answer.name)
    level, _, short = answer.name.rpartition(".")
    if not isinstance(answers[answer.name], Traced) and short in _DECIDED_BY:
        decisive, others = (
            [f"{level}.{name}" for name in table.get(short, ()) if f"{level}.{name}" in answers]
            for table in (_DECIDED_BY, _SEEN_IN)
        )
        grounds = decisive or others
        children = tuple(builder.tree(node_of(answers[name]), units[name], name) for name in grounds)
        tree = attrs.evolve(tree, how="decision", children=children)
    return attrs.evolve(tree, name=answer.name, value=str(answer))


def evidence(evaluation: SystemEvaluation) -> dict[str, Standing]:
    """Return the standing of every sourced number behind the answers.

    Parameters
    ----------
    evaluation : SystemEvaluation
        As :func:`mlsysim.evaluate` returned it.

    Returns
    -------
    dict of str to Standing
        By ``role.field``.
    """
    config = _config_of(evaluation)
    answers, _ = traced_answers(config, formulas=False)
    found: dict[str, Standing] = {}
    for origin in sorted(origins_of(answers.values())):
        entry, field = entity_of(config, origin)
        standing = entry.standing(field) if entry is not None else None
        if standing is not None:
            found[origin] = standing
    return found


def _config_of(evaluation: SystemEvaluation) -> SimulationConfig:
    if evaluation.config is not None:
        return evaluation.config
    from ..config import SimulationConfig

    return SimulationConfig.from_scenario(evaluation.scenario)
