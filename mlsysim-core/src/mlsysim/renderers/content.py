"""What every format says about an evaluation, before it is laid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from ..evaluation import LEVELS, QUESTIONS
from ..evaluation.scorecard import NOT_KNOWN
from ..provenance import Level
from ..units import format_quantity
from .limits import UNSURE
from .numbers import quantity

if TYPE_CHECKING:
    from ..evaluation import Answer, SystemEvaluation
    from ..provenance import Standing
    from ..records.scenario import Scenario

__all__ = [
    "Row", "evidence_counts", "gist", "headroom", "interval", "levels", "open_questions", "rows", "setup", "times",
    "too_large", "verdict", "weak_points",
]  # fmt: skip


class Row(NamedTuple):
    """One line of a level.

    Parameters
    ----------
    name, label, value, interval : str
        Output name, words, value with unit, 90 % interval or nothing.
    """

    name: str
    label: str
    value: str
    interval: str


def verdict(evaluation: SystemEvaluation) -> tuple[str, str]:
    """Say in a word how it ends.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.

    Returns
    -------
    word, colour : str
    """
    if too_large(evaluation):
        return "DOES NOT FIT", "red"
    if evaluation.infeasible:
        return "INFEASIBLE", "red"
    if evaluation.violations:
        return "CONSTRAINT VIOLATED", "red"
    if not evaluation.answers:
        return "NOT EVALUATED", "yellow"
    return ("FITS", "green") if evaluation.fits else ("FIT UNKNOWN", "yellow")


def _given(record: Any, said: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the fields of a workload that say something; of a record inside it, those that are not as by default."""
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        if attrs.has(type(value)):
            usual = tuple(f.name for f in attrs.fields(type(value)) if getattr(value, f.name) == f.default)
            yield from _given(value, usual)
        elif value and field.name not in said:
            unit = field.metadata.get("unit", "")
            said_as = _counted if unit in ("sample", "token") else quantity
            shown = said_as(value, unit) if unit else str(value)
            # "tokens 300 tokens" says it twice.
            yield shown if shown.endswith(f" {field.name}") else f"{field.name.replace('_', ' ')} {shown}"


def _counted(value: float, unit: str) -> str:
    """Write a count; a batch says of what by itself."""
    for size, letter in ((1e12, "T"), (1e9, "B")):
        if value >= size:
            return f"{value / size:,.4g} {letter}{f' {unit}s' * (unit == 'token')}"
    return quantity(value, unit) if unit == "token" else f"{value:,.10g}"


_WORDS = {"sequence": "sequence parallel"}
"""How choices of a layout are called."""


def _layout(scenario: Scenario) -> Iterator[str]:
    """Yield the degrees and the other choices of a layout that are not as by default."""
    layout = scenario.parallelism
    for field in attrs.fields(type(layout)):
        value = getattr(layout, field.name)
        if value == field.default:
            continue
        name = _WORDS.get(field.name, field.name.replace("_", "-"))
        yield name if value is True else f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"


def setup(evaluation: SystemEvaluation) -> tuple[str, ...]:
    """Say what was asked: the workload, the machine and the place.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.

    Returns
    -------
    tuple of str
    """
    scenario = evaluation.scenario
    workload = scenario.workload
    parts = [scenario.kind, evaluation.entities.get("model", workload.model).rpartition("/")[2], workload.precision]
    parts += ["offline"] * bool(getattr(workload, "offline", False))
    parts += _given(workload, ("model", "precision", *["input"] * bool(getattr(workload, "audio", 0))))
    parts += _layout(scenario)
    parts.append(f"{scenario.system.devices:,} x {evaluation.entities.get('device', '').rpartition('/')[2]}")
    roles = [role for role in evaluation.entities if role not in ("model", "device")]
    return (*parts, *(evaluation.entities[role].rpartition("/")[2] for role in roles))


def levels(evaluation: SystemEvaluation) -> dict[str, str]:
    """Return the levels to print: the three standard ones, then those that plugins add.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.

    Returns
    -------
    dict of str to str
        Level to heading.
    """
    found = dict(LEVELS)
    for name in evaluation.answers:
        level = name.partition(".")[0]
        found.setdefault(level, level.replace("_", " ").capitalize())
    return found


def rows(evaluation: SystemEvaluation, level: str) -> list[Row]:
    """Return the lines of a level.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.
    level : str
        For example ``performance``.

    Returns
    -------
    list of Row
        ``fits`` is not among them: :func:`headroom` says it with its number. A factor is said
        together with the resource that binds. Parts of nothing are left out.
    """
    answers = evaluation.level(level)
    said = ("feasibility.fits", "feasibility.headroom") if "feasibility.fits" in answers else ()
    found = []
    for name, answer in answers.items():
        if name in said or _bound_of(name) in answers:
            continue
        if answer.value == 0.0 and answer.label.startswith("of which "):
            continue  # a part that is not there
        value = _bound(answer, answers) if isinstance(answer.value, str) else _value(answer)
        found.append(Row(name, answer.label, value, interval(answer)))
    return found


_FACTOR = "_factor"


def _bound_of(name: str) -> str:
    """Return the output that a factor belongs to."""
    return name.removesuffix(_FACTOR) if name.endswith(_FACTOR) else ""


