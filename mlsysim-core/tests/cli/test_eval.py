"""``mlsysim eval``: scenarios from files and options, formats, exit codes."""

from __future__ import annotations

import json

import core_toys
import pytest

from mlsysim.evaluation import SystemEvaluation, evaluate

HEADINGS = ("Feasibility", "Performance", "Macro", "Assumptions", "Evidence")


def test_scorecard_has_its_levels_in_order(run, toy_file):
    code, out, err = run("eval", toy_file())
    assert (code, err) == (0, "")
    positions = [out.index(heading) for heading in HEADINGS]
    assert positions == sorted(positions)
    first = out.splitlines()[0]
    assert first.startswith("toys")
    assert first.endswith("FITS")


def test_scorecard_says_fit_interval_and_badges(run, toy_file):
    out = run("eval", toy_file()).out
    assert "yes, with 14 GB to spare" in out
    assert "12.5 % of usable" in out
    assert "90 % interval" in out
    # 1 TB/s over 2 GB of weights: 2 ms; the interval is exp(+-1.645 * 0.1) around it
    assert "2 ms" in out
    assert "1.7 .. 2.36 ms" in out
    assert "1 measured" in out
    assert "1 estimate" in out
    assert "device.power.tdp" in out


def test_no_evidence_leaves_the_evidence_out(run, toy_file):
    assert "Evidence" not in run("eval", toy_file(), "--no-evidence").out


def test_does_not_fit_is_exit_3_with_the_shortfall(run, toy_file):
    # 1e9 parameters of 2 B need 2 GB of 16 GB: a model of the same shape cannot be made larger, so shrink the device
    core = core_toys.CLASSES
    texts = {**core, "devices": {"toy-one": core_toys.DEVICE.replace('"16 GB"', '"1.5 GB"')}}
    from mlsysim.testing.isolation import given_plugins

    with given_plugins(core_toys.ToyPlugin(sources=(core_toys.ToySource(texts),))):
        code, out, _ = run("eval", toy_file())
    assert code == 3
    assert "DOES NOT FIT" in out
    assert "500 MB more than the usable 1.5 GB" in out
    assert "Performance, if it did fit" in out


def test_violated_constraint_is_exit_4_and_named(run, toy_file):
    code, out, _ = run("eval", toy_file(constraints={"latency": "<= 1 ms", "throughput": ">= 1 sample/s"}))
    assert code == 4
    assert "CONSTRAINT VIOLATED" in out.splitlines()[0]
    assert "1 of 2 met" in out
    lines = {line.split()[0]: line for line in out.splitlines() if "performance." in line}
    assert "latency <= 1 ms" in lines["VIOLATED"]
    assert "throughput >= 1 sample/s" in lines["met"]


def test_unanswered_question_is_said_and_violates_its_constraint(run, toy_file, isolated_plugins):
    isolated_plugins(core_toys.ToyPlugin(specs=(core_toys.PERFORMANCE, core_toys.ECONOMICS)))
    out = " ".join(run("eval", toy_file()).out.split())  # however wide the lines are
    assert "What energy, carbon and water does it take? not evaluated: no installed solver answers it" in out


def test_a_solver_that_refuses_leaves_the_rest_standing(run, isolated_plugins, toy_file):
    purchase = core_toys.CLASSES["prices"]["toy-rental"].replace("rate = ", "amount = ").replace("7.2 USD/h", "900 USD")
    texts = {**core_toys.CLASSES, "prices": {"toy-rental": purchase.replace("on-demand", "purchase")}}
    isolated_plugins(core_toys.ToyPlugin(sources=(core_toys.ToySource(texts),)))
    code, out, _ = run("eval", toy_file())
    assert code == 0
    assert "What does it cost? not evaluated: place.price: Toy rental is a purchase" in " ".join(out.split())
    assert "Evidence" in out


def test_json_round_trips(run, toy_file):
    file = toy_file(constraints={"latency": "<= 1 s"})
    code, out, _ = run("eval", file, "--json")
    assert code == 0
    data = json.loads(out)
    assert SystemEvaluation.from_dict(data) == evaluate(file)
    assert data["exit_code"] == 0
    assert data["evidence"]["device.power.tdp"]["level"] == "estimate"
    assert "evidence" not in json.loads(run("eval", file, "--json", "--no-evidence").out)
    assert run("eval", file, "--format", "json").out == out


def test_markdown_has_tables_and_escapes_bars(run, toy_file):
    out = run("eval", toy_file(name="a|b", constraints={"latency": "<= 1 s"}), "--format", "markdown").out
    assert out.startswith("# a|b")
    assert "| fits | yes, with 14 GB to spare |  |" in out
    assert "| performance.latency <= 1 s |" in out
    assert "| met |" in out
    assert "| device.power.tdp | 300 W | estimate |" in out


def test_flags_make_a_scenario_and_assumptions_are_said(run):
    code, out, _ = run("eval", "toy-net", "--on", "ONE", "--batch", "8")
    assert code == 0
    assert out.startswith("Toy Net on Toy One")
    assert "inference · toy-net · bf16 · batch 8 · 1 x toy-one" in out
    assert "precision: bf16, which toy-one has (set --precision)" in out
    given = run("eval", "toy-net", "--on", "toy-one", "--batch", "8", "--precision", "int8").out
    assert "which toy-one has" not in given
    assert "int8" in given


