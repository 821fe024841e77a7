"""Writing to the terminal: tables, errors, files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from ..errors import ConfigError, MlsysimError
from ..renderers.style import Style, is_terminal

__all__ = ["Progress", "prepare_streams", "print_bug", "print_error", "print_json", "table", "write_text", "written"]

_BAR, _CUT = 30, 12


def prepare_streams() -> None:
    """Let a character that the terminal cannot show become a question mark, not an error.

    A stream that was closed before the program began is nowhere to write to.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def print_error(error: MlsysimError) -> None:
    """Print what is wrong and what to do, each fault on its own lines.

    Parameters
    ----------
    error : MlsysimError
        What happened.
    """
    style = Style.of(sys.stderr)
    for fault in error.faults:
        where = f"{fault.where}: " if fault.where else ""
        print(style.paint("error:", "bold", "red"), f"{where}{fault.what}", file=sys.stderr)
        if fault.remedy:
            print(f"  {style.paint('try:', 'bold', 'cyan')} {fault.remedy}", file=sys.stderr)


def print_bug(error: Exception) -> None:
    """Own up to a fault of the program or of a plugin.

    Parameters
    ----------
    error : Exception
        What happened.
    """
    style = Style.of(sys.stderr)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    print(style.paint("this is a bug:", "bold", "red"), what, file=sys.stderr)
    print("  Run the command again with --traceback and report what it prints.", file=sys.stderr)


def print_json(data: Any) -> None:
    """Print plain data as JSON.

    Parameters
    ----------
    data : dict or list
        The data.
    """
    from ..renderers.plain import to_json

    print(to_json(data))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], style: Style, *, right: Sequence[int] = ()) -> list[str]:
    """Lay out a table; on a terminal the widest column of words is cut to what the screen can show.

    Parameters
    ----------
    head : sequence of str
        Column titles.
    rows : sequence of sequence of str
        Cells.
    style : Style
        What the screen can show.
    right : sequence of int
        Columns to align at the right.

    Returns
    -------
    list of str
    """
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    excess = sum(widths) + 2 * (len(widths) - 1) - style.width
    words = [column for column in range(len(widths)) if column not in right]
    if style.terminal and excess > 0 and words:
        widest = max(words, key=widths.__getitem__)
        widths[widest] = max(_CUT, widths[widest] - excess)

    def line(cells: Sequence[str]) -> str:
        cut = [c if len(c) <= w else c[: w - 2].rstrip() + ".." for c, w in zip(cells, widths, strict=True)]
        parts = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(cut, widths, strict=True))]
        return "  ".join(parts).rstrip()

    return [style.paint(line(head), "bold"), *(line(row) for row in rows)]


def write_text(path: str, write: Callable[[Any], None]) -> None:
    """Write a text file, or standard output for ``-``.

    Parameters
    ----------
    path : str
        Where to.
    write : callable
        Takes the open file.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    if path == "-":
        write(sys.stdout)
        return
    with written(path, "w", encoding="utf-8", newline="") as file:
        write(file)


@contextmanager
def written(path: str, mode: str, **how: Any) -> Iterator[Any]:
    """Open a file to write it whole: what ends before its end leaves no half of one under that name.

    It is written beside its place and moved there when it is complete. What is interrupted removes it; what is killed
    leaves ``PATH.part``. A file that was there before stays until then.

    Parameters
    ----------
    path : str
        Where to.
    mode : str
        As for :func:`open`.
    **how : object
        As for :func:`open`.

    Yields
    ------
    file

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    # A pipe or a device has no place beside it, and what may not be written is not to be replaced either.
    direct = Path(path).exists() and not (Path(path).is_file() and os.access(path, os.W_OK))
    place = path if direct else os.path.realpath(path)  # what a link points at, not the link
    beside = place if direct else f"{place}.part"
    opened = False
    try:
        with open(beside, mode, **how) as file:  # noqa: PTH123 - as the user typed it
            opened = True
            yield file
        if beside != place:
            Path(beside).replace(place)
    except BaseException as problem:
        if opened and beside != place:
            Path(beside).unlink(missing_ok=True)
        if not isinstance(problem, OSError):
            raise
        raise ConfigError(f"cannot be written: {problem.strerror or problem}", where=path,
                          remedy="Name a file in a folder that exists") from None  # fmt: skip
    print(f"wrote {path}", file=sys.stderr)


@final
class Progress:
    """A progress bar on a terminal, for a ``with`` block that removes it; silent everywhere else."""

    def __init__(self) -> None:
        self._style = Style.of(sys.stderr)
        self._on = is_terminal(sys.stderr)
        self._shown = -1

    def __call__(self, done: int, rows: int) -> None:
        """Show how far it is.

        Parameters
        ----------
        done, rows : int
            Rows done and rows in all.
        """
        percent = 100 * done // max(1, rows)
        if self._on and percent != self._shown:
            self._shown = percent
            print(f"\r{self._style.bar(done / max(1, rows), _BAR)} {percent:3d} %  {done:,} of {rows:,}",
                  end="", file=sys.stderr, flush=True)  # fmt: skip

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        if self._on and self._shown >= 0:
            print("\r" + " " * (self._style.width - 1) + "\r", end="", file=sys.stderr, flush=True)
