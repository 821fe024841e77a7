"""From a plan through apply to an answer and back, on the command line and under attack."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from mlsysim.errors import ConfigError, RegistryError
from mlsysim.provenance import Level
from mlsysim.refreshing import Datum, Refresher
from mlsysim_registry.refresh import applying, generations, planning, store
from mlsysim_registry.refresh.running import Outcome
from mlsysim_registry.refresh.sources.owid import OwidCarbon
from mlsysim_registry.refresh.sources.uk_carbon import UkCarbon

from .conftest import Toy, carbon, france, machine, uk_answer

DAY = "2026-11-22"
Known = Callable[..., Toy]
SOURCES: dict[str, Refresher] = {"owid-carbon": OwidCarbon(), "uk-carbon": UkCarbon()}


def plan_file(known: Known, folder: Path, *data: Datum, day: str = DAY) -> Path:
    plan = planning.make([Outcome("owid-carbon", data)], SOURCES, known(), day)
    path = folder / "plan.json"
    path.write_text(planning.dump(plan), encoding="utf-8")
    return path


def applied(known: Known, folder: Path, *data: Datum, day: str = DAY) -> str:
    plan = planning.load(plan_file(known, folder, *data, day=day), known())
    return applying.apply_plan(plan, applying.chosen(plan, ()))


# --- the way there and back --------------------------------------------------------------------------------------------


def test_an_applied_number_is_what_solvers_see_with_its_source(known: Known, tmp_path: Path, overlay: Path) -> None:
    packaged = {path: path.read_bytes() for path in known().folder.rglob("*.toml")}
    assert applied(known, tmp_path, france(), machine("97")) == "000001"
    entry = known().get("grids", "fr")
    assert carbon(known()) == pytest.approx(42.5)
    assert entry.record.year == "2025"
    (claim,) = entry.claims["carbon"]
    assert (claim.source, claim.at, claim.as_stated) == (f"owid-energy-{DAY}", "row France, 2025", "42.5 gCO2/kWh")
    assert claim.note == "replaces 40 gCO2/kWh of acme (2024)"
    assert entry.sources[claim.source].retrieved == DAY
    standing = entry.standing("carbon")
    assert standing is not None
    assert standing.chosen is claim
    assert standing.level is Level.STATED
    assert not standing.disputed
    assert entry.record.name == "France"  # everything else is the card's
    priced = known().get("prices", "azure-nd-h100-v5").record
    assert (priced.date, priced.rate * 3600, priced.devices) == (DAY, pytest.approx(97), 8)
    assert carbon(known(), "gb") == pytest.approx(200)
    assert {path: path.read_bytes() for path in known().folder.rglob("*.toml")} == packaged
    assert sorted(path.name for path in overlay.iterdir()) == ["000001.toml", "current.toml"]


def test_reading_refreshed_numbers_opens_no_connection(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(known, tmp_path, france())

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(f"socket.{name}", refuse)
    assert carbon(known()) == pytest.approx(42.5)


def test_rolling_back_goes_through_the_generations_to_the_package(known: Known, tmp_path: Path) -> None:
    applied(known, tmp_path, france("42.5"))
    applied(known, tmp_path, france("43.5"))
    assert carbon(known()) == pytest.approx(43.5)
    assert applying.rollback() == "000001"
    assert carbon(known()) == pytest.approx(42.5)
    assert applying.rollback() == ""
    assert carbon(known()) == pytest.approx(40)
    with pytest.raises(RegistryError, match="nothing to take back"):
        applying.rollback()
    assert applied(known, tmp_path, france("44")) == "000003"  # a name is never used twice
    assert carbon(known()) == pytest.approx(44)


def test_numbers_of_earlier_plans_stay(known: Known, tmp_path: Path) -> None:
    applied(known, tmp_path, france(), day="2026-11-20")
    applied(known, tmp_path, machine("97"))
    assert carbon(known()) == pytest.approx(42.5)
    assert {number.source for number in generations.current().numbers} == {
        "owid-energy-2026-11-20",
        f"owid-energy-{DAY}",
    }


def test_only_reachable_generations_are_kept(known: Known, tmp_path: Path, overlay: Path) -> None:
    for step in range(12):
        applied(known, tmp_path, france(f"{42 + step / 10}"))
    kept = sorted(path.stem for path in overlay.glob("0*.toml"))
    assert kept == [f"{number:06d}" for number in range(3, 13)]


def test_a_newer_package_goes_before_an_older_refresh(known: Known, tmp_path: Path) -> None:
    applied(known, tmp_path, france())
    newer = known().folder / "grids" / "fr.toml"
    text = newer.read_text(encoding="utf-8").replace("2024", "2026").replace("40 g", "39 g")
    assert carbon(known(**{"grids/fr.toml": text})) == pytest.approx(39)


def test_what_does_not_change_with_time_is_one_more_claim(known: Known, tmp_path: Path) -> None:
    applied(known, tmp_path, Datum("devices/chip-1", "memory.bandwidth", "2.01 TB/s", "row 9"))
    claims = known().get("devices", "chip-1").claims["memory.bandwidth"]
    assert [claim.as_stated for claim in claims] == ["2 TB/s", "2.01 TB/s"]  # the maker's before a data set's


def test_a_live_entity_stands_beside_the_packaged_ones_and_is_refreshed_again(known: Known, tmp_path: Path) -> None:
    def live(actual: int, begins: str) -> None:
        data = tuple(UkCarbon().parse(uk_answer(actual, begins)))
        plan = planning.make([Outcome("uk-carbon", data)], SOURCES, known(), DAY)
        assert plan.exit_code == 2
        applying.apply_plan(plan, plan.rows)

    assert "gb-live" not in known().keys("grids")
    for actual, begins in ((131, "2026-11-22T12:00Z"), (120, "2026-11-22T12:30Z")):
        live(actual, begins)
        record = known().get("grids", "Great Britain, one half hour").record
        assert (record.boundary, record.year) == ("operational", begins)
        assert carbon(known(), "gb-live") == pytest.approx(actual)
    assert carbon(known(), "gb") == pytest.approx(200)
    data = tuple(UkCarbon().parse(uk_answer(110, "2026-11-22T12:00Z")))
    old = planning.make([Outcome("uk-carbon", data)], SOURCES, known(), DAY)
    assert [row.status for row in old.rows] == ["not newer"]


def test_the_same_answer_makes_the_same_plan(known: Known) -> None:
    plans = [planning.dump(planning.make([Outcome("owid-carbon", (france(), machine("97")))], SOURCES, known(), DAY))
             for _ in range(2)]  # fmt: skip
    assert plans[0] == plans[1]


def test_a_feed_that_no_longer_changes_is_noticed(known: Known) -> None:
    plan = planning.make([Outcome("owid-carbon", (france(year="2021"),))], SOURCES, known(), DAY)
    assert "frozen" in plan.warnings[0]
    assert [row.status for row in plan.rows] == ["not newer"]
    empty = planning.make([Outcome("uk-carbon")], SOURCES, known(), DAY)
    assert "holds no number" in empty.warnings[0]
    assert empty.exit_code == 0


# --- plans that do not fit ----------------------------------------------------------------------------------------------


def test_a_plan_fits_only_the_data_that_it_was_made_for(known: Known, tmp_path: Path) -> None:
    path = plan_file(known, tmp_path, france())
    changed = known().folder / "grids" / "fr.toml"
    text = changed.read_text(encoding="utf-8").replace("40 g", "41 g")
    with pytest.raises(RegistryError, match="the data have changed"):
        planning.load(path, known(**{"grids/fr.toml": text}))
    other = tmp_path / "other"
    other.mkdir()
    applied(known, other, machine("97"))
    with pytest.raises(RegistryError, match="the data have changed"):
        planning.load(path, known())


@pytest.mark.parametrize(
    "damage",
    [lambda t: t.replace("42.5", "42.6"), lambda t: t.replace('"format": 1', '"format": 2'), lambda t: t[:-20],
     lambda t: "[]", lambda t: "[" * 100_000, lambda t: json.dumps({"format": 1, "sha256": "x"})],
)  # fmt: skip
def test_a_plan_that_was_changed_is_refused(known: Known, tmp_path: Path, damage: Callable[[str], str]) -> None:
    path = plan_file(known, tmp_path, france())
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ConfigError):
        planning.load(path, known())


def test_a_plan_with_a_hash_of_its_own_still_passes_all_checks_again(known: Known, tmp_path: Path) -> None:
    path = plan_file(known, tmp_path, machine("9"))
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["sha256"]
    data["rows"][0] |= {"status": "change", "flags": []}
    path.write_text(json.dumps({**data, "sha256": planning._hash(data)}), encoding="utf-8")
    with pytest.raises(RegistryError, match="the data have changed"):
        planning.load(path, known())


# --- writing under bad conditions ----------------------------------------------------------------------------------------


def test_of_two_applies_at_once_one_is_refused(known: Known, tmp_path: Path) -> None:
    plan = planning.load(plan_file(known, tmp_path, france()), known())
    said: list[str] = []
    start = threading.Barrier(2)

    def write() -> None:
        start.wait()
        try:
            said.append(applying.apply_plan(plan, plan.rows))
        except RegistryError as error:
            said.append(error.what)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(said) == ["000001", "the data have changed since the plan was made"]
    assert carbon(known()) == pytest.approx(42.5)


_KILLED = """
import os, signal, sys
from pathlib import Path
from mlsysim_registry.refresh import applying, planning
from mlsysim_registry.catalog import Catalog
from mlsysim.entities import Registry
plan = planning.load(Path(sys.argv[1]), Registry([Catalog("toy", sys.argv[2])]))
applying._point = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
applying.apply_plan(plan, plan.rows)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_between_the_numbers_and_the_pointer_nothing_has_changed(
    known: Known, tmp_path: Path, overlay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(known, tmp_path, france("41.5"))
    path = plan_file(known, tmp_path, france("42.5"))
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path), str(known().folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (overlay / "000002.toml").exists()
    assert carbon(known()) == pytest.approx(41.5)
    monkeypatch.setattr(store, "_LOCK_SECONDS", 0.1)  # the lock of the dead process is taken over
    assert applied(known, tmp_path, france("43")) == "000003"
    assert carbon(known()) == pytest.approx(43)
    assert not (overlay / "000002.toml").exists()


def test_a_failing_write_leaves_no_part_behind(known: Known, tmp_path: Path, overlay: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    applied(known, tmp_path, france("41.5"))
    path = plan_file(known, tmp_path, france("42.5"))
    plan = planning.load(path, known())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlsysim_registry.refresh.store.os.fsync", full)
    with pytest.raises(RegistryError, match="No space left"):
        applying.apply_plan(plan, plan.rows)
    assert sorted(p.name for p in overlay.iterdir()) == ["000001.toml", "current.toml"]
    assert carbon(known()) == pytest.approx(41.5)


def test_links_are_replaced_or_refused_and_never_followed(known: Known, tmp_path: Path, overlay: Path) -> None:
    precious = tmp_path / "precious.toml"
    precious.write_text('generation = "000001"\nsha256 = "x"\n', encoding="utf-8")
    overlay.mkdir()
    (overlay / "000001.toml").symlink_to(precious)  # where an attacker expects the next generation
    applied(known, tmp_path, france())
    assert precious.read_text(encoding="utf-8").startswith("generation")
    assert carbon(known()) == pytest.approx(42.5)
    (overlay / "current.toml").unlink()
    (overlay / "current.toml").symlink_to(precious)
    with pytest.raises(RegistryError, match="is a link"):
        known().get("grids", "fr")
    assert applying.rollback() == ""
    assert precious.exists()
    assert carbon(known()) == pytest.approx(40)


@pytest.mark.parametrize("name", ["../../etc/passwd", "000001/../x", "1", ""])
def test_the_pointer_never_leads_out_of_the_folder(known: Known, overlay: Path, name: str) -> None:
    overlay.mkdir()
    (overlay / "current.toml").write_text(f'generation = "{name}"\nsha256 = "x"\n', encoding="utf-8")
    with pytest.raises(RegistryError, match="not the name of a generation"):
        known().get("grids", "fr")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"x = 1\n", b"format = 1\nnumbers = 3\n"])
def test_a_damaged_generation_is_told_and_can_be_taken_back(
    known: Known, tmp_path: Path, overlay: Path, content: bytes
) -> None:
    applied(known, tmp_path, france())
    (overlay / "000001.toml").write_bytes(content)
    generations._current.cache_clear()  # as in the next process
    with pytest.raises(RegistryError, match="rollback"):
        known().get("grids", "fr")
    assert "fr" in known().keys("grids")  # listing goes on, and with it the command that repairs
    applying.rollback()
    assert carbon(known()) == pytest.approx(40)


def test_a_number_changed_by_hand_is_noticed(known: Known, tmp_path: Path, overlay: Path) -> None:
    applied(known, tmp_path, france())
    file = overlay / "000001.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("42.5", "1.5"), encoding="utf-8")
    generations._current.cache_clear()
    with pytest.raises(RegistryError, match="changed by hand"):
        known().get("grids", "fr")


def test_the_folder_is_where_the_platform_keeps_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLSYSIM_OVERLAY")
    monkeypatch.delenv("MLSYSIM_DATA_DIR")
    assert store.overlay_folder() == platformdirs.user_data_path("mlsysim", appauthor=False) / "overlay"
