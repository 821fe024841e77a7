"""``plot_sweep``: an answer along what varies, or a frontier; what does not fit is shown as such."""

from __future__ import annotations

import attrs
import core_toys
import numpy as np
import pytest

from mlsysim.errors import ConfigError
from mlsysim.plotting import plot_sweep
from mlsysim.plotting.variations import _legible
from mlsysim.sweeping import sweep
from mlsysim.sweeping.result import SweepResult


@pytest.fixture(autouse=True)
def _matplotlib():
    pytest.importorskip("matplotlib")


def made(**varied) -> SweepResult:
    """Return a sweep with a known answer: latency = batch / speed, throughput = speed, up to a batch of 8."""
    names = list(varied)
    columns = dict(zip(names, (grid.ravel() for grid in np.meshgrid(*varied.values(), indexing="ij")), strict=True))
    batch, speed = columns["batch"], columns.get("speed", np.ones(1))
    n = len(batch)
    outputs = {
        "feasibility.fits": (batch <= 8).astype(float), "performance.latency": batch / speed,
        "performance.latency.log_sd": np.full(n, 0.1), "performance.throughput": speed * batch**0.5,
        "performance.bound": np.zeros(n),
    }  # fmt: skip
    units = {
        "batch": "sample", "speed": "1/s", "feasibility.fits": "bool", "performance.latency": "s",
        "performance.throughput": "sample/s", "performance.bound": "choice: memory, compute",
    }  # fmt: skip
    return SweepResult(columns, outputs, units)


def words(figure) -> str:
    """Return all words of a figure."""
    axes = figure.axes[0]
    legend = axes.get_legend()
    found = [text.get_text() for text in figure.texts + axes.texts] + [axes.get_title(loc="left"), axes.get_xlabel()]
    return "\n".join(found + ([text.get_text() for text in legend.get_texts()] if legend else []))


def lines(figure) -> list:
    """Return the lines that are drawn through data, without marks at the edge."""
    axes = figure.axes[0]
    return [line for line in axes.lines if line.get_transform() == axes.transData]


def test_one_aim_is_drawn_along_what_varies_with_its_interval_and_best():
    figure = plot_sweep(made(batch=np.array([1.0, 2.0, 4.0])), minimise=["latency"], heading="toys")
    assert "toys" in words(figure)
    assert "3 variations, 3 fit,  best: 1 s at batch 1,  shaded: 90 % intervals" in words(figure)
    np.testing.assert_allclose(lines(figure)[0].get_xydata(), [[1, 1], [2, 2], [4, 4]])
    (band,) = figure.axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(np.exp(-0.1645), rel=1e-3)
    assert heights.max() == pytest.approx(4 * np.exp(0.1645), rel=1e-3)


def test_what_does_not_fit_breaks_the_line_and_is_marked():
    figure = plot_sweep(made(batch=np.array([4.0, 8.0, 16.0, 32.0])))
    assert np.isnan(lines(figure)[0].get_ydata()).tolist() == [False, False, True, True]
    marks = next(line for line in figure.axes[0].lines if line.get_label() == "does not fit")
    assert marks.get_xdata().tolist() == [16.0, 32.0]


def test_each_value_of_another_column_has_its_line_with_its_name():
    figure = plot_sweep(made(batch=np.array([1.0, 2.0, 4.0]), speed=np.array([1.0, 3.0])), maximise=["throughput"])
    assert "speed 1 1/s" in words(figure)
    assert "speed 3 1/s" in words(figure)
    assert lines(figure)[1].get_ydata().tolist() == pytest.approx([3.0, 3 * 2**0.5, 6.0])


def test_many_lines_become_points_below_the_best_of_them():
    speeds = np.arange(1.0, 12.0)
    figure = plot_sweep(made(batch=np.arange(1.0, 14.0), speed=speeds), maximise=["throughput"])
    best = next(line for line in lines(figure) if line.get_label() == "best over speed")
    np.testing.assert_allclose(best.get_ydata(), 11.0 * np.arange(1.0, 9.0) ** 0.5)


def test_two_aims_are_drawn_against_each_other_with_their_frontier():
    result = made(batch=np.array([1.0, 2.0, 4.0, 16.0]), speed=np.array([1.0, 3.0]))
    figure = plot_sweep(result, minimise=["latency"], maximise=["throughput"])
    said = words(figure)
    assert "3 of them on the frontier,  all with speed 3 1/s" in said
    assert "latency, less is better" in said
    assert "throughput, more is better" in said
    frontier = next(line for line in lines(figure) if line.get_label() == "frontier")
    np.testing.assert_allclose(frontier.get_xdata(), [1 / 3, 2 / 3, 4 / 3])


def test_nothing_that_fits_is_drawn_as_such():
    for aims in ({}, {"minimise": ["latency"]}, {"minimise": ["latency"], "maximise": ["throughput"]}):
        assert "2 variations, 0 fit" in words(plot_sweep(made(batch=np.array([16.0, 32.0])), **aims))


def test_wide_ranges_are_logarithmic_and_narrow_ones_are_not():
    assert plot_sweep(made(batch=np.array([1.0, 8.0]))).axes[0].get_xscale() == "linear"
    assert plot_sweep(made(batch=np.array([1.0, 64.0]))).axes[0].get_xscale() == "log"


