"""Sweeps over keys of the scenario: every choice is a scenario of its own, and answers as it would alone."""

from __future__ import annotations

import json
import pickle

import core_toys
import numpy as np
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.config.overrides import known_keys
from mlsysim.errors import ConfigError, MlsysimError
from mlsysim.evaluation import evaluate
from mlsysim.sweeping import sweep
from mlsysim.sweeping.result import SweepResult


@pytest.fixture
def two(world) -> list[str]:
    """Return the devices of the toys."""
    from mlsysim.plugins import plugins

    return sorted(plugins().registry.keys("devices"))[:2]


def test_each_choice_answers_as_it_does_alone(two):
    assert len(two) == 2
    found = sweep(core_toys.scenario(), {"device": two, "batch": [1.0, 2.0, 4.0]})
    assert len(found) == 6
    for row in range(6):
        name, batch = two[int(found.varied["device"][row])], found.varied["batch"][row]
        alone = evaluate(core_toys.scenario(), {"device": name, "batch": f"{batch:g}"})
        assert found.outputs["performance.latency"][row] == pytest.approx(alone["latency"].value, rel=1e-12)
        assert found.row(row)["device"] == name


def test_rows_come_in_the_order_in_which_they_were_asked(two):
    found = sweep(core_toys.scenario(), {"batch": [4.0, 1.0], "device": two[::-1]})
    assert found.varied["batch"].tolist() == [4, 4, 1, 1]
    assert [found.row(row)["device"] for row in range(4)] == [*two[::-1], *two[::-1]]
    points = sweep(
        core_toys.scenario(), {"batch": [4.0, 1.0, 2.0], "system.device": [two[1], two[0], two[1]]}, grid=False
    )
    assert [points.row(row)["system.device"] for row in range(3)] == [two[1], two[0], two[1]]
    assert points.varied["batch"].tolist() == [4, 1, 2]


def test_choices_alone_need_no_column(two):
    found = sweep(core_toys.scenario(), {"device": two})
    assert found.outputs["performance.latency"].shape == (2,)


def test_progress_counts_all_rows(two):
    told = []
    sweep(core_toys.scenario(), {"device": two, "batch": [1.0, 2.0, 4.0]}, progress=lambda *at: told.append(at))
    assert told == [(3, 6), (6, 6)]


def test_a_choice_that_contradicts_the_scenario_is_reported_and_the_others_are_answered(two):
    found = sweep(core_toys.scenario(), {"precision": ["bf16", "fp8"], "batch": [1.0, 2.0]})
    assert len(found) == 2
    ((choice, error),) = found.refused
    assert choice == {"workload.precision": "fp8"}
    assert "fp8" in str(error)


def test_if_no_choice_can_be_answered_the_first_says_why(world):
    with pytest.raises(MlsysimError, match="nobody-has-this"):
        sweep(core_toys.scenario(), {"device": ["nobody-has-this", "nor-this"]})


@pytest.mark.parametrize(("vary", "words"), [
    ({"devcie": ["a"]}, "nothing called 'devcie' can vary"), ({"device": ["a,b"]}, "comma"), ({"device": []}, "no list"),
])  # fmt: skip
def test_what_cannot_vary_is_refused(world, vary, words):
    with pytest.raises(ConfigError, match=words):
        sweep(core_toys.scenario(), vary)


def test_a_scenario_made_in_python_has_no_keys_to_set(two):
    config = SimulationConfig.from_dict(core_toys.scenario())
    with pytest.raises(ConfigError, match="made in Python"):
        sweep(config.scenario, {"device": two})


def test_a_checked_scenario_can_be_changed_and_sent_to_other_processes(two):
    config = pickle.loads(pickle.dumps(SimulationConfig.from_dict(core_toys.scenario(), {"batch": "3"})))
    changed = config.changed({"device": two[1]})
    assert (changed.scenario.system.device, changed.scenario.workload.batch) == (two[1], 3)


def test_keys_are_known_by_their_short_names():
    keys = known_keys("inference")
    assert (keys["device"], keys["batch"], keys["grid"]) == ("system.device", "workload.batch", "place.grid")


