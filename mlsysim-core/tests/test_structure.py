"""Strict structuring: every fault of a file at once, each with file, line, key and remedy."""

from __future__ import annotations

import json

import pytest
import yaml
from core_toys import CLASSES, DEVICE, MODEL, SOURCES, scenario

from mlsysim.documents import Document, parse_text
from mlsysim.errors import ConfigError, RegistryError
from mlsysim.records import KINDS, Device, Model, Scenario
from mlsysim.structure import read_facts, read_settings
from mlsysim.structure.converting import converter, to_plain


def facts(text, cls=Device, sources=SOURCES):
    return read_facts(cls, Document("card.toml", parse_text(text, ".toml", "card.toml"), text), sources)


def refused(text, cls=Device):
    with pytest.raises(RegistryError) as caught:
        facts(text, cls)
    return [str(fault) for fault in caught.value.faults]


def test_a_card_becomes_si_floats_with_claims_beside():
    record, claims = facts(DEVICE)
    assert record.compute.peak["bf16"].dense == 100e12
    assert record.memory.capacity == 16e9
    assert record.power.tdp == 300.0
    assert record.memory.usable is None
    assert [c.source for c in claims["memory.bandwidth"]] == ["sheet", "review"]
    assert claims["memory.bandwidth"][1].kind == "measured"
    assert claims["memory.bandwidth"][1].as_stated == "1,000 GB/s"
    assert (claims["power.tdp"][0].low, claims["power.tdp"][0].high) == (200.0, 400.0)
    assert set(claims) == {"compute.peak.bf16.dense", "compute.peak.int8.dense", "memory.capacity",
                           "memory.bandwidth", "power.tdp"}  # fmt: skip


def test_the_preferred_claim_is_the_value_whatever_the_order():
    swapped = DEVICE.replace('{ value = "1 TB/s", source = "sheet", at = "table 2" },', "").replace(
        'kind = "measured" },', 'kind = "measured" },\n  { value = "2 TB/s", source = "sheet", at = "table 2" },'
    )
    record, claims = facts(swapped)
    assert record.memory.bandwidth == 2e12
    assert claims["memory.bandwidth"][0].source == "sheet"


def test_a_table_lends_its_source_to_plain_numbers():
    record, claims = facts(CLASSES["models"]["toy-lm"], Model)
    assert record.transformer.layers == 4
    assert type(record.transformer.layers) is int
    claim = claims["transformer.layers"][0]
    assert (claim.source, claim.at, claim.as_stated) == ("sheet", "config.json: layers", "4")


def test_means_says_what_a_loose_print_means():
    text = DEVICE + '\n[cache]\ncapacity = { value = "520 KB", means = "520 KiB", source = "sheet", at = "p" }\n'
    record, claims = facts(text)
    assert record.cache.capacity == 520 * 1024
    assert claims["cache.capacity"][0].as_stated == "520 KB"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('source = "sheet", at = "table 2" }\nband', 'at = "table 2" }\nband', "has no source"),
        ('capacity = { value = "16 GB", source = "sheet", at = "table 2" }', 'capacity = "16 GB"', "has no source"),
        ('capacity = { value = "16 GB", source = "sheet", at = "table 2" }', "capacity = 16", "has no source"),
        ('"16 GB", source = "sheet", at = "table 2"', '"16 GB", source = "sheet"', "no place in the source"),
        ('"16 GB"', '"16 GB/s"', "is B/s, but B is needed"),
        ('"16 GB"', '"-16 GB"', "must be more than 0"),
        ('"16 GB"', '"0 GB"', "must be more than 0"),
        ('"16 GB"', '"nan GB"', "is not a number with a unit"),
        ('"16 GB"', "nan", "not a finite number"),
        ('"16 GB"', "inf", "not a finite number"),
        ('"16 GB"', "true", "expected a quantity"),
        ('"16 GB"', "[1]", "expected a quantity"),
        ('value = "16 GB", ', "", "has no value"),
        ('"16 GB", source', '"16 GB", sauce = "x", source', "no key 'sauce'"),
        ('"16 GB", source', '"16 GB", kind = "guessed", source', "no claim is of kind 'guessed'"),
        ('"16 GB", source', '"16 GB", note = 3, source', "note = 3 is not text"),
        ("capacity = {", "capacty = {", "there is no field 'capacty' here. Did you mean 'capacity'?"),
        ("capacity = {", "capacty = {", "the field 'capacity' is missing. Give it in B"),
        ('tier = "cloud"', 'tier = "clouds"', "clouds is not one of the choices. Choose cloud"),
        ('tier = "cloud"', "tier = 3", "3 is not one of the choices"),
        ('name = "Toy One"', "name = 3", "expected text, got 3"),
        ('name = "Toy One"', "", "the field 'name' is missing. Add it"),
        ('aliases = ["one", "Toy 1"]', "aliases = [1]", "expected text, got 1"),
        ('aliases = ["one", "Toy 1"]', 'aliases = "one"', "expected a list, got 'one'"),
        ("[power]", "[powers]", "there is no field 'powers' here. Did you mean 'power'"),
        ('low = "200 W", ', "", "lacks a reason or a range"),
        ('low = "200 W"', 'low = "200 V"', "but W is needed"),
        ('low = "200 W"', 'low = "310 W"', "outside its own range"),
    ],
)  # fmt: skip
def test_every_fault_names_file_and_key(old, new, words):
    assert old in DEVICE
    faults = refused(DEVICE.replace(old, new, 1))
    assert any(words in fault for fault in faults), faults
    assert all(fault.startswith("card.toml") for fault in faults)


