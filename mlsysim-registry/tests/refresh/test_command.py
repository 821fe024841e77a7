"""``mlsysim registry refresh``: exit codes and words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mlsysim.cli import main
from mlsysim.refreshing import Datum, Refresher
from mlsysim_registry.refresh import running
from mlsysim_registry.refresh.running import Outcome
from mlsysim_registry.refresh.sources.owid import OwidCarbon

from .conftest import Toy, carbon, france, machine

Known = Callable[..., Toy]


class Fixed(Refresher):
    """Gives what it is told to, without a network."""

    hosts = frozenset({"example.org"})
    source = attrs.evolve(OwidCarbon.source, licence="CC BY 4.0")

    def __init__(self, name: str, *data: Datum, problem: str = "", env: tuple[str, ...] = ()) -> None:
        self.name, self.data, self.problem, self.env = name, data, problem, env


def _given(refresher: Any, **_: object) -> Outcome:
    return Outcome(refresher.name, refresher.data, problem=refresher.problem)


@pytest.fixture
def command(known: Known, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run ``mlsysim registry refresh`` with some sources instead of the real ones."""

    def call(sources: list[Fixed], *words: str) -> int:
        monkeypatch.setattr("mlsysim.front.registry", known)
        monkeypatch.setattr(running, "installed", lambda: ({item.name: item for item in sources}, {}))
        monkeypatch.setattr(running, "run", _given)
        return main(["registry", "refresh", *words])

    return call


@pytest.mark.parametrize(
    ("sources", "code", "said"),
    [
        ([Fixed("a", france("40"))], 0, "1 unchanged"),
        ([Fixed("a", france("40", "2023"))], 0, "1 unchanged"),
        ([Fixed("a", france("42", "2023"))], 0, "not newer than what is known"),
        ([Fixed("a", france())], 2, "+6.2%"),
        ([Fixed("a", france()), Fixed("b", machine("9"))], 3, "jump of more than 30%"),
        ([Fixed("a", france()), Fixed("b", machine("9")), Fixed("c", problem="no answer")], 4, "failed: c: no answer"),
        ([Fixed("a", Datum("grids/Nowhere", "carbon", "4 gCO2/kWh", "x"))], 0, "1 of entities"),
    ],
)  # fmt: skip
def test_exit_codes_of_plan(
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    overlay: Path,
    sources: list[Fixed],
    code: int,
    said: str,
) -> None:
    assert command(sources, "plan") == code
    assert said in capsys.readouterr().out
    assert not overlay.exists()  # a plan writes nothing


def test_one_failing_source_leaves_the_others(
    command: Callable[..., int], tmp_path: Path, known: Known, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [Fixed("a", problem="no answer"), Fixed("b", france()), Fixed("c", machine("50"))]
    out = str(tmp_path / "plan.json")
    assert command(sources, "plan", "--out", out) == 4
    assert command(sources, "apply", out) == 3
    assert "left out: prices/azure-nd-h100-v5" in capsys.readouterr().out
    assert carbon(known()) == pytest.approx(42.5)
    assert command(sources, "plan", "--source", "c", "--out", out) == 3
    assert command(sources, "apply", out, "--accept", "grids/fr") == 2
    assert command(sources, "apply", out, "--accept", "prices/azure-nd-h100-v5") == 0
    assert known().get("prices", "azure-nd-h100-v5").record.rate * 3600 == pytest.approx(50)
    assert command(sources, "apply", out) == 2  # the same plan does not fit twice
    assert command(sources, "rollback") == 0
    assert command(sources, "rollback") == 0
    assert command(sources, "rollback") == 2
    assert carbon(known()) == pytest.approx(40)


def test_what_cannot_be_true_cannot_be_accepted(command: Callable[..., int], tmp_path: Path) -> None:
    out = str(tmp_path / "plan.json")
    assert command([Fixed("a", machine("0"))], "plan", "--out", out) == 3
    assert command([], "apply", out, "--accept", "prices/azure-nd-h100-v5") == 2
    assert command([], "apply", out) == 3


def test_mistakes_are_told(command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([Fixed("azure")], "plan", "--source", "asure") == 2
    assert "'azure'" in capsys.readouterr().err
    assert command([], "apply", str(tmp_path / "none.json")) == 2
    assert command([Fixed("a", france())], "plan", "--out", str(tmp_path / "no" / "plan.json")) == 2


def test_sources_are_listed_and_keys_never_shown(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_KEY", "hunter2")
    monkeypatch.delenv("B_KEY", raising=False)
    assert command([Fixed("a", env=("A_KEY",)), Fixed("b", env=("B_KEY",)), Fixed("c")], "sources") == 0
    out = capsys.readouterr().out
    for words in ("A_KEY set", "B_KEY not set", "not needed", "CC BY 4.0"):
        assert words in out
    assert "hunter2" not in out


def test_json_of_a_plan_is_the_plan(command, tmp_path, capsys):
    sources, out = [Fixed("b", france())], tmp_path / "plan.json"
    assert command(sources, "plan", "--out", str(out), "--json") == 2
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text(encoding="utf-8"))
    assert command(sources, "plan", "--json") == 2
    assert json.loads(capsys.readouterr().out)["rows"]


def test_json_of_the_sources_names_keys_and_never_tells_them(command, capsys, monkeypatch):
    monkeypatch.setenv("TOY_KEY", "secret")
    assert command([Fixed("a", env=("TOY_KEY",)), Fixed("b")], "sources", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["key"] for row in said["sources"]] == ["TOY_KEY set", "not needed"]
    assert said["broken"] == {}
    assert "secret" not in str(said)
