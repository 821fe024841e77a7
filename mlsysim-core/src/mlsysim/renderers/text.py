"""The scorecard for people: three levels, aligned, as wide as the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import content, limits
from .style import Style

if TYPE_CHECKING:
    from ..evaluation import SystemEvaluation

__all__ = ["render_text"]

_INDENT = "  "
_BAR = 16
_LEAST = 24
"""Columns that a text needs beside its label before it is broken into lines there."""
_NARROWEST = 76
_INTERVAL = "90 % interval"


def render_text(evaluation: SystemEvaluation, style: Style | None = None, *, evidence: bool = True) -> str:
    """Write the scorecard.

    Parameters
    ----------
    evaluation : SystemEvaluation
        What to show.
    style : Style, optional
        What the screen can show; by default what standard output can.
    evidence : bool
        Whether to say how well the numbers are supported; that takes a second solve.

    Returns
    -------
    str
    """
    return "\n".join(_Scorecard(evaluation, style or Style.of(sys.stdout)).lines(evidence=evidence))


class _Scorecard:
    """Lays out one evaluation for one style."""

    def __init__(self, evaluation: SystemEvaluation, style: Style) -> None:
        self.evaluation = evaluation
        self.style = style
        self.rows = {level: content.rows(evaluation, level) for level in content.levels(evaluation)}
        every = [row for rows in self.rows.values() for row in rows]
        self.label = max([len(row.label) for row in every] + [len("memory use")]) + 2
        self.value = max([len(row.value) for row in every if row.interval] + [12]) + 2
        self.column = len(_INDENT) + self.label + self.value
        intervals = max([len(row.interval) for row in every] + [0])
        self.width = min(style.width, max(self.column + intervals + 2, _NARROWEST))

    def lines(self, *, evidence: bool) -> Iterator[str]:
        yield from self.head()
        for level, heading in content.levels(self.evaluation).items():
            yield from self.level(level, heading)
        yield from self.constraints()
        yield from self.remedies()
        yield from self.assumptions()
        if evidence:
            yield from self.evidence()

    def head(self) -> Iterator[str]:
        word, colour = content.verdict(self.evaluation)
        name = self.evaluation.scenario.name
        gap = " " * max(2, self.width - len(name) - len(word))
        yield self.style.paint(name, "bold") + gap + self.style.paint(word, "bold", colour)
        dot = self.style.glyphs.dot
        line = ""
        for part in content.setup(self.evaluation):
            joined = f"{line}{dot}{part}" if line else part
            if len(joined) > self.width and line:
                yield self.style.paint(line, "dim")
                joined = part
            line = joined
        yield self.style.paint(line, "dim")

    def heading(self, text: str, right: str = "", column: int = 0) -> str:
        """Draw a rule with a title at its left and perhaps a second one, which starts at a column."""
        rule = self.style.glyphs.rule
        start = column - 1 if column else self.width - len(right) - 4
        if not right or start + len(right) + 2 > self.width:
            line = rule * max(2, self.width - len(text) - 1)
        else:
            line = f"{rule * (start - len(text) - 1)} {right} ".ljust(self.width - len(text) - 1, rule)
        return self.style.paint(text, "bold", "cyan") + " " + self.style.paint(line, "dim")

    def level(self, level: str, heading: str) -> Iterator[str]:
        rows = self.rows[level]
        unanswered = list(content.open_questions(self.evaluation)) if level == "macro" else []
        if level not in ("feasibility", "performance", "macro") and not rows:
            return
        if level == "performance" and content.too_large(self.evaluation):
            heading += ", if it did fit"
        yield ""
        yield self.heading(heading, _INTERVAL if any(row.interval for row in rows) else "", self.column)
        if level == "feasibility":
            yield from self.fit()
        for row in rows:
            yield self.row(row)
        if not rows and not unanswered:
            yield _INDENT + self.style.paint("not evaluated", "yellow")
        for question, reason in unanswered:
            text = f"{question} not evaluated: {reason}"
            yield from (self.style.paint(line, "yellow") for line in self.style.wrap(text, _INDENT, _INDENT * 2))

    def fit(self) -> Iterator[str]:
        text, share = content.headroom(self.evaluation)
        if not text:
            return
        colour = "green" if self.evaluation.fits else "red"
        beside = len(_INDENT) + self.label
        narrow = self.style.width - beside < _LEAST
        lines = [text] if narrow else self.style.wrap(text, " " * beside)
        first = lines[0].strip()
        yield _INDENT + "fits".ljust(self.label) + self.style.paint(first, colour)
        yield from (self.style.paint(line, colour) for line in lines[1:])
        if share is not None:
            bar = self.style.paint(self.style.bar(share, _BAR), colour)
            yield f"{_INDENT}{'memory use'.ljust(self.label)}{bar} {content.times(share)} usable"

    def row(self, row: content.Row) -> str:
        label = row.label.ljust(self.label)
        if not row.interval:
            return (_INDENT + label + self.style.paint(row.value, "bold")).rstrip()
        value = self.style.paint(row.value, "bold") + " " * (self.value - len(row.value))
        return _INDENT + label + value + self.style.paint(row.interval, "dim")

    def constraints(self) -> Iterator[str]:
        found = limits.checks(self.evaluation)
        if not found:
            return
        yield ""
        met = sum(check.met for check in found)
        yield self.heading("Constraints", f"{met} of {len(found)} met")
        width = max(len(check.text) for check in found)
        for check in found:
            mark = self.style.paint("met     ", "green") if check.met else self.style.paint("VIOLATED", "bold", "red")
            doubt = "" if check.sure else self.style.paint(f"  {limits.UNSURE}", "yellow")
            yield f"{_INDENT}{mark}  {check.text.ljust(width)}  {check.found}{doubt}"

    def remedies(self) -> Iterator[str]:
        """Say what would do; each line was asked, so that it is an answer and no guess."""
        if not (self.evaluation.infeasible or self.evaluation.violations):
            return
        from ..evaluation.remedies import remedies

        found = remedies(self.evaluation)
        scenario = self.evaluation.scenario
        searched = scenario.kind == "training" and (scenario.system.devices > 1 or not found)
        if not (found or searched):
            return
        yield ""
        yield self.heading("What would work: each was asked")
        width = max([len(one.words) for one in found] + [0])
        for one in found:
            yield f"{_INDENT}{one.words.ljust(width)}   {content.gist(one.evaluation)}".rstrip()
        if searched:
            yield (
                _INDENT
                + "`mlsysim optimize training`, which tries every layout (--devices 64,128 tries several numbers)"
            )

    def assumptions(self) -> Iterator[str]:
        if not self.evaluation.assumptions:
            return
        yield ""
        yield self.heading("Assumptions")
        for text in self.evaluation.assumptions:
            yield from self.style.wrap(text, _INDENT, _INDENT * 2)

    def evidence(self) -> Iterator[str]:
        standings = self.evaluation.evidence()
        yield ""
        yield self.heading("Evidence")
        yield _INDENT + content.evidence_counts(standings)
        for what, names in content.weak_points(standings):
            lines = self.style.wrap(", ".join(names), _INDENT + f"{what}: ", _INDENT * 2)
            yield from (self.style.paint(line, "yellow") for line in lines)
