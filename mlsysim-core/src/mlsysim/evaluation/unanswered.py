"""Why an answer that some solver declares is not there."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..config.constraints import full_output_name
from ..errors import ConfigError
from ..plugins import plugins

_NONE: Mapping[str, str] = {}

__all__ = ["answer_name", "why_not"]


def why_not(output: str, used: Collection[str], unanswered: Mapping[str, str]) -> str:
    """Say why a scenario has no such answer.

    Parameters
    ----------
    output : str
        Full name of an output that an installed solver declares.
    used : collection of str
        Names of the solvers that answered.
    unanswered : mapping of str to str
        Questions that nobody answered, with the reason.

    Returns
    -------
    str
        Empty where nothing is known.
    """
    specs = [spec for spec in plugins().solvers.values() if output in spec.outputs]
    for spec in specs:
        if spec.name in used:
            return f"{spec.name} answers it {spec.answered_if.get(output, 'for other scenarios')}"
    for spec in specs:
        if spec.question in unanswered:
            return unanswered[spec.question]
    names = " or ".join(spec.name for spec in specs)
    answering = [set(spec.scenarios) for spec in plugins().solvers.values() if spec.name in used]
    kinds = {kind for spec in specs for kind in spec.scenarios}
    if len(kinds) == 1 and answering and not set.intersection(*answering) & kinds:
        kind = kinds.pop()
        return f'{names} answers it in {kind} scenarios (kind = "{kind}", or --kind with --on)'
    return f"{names} answers it, and this scenario is answered by {', '.join(used)}" if specs and used else ""


def answer_name(
    name: str, answers: Collection[str], used: Collection[str] | None = None,
    unanswered: Mapping[str, str] = _NONE, *, where: str = "output",
) -> str:  # fmt: skip
    """Return the full name of an answer.

    Parameters
    ----------
    name : str
        Full or short name of an output, or its label, as scorecards print it.
    answers : collection of str
        Those of the scenario.
    used : collection of str, optional
        Names of the solvers that answered; any by default.
    unanswered : mapping of str to str
        Questions that nobody answered, with the reason.
    where : str
        Where it was asked for, for the error.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        If it is not among the answers: because no solver knows it, or with the reason why it is not answered here.
    """
    declared = {output for spec in plugins().solvers.values() for output in spec.outputs}
    name = _labelled(name, answers)
    try:
        return full_output_name(name, answers, where=where)
    except ConfigError:
        full = full_output_name(name, declared - set(answers), where=where) if _is_one(name, declared) else ""
        if not full:
            raise
    why = why_not(full, plugins().solvers if used is None else used, unanswered)
    raise ConfigError(f"{full} is not answered here", where=where, remedy=why)


def _is_one(name: str, declared: Collection[str]) -> bool:
    return any(name in (full, full.rpartition(".")[2]) for full in declared)


def _labelled(name: str, answers: Collection[str]) -> str:
    """Return the output that a label stands for, or the name as it is."""
    if not isinstance(name, str) or " " not in name.strip():
        return name  # one word is a name, and a label of one word is that name
    said = " ".join(name.split()).lower()
    labels = {(full, label) for spec in plugins().solvers.values() for full, label in spec.labels.items()}
    found = sorted({full for full, label in labels if label.lower() == said and full in answers})
    return found[0] if len(found) == 1 else name
