"""Pictures: a scorecard, and the variations of a sweep."""

from __future__ import annotations

from .canvas import check_plot_path, save
from .scorecard import plot_scorecard
from .variations import plot_sweep

__all__ = ["check_plot_path", "plot_scorecard", "plot_sweep", "save"]
