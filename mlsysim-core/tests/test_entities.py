"""All data packages as one registry."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest
from core_toys import CLASSES, DEVICE, ToyPlugin, ToySource, scenario

import mlsysim
from mlsysim.entities import Entry, Registry, field_tolerance, today
from mlsysim.errors import RegistryError, UnknownNameError
from mlsysim.hookspecs import hookimpl
from mlsysim.records import KINDS, singular

OTHER = ToySource(
    {"devices": {"odd-one": DEVICE.replace("Toy One", "Odd One").replace('["one", "Toy 1"]', '["odd"]')}}, "odd"
)


@pytest.fixture
def registry():
    return Registry([ToySource(), OTHER])


@pytest.mark.parametrize("name", ["toy-one", "TOY-ONE", "toy_one", "Toy One", "one", "ONE", "Toy 1", "toy-1"])
def test_key_case_and_alias_find_one_entity(registry, name):
    entry = registry.get("devices", name)
    assert (entry.kind, entry.key, entry.name) == ("devices", "toy-one", "devices/toy-one")
    assert entry.record.name == "Toy One"


@pytest.mark.parametrize("kind", ["devices", "device", "Devices", "DEVICE"])
def test_a_kind_is_singular_or_plural(registry, kind):
    assert registry.get(kind, "toy-one").key == "toy-one"
    assert registry.keys(kind) == ("odd-one", "toy-one", "toy-two")


def test_singular_and_plural_of_every_kind(registry):
    for kind in KINDS:
        assert registry.kind(singular(kind)) == kind
        assert registry.kind(kind) == kind


def test_two_packages_are_one_registry(registry):
    assert registry.get("devices", "odd").package == "odd"
    assert registry.get("devices", "toy-one").package == "toys"
    assert [e.key for e in registry.entries("device")] == ["odd-one", "toy-one", "toy-two"]
    assert "devices" in registry.kinds()
    assert "fleets" not in registry.kinds()
    assert registry.keys("fleets") == ()


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("devices", "toy-oen", "Did you mean 'toy-one'"),
        ("devices", "odd-onn", "Did you mean 'odd-one'"),
        ("devices", "zzzzzzz", "`mlsysim list devices`"),
        ("models", "toynett", None),
        ("fleets", "anything", "mlsysim list fleets"),
        ("device", "", "mlsysim list devices"),
    ],
)
def test_an_unknown_name_gets_suggestions(registry, kind, name, words):
    if words is None:
        words = "Did you mean 'toy-net'"
    with pytest.raises(UnknownNameError) as caught:
        registry.get(kind, name, where="system.device")
    assert words in str(caught.value)
    assert caught.value.where == "system.device"


def test_a_name_is_found_in_every_kind(registry):
    assert registry.find("Toy-One") == [("devices", "toy-one")]
    assert registry.find("world") == [("grids", "world")]
    assert registry.find("nothing") == []


def test_an_unknown_kind_gets_suggestions(registry):
    with pytest.raises(UnknownNameError, match="Did you mean 'devices'"):
        registry.get("devces", "toy-one")


def test_a_faulty_file_says_so_when_it_is_asked_for():
    broken = Registry([ToySource({"devices": {"bad": "name = 3", "toy-one": DEVICE}})])
    assert broken.keys("devices") == ("bad", "toy-one")
    assert broken.get("devices", "toy-one").key == "toy-one"
    with pytest.raises(RegistryError, match=r"devices/bad\.toml"):
        broken.get("devices", "bad")


def test_standing_judges_with_the_tolerance_of_the_field(registry):
    entry = registry.get("devices", "toy-one")
    assert entry.standing("memory.bandwidth").badge == "measured"
    assert entry.standing("memory.usable") is None
    assert field_tolerance(entry.record, "memory.capacity") == 0.0
    assert field_tolerance(entry.record, "memory.bandwidth") == 0.01
    assert field_tolerance(entry.record, "compute.peak.bf16.achieved") == 0.05
    checked = Entry(entry.kind, entry.key, entry.record, entry.claims, entry.sources,
                    cross_checked=frozenset({"compute.peak.bf16.dense"}))  # fmt: skip
    assert checked.standing("compute.peak.bf16.dense").badge == "corroborated"


def test_tolerances_reach_into_lists():
    from mlsysim.records import Stack

    text = CLASSES["stacks"]["toy-stack"] + '\n[[tiles]]\nsource = "sheet"\nat = "p"\nm = 64\nn = 64\nrate = 0.9\n'
    entry = Registry([ToySource({"stacks": {"s": text}})]).get("stacks", "s")
    assert isinstance(entry.record, Stack)
    assert entry.standing("tiles.0.rate").badge == "stated"
    assert field_tolerance(entry.record, "tiles.0.rate") == 0.1


def test_the_day_can_be_fixed(monkeypatch):
    assert today() == dt.date(2026, 6, 1)
    monkeypatch.delenv("MLSYSIM_TODAY")
    assert abs((today() - dt.datetime.now(dt.timezone.utc).date()).days) <= 1
    monkeypatch.setenv("MLSYSIM_TODAY", "yesterday")
    with pytest.raises(mlsysim.MlsysimError, match="MLSYSIM_TODAY"):
        today()


class Hub:
    """Knows one model that no package lists."""

    @hookimpl
    def mlsysim_resolve(self, kind, key):
        return ToySource().entry("models", "toy-net") if (kind, key) == ("models", "hub:net") else None


def test_hook_mlsysim_resolve(isolated_plugins):
    loaded = isolated_plugins(ToyPlugin(), Hub())
    assert loaded.registry.get("models", "hub:net").key == "toy-net"
    assert mlsysim.evaluate(scenario(workload={"model": "hub:net"})).fits
    with pytest.raises(UnknownNameError):
        loaded.registry.get("models", "hub:other")


def test_the_front_door_offers_the_registry(world):
    assert mlsysim.registry() is world.registry
    assert mlsysim.registry().get("device", "one").key == "toy-one"


def test_entities_that_mention_a_text_are_found_in_any_package(isolated_plugins):
    class Looking(ToySource):
        def mentions(self, kind, key, text):
            return text in self.texts[kind][key] if hasattr(self, "texts") else True

    registry = isolated_plugins(ToyPlugin(sources=(Looking(),))).registry
    keys = {
        entry.key for entry in registry.readable("prices", mentioning="toy-one") if entry.record.device == "toy-one"
    }
    assert keys == {e.key for e in registry.entries("prices") if e.record.device == "toy-one"} != set()


def test_another_version_of_an_entity_stands_in_for_it_inside_a_block(registry):
    entry = registry.get("devices", "toy-one")
    other = attrs.evolve(entry, record=attrs.evolve(entry.record, name="Other"))
    with registry.replacing(other):
        assert registry.get("devices", "toy-one") is other
        assert other in registry.entries("devices")
    assert registry.get("devices", "toy-one").record == entry.record
