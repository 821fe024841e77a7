"""Runs the examples of README and docs, compares them with what they print, or writes what they print.

A ``console`` block holds commands after ``$`` and what they print. Lines of ``...`` stand for any lines.
A ``toml`` block whose first line is a comment with a file name is put into the folder where the commands run.
A ``python`` block is executed; the blocks of a page share their names, and ``>>>`` lines are doctests.
The example plugin takes part only after a command that installs it.

``python docs/_examples.py`` shows what differs, ``python docs/_examples.py --write`` updates the pages.
"""

from __future__ import annotations

import contextlib
import difflib
import doctest
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "ROOT", "run_page"]

ROOT = Path(__file__).resolve().parents[1]
DAY = "2026-12-01"
PAGES = (ROOT / "README.md", *sorted(p for p in ROOT.glob("docs/*/*.md") if "catalog" not in p.parts))
_BLOCK = re.compile(r"^```(console|python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"#\s*([\w.-]+\.(?:toml|py))\s*\n")


def run_page(page: Path) -> str:
    """Run every example of a page.

    Parameters
    ----------
    page : Path
        A Markdown file.

    Returns
    -------
    str
        The page with what its commands really print.
    """
    text = page.read_text(encoding="utf-8")
    before = {name: os.environ.get(name) for name in ("MLSYSIM_TODAY", "NO_COLOR", "COLUMNS")}
    os.environ.update(MLSYSIM_TODAY=DAY, NO_COLOR="1", COLUMNS="100")
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            _inside(folder),
        ):
            return _run_blocks(text)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _run_blocks(text: str) -> str:
    parts: list[str] = []
    names: dict[str, Any] = {"__name__": "__main__"}
    position = 0
    with contextlib.ExitStack() as stack:
        _use_plugins(stack, without={"buyrent"})
        for match in _BLOCK.finditer(text):
            language, body = match[1], match[2]
            start, end = match.span(2)
            parts.append(text[position:start])
            if language == "console":
                body = _console(body, stack)
            elif language == "python":
                _python(body, names)
            elif file := _FILE.match(body):
                Path(file[1]).write_text(body, encoding="utf-8")
            parts.append(body)
            position = end
    return "".join([*parts, text[position:]])


def _use_plugins(stack: contextlib.ExitStack, without: set[str]) -> None:
    from mlsysim.entry_points import entry_points
    from mlsysim.testing import given_plugins

    points = [point for point in entry_points("mlsysim") if point.name not in without]
    stack.enter_context(given_plugins(entry_points=points))


def _console(body: str, stack: contextlib.ExitStack) -> str:
    written: list[str] = []
    for chunk in re.split(r"^(?=\$ )", body, flags=re.MULTILINE):
        if not chunk:
            continue
        command, _, shown = chunk.partition("\n")
        words = shlex.split(command[2:])
        if words[0] == "mlsysim":
            printed = _mlsysim(words[1:])
        elif "install" in words:
            printed = ""
            if any("buyrent" in word for word in words):
                _use_plugins(stack, without=set())
        else:
            raise ValueError(f"examples run mlsysim and pip only, not {command!r}")
        written.append(f"{command}\n{shown if _matches(shown, printed) else printed}")
    return "".join(written)


def _mlsysim(words: list[str]) -> str:
    from mlsysim.cli import main

    # A stream that says it is UTF-8, as terminals are: the tree is drawn with lines.
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        main(words)
    lines = [line.rstrip() for line in raw.getvalue().decode("utf-8").rstrip().splitlines()]
    return "\n".join(lines) + "\n" if lines else ""


def _matches(shown: str, printed: str) -> bool:
    """Compare, taking a line of ``...`` for any lines."""
    pieces = [re.escape(piece) for piece in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)*?".join(pieces), printed) is not None


def _python(body: str, names: dict[str, Any]) -> None:
    if ">>>" not in body:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(body, "<example>", "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(body, names, "example", None, 0)
    out = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(test, out=out.write, clear_globs=False)
    names.update(test.globs)
    if runner.failures:
        raise AssertionError(out.getvalue())


def main() -> int:
    """Compare or update every page.

    Returns
    -------
    int
        1 when a page differs and is not updated.
    """
    wrong = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        now = run_page(page)
        if now == text:
            continue
        if "--write" in sys.argv:
            page.write_text(now, encoding="utf-8")
            print(f"updated {page.relative_to(ROOT)}")
        else:
            wrong += 1
            name = str(page.relative_to(ROOT))
            print("".join(difflib.unified_diff(text.splitlines(True), now.splitlines(True), name, "as produced", n=1)))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
