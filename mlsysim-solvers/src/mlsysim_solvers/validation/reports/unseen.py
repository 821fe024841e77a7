"""The columns that put rows left out beside rows in sample."""

from __future__ import annotations

from statistics import median_high

from ..chance import chance_within
from ..scoring import Score
from .shares import percent
from .summary import Report

__all__ = ["LEAST", "UNSEEN_COLUMNS", "fold_table", "outside_target", "unseen_cells", "unseen_headline"]

UNSEEN_COLUMNS = (
    "set", "metric", "predicted", "in sample", "median", "left out", "coverage", "left out", "half-width", "left out",
    "with fitted constants",
)  # fmt: skip
"""Columns of the table: each score in sample, and beside it with the row's group left out."""

LEAST = 10
"""Fewest rows of a set whose coverage is judged."""

_WITHOUT = {
    "group": "constants fitted without the row's set, model and device",
    "device": "nothing fitted or measured on the row's device",
    "model": "constants fitted without any row of the row's model",
    "set": "constants fitted without any row of the row's set",
}
"""What a prediction of a row left out knows nothing of, by what is left out with it."""

_TARGET = (0.85, 0.95)
"""Share of the measurements that intervals of 90 % are meant to hold in every such set."""


def unseen_cells(found: Score, left_out: Score) -> tuple[str, ...]:
    """Write the scores of a set under :data:`UNSEEN_COLUMNS`.

    Parameters
    ----------
    found : Score
        The set as predicted.
    left_out : Score
        The set, each row predicted as if nothing of its group had been fitted on.

    Returns
    -------
    tuple of str
    """
    return (
        *(*found.name, "")[:2], str(found.predicted), percent(found.in_sample), percent(found.median_ape),
        percent(left_out.median_ape), percent(found.coverage90), percent(left_out.coverage90),
        percent(found.half_width), percent(left_out.half_width), percent(left_out.calibrated),
    )  # fmt: skip


def fold_table(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the table of devices or models that were left out.

    Parameters
    ----------
    report : Report
        A validation.

    Returns
    -------
    head : tuple of str
    body : list of tuple of str
        Empty where neither devices nor models were left out. The second column counts the sets of each.
    """
    sets: dict[str, set[str]] = {}
    for outcome in report.left_out_outcomes:
        if report.folds and outcome.predicted is not None:
            sets.setdefault(getattr(outcome, report.left_out_by), set()).add(outcome.row.set)
    head = (report.left_out_by, "sets", *UNSEEN_COLUMNS[2:])
    return head, [
        (found.name[0], str(len(sets[found.name[0]])), *unseen_cells(found, unseen)[2:])
        for found, unseen in report.folds
    ]


def outside_target(report: Report) -> list[str]:
    """Name the sets of ten rows or more whose intervals hold too few or too many left-out rows.

    Parameters
    ----------
    report : Report
        A validation with rows left out.

    Returns
    -------
    list of str
        Name and coverage.
    """
    low, high = _TARGET
    return [
        f"{'/'.join(found.name)} {percent(found.coverage90)}"
        for found in report.left_out
        if found.predicted >= LEAST and found.coverage90 is not None and not low <= found.coverage90 <= high
    ]


def unseen_headline(report: Report) -> list[str]:
    """Say what leaving groups out changes, over all rows.

    Parameters
    ----------
    report : Report
        A validation with rows left out.

    Returns
    -------
    list of str
        Empty where nothing was left out.
    """
    found, all_ = report.left_out_overall, report.overall
    if found is None or not found.predicted:
        return []
    large = [s for s in report.left_out if s.predicted >= LEAST]
    outside = outside_target(report)
    chance = sum(chance_within(s.group_rows, *_TARGET) for s in large)
    lines = [
        (
            f"left out ({_WITHOUT[report.left_out_by]}): median error"
            f" {percent(found.median_ape)} (in sample {percent(all_.median_ape)}), intervals hold"
            f" {percent(found.coverage90)} ({percent(all_.coverage90)}), median half-width"
            f" {percent(found.half_width)} ({percent(all_.half_width)})"
        ),
        f"{len(large) - len(outside)} of {len(large)} sets with {LEAST} rows or more lie within 85 to 95 % coverage"
        + (f", where {chance:.0f} would if all intervals were right" if large else "")
        + (f"; outside: {', '.join(outside)}" if outside else ""),
        "rows in which no fitted constant took part are left out already and stand as they are"
        + (", but for rates measured on their device" if report.left_out_by == "device" else ""),
    ]
    fitted = [o for o in report.left_out_outcomes if o.predicted is not None]
    others = f"with constants fitted on other {report.left_out_by}s"
    for name, wanted in ((others, True), ("without any fitted constant", False)):
        widths = [o.half_width for o in fitted if o.calibrated == wanted]
        if widths:
            lines.append(f"median half-width {name}: {percent(median_high(widths))} ({len(widths)} rows)")
    return lines
