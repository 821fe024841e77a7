"""The result of a validation as text, JSON, Markdown or HTML, and as a figure."""

from __future__ import annotations

from collections.abc import Callable

from .html import html_report
from .plain import json_report
from .summary import Report, summarise
from .text import markdown_report, text_report

__all__ = ["FORMATS", "Report", "summarise"]

FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text_report,
    "json": json_report,
    "markdown": markdown_report,
    "html": html_report,
}
"""Report by the value of ``--format``."""
