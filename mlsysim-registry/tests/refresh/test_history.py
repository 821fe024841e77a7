"""The history of a number: read, refreshed, taken back, found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlsysim.cli import main
from mlsysim.errors import UnknownNameError
from mlsysim_registry.provenance_map import ProvenanceMap
from mlsysim_registry.refresh import applying, verified

from .conftest import france
from .test_flow import Known, applied


def said(known: Known, entity: str = "grids/fr", field: str = "carbon") -> list[tuple[str, str, str, bool]]:
    events = ProvenanceMap(known()).history(entity, field)
    return [(event.date, event.what, event.value, event.in_force) for event in events]


def test_before_anything_happened_a_number_was_read(known: Known) -> None:
    assert said(known) == [("2026-10-04", "read", "40 gCO2/kWh", True)]


def test_what_was_replaced_stays_in_the_history(known: Known, tmp_path: Path) -> None:
    applied(known, tmp_path, france(), day="2026-11-21")
    assert said(known) == [
        ("2026-10-04", "read", "40 gCO2/kWh", False),
        ("2026-11-21", "refreshed", "42.5 gCO2/kWh", True),
    ]


def test_a_number_taken_over_unchanged_is_as_old_as_before(known: Known, tmp_path: Path) -> None:
    applied(known, tmp_path, france(), day="2026-11-20")
    later = applying.current()
    assert later.name == "000001"
    events = said(known)
    assert events[-1][:2] == ("2026-11-20", "refreshed")
    applying.rollback()
    assert said(known) == [("2026-10-04", "read", "40 gCO2/kWh", True)]


@pytest.mark.parametrize(("found", "what"), [(True, "found again"), (False, "not found again")])
def test_reading_a_document_again_is_an_event(known: Known, found: bool, what: str) -> None:
    name = ("devices/chip-1 memory.bandwidth",)
    verified.record("acme", verified.Verified("https://example.org/acme", "ab" * 32, "2026-11-01",
                                            name if found else (), () if found else name))  # fmt: skip
    assert said(known, "devices/chip-1", "memory.bandwidth") == [
        ("2026-10-04", "read", "2 TB/s", True),
        ("2026-11-01", what, "2 TB/s", False),
    ]


def test_an_unknown_number_gets_a_suggestion(known: Known) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'carbon'"):
        ProvenanceMap(known()).history("grids/fr", "carbo")
    with pytest.raises(UnknownNameError):
        ProvenanceMap(known()).history("grids/frr", "carbon")


@pytest.mark.parametrize("name", ["grids", "fr", "grids/", "/fr"])
def test_an_entity_without_its_kind_or_key_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["registry", "history", name]) == 2
    assert "is not KIND/KEY" in capsys.readouterr().err
