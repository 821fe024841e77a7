"""Entry points read from metadata folders are those that Python itself finds."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata

import pytest

from mlsysim.entry_points import EntryPoint, entry_points


def install(place, folder, entry_text, head="Name: {name}\nVersion: {version}\n\nName: not this one\n"):
    """Write a metadata folder as an installer does."""
    name, version = folder.rsplit(".", 1)[0].split("-")
    target = place / folder
    target.mkdir(parents=True)
    (target / "METADATA").write_text(head.format(name=name, version=version), encoding="utf-8")
    (target / "entry_points.txt").write_text(entry_text, encoding="utf-8")


@pytest.mark.parametrize("group", ["mlsysim", "console_scripts", "pytest11", "no.such.group"])
def test_the_same_as_importlib_metadata(group):
    theirs = {(e.name, e.value, e.dist.name, e.dist.version) for e in metadata.entry_points(group=group)}
    assert {tuple(e) for e in entry_points(group)} == theirs


def test_sections_comments_and_extras(tmp_path, monkeypatch):
    install(tmp_path, "zoo_data-1.2.dist-info",
            "[other]\na = b\n\n[mlsysim]\n# no\n; no\n zoo = zoo.plugin \nattr=zoo.plugin:make [x]\n[later]\nc = d\n")  # fmt: skip
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    assert entry_points("mlsysim") == [
        EntryPoint("zoo", "zoo.plugin", "zoo_data", "1.2"),
        EntryPoint("attr", "zoo.plugin:make [x]", "zoo_data", "1.2"),
    ]


def test_the_first_copy_of_a_distribution_counts(tmp_path, monkeypatch):
    install(tmp_path / "first", "Zoo_Data-2.dist-info", "[mlsysim]\nzoo = new\n")
    install(tmp_path / "second", "zoo.data-1.dist-info", "[mlsysim]\nzoo = old\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    assert [e.value for e in entry_points("mlsysim")] == ["new"]


def test_damaged_metadata_hurt_nobody(tmp_path, monkeypatch):
    install(tmp_path, "good-1.dist-info", "[mlsysim]\ngood = good.plugin\n")
    install(tmp_path, "bad-1.dist-info", "")
    (tmp_path / "bad-1.dist-info" / "entry_points.txt").write_bytes(b"[mlsysim]\n\xff = x\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert [e.name for e in entry_points("mlsysim")] == ["good"]


def test_an_archive_on_the_path_is_read_too(tmp_path, monkeypatch):
    archive = tmp_path / "zoo.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zoo-3.dist-info/METADATA", "Metadata-Version: 2.1\nName: zoo\nVersion: 3\n")
        file.writestr("zoo-3.dist-info/entry_points.txt", "[mlsysim]\nzoo = zoo.plugin\n")
    monkeypatch.setattr(sys, "path", [str(archive), *sys.path])
    assert EntryPoint("zoo", "zoo.plugin", "zoo", "3") in entry_points("mlsysim")


def test_load_imports_what_is_named():
    assert EntryPoint("a", "os.path:join").load() is __import__("os").path.join
    assert EntryPoint("b", "json [fast]").load() is __import__("json")
    with pytest.raises(AttributeError):
        EntryPoint("c", "os.path:no_such_thing").load()
    with pytest.raises(ImportError):
        EntryPoint("d", "no_such_module").load()
