"""Folders of the user's own, as ``MLSYSIM_DATA`` names them."""

from __future__ import annotations

import os
import shutil

import pytest

from mlsysim.cli import main
from mlsysim.plugins import plugins
from mlsysim_registry.catalog import packaged


@pytest.fixture
def given(monkeypatch):
    def _given(*folders):
        monkeypatch.setenv("MLSYSIM_DATA", os.pathsep.join(map(str, folders)))
        plugins.cache_clear()

    yield _given
    plugins.cache_clear()


@pytest.fixture
def own(tmp_path):
    """Return a folder with a card of the user's own."""
    (tmp_path / "own" / "devices").mkdir(parents=True)
    shutil.copy(packaged().files("devices")["h100-sxm"][0], tmp_path / "own" / "devices" / "mine.toml")
    return tmp_path / "own"


def test_own_cards_are_found_however_often_their_folder_is_named(own, given, capsys):
    given(own, own, f"{own}/")
    assert main(["eval", "llama-3.1-8b", "--on", "mine"]) == 0
    assert "1 x mine" in capsys.readouterr().out


def test_a_folder_that_cannot_be_read_or_holds_no_data_is_refused_by_the_name_of_the_variable(tmp_path, given, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "wrong" / "device").mkdir(parents=True)
    for name, what in (("nosuch", "No such file"), ("file", "Not a directory"), ("wrong", "holds no data")):
        given(tmp_path / name)
        assert main(["list", "devices"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: MLSYSIM_DATA: the folder")
        assert what in said
        assert main(["plugins"]) == 0
        capsys.readouterr()


def test_a_folder_may_be_empty_before_the_first_card(tmp_path, given):
    given(tmp_path)
    assert main(["list", "devices"]) == 0


def test_an_own_card_with_the_key_of_a_packaged_one_is_refused(own, given, capsys):
    (own / "devices" / "mine.toml").rename(own / "devices" / "h100-sxm.toml")
    given(own)
    assert main(["eval", "llama-3.1-8b", "--on", "h100-sxm"]) == 2
    said = capsys.readouterr().err
    assert f"devices/h100-sxm of user data in {own} exists already in mlsysim-registry" in said
