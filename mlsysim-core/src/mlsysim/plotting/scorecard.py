"""The scorecard as one picture: does it fit, what binds, and how sure the answers are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..provenance import Level
from ..renderers import content
from ..renderers.limits import UNSURE, checks
from ..renderers.numbers import quantity
from .canvas import (
    ACCENT,
    BAD,
    EDGE,
    GOOD,
    INK,
    LINE,
    MUTED,
    PALE,
    WARN,
    bare,
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

    from ..evaluation import Answer, SystemEvaluation

__all__ = ["plot_scorecard"]

_COLOURS = {"green": GOOD, "red": BAD, "yellow": WARN}
_LEVEL_COLOURS = {
    Level.MEASURED: "#12652b", Level.CORROBORATED: "#3f9d5a", Level.ARCHIVED: "#7fb5d8", Level.STATED: "#a9c4e6",
    Level.ESTIMATE: "#e8b04a",
}  # fmt: skip
_MOST_ROWS = 14
_MACRO_ROWS = 5
_ROOMY = 3
"""More lines than these below the name are set smaller and closer, so that they end above the picture."""
_MOST_LIMITS = 3
_LINE_LENGTH = 160


def plot_scorecard(evaluation: SystemEvaluation, path: str | Path | None = None) -> Figure:
    """Draw an evaluation.

    Parameters
    ----------
    evaluation : SystemEvaluation
        What to show.
    path : str or Path, optional
        Where to write it; ``.svg``, ``.png`` or ``.pdf``.

    Returns
    -------
    matplotlib.figure.Figure
        For further changes.

    Raises
    ------
    ConfigError
        If matplotlib is not installed, or the path is not usable.
    """
    if path is not None:
        check_plot_path(path)
    figure = figure_class()(figsize=(11.5, 6.6), dpi=150, facecolor="white")
    grid = figure.add_gridspec(
        2, 2, left=EDGE, right=0.975, top=0.752, bottom=0.205, width_ratios=(1, 1.12), height_ratios=(0.62, 3),
        wspace=0.11, hspace=0.5,
    )  # fmt: skip
    _head(figure, evaluation)
    _memory(figure.add_subplot(grid[0, 0]), evaluation)
    _roofline(figure.add_subplot(grid[1, 0]), evaluation)
    _figures(figure.add_subplot(grid[:, 1]), evaluation)
    _foot(figure, evaluation)
    if path is not None:
        save(figure, path)
    return figure


def _head(figure: Figure, evaluation: SystemEvaluation) -> None:
    word, colour = content.verdict(evaluation)
    name = figure.text(EDGE, 0.935, evaluation.scenario.name, fontsize=17, fontweight="bold", color=INK, va="center")
    badge = figure.text(
        0.972, 0.935, word, fontsize=11, fontweight="bold", color="white", ha="right", va="center",
        bbox={"boxstyle": "round,pad=0.5", "facecolor": _COLOURS[colour], "edgecolor": "none"},
    )  # fmt: skip
    end_before(name, badge.get_window_extent().x0 - 2 * badge.get_fontsize())
    why = [f"{evaluation.answers[name].label}: no" for name in evaluation.infeasible if name != "feasibility.fits"]
    figure.text(0.972, 0.982, ", ".join(why), fontsize=9, color=BAD, ha="right", va="center")
    limits = sorted(checks(evaluation), key=lambda check: check.met)
    said = [
        f"{check.text}  {'met' if check.met else 'VIOLATED'}" + f" ({UNSURE})" * (not check.sure)
        for check in limits[:_MOST_LIMITS]
    ]
    if len(limits) > _MOST_LIMITS:
        said.append(f"and {len(limits) - _MOST_LIMITS} more")
    lines, step, size = _lines(content.setup(evaluation), _LINE_LENGTH), 0.030, 9
    if len(lines) + bool(said) > _ROOMY:
        lines, size = _lines(content.setup(evaluation), _LINE_LENGTH * 9 // 8), 8
        step = 0.100 / (len(lines) + bool(said))
    for row, line in enumerate(lines):
        figure.text(EDGE, 0.890 - row * step, line, fontsize=size, color=MUTED, va="center")
    if said:
        hue = GOOD if all(check.met for check in limits) else BAD
        height = 0.887 - len(lines) * step
        figure.text(EDGE, height, "constraints:  " + "  ·  ".join(said), fontsize=size, color=hue, va="center")


def _lines(parts: tuple[str, ...], length: int) -> list[str]:
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]}  ·  {part}" if lines[-1] else part
        if len(joined) > length:
            lines.append(part)
        else:
            lines[-1] = joined
    return lines


def _memory(axes: Axes, evaluation: SystemEvaluation) -> None:
    bare(axes)
    text, _ = content.headroom(evaluation)
    doubt = f", {UNSURE}"
    title(axes, "Memory" + doubt * text.endswith(doubt))  # beside the bar there is no room for it
    required = evaluation.answers.get("feasibility.memory_required")
    usable = evaluation.answers.get("feasibility.memory_usable")
    if required is None or usable is None or not usable.value:
        axes.text(0, 0.5, "not evaluated", fontsize=9, color=MUTED, transform=axes.transAxes)
        return
    share = required.value / usable.value
    colour = GOOD if evaluation.fits else BAD
    shown = min(share, 2.0)  # a bar a thousand times too long tells no more than one twice as long
    axes.barh(0, 1, height=0.62, color=PALE, edgecolor=LINE, linewidth=0.8)
    axes.barh(0, shown, height=0.62, color=colour, alpha=0.88)
    axes.plot([1, 1], [-0.42, 0.42], color=INK, linewidth=1.6, solid_capstyle="butt")
    axes.set_xlim(0, max(1.0, shown) * 1.002)
    axes.set_ylim(-1.05, 0.5)
    needed, most = quantity(required.value, "B"), quantity(usable.value, "B")
    spare = (
        text.removesuffix(doubt).partition("with ")[2]
        if evaluation.fits
        else f"{quantity(required.value - usable.value, 'B')} too much"
    )
    said = f"{needed} needed  =  {content.times(share)} {most} usable" + (f",  {spare}" if spare else "")
    axes.text(0, -1.05, said, fontsize=9, color=INK if evaluation.fits else BAD, va="bottom")


class _Roof(NamedTuple):
    """What a roofline needs, all in SI."""

    peak: float
    bandwidth: float
    intensity: float
    rate: float


def _roof(evaluation: SystemEvaluation) -> _Roof | None:
    """Find work, traffic and time among the answers, or the utilisations, and the roofs among the records."""
    entry = evaluation.config.entries.get("device") if evaluation.config is not None else None
    if entry is None:
        return None
    peak = entry.record.compute.peak.get(evaluation.scenario.workload.precision)
    bandwidth = entry.record.memory.bandwidth
    if peak is None or not peak.dense or not bandwidth:
        return None
    devices = evaluation.scenario.system.devices
    roofs = peak.dense * devices, bandwidth * devices
    names = ("flops", "bytes", "utilisation", "bandwidth_utilisation")
    work, traffic, busy, moving = (getattr(evaluation.answers.get(f"performance.{n}"), "value", 0.0) for n in names)
    time = evaluation.answers.get("performance.latency") or evaluation.answers.get("performance.step_time")
    if work and traffic and time is not None and time.value:
        return _Roof(*roofs, work / traffic, work / time.value)
    if busy and moving and not _terms(evaluation):
        return _Roof(*roofs, busy * roofs[0] / (moving * roofs[1]), busy * roofs[0])
    return None


def _roofline(axes: Axes, evaluation: SystemEvaluation) -> None:
    roof, terms = _roof(evaluation), _terms(evaluation)
    if roof is None and terms:
        _breakdown(axes, terms)
        return
    title(axes, _bound_words(evaluation))
    if roof is None:
        bare(axes)
        axes.text(0, 0.92, "no roofline: work, traffic or time is not among the answers", fontsize=9, color=MUTED,
                  transform=axes.transAxes)  # fmt: skip
        return
    ridge = roof.peak / roof.bandwidth
    left, right = min(roof.intensity, ridge) / 8, max(roof.intensity, ridge) * 8
    ceiling = min(roof.peak, roof.intensity * roof.bandwidth)
    bottom = min(left * roof.bandwidth, roof.rate) / 3
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(bottom, roof.peak * 4))
    axes.fill_between([left, ridge, right], [left * roof.bandwidth, roof.peak, roof.peak], bottom, color=PALE, zorder=0)
    axes.plot([left, ridge, right], [left * roof.bandwidth, roof.peak, roof.peak], color=INK, linewidth=1.6)
    axes.plot([roof.intensity] * 2, [roof.rate, ceiling], color=ACCENT, linewidth=1.2, linestyle=(0, (2, 2)))
    axes.plot([roof.intensity], [roof.rate], "o", color=ACCENT, markersize=9, markeredgecolor="white", zorder=5)
    axes.annotate(
        f"{quantity(roof.rate, 'FLOP/s', 3)}\n{100 * roof.rate / ceiling:.3g} % of this roof",
        (roof.intensity, roof.rate), xytext=(11, -4), textcoords="offset points", fontsize=9, color=ACCENT, va="top",
        fontweight="bold",
    )  # fmt: skip
    peak = f"{quantity(roof.peak, 'FLOP/s')} {evaluation.scenario.workload.precision}"
    axes.text(right, roof.peak * 1.15, peak + "  ", fontsize=8.5, color=INK, ha="right", va="bottom")
    axes.text(0.02, 0.95, f"memory roof: {quantity(roof.bandwidth, 'B/s')}", fontsize=8.5, color=INK, va="top",
              transform=axes.transAxes)  # fmt: skip
    axes.text(0.02, 0.87, _against_peaks(evaluation, roof, ridge), fontsize=8.5, color=MUTED, va="top",
              transform=axes.transAxes)  # fmt: skip
    _log_axes(axes)


def _against_peaks(evaluation: SystemEvaluation, roof: _Roof, ridge: float) -> str:
    """Explain a bound on the other side of the ridge: it is told from what software reaches, not from peaks."""
    bound = evaluation.answers.get("performance.bound")
    if bound is None or bound.value != ("compute" if roof.intensity < ridge else "memory"):
        return ""
    return f"the roofs are peaks; at what software reaches of them,\n{bound.value} takes longest"


def _terms(evaluation: SystemEvaluation) -> list[Answer]:
    """Return the terms of a time, as far as they are not zero: outputs called ``performance.breakdown_...``."""
    every = evaluation.level("performance").items()
    return [answer for name, answer in every if name.startswith("performance.breakdown_") and answer.value > 0.0]


def _breakdown(axes: Axes, terms: list[Answer]) -> None:
    """Draw where the time goes, where there is no roofline to draw."""
    title(axes, "Where the time goes")
    bare(axes)
    whole = sum(term.value for term in terms)
    axes.barh(range(len(terms)), [term.value for term in terms], height=0.22, color=ACCENT, alpha=0.88)
    for row, term in enumerate(terms):
        said = (
            f"{term.label.removeprefix('of which ')}:  {quantity(term.value, term.unit, 3)},  {term.value / whole:.1%}"
        )
        axes.text(0, row - 0.24, said, fontsize=9, color=INK, va="bottom")
    axes.set(xlim=(0, whole), ylim=(max(len(terms), 6) - 0.5, -0.9))


def _bound_words(evaluation: SystemEvaluation) -> str:
    bound = evaluation.answers.get("performance.bound")
    factor = evaluation.answers.get("performance.bound_factor")
    if bound is None:
        return "Roofline"
    above = f", {factor.value:.3g}x above the next resource" if factor is not None else ""
    return f"{str(bound.value).capitalize()}-bound{above}"


def _log_axes(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xlabel("arithmetic intensity (FLOP/B)", fontsize=8.5, color=MUTED)
    axes.set_ylabel("FLOP/s", fontsize=8.5, color=MUTED)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value, "FLOP/s", 3).partition("FLOP")[0]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(base=10, numticks=7))
        axis.set_minor_locator(NullLocator())
    plain_axes(axes)


def _figures(axes: Axes, evaluation: SystemEvaluation) -> None:
    """List the key figures; beside each, its 90 % interval relative to the figure itself."""
    bare(axes)
    what = "Answers, if it did fit" if content.too_large(evaluation) else "Answers"
    title(axes, f"{what}, with 90 % intervals")
    answers = _key_answers(evaluation)
    spread = max([_spread(answer) for answer in answers] + [1.25])
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(answers), 8) + 0.1, -0.6)
    for position, answer in enumerate(answers):
        _figure(axes, position, answer, spread)
    if any(_spread(answer) > 1 for answer in answers):
        _ratio_scale(axes, len(answers) - 0.4, spread)
    if not answers:
        axes.text(0, 0, "nobody answered", fontsize=9, color=MUTED)


_LEFT, _RIGHT = 0.74, 0.985
"""Where the intervals stand, in widths of their panel."""


def _key_answers(evaluation: SystemEvaluation) -> list[Answer]:
    """Choose the numbers to print: what has an interval first; money and energy keep places beside many times."""
    said = {"feasibility.memory_required", "feasibility.memory_usable", "feasibility.headroom", "performance.flops",
            "performance.bytes", "performance.bound_factor"}  # fmt: skip
    numbers = [a for name, a in evaluation.answers.items() if name not in said and not isinstance(a.value, (bool, str))]
    uncertain = [answer for answer in numbers if answer.low is not None]
    ranked = uncertain + [answer for answer in numbers if answer.low is None]
    macro = [answer for answer in numbers if answer.name.startswith("macro.")][:_MACRO_ROWS]
    if any(answer not in ranked[:_MOST_ROWS] for answer in macro):
        ranked = macro + [answer for answer in ranked if answer not in macro]
    first = ranked[:_MOST_ROWS]
    kept = [answer for answer in numbers if answer in first]
    return [answer for level in content.levels(evaluation) for answer in kept if answer.name.startswith(f"{level}.")]


def _spread(answer: Answer) -> float:
    """Return the larger ratio of an end of the interval to the central value; 1 where there is none worth drawing."""
    if not answer.low or not answer.high or not answer.value or not answer.informative:
        return 1.0
    return float(max(answer.high / answer.value, answer.value / answer.low))


def _figure(axes: Axes, position: int, answer: Answer, spread: float) -> None:
    label = axes.text(0.0, position, answer.label, fontsize=8.9, color=MUTED, va="center")
    said = quantity(answer.value, answer.unit, whole=answer.low is None)
    value = axes.text(0.71, position, said, fontsize=9.1, color=INK, va="center", ha="right", fontweight="bold")
    end_before(label, value.get_window_extent().x0 - value.get_fontsize())
    axes.plot([0, 1], [position + 0.5] * 2, color=PALE, linewidth=0.8, zorder=0)
    if not answer.informative:
        axes.text((_LEFT + _RIGHT) / 2, position, "not known", fontsize=7.8, color=WARN, ha="center", va="center")
    if _spread(answer) <= 1 or answer.low is None or answer.high is None:
        return
    low, high = (_place(end / answer.value, spread) for end in (answer.low, answer.high))
    axes.plot([low, high], [position] * 2, color=ACCENT, linewidth=4.5, alpha=0.35, solid_capstyle="round")
    axes.plot([_place(1.0, spread)], [position], "o", color=ACCENT, markersize=5)


def _place(ratio: float, spread: float) -> float:
    """Map a ratio to the panel: logarithmic, 1 in the middle."""
    from math import log

    middle, half = (_LEFT + _RIGHT) / 2, (_RIGHT - _LEFT) / 2
    return middle + half * log(ratio) / log(spread)


def _ratio_scale(axes: Axes, below: float, spread: float) -> None:
    for ratio in (1 / spread, 1.0, spread):
        place = _place(ratio, spread)
        axes.plot([place] * 2, [-0.5, below], color=LINE, linewidth=0.8, linestyle=(0, (1, 3)), zorder=0)
        axes.text(place, below + 0.28, f"{ratio:.2g}x", fontsize=7.8, color=MUTED, ha="center", va="center")


def _foot(figure: Figure, evaluation: SystemEvaluation) -> None:
    axes = figure.add_axes((EDGE, 0.045, 0.975 - EDGE, 0.05))
    bare(axes)
    standings = evaluation.evidence() if evaluation.config is not None else {}
    counts = [(level, sum(s.level is level for s in standings.values())) for level in sorted(Level, reverse=True)]
    axes.set_xlim(0, max(1, len(standings)))
    axes.set_ylim(0, 1)
    start = 0
    for level, count in counts:
        if count:
            axes.barh(0.5, count, left=start, height=0.9, color=_LEVEL_COLOURS[level], edgecolor="white", linewidth=1.2)
            _segment(axes, start, count, level, len(standings))
            start += count
    flags = [f"{len([s for s in standings.values() if test(s)])} {word}" for word, test in _FLAGS
             if any(test(s) for s in standings.values())]  # fmt: skip
    said = f"Evidence: the {len(standings)} sourced numbers behind the answers" + (
        f"  ({', '.join(flags)})" if flags else ""
    )
    title(axes, said if standings else "Evidence: " + content.evidence_counts(standings))


_FLAGS: tuple[tuple[str, Any], ...] = (("disputed", lambda s: s.disputed), ("stale", lambda s: s.stale))


_ROOM = 0.007
"""Share of the bar that a letter takes."""


def _segment(axes: Axes, start: int, count: int, level: Level, total: int) -> None:
    """Write a count into its bar: with the word where there is room."""
    dark = level in (Level.MEASURED, Level.CORROBORATED)
    word = "estimates" if level is Level.ESTIMATE and count > 1 else level.label
    text = f"{count} {word}"
    text = text if count / total > _ROOM * len(text) else str(count)
    axes.text(start + count / 2, 0.5, text, fontsize=8.5, color="white" if dark else INK, ha="center", va="center")
