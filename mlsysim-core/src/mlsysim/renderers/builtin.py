"""The formats that the core writes itself, by name: text, json and markdown."""

from __future__ import annotations

from ..rendering import Renderer
from .markdown import render_markdown
from .plain import render_json
from .text import render_text

__all__ = ["BUILT_IN"]

BUILT_IN = {
    renderer.name: renderer
    for renderer in (
        Renderer("text", render_text, "the scorecard, for people"),
        Renderer("json", render_json, "plain data that SystemEvaluation.from_dict reads back"),
        Renderer("markdown", render_markdown, "tables, for reports and issues"),
    )
}
"""By name; plugins add others through ``mlsysim_register_renderers``."""
