"""A sweep as one picture: an answer along what varies, or the frontier between two answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..errors import ConfigError
from ..evaluation.scorecard import NOT_KNOWN, ORDER
from ..intervals import INTERVAL_QUANTILE
from ..plugins import plugins
from ..renderers.numbers import quantity
from ..solving import choices_of, is_number
from ..sweeping import COUNTS
from ..sweeping.result import counted, stuck
from .canvas import (
    ACCENT,
    BAD,
    EDGE,
    INK,
    LINE,
    MUTED,
    PALE,
    check_plot_path,
    end_before,
    figure_class,
    plain_axes,
    save,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..sweeping.result import SweepResult

__all__ = ["plot_sweep"]

_USUAL = ("performance.throughput", "performance.step_time", "performance.latency")
"""What is drawn where no aim is named: the first of these that is answered."""
_LINES = (ACCENT, "#c77700", "#1a7f37", "#8e44ad", "#c62828", "#0f766e", "#6b7280", "#b8860b")
_BANDS = 3
"""Intervals of more lines than these would hide one another."""
_MOST_DOTS = 20_000
"""More points than these make a picture slow and no clearer."""
_NAMED = 6
"""So many points of a frontier are named."""
_TICKS = 10
"""At most so many values of what varies are written below an axis, each of them."""
_LETTER = 0.0115
"""Width of a letter below an axis, in widths of the axis."""
_NAMES = 30
"""At most so many choices are named below an axis."""
_MOST_LEVEL = 6
"""Names of more choices than these are turned so that they find room."""
_GROUPED = 1e12
"""Whole numbers below it are written out."""
_DECADE = 12.0
"""Ratio of the ends from which an axis is logarithmic."""


class _Aim(NamedTuple):
    """An answer to draw."""

    name: str
    values: NDArray[np.float64]
    largest: bool


def plot_sweep(
    result: SweepResult,
    path: str | Path | None = None,
    *,
    minimise: Sequence[str] = (),
    maximise: Sequence[str] = (),
    heading: str = "",
) -> Figure:
    """Draw a sweep: one answer along what varies, or all variations between two answers and their frontier.

    Parameters
    ----------
    result : SweepResult
        What to show.
    path : str or Path, optional
        Where to write it; ``.svg``, ``.png`` or ``.pdf``.
    minimise, maximise : sequence of str
        Answers to aim at, two at most; with none, the throughput, step time or latency.
    heading : str
        What stands above the picture.

    Returns
    -------
    matplotlib.figure.Figure
        For further changes.

    Raises
    ------
    ConfigError
        If more than two aims are named, one is no number, matplotlib is not installed, or the path is not usable.
    """
    if path is not None:
        check_plot_path(path)
    aims = _aims(result, minimise, maximise)
    figure = figure_class()(figsize=(9.5, 6.0), dpi=150, facecolor="white")
    axes = figure.add_axes((0.115, 0.11, 0.85, 0.70))
    name = figure.text(EDGE, 0.945, heading or "Sweep", fontsize=14, fontweight="bold", color=INK, va="center")
    end_before(name, figure.bbox.width * 0.965)
    said = counted(result)
    if len(aims) > 1:
        said += _frontier(axes, result, aims, minimise, maximise)
    else:
        said += _along(axes, result, aims[0], aimed=bool(minimise or maximise))
    figure.text(EDGE, 0.895, said, fontsize=9, color=MUTED, va="center")
    plain_axes(axes)
    if path is not None:
        save(figure, path)
    return figure


def _aims(result: SweepResult, minimise: Sequence[str], maximise: Sequence[str]) -> list[_Aim]:
    if len(minimise) + len(maximise) > 2:
        raise ConfigError("more than two aims are given", where="plot", remedy="A picture has two axes")
    named = [(result.output_name(name, where="plot"), False) for name in minimise]
    named += [(result.output_name(name, where="plot"), True) for name in maximise]
    if not named:
        named = [(name, name.endswith("throughput")) for name in _USUAL if name in result.outputs][:1]
    if not named:
        raise ConfigError("nothing says what to draw", where="plot", remedy="Name an aim, with minimise or maximise")
    for name, _ in named:
        if not is_number(result.units[name]):
            raise ConfigError(f"{name} is not a number", where="plot", remedy="Aim at another answer")
    return [_Aim(name, result.outputs[name], largest) for name, largest in named]


def _varied(result: SweepResult) -> list[str]:
    """Return what varies, the finest first; a number of devices that follows from the layout says nothing new."""
    names = [name for name in result.varied if name != "devices" or not COUNTS & set(result.varied)]
    return sorted(names, key=lambda name: (_chosen(result, name), -len(np.unique(result.varied[name]))))


def _chosen(result: SweepResult, name: str) -> bool:
    """Whether a column holds choices of a key, which have no order."""
    return bool(choices_of(result.units[name]))


def _along(axes: Axes, result: SweepResult, aim: _Aim, *, aimed: bool) -> str:
    """Draw an answer along the column with the most values, a line for each combination of the others."""
    first, *others = _varied(result)
    x, fits = result.varied[first], result.feasible
    lines = list(_lines(result, others))
    if len(lines) <= len(_LINES):
        for colour, (words, rows) in zip(_LINES, lines, strict=False):
            _line(axes, result, aim, first, rows, colour, words, banded=len(lines) <= _BANDS)
    else:
        _cloud(axes, x[fits], aim.values[fits])
        for colour, (words, rows) in zip(_LINES, _best_lines(result, first, others, aim), strict=False):
            _line(axes, result, aim, first, rows, colour, words, banded=False)
    _axis(axes, "x", first, result.units[first], x)
    _axis(axes, "y", _words(aim.name), result.units[aim.name], aim.values[fits])
    _misfits(axes, np.unique(x[~fits]), "cannot work" if stuck(result) else "does not fit")
    broken = _broken(axes, result, x, aim.values)
    if others or broken or (~fits).any():
        axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="best")
    spread = result.outputs.get(f"{aim.name}.log_sd")
    shaded = _shaded(spread[fits]) if spread is not None and len(lines) <= _BANDS else ""
    if not fits.any():
        axes.set_yticks([])
        axes.text(0.5, 0.5, "nothing fits", transform=axes.transAxes, ha="center", color=MUTED, fontsize=12)
    if not result.acceptable.any() or not aimed:
        return shaded
    best = result.best(aim.name, largest=aim.largest)
    axes.plot(
        x[best], aim.values[best], "o", color="none", markersize=11, markeredgecolor=INK, markeredgewidth=1.6, zorder=6
    )
    return f",  best: {quantity(aim.values[best], result.units[aim.name])} at {_point(result, best)}{shaded}"


def _lines(result: SweepResult, others: list[str]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Yield the rows of each combination of the other columns, with its words."""
    if not others:
        yield "", np.arange(len(result))
        return
    keys = np.stack([result.varied[name] for name in others], axis=1)
    found, which = np.unique(keys, axis=0, return_inverse=True)
    for index in range(len(found)):
        rows = np.flatnonzero(which.ravel() == index)
        yield _point(result, int(rows[0]), others), rows


