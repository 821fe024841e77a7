"""Predicted against measured, on logarithmic axes, with intervals."""

from __future__ import annotations

import io
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.plotting.canvas import figure_class, save

from ..predicting import Outcome
from .summary import Report

__all__ = ["save_figure", "svg_of"]


_MARKERS = "osD^v"
"""Shapes of points: with the colours of one palette, enough that no two sets of a panel look alike."""


_MANY, _POINTS = 500, 0
"""Points of a panel beyond which they are drawn as pixels, as vectors take megabytes; their layer."""


_SHORT, _LONG = 6.0, 100.0
"""Ends of an axis, one over the other, up to which more numbers stand between the powers of ten."""


def _draw(report: Report) -> Any:
    known = [o for o in report.outcomes if o.predicted is not None]
    units = sorted({o.row.metric.unit for o in known})
    columns = min(3, max(1, len(units)))
    lines = -(-len(units) // columns) or 1
    figure = figure_class()(figsize=(5.2 * columns, 5.0 * lines), layout="constrained")
    for place, unit in enumerate(units, 1):
        _panel(figure.add_subplot(lines, columns, place), [o for o in known if o.row.metric.unit == unit], unit)
    return figure


def _panel(axes: Any, known: list[Outcome], unit: str) -> None:
    """Draw the rows of one unit, with the whole of their intervals."""
    if len(known) > _MANY:
        axes.set_rasterization_zorder(_POINTS + 1)
    for place, name in enumerate(sorted({o.row.set for o in known})):
        rows = [o for o in known if o.row.set == name]
        centre = [o.predicted or 0.0 for o in rows]
        below = [c - (o.low or c) for c, o in zip(centre, rows, strict=True)]
        above = [(o.high or c) - c for c, o in zip(centre, rows, strict=True)]
        axes.errorbar(
            [o.row.value for o in rows], centre, yerr=[below, above], fmt=_MARKERS[place // 10 % len(_MARKERS)],
            color=f"C{place % 10}", ms=3, lw=0.6, alpha=0.7, label=name, zorder=_POINTS,
        )  # fmt: skip
    figures = [v for o in known for v in (o.row.value, o.low or o.row.value, o.high or o.row.value)]
    ends = [min(figures) / 1.2, max(figures) * 1.2]
    axes.plot(ends, ends, color="0.5", lw=0.8)
    named = "utilisation as published" if unit == "1" else unit
    axes.set(
        xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel=f"measured, {named}", ylabel=f"predicted, {named}",
        aspect="equal",
    )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        _plain_numbers(axis, ends[1] / ends[0])
    axes.legend(fontsize=6, loc="upper left")


def _plain_numbers(axis: Any, range_: float) -> None:
    """Write the numbers of a logarithmic axis as they are, more of them where it spans little."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    steps = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0) if range_ < _SHORT else (1.0, 2.0, 5.0) if range_ < _LONG else (1.0,)
    axis.set_major_locator(LogLocator(10, steps, numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def svg_of(report: Report) -> str | None:
    """Draw the figure as SVG text.

    Parameters
    ----------
    report : Report
        The validation.

    Returns
    -------
    str or None
        None where matplotlib is not installed, or nothing was predicted.
    """
    if not report.overall.predicted:
        return None
    try:
        figure = _draw(report)
    except ConfigError:
        return None
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, dpi=150)
    return text.getvalue().split("?>", 1)[-1].split('dtd">', 1)[-1]


def save_figure(report: Report, path: str) -> None:
    """Draw the figure into a file.

    Parameters
    ----------
    report : Report
        The validation.
    path : str
        As :func:`mlsysim.plotting.check_plot_path` lets pass.

    Raises
    ------
    ConfigError
        If matplotlib is missing, nothing was predicted, or the file cannot be written.
    """
    if not report.overall.predicted:
        raise ConfigError("nothing was predicted, so there is nothing to draw", where="--plot")
    save(_draw(report), path, dpi=150)
