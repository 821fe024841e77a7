"""The formats that the core writes itself, by name: text, json and markdown."""

from __future__ import annotations

from . import Renderer
from .markdown import render_markdown
from .plain import render_json
from .text import render_text

__all__ = ["BUILT_IN"]

BUILT_IN = {
    "text": Renderer("text", render_text),
    "json": Renderer("json", render_json),
    "markdown": Renderer("markdown", render_markdown),
}
"""By name; plugins add others through ``mlsysim_register_renderers``."""
