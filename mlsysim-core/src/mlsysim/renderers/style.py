"""What the screen can show: colour, box drawing, width."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import attrs

__all__ = ["ASCII", "BOXES", "Glyphs", "Style", "badge_colour"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_LEVEL_COLOURS = {
    "estimate": "yellow", "stated": "cyan", "archived": "cyan", "corroborated": "green", "measured": "green",
    "fitted": "yellow",
}  # fmt: skip
_PIPE_WIDTH = 100
_NARROWEST, _WIDEST = 40, 110


class Glyphs(NamedTuple):
    """Characters of the drawings.

    Parameters
    ----------
    rule : str
        Horizontal line.
    full, empty : str
        Filled and empty part of a bar.
    branch, last, trunk, blank : str
        A child of a tree, the last one, and what continues below each.
    dot : str
        Between the parts of a line.
    """

    rule: str
    full: str
    empty: str
    branch: str
    last: str
    trunk: str
    blank: str
    dot: str


BOXES = Glyphs("─", "█", "░", "├─ ", "└─ ", "│  ", "   ", " · ")
ASCII = Glyphs("-", "#", ".", "|- ", "`- ", "|  ", "   ", ", ")


@attrs.frozen
class Style:
    """How to write for one stream.

    Parameters
    ----------
    colour : bool
        Whether escape sequences are welcome.
    boxes : bool
        Whether box-drawing characters can be encoded.
    width : int, characters
        Longest line.
    terminal : bool
        Whether somebody watches; tables are then cut to the width.
    """

    colour: bool = False
    boxes: bool = False
    width: int = _PIPE_WIDTH
    terminal: bool = False

    @classmethod
    def of(cls, stream: Any) -> Style:
        """Find out what a stream can show.

        Parameters
        ----------
        stream : text stream
            Usually ``sys.stdout``.

        Returns
        -------
        Style
            Colour only on a terminal, and never with ``NO_COLOR`` or ``TERM=dumb``.
        """
        terminal = is_terminal(stream)
        quiet = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(terminal and not quiet, _encodes(stream), _width(terminal), terminal)

    @property
    def glyphs(self) -> Glyphs:
        """The characters to draw with."""
        return BOXES if self.boxes else ASCII

    def paint(self, text: str, *names: str) -> str:
        """Colour a text, where colour is welcome.

        Parameters
        ----------
        text : str
            What to print.
        *names : str
            bold, dim, red, green, yellow or cyan.

        Returns
        -------
        str
        """
        if not self.colour or not text or not names:
            return text
        return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"

    def wrap(self, text: str, first: str = "", rest: str | None = None) -> list[str]:
        """Break a text into lines.

        Parameters
        ----------
        text : str
            Plain text.
        first, rest : str
            Put in front of the first and of the following lines.

        Returns
        -------
        list of str
        """
        import textwrap

        return textwrap.wrap(
            text, self.width, initial_indent=first, subsequent_indent=first if rest is None else rest,
            break_long_words=False, break_on_hyphens=False,
        ) or [first.rstrip()]  # fmt: skip

    def bar(self, share: float, width: int) -> str:
        """Draw a bar.

        Parameters
        ----------
        share : float, ratio
            Filled part; more than 1 fills it.
        width : int, characters
            Length of the whole bar.

        Returns
        -------
        str
        """
        filled = min(width, max(0, round(share * width)))
        return self.glyphs.full * filled + self.glyphs.empty * (width - filled)


def badge_colour(badge: str) -> str:
    """Return the colour of the badge of a number.

    Parameters
    ----------
    badge : str
        Level, with ``disputed`` or ``stale`` where it is so.

    Returns
    -------
    str
        A name that :meth:`Style.paint` knows.
    """
    if "disputed" in badge:
        return "red"
    return "yellow" if "stale" in badge else _LEVEL_COLOURS[badge]


def is_terminal(stream: Any) -> bool:
    """Tell whether somebody watches a stream.

    Parameters
    ----------
    stream : text stream
        Usually ``sys.stdout`` or ``sys.stderr``.

    Returns
    -------
    bool
    """
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # no such method, or already closed
        return False


def _encodes(stream: Any) -> bool:
    try:
        "".join(BOXES).encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _width(terminal: bool) -> int:
    import shutil

    if not terminal and not os.environ.get("COLUMNS"):
        return _PIPE_WIDTH
    return min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns))
