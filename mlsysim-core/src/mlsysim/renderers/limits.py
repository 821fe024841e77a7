"""Declared constraints against what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import MlsysimError

if TYPE_CHECKING:
    from ..config.constraints import Constraint
    from ..evaluation import SystemEvaluation

__all__ = ["UNSURE", "Check", "checks"]

UNSURE = "within the uncertainty"
"""Said of a limit that the value keeps, or breaks, and an end of its 90 % interval does not."""


class Check(NamedTuple):
    """One declared constraint.

    Parameters
    ----------
    text : str
        The limit.
    met : bool
        Whether it holds; a limit on something that nobody answered does not.
    found : str
        The answer.
    sure : bool
        Whether both ends of its interval, if it has one, agree.
    """

    text: str
    met: bool
    found: str
    sure: bool = True


def checks(evaluation: SystemEvaluation) -> list[Check]:
    """Return the declared constraints, met or not.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.

    Returns
    -------
    list of Check
    """
    violated = {v.constraint: v.found for v in evaluation.violations}
    found = []
    for constraint in _constraints(evaluation):
        text = str(constraint)
        answer = evaluation.answers.get(constraint.output)
        met = text not in violated
        sure = answer is None or all(
            constraint.holds(end) == met for end in (answer.low, answer.high) if end is not None
        )
        found.append(Check(text, met, violated.pop(text, "" if answer is None else str(answer)), sure))
    return found + [Check(text, False, value) for text, value in violated.items()]


def _constraints(evaluation: SystemEvaluation) -> tuple[Constraint, ...]:
    if evaluation.config is not None:
        return evaluation.config.constraints
    if not evaluation.scenario.constraints:
        return ()
    from ..config.constraints import parse_constraints
    from ..plugins import plugins

    try:  # an evaluation read from a file may name outputs of a solver that is not installed here
        return parse_constraints(evaluation.scenario.constraints, plugins().solvers.values())
    except MlsysimError:
        return ()
