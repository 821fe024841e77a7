"""A scenario is checked against the registry before anything runs."""

from __future__ import annotations

import json

import pytest
from core_toys import CLASSES, ToyPlugin, ToySource, scenario

from mlsysim.config import SimulationConfig
from mlsysim.config.overrides import apply_overrides
from mlsysim.errors import ConfigError, MlsysimError, UnknownNameError


def load(**tables):
    return SimulationConfig.from_dict(scenario(**tables))


def refused(**tables):
    with pytest.raises(MlsysimError) as caught:
        load(**tables)
    assert caught.value.exit_code == 2
    return [str(fault) for fault in caught.value.faults]


def lm(**tables):
    tables.setdefault("kind", "serving")
    return {**tables, "workload": {"model": "toy-lm", **tables.get("workload", {})}}


def test_names_become_entries(world):
    config = load(
        workload={"model": "TOY-NET"}, system={"device": "one"}, place={"grid": "World", "price": "toy-rental"}
    )
    assert {role: entry.key for role, entry in config.entries.items()} == {
        "model": "toy-net", "device": "toy-one", "stack": "toy-stack", "grid": "world", "price": "toy-rental",
    }  # fmt: skip
    assert config.constraints == ()
    assert not any("price" in a for a in config.assumptions)


def test_files_of_three_formats_and_packaged_scenarios(isolated_plugins, tmp_path):
    text = 'name = "toys"\nkind = "inference"\n[workload]\nmodel = "toy-net"\nprecision = "bf16"\nbatch = 4\n[system]\ndevice = "toy-one"\n'
    isolated_plugins(ToyPlugin())
    wanted = load()
    paths = {"toys.toml": text, "toys.json": json.dumps(scenario()), "toys.yaml": json.dumps(scenario())}
    for name, content in paths.items():
        (tmp_path / name).write_text(content)
        assert SimulationConfig.load(tmp_path / name).scenario == wanted.scenario
        assert SimulationConfig.load(str(tmp_path / name)).scenario == wanted.scenario
    with pytest.raises(UnknownNameError, match="there is no scenario 'nothing'"):
        SimulationConfig.load("nothing")
    with pytest.raises(ConfigError, match="cannot be read"):
        SimulationConfig.load("nothing.toml")


def test_a_packaged_scenario_is_read_from_its_file(isolated_plugins, tmp_path):
    from mlsysim.entities import Entry

    path = tmp_path / "toys.json"
    path.write_text(json.dumps(scenario()))

    class Packaged(ToySource):
        def entry(self, kind, key):
            return Entry(kind, key, None, path=str(path)) if kind == "scenarios" else super().entry(kind, key)

    isolated_plugins(ToyPlugin(sources=(Packaged({**CLASSES, "scenarios": {"toys": ""}}),)))
    assert SimulationConfig.load("Toys", {"batch": "8"}).scenario.workload.batch == 8


