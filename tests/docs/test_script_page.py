"""What the page for scripts says of the JSON of each command is what the command prints."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mlsysim.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "script.md"
ROWS = re.findall(r"^\| `mlsysim (.*? --json)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("command", "words"), ROWS, ids=[command for command, _ in ROWS])
def test_the_keys_are_those_of_the_page(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(command)) in (0, 2)  # the doctor may find a fault of this installation
    data = json.loads(capsys.readouterr().out)
    keys = set(re.findall(r"`(\w+)`", words.partition(", and of inputs")[0])) - {"eval"}
    assert keys <= set(data[0] if isinstance(data, list) else data)


def test_the_page_has_every_command_that_prints_json() -> None:
    assert {command.split()[0] for command, _ in ROWS} >= {
        "eval", "explain", "sweep", "show", "list", "solvers", "plugins", "doctor", "registry", "validate", "optimize", "step",
    }  # fmt: skip
