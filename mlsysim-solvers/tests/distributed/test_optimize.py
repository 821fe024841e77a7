"""The search is exact, its bound is admissible, and it says why."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mlsysim.cli import main
from mlsysim.config import SimulationConfig
from mlsysim.errors import MlsysimError
from mlsysim_solvers.distributed import DistributedSolver
from mlsysim_solvers.lowering.divisors import divisors
from mlsysim_solvers.optimize.goals import GOALS, goal_of
from mlsysim_solvers.optimize.report import compared, reason_lost, report
from mlsysim_solvers.optimize.search import _with, lower_bound, search, search_columns
from mlsysim_solvers.optimize.space import AXES, layouts

CASES = [
    ("gpt-175b-a100-1024", {}, 128),
    ("gpt-175b-a100-1024", {"batch": "96"}, 48),
    ("llama-70b-h100-64", {}, 64),
    ("mpt-7b-h100-fsdp", {}, 16),
    ("llama-70b-h100-64", {"model": "mixtral-8x7b", "precision": "bf16"}, 16),
    ("llama-70b-h100-64", {"recompute": "selective", "recompute_modules": "norm, mlp"}, 32),
    ("gpt-175b-a100-1024", {"recompute": "full", "recompute_layers": "2"}, 96),
    ("llama-70b-h100-64", {"model": "nemotron-3-nano-30b-a3b"}, 16),
    ("llama-70b-h100-64", {"model": "t5-3b", "sequence": "512", "input": "512"}, 16),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def prepared(request):
    name, overrides, devices = request.param
    return search_columns(SimulationConfig.load(name, overrides), devices), devices


def test_the_search_finds_what_exhaustive_search_finds(prepared):
    columns, devices = prepared
    quick, whole = search(columns, devices), search(columns, devices, exhaustive=True)
    assert quick.best == whole.best
    assert quick.runner_up == whole.runner_up
    assert quick.frontier == whole.frontier
    assert quick.evaluated <= whole.evaluated == whole.fitting


def test_the_bound_never_exceeds_the_step_nor_the_time_in_which_devices_compute(prepared):
    columns, devices = prepared
    for space in layouts(columns, devices):
        c = _with(columns, space, slice(None))
        answers = DistributedSolver().compute(c)
        step, bound = np.asarray(answers["performance.step_time"]), np.asarray(lower_bound(c))
        assert np.all(bound <= step * (1 + 1e-12))
        assert np.all(bound <= step * np.asarray(answers["performance.active_share"]) * (1 + 1e-12))


GOAL_CASES = [
    ("llama-70b-h100-64", {}, 64),
    ("llama-70b-h100-64", {"settings.sustainability.waiting": '"300 W"'}, 32),
    ("gpt-175b-a100-1024", {"settings.sustainability.waiting": '"90 W"'}, 128),
    ("llama-70b-h100-64", {"model": "mixtral-8x7b", "precision": "bf16"}, 16),
]


@pytest.mark.parametrize("name", GOALS)
@pytest.mark.parametrize("case", GOAL_CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_each_goal_finds_what_exhaustive_search_finds(case, name):
    scenario, overrides, devices = case
    config = SimulationConfig.load(scenario, overrides)
    columns, goal = search_columns(config, devices), goal_of(config, devices, name)
    whole = search(columns, devices, goal, exhaustive=True)
    steps = sorted({whole.best.step, whole.runner_up.step, *(c.step for c in whole.frontier)})
    for limit in (float("inf"), steps[len(steps) // 2]):
        quick = search(columns, devices, goal, limit=limit)
        slow = search(columns, devices, goal, limit=limit, exhaustive=True)
        assert quick.best == slow.best
        assert quick.runner_up == slow.runner_up
        assert quick.frontier == slow.frontier
        assert quick.best.step <= limit


def test_energy_prefers_waiting_to_computing():
    # Where waiting draws nothing and computing everything, the layout that computes least is best, not the fastest.
    config = SimulationConfig.load("gpt-175b-a100-1024", {"settings.sustainability.waiting": '"1 mW"'})
    columns = search_columns(config, 128)
    goal = goal_of(config, 128, "energy")
    fast, frugal = search(columns, 128), search(columns, 128, goal)
    active = [sum(one.terms[t] for t in ("compute", "recompute", "optimizer")) for one in (fast.best, frugal.best)]
    assert frugal.best.step > fast.best.step
    assert frugal.best.value < goal.value(fast.best.step, active[0])
    assert active[1] <= active[0] * (1 + 1e-9)
    assert frugal.best.value == pytest.approx(goal.value(frugal.best.step, active[1]))


def test_cost_and_energy_are_those_of_the_scorecard():
    from mlsysim.evaluation import evaluate

    run = {
        "workload.run.device_mtbf": "2000 h", "workload.run.restart_time": "20 min",
        "workload.run.storage_bandwidth": "20 GB/s",
    }  # fmt: skip
    config = SimulationConfig.load("llama-70b-h100-64", run)
    for name, output in (("cost", "cost_per_sample"), ("energy", "energy_per_sample")):
        columns = search_columns(config, 64)
        best = search(columns, 64, goal_of(config, 64, name, columns)).best
        recompute, sequence, zero = best.choice
        layout = {f"parallelism.{key}": str(int(value)) for key, value in best.axes.items()}
        found = evaluate(
            "llama-70b-h100-64",
            {**run, **layout, "recompute": recompute, "parallelism.sequence": str(sequence).lower(),
             "parallelism.zero": str(zero)},
        )  # fmt: skip
        assert found["goodput"].value < 0.99
        assert found[output].value == pytest.approx(best.value, rel=1e-9)


def test_the_best_layout_is_told_as_a_scenario_takes_it():
    import rtoml

    from mlsysim import evaluate
    from mlsysim_solvers.optimize.report import scenario_lines

    config = SimulationConfig.load("llama-70b-h100-64")
    best = search(search_columns(config, 64), 64).best
    table = rtoml.loads("\n".join(scenario_lines(best)))["parallelism"]
    whole = dict.fromkeys(AXES, 1) | {"sequence": False} | table  # what the lines leave out is as by default
    given = {f"parallelism.{key}": str(value).lower() for key, value in whole.items()}
    found = evaluate("llama-70b-h100-64", {**given, "recompute": best.choice[0]})
    assert found["step_time"].value == pytest.approx(best.step, rel=1e-9)
    assert found["memory_required"].value == pytest.approx(best.memory, rel=1e-9)


def test_no_file_is_needed(capsys):
    from mlsysim.cli import main

    asked = ("llama-3.1-8b", "--on", "h100-sxm", "--batch", "64", "--sequence", "4096", "--stack", "megatron-core-0.12")
    assert main(["optimize", "training", *asked, "--devices", "8,16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["best"]["devices"] for one in found["searches"]] == [8, 16]
    assert main(["step", *asked, "--devices", "8", "--json"]) in (0, 3)
    assert json.loads(capsys.readouterr().out)["step"] > 0.0
    assert main(["optimize", "training", *asked]) == 2


def test_a_limit_that_is_no_time_says_which_option(capsys):
    from mlsysim.cli import main

    assert main(["optimize", "training", "llama-70b-h100-64", "--within", "3 GB"]) == 2
    assert capsys.readouterr().err.startswith("error: --within: '3 GB' is B, but s is needed here")


def test_a_goal_without_its_number_says_so_and_takes_device_time():
    config = SimulationConfig.load("llama-70b-h100-64", {"price": "h100-sxm-purchase"})
    goal = goal_of(config, 64, "cost")
    assert "device time stands for it" in goal.note
    assert goal.value(2.0, 1.0) == 128.0
    assert "it ranks as the step" in goal_of(SimulationConfig.load("llama-70b-h100-64"), 64, "cost").note


def test_numbers_of_devices_are_compared_and_the_fewest_need_not_be_the_cheapest(capsys):
    from mlsysim.cli import main

    devices = {}
    for name in ("cost", "devices", "step-time"):
        assert main(["optimize", "training", "mpt-7b-h100-fsdp", "--devices", "8,16,64", "--goal", name]) == 0
        text = capsys.readouterr().out
        assert "by number of devices" in text
        devices[name] = int(text.split(" on ")[1].split()[0])
    assert devices["devices"] == 8
    assert devices["step-time"] == 64
    config = SimulationConfig.load("mpt-7b-h100-fsdp")
    best = {n: search(search_columns(config, n), n, goal_of(config, n, "cost")) for n in (8, 16, 64)}
    assert devices["cost"] == min(best, key=lambda n: best[n].best.value)
    assert list(compared([best[8]], goal_of(config, 8, "cost"))) == []


def test_every_layout_of_the_space_is_legal(prepared):
    columns, devices = prepared
    shape = columns["shape"]
    for space in layouts(columns, devices):
        d, t, p, c, e, v, b = (space.columns[name] for name in AXES)
        assert np.all(d * t * p * c == devices)
        assert np.all(shape.heads % t == 0)
        assert np.all(p * v <= shape.layers + 2)
        assert np.all(columns["batch"] % (d * b) == 0)
        assert np.all(max(shape.experts, 1.0) % e == 0)


@pytest.mark.parametrize(
    ("changes", "undivided"),
    [({"model": "nemotron-h-56b", "sequence": "8192"}, {"context"}),
     ({"model": "t5-3b", "sequence": "8192", "input": "512"}, {"context", "pipeline"})],
)  # fmt: skip
def test_what_training_refuses_is_not_searched(changes, undivided):
    columns = search_columns(SimulationConfig.load("llama-70b-h100-64", changes), 64)
    found = layouts(columns, 64)
    assert found
    for axis in undivided:
        assert all(np.all(space.columns[axis] == 1.0) for space in found)


def test_the_frontier_trades_time_for_memory(prepared):
    columns, devices = prepared
    frontier = search(columns, devices).frontier
    assert [c.step for c in frontier] == sorted(c.step for c in frontier)
    assert [c.memory for c in frontier] == sorted((c.memory for c in frontier), reverse=True)


def test_the_runner_up_is_told_why_it_lost():
    columns = search_columns(SimulationConfig.load("gpt-175b-a100-1024"), 128)
    found = search(columns, 128)
    reason = reason_lost(found.best, found.runner_up)
    assert "slower" in reason
    text = "\n".join(report(found))
    assert "runner-up" in text
    assert "frontier" in text
    assert "evaluated" in text


def test_what_cannot_fit_says_what_to_relax_and_by_how_much():
    config = SimulationConfig.load("gpt-175b-a100-1024", {"model": "megatron-1t", "batch": "8"})
    columns = search_columns(config, 8)
    found = search(columns, 8)
    assert found.best is None
    assert found.least is not None
    text = "\n".join(report(found))
    assert "relax memory" in text
    assert "per device" in text


def test_one_device_has_no_layout():
    with pytest.raises(MlsysimError):
        search_columns(SimulationConfig.load("gpt-175b-a100-1024"), 1)


def test_a_limit_that_no_layout_keeps_is_said_before_anything_else(capsys):
    from mlsysim.cli import main

    assert main(["optimize", "training", "mpt-7b-h100-fsdp", "--within", "1 ms", "--devices", "32,64"]) == 3
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("no layout keeps a step within 1 ms")
    assert "relax --within to" in second
    assert not any(line.startswith("best layout") for line in rest)
    limit = second.split("to ")[1].split(",")[0]
    assert main(["optimize", "training", "mpt-7b-h100-fsdp", "--within", limit, "--devices", "32,64"]) == 0
    assert capsys.readouterr().out.startswith("best layout")


def test_layouts_and_steps_come_as_plain_data(capsys):
    from mlsysim.cli import main

    assert main(["optimize", "training", "mpt-7b-h100-fsdp", "--devices", "32,64", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["searches"]) == 2
    assert data["best"] == min((one["best"] for one in data["searches"]), key=lambda best: best["step"])
    assert sum(data["best"]["terms"].values()) == pytest.approx(data["best"]["step"])
    assert main(["step", "mpt-7b-h100-fsdp", "--json"]) == 0
    step = json.loads(capsys.readouterr().out)
    assert sum(step["terms"].values()) == pytest.approx(step["step"])


def test_divisors():
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
    assert divisors(1) == [1]
    assert divisors(10**10) == sorted(2**i * 5**j for i in range(11) for j in range(11))
    assert {1, 2, 10**30} <= set(divisors(10**30))  # beyond what a search could go through


TIGHT = ["optimize", "training", "qwen2.5-32b", "--on", "h100-sxm", "--devices", "64", "--batch", "256", "--sequence",
         "4096"]  # fmt: skip


def test_a_layout_at_the_edge_of_memory_is_named_as_such_with_one_that_surely_fits(capsys):
    assert main(TIGHT) == 0
    out = capsys.readouterr().out
    assert main([*TIGHT, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["searches"]
    best, sure, usable = found["best"], found["sure"], found["memory_usable"]
    assert best["memory"] <= usable < best["memory_high"]
    assert sure["memory_high"] <= usable
    assert sure["step"] >= best["step"]
    assert all(one["memory_high"] > usable for one in found["frontier"] if one["step"] < sure["step"])
    assert "may not fit" in out
    assert f"surely fits: {sure['text']}" in out


def test_a_layout_with_memory_to_spare_is_not_warned_of(capsys):
    assert main([name.replace("qwen2.5-32b", "llama-3.2-1b").replace("256", "64") for name in TIGHT]) == 0
    assert "may not fit" not in capsys.readouterr().out


def test_what_was_assumed_is_said(capsys):
    assert main(TIGHT) == 0
    assert "assumed: stack: pytorch-2" in capsys.readouterr().out