def test_every_fault_at_once_with_lines(world, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(
        'name = "bad"\nkind = "inference"\n[workload]\nmodel = "toy-nett"\n[system]\ndevice = "toy-onee"\nstack = "none"\n'
        '[place]\ngrid = "mars"\n'
    )
    with pytest.raises(ConfigError) as caught:
        SimulationConfig.load(path)
    faults = [str(f) for f in caught.value.faults]
    assert len(faults) == 4
    for line, key, words in (
        (4, "workload.model", "Did you mean 'toy-net'"),
        (6, "system.device", "Did you mean 'toy-one'"),
        (7, "system.stack", "there is no stack 'none'"),
        (9, "place.grid", "there is no grid 'mars'"),
    ):
        assert any(f.startswith(f"{path}:{line}: {key}") and words in f for f in faults)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"workload": {"precision": "fp4"}}, "Toy One has no dense fp4 rate. It has bf16, int8"),
        ({"workload": {"precision": "bf61"}}, "unknown precision 'bf61'. Did you mean 'bf16'"),
        ({"workload": {"precision": ""}}, "unknown precision ''"),
        ({"workload": {"model": ""}}, "no model is named"),
        ({"system": {"device": ""}}, "no device is named"),
        (lm(workload={"kv_cache": "int3", "precision": "bf16"}), "unknown precision 'int3'"),
        ({"kind": "training", "workload": {"batch": 4}}, "Toy Stack does not run training"),
        ({"system": {"node": "toy-box", "devices": 9}}, "9 devices do not fit Toy Box. It holds 8"),
        ({"system": {"node": "toy-box", "device": "toy-two"}}, "Toy Box holds toy-one, not toy-two"),
        ({"solvers": {"economics": "toy-performance"}}, "toy-performance answers 'performance', not 'economics'"),
        ({"solvers": {"economics": "toy-econ"}}, "Did you mean 'toy-economics'"),
        ({"settings": {"toy-lifetme": {}}}, "Did you mean 'toy-lifetime'"),
        ({"settings": {"toy-lifetime": {"horizn": "1 h"}}}, "Did you mean 'horizon'"),
        ({"constraints": {"latency": "< 1 s"}}, "'< 1 s' is not a limit"),
        ({"constraints": {"latency": "<= 1 GB"}}, "is B, but s is needed"),
        ({"constraints": {"latncy": "<= 1 s"}}, "no solver answers 'latncy'"),
        ({"constraints": {"fits": "<= 1"}}, "is not a number"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused(world, tables, words):
    if tables.get("kind") == "training":
        tables = {**tables, "system": {"stack": "toy-stack"}}
    faults = refused(**tables)
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("layout", "devices", "words"),
    [
        ({"data": 4}, 8, "data x tensor x pipeline x context = 4, but there are 8 devices"),
        ({"data": 2, "tensor": 2}, 2, "= 4, but there are 2 devices"),
        ({"tensor": 3}, 3, "tensor = 3 does not divide 8 heads. Legal degrees: 1, 2, 4, 8"),
        ({"pipeline": 5}, 5, "pipeline = 5 exceeds 4 layers. At most 4"),
        ({"data": 2, "expert": 2}, 2, "expert = 2, and the model has no experts"),
        (
            {"attention": 2, "tensor": 2},
            2,
            "data x attention x tensor x pipeline x context = 4, but there are 2 devices",
        ),
    ],
)
def test_impossible_parallelism_is_refused(world, layout, devices, words):
    faults = refused(**lm(parallelism=layout, system={"devices": devices}, workload={"precision": "bf16"}))
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("pools", "devices", "words"),
    [
        ({"prefill": {"workers": 2}}, 4, "2 x 1 + 1 x 1 = 3 devices, but there are 4. Set it to 3"),
        ({"prefill": {"devices": 2, "parallelism": {"tensor": 4}}}, 3, "= 4, but there are 2 devices"),
        ({"decode": {"devices": 3, "parallelism": {"tensor": 3}}}, 4, "tensor = 3 does not divide 8 heads"),
        ({"decode": {"devices": 2, "parallelism": {"data": 2}}}, 3, "Set pools.decode.workers"),
        ({"decode": {"devices": 2, "parallelism": {"attention": 2, "expert": 2}}}, 3, "the model has no experts"),
        ({"link": "toy-wir"}, 2, "Did you mean 'toy-wire'"),
        ({"prefil": {}}, 2, "Did you mean 'prefill'"),
        ({}, 2, "pools serve requests that come and go, and the scenario is serving"),
    ],
)
def test_impossible_pools_are_refused(world, pools, devices, words):
    faults = refused(**lm(pools=pools, system={"devices": devices}, workload={"precision": "bf16"}))
    assert any(words in fault for fault in faults), faults


def test_pools_and_a_layout_of_the_whole_exclude_each_other(world):
    faults = refused(**lm(pools={}, parallelism={"data": 2}, system={"devices": 2}))
    assert any("each pool has a layout of its own" in fault for fault in faults), faults


@pytest.mark.parametrize("layout", [{}, {"data": 4}, {"tensor": 4}, {"pipeline": 2, "tensor": 2}])
def test_possible_parallelism_is_accepted(world, layout):
    config = load(**lm(parallelism=layout, system={"devices": 4, "node": "toy-box"}))
    assert config.entries["node"].key == "toy-box"


def test_a_cluster_brings_its_nodes_fabric_and_links(world):
    config = load(system={"cluster": "toy-hall", "devices": 32}, parallelism={"data": 32})
    roles = {role: config.entries[role].key for role in ("cluster", "node", "fabric", "inner")}
    assert roles == {"cluster": "toy-hall", "node": "toy-box", "fabric": "toy-mesh", "inner": "toy-wire"}
    assert "outer" not in config.entries
    faults = refused(system={"cluster": "toy-hall", "devices": 33})
    assert any("33 devices do not fit Toy hall. It holds 32" in fault for fault in faults)


def test_a_node_is_assumed_for_several_devices_and_said(world):
    config = load(system={"devices": 2})
    assert config.entries["node"].key == "toy-box"
    assert any("Toy Box" in text and "system.node" in text for text in config.assumptions)
    assert "node" not in load().entries


