"""The check that needs no import of mlsysim."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlsysim_registry import doctor


def test_a_sound_installation_has_no_findings() -> None:
    assert doctor.findings() == []
    assert doctor.main() == 0


def test_the_other_project_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "mlsysim-0.3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: MLSysim\nVersion: 0.3.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (sentence,) = doctor.findings()
    assert "0.3.0" in sentence
    assert "pip uninstall mlsysim" in sentence
    assert doctor.main() == 1
    assert "another project" in capsys.readouterr().out


def test_a_folder_in_the_way_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlsysim").mkdir()
    (tmp_path / "mlsysim" / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (sentence,) = doctor.findings()
    assert str(tmp_path) in sentence
    assert "not a file of mlsysim-core" in sentence


def test_a_missing_core_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_distribution", lambda name: None)
    monkeypatch.setattr(doctor, "_package_file", lambda: None)
    assert len(doctor.findings()) == 2


def test_it_imports_nothing_of_mlsysim() -> None:
    code = "import sys, mlsysim_registry.doctor as d; d.findings(); sys.exit('mlsysim' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