@pytest.mark.parametrize("aims", [
    {"minimise": ["latency"], "maximise": ["throughput", "latency"]}, {"minimise": ["bound"]}, {"minimise": ["fits"]},
    {"minimise": ["speed_of_light"]},
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(aims):
    with pytest.raises(ConfigError):
        plot_sweep(made(batch=np.array([1.0, 2.0])), **aims)


def test_a_layout_is_drawn_along_its_degree_and_not_along_the_devices_that_follow():
    result = made(batch=np.array([1.0, 2.0]))
    varied = {"data": np.array([8.0, 16.0]), "devices": np.array([64.0, 128.0])}
    figure = plot_sweep(SweepResult(varied, result.outputs, {**result.units, "data": "1", "devices": "1"}))
    assert figure.axes[0].get_xlabel() == "data"


def test_the_command_writes_what_it_found(run, toy_file, tmp_path):
    file = tmp_path / "all.svg"
    outcome = run("sweep", toy_file(), "--vary", "batch=1,2,4", "--minimise", "latency", "--plot", str(file))
    assert outcome.code == 0
    assert f"wrote {file}" in outcome.err
    assert file.read_bytes().startswith(b"<?xml")
    drawn = plot_sweep(sweep(core_toys.scenario(), {"batch": [1.0, 2.0, 4.0]}), minimise=["latency"])
    assert len(lines(drawn)[0].get_xdata()) == 3


def test_the_command_refuses_a_wrong_file_before_it_works(run, toy_file, tmp_path):
    outcome = run("sweep", toy_file(), "--vary", "batch=1,2,4", "--plot", str(tmp_path / "all.gif"))
    assert outcome.code == 2
    assert ".gif is not a picture format" in outcome.err


def test_where_nothing_fits_the_picture_says_so(world):
    from core_toys import scenario

    from mlsysim import sweep

    figure = plot_sweep(sweep(scenario(), {"weights": ["32 GB", "64 GB"]}))
    texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert "nothing fits" in texts
    assert list(figure.axes[0].get_yticks()) == []


def test_what_breaks_a_constraint_is_marked(world):
    from core_toys import scenario

    from mlsysim import sweep

    found = sweep(scenario(), {"bandwidth": ["1 TB/s", "2 TB/s", "4 TB/s"]})
    times = found.outputs["performance.latency"]
    limited = scenario(constraints={"latency": f"<= {float(times[1])!r} s"})
    figure = plot_sweep(sweep(limited, {"bandwidth": ["1 TB/s", "2 TB/s", "4 TB/s"]}), minimise=["latency"])
    (marked,) = [line for line in figure.axes[0].lines if line.get_label() == "breaks a constraint"]
    assert len(marked.get_xdata()) == int((times > times[1]).sum())


def test_numbers_below_an_axis_do_not_touch():
    crowded = np.array([1.0, 33.0, 65.0, 97.0, 128.0, 160.0, 192.0, 224.0, 256.0])
    kept = _legible(crowded, "sample", wide=True)
    assert kept[0] == 1.0
    assert kept[-1] == 256.0
    assert 224.0 not in kept
    assert _legible(crowded, "sample", wide=False) == crowded.tolist()
    assert _legible(np.array([7.0]), "1", wide=False) == [7.0]


def test_shades_leave_out_what_is_not_known_at_all():
    from mlsysim.plotting.variations import _factor, _shaded

    spread = np.array([0.1, 50.0])
    assert np.isfinite(_factor(spread)).tolist() == [True, False]
    assert "where known within a factor of 10" in _shaded(spread)
    assert _shaded(spread[:1]) == ",  shaded: 90 % intervals"
    assert _shaded(spread[1:]) == ",  not known within a factor of 10"
    assert _shaded(np.zeros(2)) == ""


def test_the_best_line_runs_through_what_keeps_the_limits():
    many = made(batch=np.arange(1.0, 13.0), speed=np.arange(1.0, 11.0))
    # The fastest are not allowed at a batch of 1; nothing is allowed from one of 4 on.
    met = (many.varied["batch"] < 4.0) & ~((many.varied["batch"] == 1.0) & (many.varied["speed"] > 5.0))
    figure = plot_sweep(attrs.evolve(many, met=met), minimise=["latency"])
    best = next(line for line in lines(figure) if line.get_label() == "best over speed")
    np.testing.assert_allclose(best.get_xydata(), [[1.0, 0.2], [2.0, 0.2], [3.0, 0.3]])


def test_of_many_lines_those_of_a_choice_stay():
    many = made(batch=np.arange(1.0, 13.0), speed=np.arange(1.0, 11.0), device=np.array([0.0, 1.0]))
    units = {**many.units, "device": "choice: this, that"}
    figure = plot_sweep(attrs.evolve(many, units=units), minimise=["latency"])
    labels = [line.get_label() for line in lines(figure)]
    assert "device this, best over speed" in labels
    assert "device that, best over speed" in labels


@pytest.mark.parametrize("aims", [{"minimise": ["latency"], "maximise": ["throughput"]},
                                  {"minimise": ["latency", "throughput"]}])  # fmt: skip
def test_no_name_of_a_frontier_leaves_the_picture(aims):
    values = made(batch=np.array([1.0, 2.0, 4.0, 8.0]), device=np.array([0.0, 1.0]))
    long = {**values.units, "device": "choice: a-device-with-a-long-name, another-device-with-a-long-name"}
    figure = plot_sweep(attrs.evolve(values, units=long), **aims)
    figure.draw_without_rendering()
    names = [text.get_window_extent() for text in figure.axes[0].texts]
    assert names
    assert all(figure.bbox.x0 < box.x0 and box.x1 < figure.bbox.x1 for box in names)