def test_without_a_stack_for_the_device_the_choices_are_named(isolated_plugins):
    stack = CLASSES["stacks"]["toy-stack"].replace('["inference/Toymaker", "serving"]', "[]")
    isolated_plugins(ToyPlugin(sources=(ToySource({**CLASSES, "stacks": {"toy-stack": stack}}),)))
    with pytest.raises(ConfigError, match=r"no software stack is known.*Name one: toy-stack"):
        load()
    assert load(system={"stack": "toy-stack"}).entries["stack"].key == "toy-stack"


def test_the_cheapest_rental_is_assumed_and_a_purchase_only_without_one(isolated_plugins):
    rental = CLASSES["prices"]["toy-rental"]
    prices = {
        "dear": rental.replace("7.2", "9.9"),
        "cheap": rental.replace("7.2", "3.6"),
        "spot": rental.replace("7.2", "0.1").replace("on-demand", "spot"),
        "buy": rental.replace("on-demand", "purchase").replace("rate", "amount").replace("USD/h", "USD"),
    }
    isolated_plugins(ToyPlugin(sources=(ToySource({**CLASSES, "prices": prices}),)))
    assert load().entries["price"].key == "cheap"
    isolated_plugins(ToyPlugin(sources=(ToySource({**CLASSES, "prices": {"buy": prices["buy"]}}),)))
    assert load().entries["price"].key == "buy"
    isolated_plugins(ToyPlugin(sources=(ToySource({**CLASSES, "prices": {}, "grids": {}}),)))
    assert not {"price", "grid"} & set(load().entries)


def test_an_offer_of_another_device_is_refused(isolated_plugins):
    other = CLASSES["prices"]["toy-rental"].replace('device = "toy-one"', 'device = "toy-two"')
    prices = {**CLASSES["prices"], "other-rental": other}
    isolated_plugins(ToyPlugin(sources=(ToySource({**CLASSES, "prices": prices}),)))
    (said,) = refused(place={"price": "other-rental"})
    assert said.startswith("place.price: Toy rental is an offer of toy-two, not of toy-one. Leave it out")
    assert load(place={"price": "toy-rental"}).entries["price"].key == "toy-rental"


def test_overrides_take_dotted_and_short_keys():
    data = scenario()
    changed = apply_overrides(data, {"batch": "8", "system.device": "toy-two", "note": "hello", "place.grid": "world"})
    assert changed["workload"]["batch"] == 8
    assert changed["system"]["device"] == "toy-two"
    assert changed["note"] == "hello"
    assert changed["place"] == {"grid": "world"}
    assert data == scenario()
    assert apply_overrides(data, {"tensor": "2"})["parallelism"] == {"tensor": 2}
    assert apply_overrides(data, {"device": "two"})["system"]["device"] == "two"
    assert apply_overrides(data, {"rate": "30 fps"})["workload"]["rate"] == "30 fps"
    assert apply_overrides(data, {"rate": '"30 fps"'})["workload"]["rate"] == "30 fps"
    assert apply_overrides(data, {"name": "1\ny = 2"})["name"] == "1\ny = 2"


def test_an_override_reaches_the_checked_scenario(world):
    config = SimulationConfig.from_dict(
        scenario(), {"batch": "8", "performance.latency": "<= 1 s", "precision": "int8"}
    )
    assert config.scenario.workload.batch == 8
    assert config.constraints[0].bound == 1.0
    assert config.scenario.workload.precision == "int8"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"bach": "8"}, "Did you mean 'batch'"),
        ({"name.x": "8"}, "'name' is not a table"),
        ({"workload.bach": "8"}, "there is no field 'bach'"),
        ({"batch": "many"}, "'many' is not a number"),
        ({"batch": ""}, "not a number"),
        ({"sequence.x": "1"}, "sequence"),
    ],
)
def test_a_bad_override_is_refused(world, overrides, words):
    with pytest.raises(ConfigError) as caught:
        SimulationConfig.from_dict(scenario(), overrides)
    assert words in str(caught.value)


def test_a_broken_plugin_is_named_where_a_name_is_not_found(isolated_plugins):
    class Broken:
        def mlsysim_data(self): ...

    isolated_plugins(ToyPlugin(), Broken())
    assert any("broken plugins: Broken" in fault for fault in refused(system={"device": "h100-sxm"}))


def test_a_bound_repeats_what_was_written():
    data = scenario(constraints={}, workload={"batch": "-5 sample"})
    with pytest.raises(MlsysimError, match="-5 sample is out of range"):
        SimulationConfig.from_dict(data)
