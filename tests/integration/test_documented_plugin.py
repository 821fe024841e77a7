"""The plugin that the documentation writes, put together as a reader would, and run in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of code of a page."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def write_card(data: Path) -> None:
    """Put the documented card and its documents into a data folder."""
    card, document = blocks("correct-a-number.md", "toml")
    for folder in ("devices", "sources"):
        (data / folder).mkdir(parents=True)
    (data / "devices" / "example-1.toml").write_text(card, encoding="utf-8")
    for name in re.findall(r'source = "([a-z-]+)"', card):
        (data / "sources" / f"{name}.toml").write_text(document, encoding="utf-8")


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """Put the plugin together, with metadata as an installation leaves them."""
    plugin = "write-a-plugin.md"
    data_hook, solver, spec = blocks(plugin, "python")[:3]
    package = tmp_path / "mlsysim_ours"
    write_card(package / "data")
    (package / "__init__.py").write_text(f"{data_hook}\n\n{spec}", encoding="utf-8")
    (package / "loading.py").write_text(solver, encoding="utf-8")
    metadata = tmp_path / "mlsysim_ours-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mlsysim-ours\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[mlsysim]\nours = mlsysim_ours\n", encoding="utf-8")
    (tmp_path / "test_ours.py").write_text(blocks(plugin, "py")[0], encoding="utf-8")
    return tmp_path


def run(plugin: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(plugin), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    return subprocess.run([sys.executable, "-m", *words], cwd=plugin, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"})  # fmt: skip


def test_the_documented_plugin_works_everywhere_and_passes_its_documented_test(plugin: Path) -> None:
    listed = run(plugin, "mlsysim.cli", "plugins").stdout
    assert "ours  mlsysim-ours 1.0  ok" in listed
    assert "weight-loading" in listed
    card = run(plugin, "mlsysim.cli", "eval", "llama-3.1-8b", "--on", "example-1")
    assert card.returncode == 0, card.stderr
    assert "time to load the weights" in card.stdout
    tested = run(plugin, "pytest", "-q", "-p", "no:cacheprovider", "test_ours.py")
    assert tested.returncode == 0, tested.stdout


def test_the_documented_card_works_in_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_card(tmp_path / "data")
    checked = run(tmp_path, "mlsysim.cli", "registry", "check", "data/devices/example-1.toml")
    assert checked.returncode == 0, checked.stdout
    monkeypatch.setenv("MLSYSIM_DATA", "data")
    card = run(tmp_path, "mlsysim.cli", "eval", "llama-3.1-8b", "--on", "example-1")
    assert card.returncode == 0, card.stderr