def test_all_faults_of_a_file_come_at_once_with_their_lines():
    text = DEVICE.replace('"16 GB"', '"16 W"').replace('"300 W"', '"300"').replace('vendor = "Toymaker"\n', "").replace(
        "[compute.peak.int8]\n", "[compute.peak.int8]\nspars = 1\n"
    )  # fmt: skip
    faults = refused(text)
    assert len(faults) == 4
    lines = text.splitlines()
    for words, key in (("is W, but B", "16 W"), ("has no unit", '"300"'), ("no field 'spars'", "spars")):
        (fault,) = [f for f in faults if words in f]
        number = int(fault.split(":")[1])
        assert key in lines[number - 1]


def test_counts_stay_whole():
    text = CLASSES["models"]["toy-lm"]
    assert any("4.5 is not a whole number" in f for f in refused(text.replace("layers = 4", "layers = 4.5"), Model))
    assert facts(text.replace("layers = 4", "layers = 4.0"), Model)[0].transformer.layers == 4


def test_settings_need_a_unit_but_no_source():
    record = read_settings(Scenario, Document("s", scenario(workload={"batch": "16"})))
    assert record.workload.batch == 16
    with pytest.raises(ConfigError, match="no field 'source'"):
        read_settings(Scenario, Document("s", scenario(source="sheet")))


@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
def test_json_and_yaml_faults_have_lines_too(dump):
    text = dump(scenario(workload={"batch": "many", "modle": "x"}), **({"indent": 1} if dump is json.dumps else {}))
    suffix = ".json" if dump is json.dumps else ".yaml"
    with pytest.raises(ConfigError) as caught:
        read_settings(Scenario, Document("s" + suffix, parse_text(text, suffix, "s"), text))
    faults = [str(f) for f in caught.value.faults]
    assert any("'many' is not a number" in f and f.startswith(f"s{suffix}:") for f in faults)
    assert any("Did you mean 'model'?" in f for f in faults)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "dreaming"}, "Choose serving, traffic, training, inference"),
        ({"kind": None}, "not one of the choices"),
        ({"kind": ["inference"]}, "not one of the choices"),
        ({"workload": None}, "expected a table"),
        ({"system": []}, "expected a table"),
        ({"system": "toy-one"}, "expected a table"),
        ({"workload": {"batch": 0}}, "must be more than 0"),
        ({"workload": {"batch": 2.5}}, "not a whole number"),
        ({"workload": {"batch": True}}, "expected a quantity"),
        ({"workload": {"batch": {"value": 3}}}, "expected a quantity"),
        ({"workload": {"rate": "30"}}, "has no unit"),
        ({"workload": {"rate": "30 fps"}}, None),
        ({"workload": {"rate": "30 Hz"}}, "sample/s is needed"),
        ({"constraints": {"latency": 3}}, "expected text"),
        ({"constraints": 3}, "constraints"),
        ({"settings": {"x": 3}}, "settings"),
        ({"name": ""}, None),
    ],
)
def test_scenarios_are_checked_as_strictly(change, words):
    document = Document("s", scenario(**change))
    if words is None:
        read_settings(Scenario, document)
        return
    with pytest.raises(ConfigError) as caught:
        read_settings(Scenario, document)
    assert words in str(caught.value)


def test_every_toy_record_round_trips_through_plain_data():
    for kind, cards in CLASSES.items():
        for text in cards.values():
            record, _ = facts(text, KINDS[kind])
            plain = json.loads(json.dumps(to_plain(record), allow_nan=False))
            assert converter.structure(plain, KINDS[kind]) == record
    assert facts(MODEL, Model)[0].parameters == 1e9


@pytest.mark.parametrize("given", [True, False, 1.0, 4, "1"])
def test_a_stage_is_one_of_its_whole_numbers(given):
    data = scenario(parallelism={"zero": given})
    with pytest.raises(ConfigError, match=r"parallelism\.zero: .* is not one of the choices\. Choose 0, 1, 2, 3"):
        read_settings(Scenario, Document("s.toml", data, ""))
    assert read_settings(Scenario, Document("s.toml", scenario(parallelism={"zero": 3}), "")).parallelism.zero == 3
