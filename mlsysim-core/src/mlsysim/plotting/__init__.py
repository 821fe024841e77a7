"""Pictures: a scorecard, and the variations of a sweep."""

from __future__ import annotations

from .canvas import check_plot_path, plain_axes, save, title
from .scorecard import plot_scorecard
from .variations import plot_sweep

__all__ = ["check_plot_path", "plain_axes", "plot_scorecard", "plot_sweep", "save", "title"]