def test_the_command_compares_devices(two, run_sweep):
    out = run_sweep("--vary", f"device={','.join(two)}", "--vary", "precision=bf16,fp8", "--minimise", "latency")
    assert out.code == 0
    assert "2 variations" in out.out
    assert all(name in out.out for name in two)
    assert f"left out: system.device = {two[0]}, workload.precision = fp8" in out.err
    data = json.loads(run_sweep("--vary", "precision=bf16,fp8", "--json").out)
    assert data["rows"][0]["precision"] == "bf16"
    assert data["refused"][0]["workload.precision"] == "fp8"
    assert run_sweep("--vary", f"device={two[0]},nobody").code == 2
    table = run_sweep("--vary", f"device={','.join(two)}", "--csv", "-").out.splitlines()
    assert [line.split(",")[0] for line in table] == ["device", *two]
    assert run_sweep("--vary", f"device={two[0]}", "--vary", f"system.device={two[1]}").code == 2


def test_arrays_on_disk_are_those_of_the_table(two, run_sweep, tmp_path):
    words = ("--vary", f"device={','.join(two)}", "--vary", "batch=1:64:64")
    assert run_sweep(*words, "--npz", str(tmp_path / "all.npz")).code == 0
    lines = [line.split(",") for line in run_sweep(*words, "--csv", "-").out.splitlines()]
    with np.load(tmp_path / "all.npz") as arrays:
        assert [title.partition(" ")[0] for title in lines[0]] == list(arrays)
        for at, name in enumerate(arrays):
            values = arrays[name].tolist()
            assert [type(value)(line[at]) for value, line in zip(values, lines[1:], strict=True)] == values
    assert run_sweep(*words, "--npz", str(tmp_path / "nowhere" / "all.npz")).code == 2


def test_choices_are_drawn_apart(two, tmp_path):
    pytest.importorskip("matplotlib")
    from mlsysim.plotting import plot_sweep

    figure = plot_sweep(sweep(core_toys.scenario(), {"device": two}), minimise=["latency"])
    (dots,) = (line for line in figure.axes[0].lines if len(line.get_xdata()) == 2)
    assert dots.get_linestyle() == "None"
    assert np.allclose(dots.get_xdata(), [0, 1])


@pytest.fixture
def run_sweep(world, tmp_path, capsys):
    """Run ``mlsysim sweep`` on the toys."""
    from types import SimpleNamespace

    from mlsysim.cli import main

    file = tmp_path / "toys.json"
    file.write_text(json.dumps(core_toys.scenario()), encoding="utf-8")

    def call(*words):
        capsys.readouterr()
        code = main(("sweep", str(file), *words))
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return call


def test_an_aim_that_a_choice_does_not_answer_names_the_choice():
    part = SweepResult({"batch": np.ones(1)}, {"performance.latency": np.ones(1)}, {"batch": "sample"},
                       left_out={"macro.cost_per_token": ("rtx-4090",)})  # fmt: skip
    for asked in (lambda: part.best("cost_per_token"), lambda: part.pareto(["latency"], ["macro.cost_per_token"])):
        with pytest.raises(ConfigError, match=r"macro\.cost_per_token is not answered for rtx-4090"):
            asked()


def test_a_choice_that_does_not_answer_the_aim_is_left_out_with_the_reason(two, run_sweep):
    """One device without a price must not keep those that have one from being ranked."""
    words = ("--vary", f"device={two[1]},{two[0]}", "--vary", "batch=1,2")
    out = run_sweep(*words, "--minimise", "cost")
    assert out.code == 0
    assert "2 variations, 2 fit" in out.out
    assert f"left out: system.device = {two[1]}: cost is not answered: toy-economics needs a price" in out.err
    assert "4 variations" in run_sweep(*words, "--minimise", "latency").out
    found = sweep(core_toys.scenario(), {"device": two[::-1]}, wanted=["macro.cost"])
    assert [found.row(row)["device"] for row in range(len(found))] == [two[0]]
    nobody = run_sweep("--vary", f"device={two[1]}", "--minimise", "cost")
    assert nobody.code == 2
