"""``plot_scorecard``: a file of the right kind, honest about what is missing, no global state."""

from __future__ import annotations

import sys

import core_toys
import pytest

from mlsysim.errors import ConfigError
from mlsysim.evaluation import SystemEvaluation, evaluate
from mlsysim.plotting import plot_scorecard
from mlsysim.renderers import content

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture(autouse=True)
def _matplotlib():
    pytest.importorskip("matplotlib")


def texts(figure) -> str:
    """Return all words of a figure."""
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), *(text.get_text() for text in axes.texts)]
    return "\n".join(found)


@pytest.mark.parametrize("suffix", MAGIC)
def test_the_suffix_chooses_the_format(world, tmp_path, suffix):
    file = tmp_path / f"card{suffix}"
    plot_scorecard(evaluate(core_toys.scenario()), file)
    assert file.read_bytes().startswith(MAGIC[suffix])


@pytest.mark.parametrize("suffix", MAGIC)
def test_the_same_picture_is_the_same_file(world, tmp_path, suffix):
    files = [tmp_path / f"{name}{suffix}" for name in ("first", "again")]
    for file in files:
        plot_scorecard(evaluate(core_toys.scenario()), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_picture_says_what_the_scorecard_says(world):
    said = texts(plot_scorecard(evaluate(core_toys.scenario(constraints={"latency": "<= 1 ms"}))))
    for words in ("toys", "CONSTRAINT VIOLATED", "performance.latency <= 1 ms  VIOLATED", "12.5 % of 16 GB usable",
                  "time per batch", "2 ms", "Memory-bound", "estimate"):  # fmt: skip
        assert words in said


def test_an_evaluation_read_back_is_drawn_without_what_it_lost(world):
    evaluation = SystemEvaluation.from_dict(evaluate(core_toys.scenario()).to_dict())
    assert "no roofline" in texts(plot_scorecard(evaluation))


def test_nothing_answered_is_drawn_as_such(isolated_plugins):
    isolated_plugins(core_toys.ToyPlugin(specs=()))
    said = texts(plot_scorecard(evaluate(core_toys.scenario())))
    assert "NOT EVALUATED" in said
    assert "nobody answered" in said


def test_pyplot_and_settings_stay_untouched(world):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plot_scorecard(evaluate(core_toys.scenario()))
    assert dict(mpl.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")  # some backends import it; no figure of ours may be known to it
    assert pyplot is None or pyplot.get_fignums() == []


def test_missing_matplotlib_says_how_to_get_it(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r'pip install "mlsysim-core\[plot\]"'):
        plot_scorecard(evaluate(core_toys.scenario()))


def test_eval_writes_the_picture(run, toy_file, tmp_path):
    file = tmp_path / "card.png"
    code, _, err = run("eval", toy_file(), "--plot", str(file))
    assert code == 0
    assert f"wrote {file}" in err
    assert file.stat().st_size > 10_000


def test_a_long_name_ends_before_the_verdict(world):
    import attrs

    evaluation = evaluate(core_toys.scenario())
    long = attrs.evolve(evaluation, scenario=attrs.evolve(evaluation.scenario, name="a name without an end " * 20))
    name, verdict, *_ = plot_scorecard(long).texts
    assert name.get_text().endswith("…")
    assert name.get_window_extent().x1 < verdict.get_window_extent().x0


def test_a_label_ends_before_its_value(world):
    import attrs

    evaluation = evaluate(core_toys.scenario())
    answers = {n: attrs.evolve(a, label=f"{a.label}, and a long word on it") for n, a in evaluation.answers.items()}
    axes = plot_scorecard(attrs.evolve(evaluation, answers=answers)).axes[2]
    rows = {}
    for text in axes.texts:
        rows.setdefault(text.get_position()[1], []).append(text)
    pairs = [texts for texts in rows.values() if len(texts) == 2]
    assert pairs
    assert all(label.get_window_extent().x1 < value.get_window_extent().x0 for label, value in pairs)


@pytest.mark.parametrize("parts", [1, 8, 16, 28])
def test_what_is_asked_ends_above_the_panels(world, monkeypatch, parts):
    monkeypatch.setattr(content, "setup", lambda evaluation: ("one part of it",) * parts)
    figure = plot_scorecard(evaluate(core_toys.scenario(constraints={"latency": "<= 1 s"})))
    figure.draw_without_rendering()
    said = next(text for text in figure.texts if text.get_text().startswith("constraints:"))
    panel = next(
        text for axes in figure.axes for text in axes.get_children() if getattr(text, "get_text", str)() == "Memory"
    )
    assert said.get_window_extent().y0 > panel.get_window_extent().y1