def _line(
    axes: Axes, result: SweepResult, aim: _Aim, first: str, rows: NDArray[np.intp], colour: str, words: str, *,
    banded: bool,
) -> None:  # fmt: skip
    rows = rows[np.argsort(result.varied[first][rows], kind="stable")]
    x, y = result.varied[first][rows], np.where(result.feasible[rows], aim.values[rows], np.nan)
    apart = _chosen(result, first)
    axes.plot(x, y, linestyle="none" if apart else "-", color=colour, linewidth=1.6, label=words or None,
              marker="o" if len(rows) <= 40 else None, markersize=7 if apart else 3.5)  # fmt: skip
    spread = result.outputs.get(f"{aim.name}.log_sd")
    if banded and spread is not None:
        factor = _factor(spread[rows])
        if apart:
            axes.vlines(x, y / factor, y * factor, color=colour, alpha=0.3, linewidth=5)
        else:
            axes.fill_between(x, y / factor, y * factor, color=colour, alpha=0.13, linewidth=0)


def _factor(spread: Any) -> Any:
    """Return how far intervals reach either way; nothing where that is too far to tell anything."""
    factor = np.exp(np.minimum(INTERVAL_QUANTILE * spread, np.log(ORDER) + 1.0))
    return np.where(factor > ORDER, np.nan, factor)


