"""The report for people: text for a terminal, and Markdown."""

from __future__ import annotations

from mlsysim.cli.printing import table
from mlsysim.renderers.markdown import markdown_table
from mlsysim.renderers.style import Style

from ..scoring import Score
from .shares import percent
from .summary import Report
from .unseen import UNSEEN_COLUMNS, fold_table, unseen_cells, unseen_headline

__all__ = ["COLUMNS", "cells", "markdown_report", "table_of", "text_report"]

COLUMNS = (
    "set", "metric", "rows", "predicted", "group median", "median", "p90", "bias", "rank", "coverage", "half-width",
    "constant", "calibrated", "in sample",
)  # fmt: skip
"""Columns of the table of sets."""

_REASONS = 25


def cells(found: Score) -> tuple[str, ...]:
    """Write the score of a set under :data:`COLUMNS`.

    Parameters
    ----------
    found : Score
        Score of a set.

    Returns
    -------
    tuple of str
    """
    name = (*found.name, "")[:2]
    rank = "-" if found.spearman is None else f"{found.spearman:.2f}"
    return (
        *name, str(found.n), str(found.predicted), percent(found.group_median_ape), percent(found.median_ape),
        percent(found.p90_ape), percent(found.bias, signed=True), rank, percent(found.coverage90),
        percent(found.half_width), percent(found.baseline_median_ape),
        percent(found.calibrated) if found.predicted else "-", percent(found.in_sample) if found.predicted else "-",
    )  # fmt: skip


def _headline(report: Report) -> list[str]:
    all_ = report.overall
    lines = [f"{all_.n} rows: {all_.predicted} predicted, {all_.refused} refused"]
    if all_.predicted:
        lines.append(
            f"median error {percent(all_.median_ape)} of the predicted rows"
            f" ({percent(all_.group_median_ape)} over groups of source, model and device),"
            f" 90 % of them below {percent(all_.p90_ape)}, bias {percent(all_.bias, signed=True)}"
        )
        lines.append(
            f"90 % intervals hold {percent(all_.coverage90)} of the measurements; median half-width "
            f"{percent(all_.half_width)}; the best constant per set errs by {percent(all_.baseline_median_ape)}"
        )
        lines.append(
            f"{percent(all_.calibrated)} of the predictions use fitted constants;"
            f" {percent(all_.in_sample)} are rows that they were fitted on"
        )
    return [*lines, *unseen_headline(report), *_outside_line(report)]


def _outside_line(report: Report) -> list[str]:
    """Say how rows fare that no fit has seen, apart from all others."""
    found = report.outside
    if found is None:
        return []
    line = f"outside sources, on which no constant is fitted: {found.predicted} of {found.n} rows predicted"
    if found.predicted:
        line += f", median error {percent(found.median_ape)}, 90 % intervals hold {percent(found.coverage90)}"
    return [f"{line} (validate --outside)"]


def table_of(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the table of sets: scores, or scores in sample beside those of groups left out.

    Parameters
    ----------
    report : Report
        The validation.

    Returns
    -------
    head : tuple of str
    body : list of tuple of str
        One row for each set that is predicted.
    """
    if report.left_out:
        both = zip(report.sets, report.left_out, strict=True)
        return UNSEEN_COLUMNS, [unseen_cells(found, unseen) for found, unseen in both if found.predicted]
    return COLUMNS, [cells(found) for found in report.sets if found.predicted]


def text_report(report: Report) -> str:
    """Write a report for a terminal.

    Parameters
    ----------
    report : Report
        The validation.

    Returns
    -------
    str
    """
    lines = _headline(report)
    for head, body in (table_of(report), fold_table(report)):
        if body:
            lines += ["", *table(head, body, Style(), right=range(2, len(head)))]
    worst = sorted(
        (group for group in report.groups if group.median_ape is not None), key=lambda g: -(g.median_ape or 0.0)
    )[:8]
    if worst:
        lines += ["", "Groups that are furthest off:"]
        lines += [f"  {percent(g.median_ape):>9}  {g.predicted:3d} rows  {' / '.join(g.name)}" for g in worst]
    if report.reasons:
        lines += ["", f"Refused: {report.overall.refused} rows"]
        first = {outcome.reason: outcome.row.id for outcome in reversed(report.outcomes)}
        said = [(count, reason + _which(count, reason, first[reason])) for reason, count in report.reasons[:_REASONS]]
        lines += [f"  {count:5d}  {reason}" for count, reason in said]
        rest = report.reasons[_REASONS:]
        if rest:
            lines.append(
                f"  {sum(count for _, count in rest):5d}  for {len(rest)} other reasons (--format json has them)"
            )
    return "\n".join(lines)


def _which(count: int, reason: str, row: str) -> str:
    """Name the first of the rows, unless the reason names its line."""
    if not row or ".csv:" in reason:
        return ""
    return f" (row {row})" if count == 1 else f" (row {row} and others)"


def markdown_report(report: Report) -> str:
    """Write a report as Markdown.

    Parameters
    ----------
    report : Report
        The validation.

    Returns
    -------
    str
    """
    lines = [f"- {line}" for line in _headline(report)]
    for head, body in (table_of(report), fold_table(report)):
        if body:
            lines += ["", *markdown_table(head, body, right=range(2, len(head)))]
    if report.reasons:
        reasons = [(str(count), reason) for reason, count in report.reasons]
        lines += ["", f"Refused: {report.overall.refused} rows.", ""]
        lines += markdown_table(("rows", "reason"), reasons, right=(0,))
    return "\n".join(lines)
