"""Colour, box drawing and width follow the stream."""

from __future__ import annotations

import core_toys
import pytest

from mlsysim.cli.printing import table
from mlsysim.evaluation import evaluate
from mlsysim.renderers.style import ASCII, BOXES, Style
from mlsysim.renderers.text import render_text


class Screen:
    """A stream as a terminal offers it."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = True) -> None:
        self.encoding = encoding
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture(autouse=True)
def _colourful(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_colour_on_a_terminal_only(monkeypatch):
    assert Style.of(Screen()).colour
    assert not Style.of(Screen(terminal=False)).colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Style.of(Screen()).colour
    monkeypatch.setenv("NO_COLOR", "")  # no-color.org: an empty value does not count
    assert Style.of(Screen()).colour
    monkeypatch.setenv("TERM", "dumb")
    assert not Style.of(Screen()).colour


def test_glyphs_follow_the_encoding():
    assert Style.of(Screen("utf-8")).glyphs is BOXES
    assert Style.of(Screen("ascii")).glyphs is ASCII
    assert Style.of(Screen("no such encoding")).glyphs is ASCII
    assert "".join(ASCII).isascii()


def test_width_follows_columns_within_bounds(monkeypatch):
    for columns, width in (("60", 60), ("10", 40), ("400", 110)):
        monkeypatch.setenv("COLUMNS", columns)
        assert Style.of(Screen()).width == width


def test_closed_and_odd_streams_are_no_terminals():
    class Closed:
        def isatty(self) -> bool:
            raise ValueError("closed")

    assert not Style.of(Closed()).colour
    assert not Style.of(object()).colour


@pytest.mark.parametrize("width", [40, 60, 80, 110])
def test_scorecard_keeps_its_sentences_within_the_width(world, width):
    text = render_text(evaluate(core_toys.scenario()), Style(width=width))
    assert text.isascii()
    tables = ("  ",)  # rows of a level keep label, value and interval on one line
    prose = [line for line in text.splitlines() if not line.startswith(tables)]
    assert max(map(len, prose)) <= max(width, 76)


def test_colour_changes_no_word(world):
    import re

    evaluation = evaluate(core_toys.scenario(constraints={"latency": "<= 1 ms"}))
    plain = render_text(evaluation, Style(boxes=True))
    coloured = render_text(evaluation, Style(colour=True, boxes=True))
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_bar_is_clipped():
    style = Style()
    assert style.bar(0.5, 10) == "#####....."
    assert style.bar(7.0, 10) == "#" * 10
    assert style.bar(-1.0, 10) == "." * 10


def test_tables_cut_words_but_never_numbers():
    rows = [["key", "a very long name that nobody reads to its end", "123,456,789 TFLOP/s"]]
    wide = table(["key", "name", "rate"], rows, Style(width=40), right=[2])
    assert "reads to its end" in wide[1]  # a pipe gets everything
    cut = table(["key", "name", "rate"], rows, Style(width=40, terminal=True), right=[2])
    assert len(cut[1]) <= 40
    assert "a very long.." in cut[1]
    assert cut[1].endswith("123,456,789 TFLOP/s")
    numbers = table(["rate"], [["1" * 60]], Style(width=40, terminal=True), right=[0])
    assert numbers[1] == "1" * 60
