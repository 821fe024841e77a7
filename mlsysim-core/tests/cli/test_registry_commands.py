"""``show``, ``list``, ``solvers``, ``plugins``, ``doctor``."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import core_toys
import pytest

from mlsysim.cli.fields import given, plain_fields
from mlsysim.entities import Entry
from mlsysim.records.scenario import Run, Scenario, System, Training

OLD = core_toys.DEVICE.replace(
    'tdp = { value = "300 W", estimate',
    'idle = [{ value = "30 W", source = "sheet", at = "table 4" }, { value = "60 W", source = "review", at = "p 3" }]\n'
    'tdp = { value = "300 W", estimate',
)


def test_show_gives_badge_value_print_source_place_and_date(run):
    code, out, _ = run("show", "devices/toy-one")
    assert code == 0
    assert "Toy One" in out
    assert "devices/toy-one" in out
    assert "memory.capacity = 16 GB  [stated] one document" in out
    assert '"16 GB", Data sheet of toys, Toymaker, table 2, read 2026-01-01' in out


def test_show_says_once_where_each_document_is_found(run):
    out = run("show", "devices/toy-one").out
    documents = out.partition("  documents\n")[2]
    addresses = [line.strip() for line in documents.splitlines() if line.strip().startswith("http")]
    assert addresses
    assert len(addresses) == len(set(addresses))


def test_show_marks_the_chosen_of_several_claims(run):
    out = run("show", "toy-one", "--field", "bandwidth").out
    lines = [line.strip() for line in out.splitlines() if '"1' in line]
    assert lines[0].startswith('* "1 TB/s", Data sheet of toys')
    assert lines[1].startswith('"1,000 GB/s", measured, Review of toys')
    assert "capacity" not in out


def test_show_puts_disputed_first_then_estimates(run, isolated_plugins):
    texts = {**core_toys.CLASSES, "devices": {"toy-one": OLD}}
    isolated_plugins(core_toys.ToyPlugin(sources=(core_toys.ToySource(texts),)))
    out = run("show", "toy-one").out
    order = [out.index(name) for name in ("power.idle =", "power.tdp =", "compute.peak.bf16.dense =")]
    assert order == sorted(order)
    assert "[stated (disputed)]" in out
    assert "between 200 W and 400 W" in out


def test_show_calls_an_old_document_stale(run, monkeypatch):
    monkeypatch.setenv("MLSYSIM_TODAY", "2031-01-01")
    assert "[stated (stale)]" in run("show", "toy-one").out


def test_show_json_holds_all_claims(run):
    data = json.loads(run("show", "toy-one", "--format", "json").out)
    bandwidth = data["numbers"]["memory.bandwidth"]
    assert [claim["chosen"] for claim in bandwidth["claims"]] == [True, False]
    assert bandwidth["level"] == "measured"
    assert data["record"]["memory"]["bandwidth"] == 1e12
    assert set(data["sources"]) == {"sheet", "review"}


class CardSource(core_toys.ToySource):
    """Toys whose cards are files."""

    folder: Path

    def entry(self, kind: str, key: str) -> Entry:
        import attrs

        file = self.folder / f"{key}.toml"
        file.write_text(self.texts[kind][key])
        return attrs.evolve(super().entry(kind, key), path=str(file))


def test_show_toml_is_the_card(run, isolated_plugins, tmp_path):
    source = CardSource()
    source.folder = tmp_path
    isolated_plugins(core_toys.ToyPlugin(sources=(source,)))
    assert run("show", "toy-one", "--format", "toml").out == core_toys.DEVICE


@pytest.mark.parametrize(
    ("words", "what", "remedy"),
    [
        (("toy-oen",), "nothing is called 'toy-oen'", "'toy-one'"),
        (("device/toy-oen",), "there is no device 'toy-oen'", "'toy-one'"),
        (("devcies/toy-one",), "there is no kind 'devcies'", "'devices'"),
        (("toy-one", "--field", "bandwith"), "has no field 'bandwith'", "'memory.bandwidth'"),
        (("toy-one", "--format", "toml"), "has no card", "text or json"),
        (("toy-one", "--format", "toml", "--field", "power"), "a card is printed whole", "text or json"),
        (("toy-one", "--format", "jsn"), "--format 'jsn' is not a choice", "'json'"),
    ],
)
def test_show_refuses_with_a_remedy(run, words, what, remedy):
    code, out, err = run("show", *words)
    assert (code, out) == (2, "")
    assert what in err
    assert remedy in err


def test_an_ambiguous_key_asks_for_the_kind(run, isolated_plugins):
    texts = {**core_toys.CLASSES, "grids": {"toy-one": core_toys.CLASSES["grids"]["world"]}}
    isolated_plugins(core_toys.ToyPlugin(sources=(core_toys.ToySource(texts),)))
    code, _, err = run("show", "toy-one")
    assert code == 2
    assert "devices/toy-one or grids/toy-one" in err


def test_a_faulty_card_hurts_no_other_and_is_told(run, isolated_plugins, toy_file):
    texts = {kind: {**cards, "zz-faulty": "name = 3"} for kind, cards in core_toys.CLASSES.items()}
    isolated_plugins(core_toys.ToyPlugin(sources=(core_toys.ToySource(texts),)))
    listed = run("list", "devices")
    assert (listed.code, "toy-one" in listed.out) == (0, True)
    assert "left out: devices/zz-faulty" in listed.err
    card = run("eval", toy_file())
    assert card.code == 0
    assert "stacks/zz-faulty, prices/zz-faulty" in " ".join(card.out.split())


def test_list_counts_kinds_and_shows_facts(run):
    out = run("list").out
    assert ["devices", "2"] in [line.split() for line in out.splitlines()]
    out = run("list", "DEVICE").out
    assert "100 TFLOP/s bf16" in out
    assert "300 W" in out
    assert [line.split()[0] for line in out.splitlines()] == ["key", "toy-one", "toy-two"]


def test_list_matches_aliases_and_reports_nothing_found(run):
    assert "toy-two" not in run("list", "devices", "--match", "TOY 1").out
    code, out, err = run("list", "devices", "--match", "nothing")
    assert (code, out) == (2, "")
    assert "no devices match 'nothing'" in err


def test_list_json_is_si(run):
    devices = json.loads(run("list", "devices", "--json").out)
    assert devices[0]["memory.capacity"] == 16e9
    assert json.loads(run("list", "--json").out)["devices"] == 2


def test_solvers_list_questions_and_units(run):
    out = run("solvers").out
    assert "toy-performance  Does a toy fit, and how fast is it?" in out
    assert "performance.latency [s]" in out
    one = run("solvers", "toy-lifetime").out
    assert "time to fill (required)" in one
    assert "toy-economics" not in one
    assert next(spec["name"] for spec in json.loads(run("solvers", "--json").out)) == "toy-performance"
    assert "'toy-lifetime'" in run("solvers", "toy-liftime").err


def test_plugins_list_what_is_broken_and_why(run, isolated_plugins):
    from mlsysim.plugins import PluginInfo

    loaded = isolated_plugins(core_toys.ToyPlugin())
    loaded.infos.append(PluginInfo("shaky", "mlsysim-shaky", "0.3", "broken", "ImportError: no module x"))
    code, out, _ = run("plugins")
    assert code == 0
    assert "shaky  mlsysim-shaky 0.3  broken" in out
    assert "ImportError: no module x" in out
    assert "toy-performance" in out
    infos = json.loads(run("plugins", "--json").out)
    assert [info["status"] for info in infos] == ["ok", "broken"]


def test_doctor_is_unhappy_about_a_broken_plugin(run, isolated_plugins):
    from mlsysim.plugins import PluginInfo

    loaded = isolated_plugins(core_toys.ToyPlugin())
    loaded.infos.append(PluginInfo("shaky", "mlsysim-shaky", "0.3", "broken", "ImportError: no module x"))
    code, out, _ = run("doctor")
    assert code == 2
    line = next(line for line in out.splitlines() if "plugin shaky" in line)
    assert line.startswith("fault")
    assert "ImportError" in line
    assert "Something is wrong" in out


def test_doctor_reads_every_entry(run, isolated_plugins):
    texts = {**core_toys.CLASSES, "grids": {"bad": "name = 'Bad'"}}
    isolated_plugins(core_toys.ToyPlugin(sources=(core_toys.ToySource(texts),)))
    data = json.loads(run("doctor", "--json").out)
    faults = {finding["what"]: finding["detail"] for finding in data["findings"] if finding["state"] == "fault"}
    assert "carbon" in faults["grids/bad"]
    assert not data["healthy"]


def test_doctor_reports_a_shadowing_distribution(run, monkeypatch):
    import sys
    import types

    check = types.ModuleType("mlsysim_registry.doctor")
    check.findings = lambda: ["another mlsysim is installed"]
    monkeypatch.setitem(sys.modules, "mlsysim_registry", types.ModuleType("mlsysim_registry"))
    monkeypatch.setitem(sys.modules, "mlsysim_registry.doctor", check)
    code, out, _ = run("doctor")
    assert code == 2
    assert "another mlsysim is installed" in out
    monkeypatch.setitem(sys.modules, "mlsysim_registry.doctor", None)  # the registry is not installed: own look
    assert "finds this project" in run("doctor").out


def test_a_shown_scenario_leaves_out_what_it_does_not_say():
    record = Scenario(
        name="s", kind="training", workload=Training(model="m", batch=4, tokens=0.0), system=System(device="d")
    )
    said = {path for path, _ in plain_fields(record) if given(record, path)}
    assert {"workload.batch", "workload.offload", "system.devices"} <= said
    assert not {path for path in said if path.startswith(("workload.run.", "parallelism.", "place."))}
    assert not {"workload.tokens", "workload.recompute_layers"} & said
    told = attrs.evolve(record, workload=attrs.evolve(record.workload, run=Run(device_mtbf=1.0)))
    assert given(told, "workload.run.device_mtbf")
    assert not given(told, "workload.run.restart_time")
