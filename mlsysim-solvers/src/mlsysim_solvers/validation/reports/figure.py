"""Predicted against measured, on logarithmic axes, with intervals."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from mlsysim.errors import ConfigError

from .summary import Report

__all__ = ["save_figure", "svg_of"]


def _draw(report: Report) -> Any:
    from matplotlib.figure import Figure

    known = [o for o in report.outcomes if o.predicted is not None]
    units = sorted({o.row.metric.unit for o in known})
    columns = min(3, max(1, len(units)))
    lines = -(-len(units) // columns) or 1
    figure = Figure(figsize=(5.2 * columns, 4.8 * lines), layout="constrained")
    for place, unit in enumerate(units, 1):
        axes = figure.add_subplot(lines, columns, place)
        sets = sorted({o.row.set for o in known if o.row.metric.unit == unit})
        for name in sets:
            rows = [o for o in known if o.row.metric.unit == unit and o.row.set == name]
            centre = [o.predicted or 0.0 for o in rows]
            below = [c - (o.low or c) for c, o in zip(centre, rows, strict=True)]
            above = [(o.high or c) - c for c, o in zip(centre, rows, strict=True)]
            axes.errorbar(
                [o.row.value for o in rows], centre, yerr=[below, above], fmt="o", ms=3, lw=0.6, alpha=0.7, label=name
            )
        figures = [v for o in known if o.row.metric.unit == unit for v in (o.row.value, o.predicted or o.row.value)]
        ends = [min(figures) / 1.3, max(figures) * 1.3]
        axes.plot(ends, ends, color="0.5", lw=0.8)
        axes.set(
            xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel=f"measured, {unit}", ylabel=f"predicted, {unit}"
        )
        axes.legend(fontsize=6, loc="upper left")
    return figure


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
    except ImportError:
        return None
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().split("?>", 1)[-1].split('dtd">', 1)[-1]


def save_figure(report: Report, path: str) -> None:
    """Draw the figure into a file.

    Parameters
    ----------
    report : Report
        The validation.
    path : str
        ``.png``, ``.svg`` or ``.pdf``.

    Raises
    ------
    ConfigError
        If matplotlib is missing, the format is unknown, or the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".svg", ".pdf"):
        raise ConfigError(
            f"{suffix or 'no suffix'} is no format of figures", where=path, remedy="Use .png, .svg or .pdf"
        )
    try:
        figure = _draw(report)
        figure.savefig(path, dpi=150)
    except ImportError:
        raise ConfigError(
            "figures need matplotlib", where="--plot", remedy='pip install "mlsysim-core[plot]"'
        ) from None
    except OSError as problem:
        raise ConfigError(f"cannot be written: {problem.strerror or problem}", where=path) from None