def test_precision_falls_to_what_the_device_has(run, isolated_plugins):
    text = core_toys.DEVICE.replace("[compute.peak.bf16]", "[compute.peak.fp4]")
    texts = {**core_toys.CLASSES, "devices": {"toy-one": text}}
    isolated_plugins(core_toys.ToyPlugin(sources=(core_toys.ToySource(texts),)))
    assert "precision: int8, which toy-one has" in run("eval", "toy-net", "--on", "toy-one").out


def test_a_causal_model_is_served_unless_told(run):
    code, out, err = run("eval", "toy-lm", "--on", "toy-one")
    assert (code, out) == (2, "")
    assert "Toy LM has no published work" in err  # the toy solver got a serving scenario and refused the model
    assert (
        "--output is for serving and traffic, and this is inference"
        in run("eval", "toy-lm", "--on", "toy-one", "--kind", "inference", "--output", "9").err
    )


def test_set_and_flags_change_a_file(run, toy_file):
    file = toy_file()
    by_flag = json.loads(run("eval", file, "--json", "--batch", "64").out)
    by_set = json.loads(run("eval", file, "--json", "--set", "batch=64").out)
    assert by_flag == by_set
    assert by_flag["scenario"]["workload"]["batch"] == 64


def test_set_limits_an_answer_by_its_dotted_name(run, toy_file):
    assert run("eval", toy_file(), "--set", "performance.latency=<= 1 ms").code == 4
    assert run("eval", toy_file(), "--set", "constraints.latency=<= 1 s").code == 0


REFUSED = {
    "unknown device": (("toy-net", "--on", "toy-oen"), "--on: there is no device 'toy-oen'", "'toy-one'"),
    "unknown model and device": (("toy-ned", "--on", "x"), "MODEL: there is no model 'toy-ned'", "'toy-net'"),
    "a model alone": (("toy-net",), "models/toy-net is a model, not a scenario", "--on"),
    "a device alone": (("toy-one",), "devices/toy-one is a device, not a scenario", "--on toy-one"),
    "nothing": (("toyy-net",), "there is no scenario and no model 'toyy-net'", "'toy-net'"),
    "missing file": (("nowhere.toml",), "nowhere.toml: cannot be read", ""),
    "file with --on": (("a.toml", "--on", "toy-one"), "--on takes a model", "--set system.device=toy-one"),
    "kind without --on": (("toy-net", "--kind", "serving"), "--kind goes with --on", "says its kind itself"),
    "option of another kind": (("toy-net", "--on", "one", "--input", "9"), "--input is for serving", "inference takes --batch"),
    "negative batch": (("toy-net", "--on", "one", "--batch", "-3"), "--batch: -3 is out of range", "more than 0"),
    "infinite batch": (("toy-net", "--on", "one", "--batch", "1e999"), "--batch: ", "finite"),
    "batch with a unit": (("toy-net", "--on", "one", "--batch", "3 GB"), "--batch: '3 GB' is B", "sample"),
    "unknown precision": (("toy-net", "--on", "one", "--precision", "bf17"), "--precision: unknown precision 'bf17'", "'bf16'"),
    "precision it lacks": (("toy-net", "--on", "one", "--precision", "fp8"), "--precision: Toy One has no dense fp8", "bf16, int8"),
    "set without value": (("toy-net", "--on", "one", "--set", "batch"), "--set: 'batch' is not KEY=VALUE", "batch=64"),
    "set twice": (("toy-net", "--on", "one", "--batch", "3", "--set", "batch=4"), "batch is set twice", "once"),
    "unknown key": (("toy-net", "--on", "one", "--set", "btach=4"), "no table of the scenario has a key 'btach'", "'batch'"),
    "unknown table": (("toy-net", "--on", "one", "--set", "sytem.devices=4"), "'sytem'", "'system'"),
    "unknown format": (("toy-net", "--on", "one", "--format", "jsno"), "--format: there is no format 'jsno'", "'json'"),
    "two formats": (("toy-net", "--on", "one", "--json", "--format", "text"), "contradict", "Give one"),
    "plot suffix": (("toy-net", "--on", "one", "--plot", "a.gif"), ".gif is not a picture format", ".png"),
    "plot folder": (("toy-net", "--on", "one", "--plot", "no/such/a.png"), "there is no folder", "Make it"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_exit_2_with_place_and_remedy(run, case):
    words, what, remedy = REFUSED[case]
    code, out, err = run("eval", *words)
    assert code == 2
    assert not out or "--json" in words
    assert what in err
    assert remedy in err


def test_faults_of_a_file_name_file_line_and_key(run, toy_file):
    file = toy_file(workload={"batch": -1, "precison": "bf16"})
    code, _, err = run("eval", file)
    assert code == 2
    assert err.count("error:") == 2
    assert f"{file}:1: workload.batch: -1 is out of range" in err
    assert "try: Did you mean 'precision'?" in err


def test_option_at_fault_is_named_for_a_file_too(run, toy_file):
    assert "error: --precision: unknown precision 'x'" in run("eval", toy_file(), "--precision", "x").err
    assert "error: --set system.devices: -3 is out" in run("eval", toy_file(), "--set", "system.devices=-3").err


def test_broken_plugins_are_named_when_something_is_not_found(run, isolated_plugins):
    from mlsysim.plugins import PluginInfo

    loaded = isolated_plugins(core_toys.ToyPlugin())
    loaded.infos.append(PluginInfo("shaky", "shaky", "1", "broken", "ImportError: no x"))
    assert "(broken plugins: shaky: ImportError: no x)" in run("eval", "toy-net", "--on", "nothing-like-it").err
