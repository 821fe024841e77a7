"""Markdown: the scorecard as tables, for reports."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from . import content, limits

if TYPE_CHECKING:
    from ..evaluation import SystemEvaluation

__all__ = ["markdown_table", "render_markdown"]


def render_markdown(evaluation: SystemEvaluation, *, evidence: bool = True) -> str:
    """Write an evaluation as Markdown.

    Parameters
    ----------
    evaluation : SystemEvaluation
        What to write.
    evidence : bool
        Whether to say how well the numbers are supported.

    Returns
    -------
    str
    """
    return "\n".join(_lines(evaluation, evidence=evidence)).rstrip()


def _lines(evaluation: SystemEvaluation, *, evidence: bool) -> Iterator[str]:
    word, _ = content.verdict(evaluation)
    yield from (f"# {evaluation.scenario.name}", "", f"**{word}**: " + ", ".join(content.setup(evaluation)), "")
    for level, heading in content.levels(evaluation).items():
        rows = [(row.label, row.value, row.interval) for row in content.rows(evaluation, level)]
        text, _ = content.headroom(evaluation)
        if level == "feasibility" and text:
            rows.insert(0, ("fits", text, ""))
        if rows:
            unreal = level == "performance" and content.too_large(evaluation)
            yield from (f"## {heading}{', if it did fit' if unreal else ''}", "")
            yield from markdown_table(("Answer", "Value", "90 % interval"), rows)
            yield ""
    yield from _list(
        "Not evaluated", (f"{question} {reason}" for question, reason in content.open_questions(evaluation))
    )
    found = limits.checks(evaluation)
    if found:
        yield from ("## Constraints", "")
        rows = [
            (c.text, c.found, ("met" if c.met else "**violated**") + f", {limits.UNSURE}" * (not c.sure)) for c in found
        ]
        yield from markdown_table(("Limit", "Found", ""), rows)
        yield ""
    yield from _list("Assumptions", evaluation.assumptions)
    if evidence:
        yield from _evidence(evaluation)


def _evidence(evaluation: SystemEvaluation) -> Iterator[str]:
    standings = evaluation.evidence()
    yield from ("## Evidence", "", content.evidence_counts(standings) + ".", "")
    rows = [
        (name, s.chosen.as_stated, s.badge, f"{s.chosen.source}, {s.chosen.at}" if s.chosen.source else s.chosen.reason)
        for name, s in standings.items()
    ]
    if rows:
        yield from markdown_table(("Number", "As printed", "Badge", "Source"), rows)


def _list(heading: str, items: Iterable[str]) -> Iterator[str]:
    lines = [f"- {item}" for item in items]
    if lines:
        yield from (f"## {heading}", "", *lines, "")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> Iterator[str]:
    """Write a table.

    Parameters
    ----------
    head : sequence of str
        Column titles.
    rows : iterable of sequence of str
        Cells; a ``|`` in one is escaped.
    right : collection of int
        Columns to align at the right.

    Yields
    ------
    str
    """
    marks = ["---:" if column in right else "---" for column in range(len(head))]
    for row in (head, marks, *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
