"""The report as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from ..predicting import Outcome
from ..scoring import Score
from .summary import Report

__all__ = ["json_report", "row_of"]

_SCORES = (
    "n", "predicted", "refused", "median_ape", "group_median_ape", "p90_ape", "bias", "spearman", "coverage90",
    "half_width", "baseline_median_ape", "skill", "calibrated", "in_sample",
)  # fmt: skip
_UNSEEN = ("predicted", "low", "high", "error", "calibrated")


def row_of(outcome: Outcome) -> dict[str, Any]:
    """Return one row as plain data.

    Parameters
    ----------
    outcome : Outcome
        What came of the row.

    Returns
    -------
    dict
        Figures in the unit of the metric; ``error`` is predicted over measured, less one.
    """
    row = outcome.row
    return {
        "id": row.id,
        "kind": row.table,
        "group": "/".join((*row.group, row.name)),
        "status": "refused" if outcome.predicted is None else "predicted",
        "reason": outcome.reason,
        "metric": row.name,
        "unit": row.metric.unit,
        "measured": None if math.isnan(row.value) else row.value,
        "predicted": outcome.predicted,
        "low": outcome.low,
        "high": outcome.high,
        "error": outcome.error,
        "device": outcome.device,
        "model": outcome.model,
        "stack": outcome.stack,
        "precision": outcome.precision,
        "calibrated": outcome.calibrated,
        "in_sample": outcome.in_sample,
        "assumed": list(outcome.assumed),
        "source": row.source,
    }


def _score(found: Score) -> dict[str, Any]:
    return {"name": "/".join(found.name), **{name: getattr(found, name) for name in _SCORES}}


def json_report(report: Report) -> str:
    """Write a report as JSON.

    Parameters
    ----------
    report : Report
        The validation.

    Returns
    -------
    str
        One object with ``rows`` and ``summary``; where groups were left out, rows and sets hold ``left_out``, and
        where devices or models were, each of them stands there too.
    """
    summary = _score(report.overall)
    del summary["name"]
    summary["sets"] = [_score(found) for found in report.sets]
    summary["groups"] = [_score(found) for found in report.groups]
    if report.left_out_overall is not None:
        summary["left_out"] = {**_score(report.left_out_overall), "by": report.left_out_by}
        for found, unseen in zip(summary["sets"], report.left_out, strict=True):
            found["left_out"] = _score(unseen)
    if report.outside is not None:
        summary["outside"] = _score(report.outside)
    if report.folds:
        summary[f"{report.left_out_by}s"] = [
            {**_score(found), "left_out": _score(unseen)} for found, unseen in report.folds
        ]
    summary["reasons"] = [{"reason": reason, "rows": count} for reason, count in report.reasons]
    rows = [row_of(outcome) for outcome in report.outcomes]
    for row, unseen_row in zip(rows, report.left_out_outcomes, strict=False):
        row["left_out"] = {name: row_of(unseen_row)[name] for name in _UNSEEN}
    return json.dumps({"rows": rows, "summary": summary}, indent=1, allow_nan=False)