def _bound(answer: Answer, answers: Mapping[str, Answer]) -> str:
    factor = answers.get(answer.name + _FACTOR)
    if factor is None or not answer.name.endswith("bound"):
        return str(answer.value)
    return f"{answer.value}, {factor.value:.3g}x above the next resource"


def _value(answer: Answer) -> str:
    if isinstance(answer.value, bool):
        return "yes" if answer.value else "no"
    return quantity(answer.value, answer.unit, whole=answer.low is None)


def interval(answer: Answer) -> str:
    """Write the 90 % interval of an answer.

    Parameters
    ----------
    answer : Answer
        The answer.

    Returns
    -------
    str
        Empty when it carries none; words where it tells nothing.
    """
    if answer.low is None or answer.high is None:
        return ""
    if not answer.informative:
        return NOT_KNOWN
    low, high = (quantity(end, answer.unit, 3, whole=False) for end in (answer.low, answer.high))
    number, _, unit = low.partition(" ")
    return f"{number} .. {high}" if unit and high.endswith(" " + unit) else f"{low} .. {high}"


def headroom(evaluation: SystemEvaluation) -> tuple[str, float | None]:
    """Say by how much it fits or not.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.

    Returns
    -------
    text : str
        Empty when nobody answered.
    share : float or None, ratio
        Memory needed over memory usable.
    """
    required = evaluation.answers.get("feasibility.memory_required")
    usable = evaluation.answers.get("feasibility.memory_usable")
    known = "feasibility.fits" in evaluation.answers
    share = required.value / usable.value if required and usable and usable.value else None
    if not known:
        return "", share
    if not evaluation.fits:
        return "no: " + evaluation.shortfall().partition(" does not fit")[2].lstrip(": "), share
    if required is None or usable is None or share is None:
        return "yes", share
    spare = format_quantity(usable.value - required.value, "B")
    unsure = required.high is not None and required.high > usable.value
    return f"yes, with {spare} to spare" + f", {UNSURE}" * unsure, share


def too_large(evaluation: SystemEvaluation) -> bool:
    """Tell whether it is known not to fit.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.

    Returns
    -------
    bool
    """
    return "feasibility.fits" in evaluation.answers and not evaluation.fits


_GIST = ("feasibility.memory_required", "performance.tpot", "performance.step_time", "macro.cost_per_token",
         "macro.cost_per_sample")  # fmt: skip


def gist(evaluation: SystemEvaluation) -> str:
    """Say in a line what becomes of a change.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.

    Returns
    -------
    str
    """
    found = ((name.partition(".")[2], evaluation.answers[name]) for name in _GIST if name in evaluation.answers)
    return ", ".join(f"{name} {format_quantity(answer.value, answer.unit, 3)}" for name, answer in found)


def times(share: float) -> str:
    """Write a share, or a multiple where it is large.

    Parameters
    ----------
    share : float, ratio
        For example 0.316, or 29700.

    Returns
    -------
    str
        ``"31.6 % of"`` or ``"29,700 times the"``.
    """
    many = f"{share:.3g}" if share >= 1e6 else f"{float(f'{share:.3g}'):,.0f}"
    return f"{100 * share:.3g} % of" if share < 10 else f"{many} times the"


def open_questions(evaluation: SystemEvaluation) -> list[tuple[str, str]]:
    """Return what nobody answered.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The evaluation.

    Returns
    -------
    list of (str, str)
        The question in words, and the reason.
    """
    from ..plugins import plugins

    titles = {spec.question: spec.title for spec in plugins().solvers.values()} | QUESTIONS
    return [(titles.get(name, name), reason) for name, reason in evaluation.unanswered.items()]


def evidence_counts(standings: Mapping[str, Standing]) -> str:
    """Count the numbers behind the answers by level.

    Parameters
    ----------
    standings : mapping of str to Standing
        As :meth:`SystemEvaluation.evidence` returns them.

    Returns
    -------
    str
        For example ``"9 numbers: 2 corroborated, 6 stated, 1 estimate"``.
    """
    if not standings:
        return "no sourced number took part"
    counted = {level: sum(s.level is level for s in standings.values()) for level in sorted(Level, reverse=True)}
    parts = [f"{count} {_plural(level, count)}" for level, count in counted.items() if count]
    numbers = "number" if len(standings) == 1 else "numbers"
    return f"{len(standings)} {numbers}: " + ", ".join(parts)


def _plural(level: Level, count: int) -> str:
    return "estimates" if level is Level.ESTIMATE and count > 1 else level.label


_MOST_NAMED = 4
"""So many numbers of each sort are named."""


def weak_points(standings: Mapping[str, Standing]) -> list[tuple[str, list[str]]]:
    """Name the numbers that deserve a look.

    Parameters
    ----------
    standings : mapping of str to Standing
        As :meth:`SystemEvaluation.evidence` returns them.

    Returns
    -------
    list of (str, list of str)
        What is the matter, and which numbers: disputed, stale, estimates.
    """
    sorts = (
        ("disputed", [name for name, s in standings.items() if s.disputed]),
        ("stale", [name for name, s in standings.items() if s.stale]),
        ("estimates", [name for name, s in standings.items() if s.level is Level.ESTIMATE]),
    )
    return [
        (what, names[:_MOST_NAMED] + [f"and {len(names) - _MOST_NAMED} more"] * (len(names) > _MOST_NAMED))
        for what, names in sorts
        if names
    ]
