"""The report as one HTML page, with the figure inside where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .figure import svg_of
from .plain import row_of
from .summary import Report
from .text import table_of, text_report
from .unseen import fold_table

__all__ = ["html_report"]

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ddd;padding:.2rem .6rem}"
    "td,th{text-align:right}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}pre{overflow:auto}svg{max-width:100%}"
)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value or "")


def html_report(report: Report) -> str:
    """Write a report as HTML.

    Parameters
    ----------
    report : Report
        The validation.

    Returns
    -------
    str
        A page that needs no other file.
    """
    fields = ("id", "metric", "measured", "predicted", "low", "high", "error", "device", "model", "stack", "reason")
    rows = [[_figure(row_of(outcome)[field]) for field in fields] for outcome in report.outcomes]
    folds = f"<h2>By {report.left_out_by}</h2>{_table(*fold_table(report))}" if report.folds else ""
    head = "\n".join(text_report(report).split("\n\n", maxsplit=1)[:1])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Validation</title>'
        f"<style>{_STYLE}</style></head><body><h1>Validation</h1><pre>{escape(head)}</pre>{svg_of(report) or ''}"
        f"<h2>By set</h2>{_table(*table_of(report))}{folds}"
        f"<h2>Refused</h2>{_table(('reason', 'rows'), [(reason, str(count)) for reason, count in report.reasons])}"
        f"<h2>By row</h2>{_table(fields, rows)}</body></html>"
    )
