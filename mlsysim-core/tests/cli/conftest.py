"""A command line over the toy world."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import core_toys
import pytest

from mlsysim.cli import main
from mlsysim.plugins import Plugins


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(world: Plugins, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command line in this process; nothing may ever show a traceback."""

    def call(*words: str) -> Outcome:
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert "this is a bug" not in captured.err, captured.err
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def toy_file(tmp_path: Path) -> Callable[..., str]:
    """Write the toy scenario with some tables changed."""

    def write(**tables: Any) -> str:
        file = tmp_path / "toys.json"
        file.write_text(json.dumps(core_toys.scenario(**tables)))
        return str(file)

    return write
