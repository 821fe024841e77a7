"""A data package: listing without reading, one file at a time, faults that stay where they are."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlsysim.entities import Registry
from mlsysim.errors import MlsysimError, RegistryError
from mlsysim_registry.catalog import Catalog

from .conftest import FILES, SOURCE, Package


def folder(registry: Registry) -> Path:
    return registry.packages[0].folder


def test_keys_are_listed_without_reading_any_file(package: Package) -> None:
    registry = package({"devices/acme/broken.toml": "\x00\xff ["})
    assert registry.keys("devices") == ("broken", "chip-1")
    assert registry.kinds()[0] == "devices"


def test_an_entry_carries_record_claims_documents_and_path(package: Package) -> None:
    registry = package()
    entry = registry.get("devices", "chip-1")
    assert entry.record.memory.bandwidth == pytest.approx(2.05e12)
    assert [c.source for c in entry.claims["memory.bandwidth"]] == ["acme", "other"]
    assert set(entry.sources) == {"acme", "other"}
    assert Path(entry.path) == folder(registry) / "devices/acme/chip-1.toml"
    assert entry.package == "toy"


def test_an_entry_is_read_once(package: Package) -> None:
    registry = package()
    assert registry.get("devices", "chip-1") is registry.get("devices", "chip-1")


@pytest.mark.parametrize("name", ["chip-1", "CHIP-1", "chip one", "chip1", "Acme Chip 1", "chip_1"])
def test_an_entity_is_found_by_key_alias_and_name(package: Package, name: str) -> None:
    assert package().get("device", name).key == "chip-1"


def test_aliases_behind_a_table_header_inside_an_array_are_found(package: Package) -> None:
    text = FILES["links/acme/fastlink-1.toml"] + 'aliases = [\n  "quick",\n    # [not a table]\n  "swift",\n]\n'
    assert package({"links/acme/fastlink-1.toml": text}).get("links", "swift").key == "fastlink-1"


def test_a_name_that_two_entities_claim_leads_to_neither(package: Package) -> None:
    extra = FILES["devices/acme/chip-1.toml"].replace("Acme Chip 1", "Acme Chip 2").replace(', "chip1"', "")
    registry = package({"devices/acme/chip-2.toml": extra})
    assert registry.get("devices", "chip1").key == "chip-1"
    with pytest.raises(MlsysimError):
        registry.get("devices", "chip one")


def test_a_key_in_two_files_is_refused_and_both_are_named(package: Package) -> None:
    registry = package({"devices/rival/chip-1.toml": FILES["devices/acme/chip-1.toml"]})
    with pytest.raises(RegistryError, match="two files") as caught:
        registry.get("devices", "chip-1")
    assert "rival" in str(caught.value)
    assert "acme" in str(caught.value)


def test_an_unknown_document_is_refused_with_its_line(package: Package) -> None:
    registry = package(fastlink_1=('source = "acme"', 'source = "acne"'))
    with pytest.raises(RegistryError, match=r"fastlink-1\.toml:2: bandwidth: no document is called 'acne'") as caught:
        registry.get("links", "fastlink-1")
    assert "'acme'" in caught.value.remedy


def test_a_faulty_document_is_the_fault_of_those_who_name_it_only(package: Package) -> None:
    registry = package({"sources/other.toml": "title = 3"})
    assert registry.get("links", "fastlink-1").record.bandwidth == 25e9
    with pytest.raises(RegistryError, match=r"other\.toml"):
        registry.get("devices", "chip-1")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('retrieved = "yesterday"', "is not a date"),
        ("retrieved = 2026-11-20", "is not a date"),
        ('tier = "best"', "tier"),
        ('kind = "rumour"', "kind"),
        ('colour = "red"', "no 'colour'"),
        ('publisher = ""', "publisher is missing"),
    ],
)
def test_descriptions_of_documents_are_strict(package: Package, line: str, what: str) -> None:
    key = line.split(" =", maxsplit=1)[0]
    kept = [row for row in FILES["sources/acme.toml"].splitlines() if not row.startswith(f"{key} =")]
    registry = package({"sources/acme.toml": "\n".join([*kept, line])})
    with pytest.raises(RegistryError, match=what):
        registry.get("links", "fastlink-1")


def test_what_a_document_copies_comes_with_it(package: Package) -> None:
    origin = SOURCE.format(id="origin", publisher="Origin", tier="primary")
    registry = package({"sources/origin.toml": origin, "sources/other.toml": FILES["sources/other.toml"]
                        + 'derived_from = ["origin"]\n'})  # fmt: skip
    assert "origin" in registry.get("devices", "chip-1").sources


def test_a_scenario_is_read_as_settings(package: Package) -> None:
    entry = package().get("scenarios", "ask")
    assert entry.record.workload.batch == 1
    assert entry.claims == {}
    with pytest.raises(RegistryError, match="batch"):
        package(ask=('precision = "fp16"', 'batch = "many"')).get("scenarios", "ask")


def test_a_package_may_name_the_documents_of_another(package: Package, tmp_path: Path) -> None:
    shelf = package().packages[0].sources
    mine = tmp_path / "mine"
    (mine / "links").mkdir(parents=True)
    (mine / "links" / "own.toml").write_text(FILES["links/acme/fastlink-1.toml"], encoding="utf-8")
    assert Catalog("mine", mine, shared=shelf).entry("links", "own").sources["acme"].publisher == "Acme"
    with pytest.raises(RegistryError, match="no document"):
        Catalog("mine", mine).entry("links", "own")


def test_a_package_without_its_folder_is_broken(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"nothing.*Install the data files with the package"):
        Catalog("empty", tmp_path / "nothing")


def test_an_empty_folder_is_an_empty_package(tmp_path: Path) -> None:
    empty = Catalog("empty", tmp_path)
    assert empty.kinds() == ()
    assert empty.keys("devices") == []
    assert empty.aliases("devices") == {}
    with pytest.raises(RegistryError, match="has no devices/x"):
        empty.entry("devices", "x")


def test_hidden_files_and_other_formats_are_no_entities(package: Package) -> None:
    registry = package({"devices/.hidden.toml": "", "devices/notes.txt": "", "devices/.git/x.toml": ""})
    assert registry.keys("devices") == ("chip-1",)


def test_an_entry_survives_pickling(package: Package) -> None:
    entry = package().get("devices", "chip-1")
    again = pickle.loads(pickle.dumps(entry))
    assert again.record == entry.record
    assert set(again.cross_checked) == set(entry.cross_checked)


def test_where_tells_kind_and_key_of_a_file(package: Package, tmp_path: Path) -> None:
    catalog = package().packages[0]
    assert catalog.where(tmp_path / "data/devices/acme/chip-1.toml") == ("devices", "chip-1")
    assert catalog.where(tmp_path / "data/sources/acme.toml") == ("sources", "acme")
    assert catalog.where(tmp_path / "elsewhere/x.toml") is None
    assert catalog.where(tmp_path / "data/devices/../../x.toml") is None


HOSTILE = [
    "", "]", "name", "name = ", "[[[[", "a = 1\na = 2", "x" * 100_000, "[" * 5_000, "a = " + "[" * 3_000,
    "a = " + "{b=" * 2_000, "name = 1\nbandwidth = true", 'bandwidth = { value = "1e999 GB/s" }',
    'bandwidth = { value = "nan GB/s", source = "acme", at = "x" }', 'bandwidth = ["a", ["b"]]', "bandwidth = nan",
    "bandwidth = { value = [1], source = { a = 1 }, at = 3 }", "name = 1979-05-27", '"" = 1', "bandwidth = []",
    'bandwidth = { value = "25 GB/s", source = "../../../etc/passwd", at = "x" }', "name.first = 'a'\nname.last = 'b'",
    'bandwidth = { value = "9' + "9" * 400 + ' GB/s", source = "acme", at = "x" }', "\ufeffname = 'x'",
    f"bandwidth = {{ value = {'9' * 5000}, source = 'acme', at = 'x' }}",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["links", "devices", "models", "scenarios", "sources"])
@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_file_is_one_clean_error_and_poisons_nobody(package: Package, kind: str, number: int) -> None:
    registry = package({f"{kind}/hostile.toml": HOSTILE[number]})
    if kind != "sources":
        with pytest.raises(RegistryError, match="hostile") as caught:
            registry.get(kind, "hostile")
        assert caught.value.what
    assert registry.get("devices", "chip-1").record.memory.capacity == 80e9
    assert registry.get("links", "Fastlink 2").key == "fastlink-2"


def test_bytes_that_are_no_text_and_unreadable_paths(package: Package, tmp_path: Path) -> None:
    registry = package()
    (tmp_path / "data/links/binary.toml").write_bytes(b"\xff\xfe\x00name")
    (tmp_path / "data/links/dangling.toml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "data/links/folder.toml").mkdir()
    assert registry.keys("links") == ("binary", "dangling", "fastlink-1", "fastlink-2")
    for key in ("binary", "dangling"):
        with pytest.raises(RegistryError, match=key):
            registry.get("links", key)
    assert registry.get("links", "Fastlink 1").key == "fastlink-1"


def _damaged(text: str, data: st.DataObject) -> str:
    """Cut, repeat, exchange or insert somewhere."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 60)))
    middle = data.draw(st.one_of(st.just(""), st.just(text[start:end] * 2), st.text(max_size=8),
                                 st.sampled_from(["[", "]", '"', "{", "}", "=", "nan", "-1", "1e400", "\x00", "#"])))  # fmt: skip
    return text[:start] + middle + text[end:]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_raises_registry_errors_only(package: Package, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    registry = package({name: _damaged(FILES[name], data)})
    for kind in registry.kinds():
        for key in registry.keys(kind):
            try:
                entry = registry.get(kind, key)
            except RegistryError:
                assert name.endswith(f"/{key}.toml") or name.startswith("sources/")
            else:
                for field in entry.claims:
                    standing = entry.standing(field)
                    assert standing is not None
                    assert standing.chosen.value == standing.chosen.value  # no NaN
        registry.packages[0].aliases(kind)


def test_an_alias_goes_before_a_full_name(package: Package) -> None:
    extra = FILES["links/acme/fastlink-1.toml"]
    registry = package({"links/old.toml": extra, "links/new.toml": extra + 'aliases = ["fastlink 1"]\n'})
    assert registry.get("links", "new").key == "new"
    assert registry.packages[0].aliases("links") == {"fastlink 1": "new", "Fastlink 2": "fastlink-2"}


def test_an_empty_list_of_claims_is_no_number(package: Package) -> None:
    registry = package(chip_1=('{ value = "80 GB", source = "acme", at = "table 1" }', "[]"))
    with pytest.raises(RegistryError, match="list of claims is empty"):
        registry.get("devices", "chip-1")