def _shaded(spread: Any) -> str:
    """Say what the shades are, and that some are missing."""
    known = np.isfinite(_factor(spread))
    if not (spread[known] > 0.0).any():
        return "" if known.all() else f",  {NOT_KNOWN}"
    return ",  shaded: 90 % intervals" + ("" if known.all() else f", where known within a factor of {ORDER:.0f}")


def _best_lines(
    result: SweepResult, first: str, others: list[str], aim: _Aim
) -> Iterator[tuple[str, NDArray[np.intp]]]:  # fmt: skip
    """Yield the best rows along a column, for each combination of choices where these are few."""
    apart = [name for name in others if _chosen(result, name)]
    lines = list(_lines(result, apart))
    if len(lines) > len(_LINES) or len(apart) == len(others):
        apart, lines = [], list(_lines(result, []))
    best = f"best over {_and([name for name in others if name not in apart])}"
    for words, rows in lines:
        yield f"{words}, {best}" if words else best, _envelope(result, first, aim, rows)


def _envelope(result: SweepResult, first: str, aim: _Aim, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the best of some rows for each value of a column: of those that keep every limit, where any does."""
    good = rows[result.acceptable[rows]]
    fits = good if good.size else rows[result.feasible[rows]]
    values = aim.values[fits]
    order = fits[np.lexsort((-values if aim.largest else values, result.varied[first][fits]))]
    x = result.varied[first][order]
    return order[np.concatenate(([True], x[1:] != x[:-1]))] if order.size else order


def _frontier(
    axes: Axes, result: SweepResult, aims: list[_Aim], minimise: Sequence[str], maximise: Sequence[str]
) -> str:
    """Draw all variations that fit between two answers, and join those that none beats in both."""
    fits = result.feasible
    across, up = aims
    _cloud(axes, across.values[fits], up.values[fits])
    rows = result.pareto(minimise, maximise)
    axes.plot(across.values[rows], up.values[rows], "-o", color=ACCENT, linewidth=1.5, markersize=5, zorder=4,
              label="frontier")  # fmt: skip
    if _broken(axes, result, across.values, up.values):
        axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="best")
    _axis(axes, "x", _wanted(across), result.units[across.name], across.values[fits], each=False)
    _axis(axes, "y", _wanted(up), result.units[up.name], up.values[fits])
    changing = [name for name in _varied(result) if len(np.unique(result.varied[name][rows])) > 1]
    axes.margins(x=0.12, y=0.08)
    axes.autoscale_view()  # else the places of the names are those of another picture
    for row in rows[np.unique(np.linspace(0, len(rows) - 1, _NAMED).round().astype(int))] if len(rows) else ():
        _name(axes, _point(result, int(row), changing), across.values[row], up.values[row],
              rising=across.largest != up.largest)  # fmt: skip
    held = [name for name in _varied(result) if name not in changing] if len(rows) else []
    words = f",  all with {_point(result, int(rows[0]), held)}" if held else ""
    return f", {len(rows):,} of them on the frontier{words}"


def _name(axes: Axes, words: str, x: float, y: float, *, rising: bool) -> None:
    """Name a point beside the frontier: to the right of it, or to the left where the picture ends."""
    across = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[0]
    left = across + _LETTER * len(words) > 1.0
    above = left == rising
    axes.annotate(words, (x, y), xytext=(-7 if left else 7, 3 if above else -3), textcoords="offset points", fontsize=8,
                  color=INK, va="bottom" if above else "top", ha="right" if left else "left")  # fmt: skip


def _words(name: str) -> str:
    """Return what the solvers call an output."""
    labels = (spec.labels.get(name, "") for spec in plugins().solvers.values())
    return next(filter(None, labels), name.partition(".")[2].replace("_", " "))


def _wanted(aim: _Aim) -> str:
    return f"{_words(aim.name)}, {'more' if aim.largest else 'less'} is better"


def _cloud(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    step = 1 + (len(x) - 1) // _MOST_DOTS if len(x) else 1
    axes.plot(x[::step], y[::step], "o", color=LINE, markersize=3, markeredgewidth=0, rasterized=True, zorder=1)


def _broken(axes: Axes, result: SweepResult, x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Mark what fits and breaks a constraint of the scenario."""
    rows = np.flatnonzero(result.feasible & ~result.acceptable)[:_MOST_DOTS]
    if rows.size:
        axes.plot(x[rows], y[rows], "o", markersize=5, markerfacecolor="white", markeredgecolor=BAD,
                  linestyle="none", zorder=3, label="breaks a constraint")  # fmt: skip
    return rows.size > 0


def _misfits(axes: Axes, values: NDArray[np.float64], what: str) -> None:
    """Mark at the lower edge where something does not fit, or fits and cannot work."""
    if values.size:
        axes.plot(values, np.full(values.size, 0.015), "x", color=BAD, markersize=6, clip_on=False,
                  transform=axes.get_xaxis_transform(), label=what)  # fmt: skip


def _point(result: SweepResult, row: int, names: Sequence[str] | None = None) -> str:
    """Say what a row varies."""
    kept = _varied(result) if names is None else names
    return ", ".join(f"{name} {_number(result.varied[name][row], result.units[name])}" for name in kept)


def _number(value: Any, unit: str) -> str:
    if choices := choices_of(unit):
        return choices[int(value)]
    if unit not in ("", "1", "sample", "token"):
        return quantity(float(value), unit)
    return f"{value:,.0f}" if value % 1.0 == 0.0 and abs(value) < _GROUPED else f"{value:,.6g}"


def _and(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def _legible(values: NDArray[np.float64], unit: str, *, wide: bool) -> list[float]:
    """Leave out values whose numbers would touch those beside them; the first and the last stay."""
    along = np.log(values) if wide else values
    places = (along - along[0]) / max(along[-1] - along[0], np.finfo(float).tiny)
    widths = [_LETTER * (len(_number(value, unit)) + 1) for value in values]
    last, kept = len(values) - 1, [0]
    for n in range(1, last):
        room = 0.5 * (widths[n] + widths[kept[-1]]), 0.5 * (widths[n] + widths[last])
        if places[n] - places[kept[-1]] >= room[0] and places[last] - places[n] >= room[1]:
            kept.append(n)
    return [float(values[n]) for n in dict.fromkeys((*kept, last))]


def _axis(
    axes: Axes, which: Literal["x", "y"], label: str, unit: str, values: NDArray[np.float64], *, each: bool = True
) -> None:  # fmt: skip
    """Name an axis; wide ranges are logarithmic, numbers have their units, and few of what varies stand each."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

    said = f"{label} ({unit}s)" if unit in ("sample", "token") else label
    chosen = bool(choices_of(unit))
    wide = not chosen and values.size > 0 and values.min() > 0.0 and bool(values.max() / values.min() >= _DECADE)
    axes.set(**{f"{which}scale": "log" if wide else "linear"})
    if which == "x":
        axes.set_xlabel(said, fontsize=9, color=MUTED)
    else:  # above the axis, where it reads without turning the head and has all the room it needs
        title(axes, said)
    axis = axes.xaxis if which == "x" else axes.yaxis
    seen = np.unique(values)
    if which == "x" and each and 0 < seen.size <= (_NAMES if chosen else _TICKS):
        axis.set_major_locator(FixedLocator(seen.tolist() if chosen else _legible(seen, unit, wide=wide)))
    elif wide:
        even = LogLocator(10, (1.0, 2.0, 5.0), numticks=_TICKS)
        # Beside what is drawn a number would leave the picture.
        inside = [tick for tick in even.tick_values(seen[0], seen[-1]) if seen[0] <= tick <= seen[-1]]
        axis.set_major_locator(FixedLocator(inside) if which == "x" and len(inside) > 1 else even)
    else:
        axis.set_major_locator(MaxNLocator(7))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, unit)))
    if chosen:
        axes.margins(x=0.5 / max(1, seen.size))
        axes.tick_params(axis="x", rotation=30 if seen.size > _MOST_LEVEL else 0)
    axes.grid(visible=True, axis=which, color=PALE, linewidth=0.8)
