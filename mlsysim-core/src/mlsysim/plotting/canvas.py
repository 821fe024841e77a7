"""What all pictures share: where they may stand, their colours, and axes without ornament.

matplotlib is imported when a picture is asked for. Figures are made without pyplot, so no
window opens and no global state of matplotlib changes.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import ConfigError
from ..names import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["bare", "check_plot_path", "end_before", "figure_class", "plain_axes", "save", "title"]

INK, MUTED, LINE, PALE = "#1b1f24", "#667085", "#d0d5dd", "#eef1f5"
GOOD, BAD, ACCENT, WARN = "#1a7f37", "#c62828", "#2458c5", "#c77700"
EDGE = 0.065
"""Left edge of everything, in widths of the figure."""

_SMALLEST = 0.7
"""Share of its size to which a text shrinks before it is cut."""
_SUFFIXES = (".svg", ".png", ".pdf")


def check_plot_path(path: str | Path) -> None:
    """Refuse a picture that could not be written, before anything is computed.

    Parameters
    ----------
    path : str or Path
        Where the picture will stand.

    Raises
    ------
    ConfigError
        If the suffix is unknown, the folder is missing, or matplotlib is not installed.
    """
    file = Path(path)
    if file.suffix.lower() not in _SUFFIXES:
        remedy = did_you_mean(file.suffix, _SUFFIXES) if file.suffix else "End the name in .svg, .png or .pdf"
        raise ConfigError(
            f"{file.suffix or 'a name without suffix'} is not a picture format", where=str(path), remedy=remedy
        )
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {file.absolute().parent}", where=str(path), remedy="Make it first")
    figure_class()


def figure_class() -> type[Figure]:
    """Return the figure of matplotlib.

    Returns
    -------
    type of matplotlib.figure.Figure

    Raises
    ------
    ConfigError
        If matplotlib is not installed.
    """
    log = logging.getLogger("matplotlib")
    if log.level == logging.NOTSET:
        log.setLevel(logging.ERROR)  # where its cache lies is of no concern to who wants a picture
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError(
            "drawing needs matplotlib, which is not installed", remedy='pip install "mlsysim-core[plot]"'
        ) from None
    return Figure


def save(figure: Figure, path: str | Path, *, dpi: float | Literal["figure"] = "figure") -> None:
    """Write a picture; the same picture is the same file, so that what changed shows.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The picture.
    path : str or Path
        Where it will stand.
    dpi : float, dot/inch
        Of a picture in dots; that of the figure where none is given.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    from matplotlib import rc_context

    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    try:
        with rc_context({"svg.hashsalt": "mlsysim"}):
            figure.savefig(str(path), dpi=dpi, metadata=dates.get(Path(path).suffix.lower()))
    except OSError as problem:
        raise ConfigError(f"cannot be written: {problem.strerror or problem}", where=str(path),
                          remedy="Name a file in a folder that exists") from None  # fmt: skip


def title(axes: Axes, text: str) -> None:
    """Write what a panel shows above its left edge.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel.
    text : str
        What it shows.
    """
    axes.set_title(text, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=8)


def end_before(text: Text, end: float) -> None:
    """Make a text smaller, and at last shorter, until it ends before something else begins.

    Parameters
    ----------
    text : matplotlib.text.Text
        The text, drawn to the right of its place.
    end : float, pixel
        Where it has to end.
    """
    box = text.get_window_extent()
    if box.x1 <= end:
        return
    text.set_fontsize(text.get_fontsize() * max(_SMALLEST, (end - box.x0) / box.width))
    words = text.get_text()
    while text.get_window_extent().x1 > end and words:
        words = words[:-1].rstrip()
        text.set_text(f"{words}…")


def bare(axes: Axes) -> None:
    """Leave out ticks and frame.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel.
    """
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def plain_axes(axes: Axes) -> None:
    """Keep the left and the lower line of a frame, and small ticks.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel.
    """
    axes.tick_params(labelsize=8, colors=MUTED, length=3)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(LINE)
