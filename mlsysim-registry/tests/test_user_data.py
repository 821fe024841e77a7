"""Folders of the user's own, as ``MLSYSIM_DATA`` names them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

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


def test_a_misspelt_folder_of_cards_is_refused(own, given, capsys):
    given(own)
    (own / "device").mkdir()
    assert main(["list", "devices"]) == 0  # nothing would be missing
    (own / "device" / "other.toml").write_text("")
    given(own)
    assert main(["list", "devices"]) == 2
    said = capsys.readouterr().err
    assert "'device' is no kind of them" in said
    assert "Call it 'devices'" in said


def test_an_alias_that_another_package_has_is_a_fault(own, given, capsys):
    card = own / "devices" / "mine.toml"
    text = re.sub(r"aliases = \[.*?\]\n", "", card.read_text(), flags=re.DOTALL)
    for alias, code in (("my-own-chip", 0), ("h100", 2), ("H100 SXM", 2), ("b200-sxm", 2)):
        head, _, rest = text.partition("\n")
        card.write_text(f'{head}\naliases = ["{alias}"]\n{rest}')
        given(own)
        assert main(["registry", "check", str(card)]) == code, alias
        assert ("of another package" in capsys.readouterr().out) == bool(code)


def test_a_folder_may_be_empty_before_the_first_card(tmp_path, given):
    given(tmp_path)
    assert main(["list", "devices"]) == 0


def test_an_own_card_with_the_key_of_a_packaged_one_is_refused(own, given, capsys):
    (own / "devices" / "mine.toml").rename(own / "devices" / "h100-sxm.toml")
    given(own)
    assert main(["eval", "llama-3.1-8b", "--on", "h100-sxm"]) == 2
    said = capsys.readouterr().err
    assert f"devices/h100-sxm of user data in {own} exists already in mlsysim-registry" in said


def fresh(variable, folder, *words):
    """Run the command line in a process of its own: what a process has read of the data it keeps."""
    environment = {**os.environ, variable: str(folder)}
    return subprocess.run([sys.executable, "-m", "mlsysim.cli", *words], env=environment, text=True,
                          capture_output=True, check=False)  # fmt: skip


@pytest.mark.parametrize("variable", ["MLSYSIM_DATA", "MLSYSIM_OVERLAY"])
def test_the_doctor_tells_a_folder_that_is_none_and_not_once_for_each_entry(variable, tmp_path):
    (tmp_path / "file").write_text("")
    done = fresh(variable, tmp_path / "file", "doctor")
    assert done.returncode == 2
    assert 1 <= done.stdout.count(variable) <= 2  # a plugin that reads data may meet it, too
    assert "registry          1" not in done.stdout


@pytest.mark.parametrize("made", ["file", "cards"])
@pytest.mark.parametrize("words", ["eval llama-3.1-8b --on h100-sxm", "list grids", "registry refresh rollback"])
def test_an_overlay_that_is_no_overlay_is_refused_and_not_passed_over(made, words, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "cards" / "devices").mkdir(parents=True)
    done = fresh("MLSYSIM_OVERLAY", tmp_path / made, *words.split())
    assert done.returncode == 2
    assert f"MLSYSIM_OVERLAY={tmp_path / made}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_overlay_that_does_not_exist_yet_is_good(tmp_path):
    assert fresh("MLSYSIM_OVERLAY", tmp_path / "later", "list", "grids").returncode == 0


def test_a_capacity_that_is_an_estimate_is_said_to_be_one_where_it_decides_what_fits(own, given, capsys):
    card = own / "devices" / "mine.toml"
    card.write_text(
        'name = "Planned"\nvendor = "Me"\ntier = "cloud"\n[compute.peak.bf16]\n'
        'dense = { value = "1 PFLOP/s", estimate = "planned", low = "0.8 PFLOP/s", high = "1.2 PFLOP/s" }\n[memory]\n'
        'capacity = { value = "192 GB", estimate = "planned", low = "144 GB", high = "192 GB" }\n'
        'bandwidth = { value = "8 TB/s", estimate = "planned", low = "6 TB/s", high = "8 TB/s" }\n'
    )
    given(own)
    assert main(["eval", "llama-3.1-8b", "--on", "mine"]) == 0
    assert "an estimate between 144 GB and 192 GB" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "."], "this is a folder"),
        (["check", "none.toml"], "no such file"),
        (["fmt", "none.toml"], "no such file"),
    ],
)
def test_a_path_that_holds_no_card_is_refused_as_what_it_is(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["registry", *words]) == 2
    assert said in capsys.readouterr().err
