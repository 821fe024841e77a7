"""The map from a number to what stands behind it."""

from __future__ import annotations

import pytest

import mlsysim_registry
from mlsysim.errors import UnknownNameError
from mlsysim.provenance import Level
from mlsysim_registry import ProvenanceMap

from .conftest import CLAIM, Package

ENTITY = "devices/chip-1"


def test_a_number_has_claims_choice_level_and_document(package: Package) -> None:
    item = ProvenanceMap.of(package())[ENTITY, "memory.bandwidth"]
    assert [c.as_stated for c in item.claims] == ["2.05 TB/s", "2050 GB/s"]
    assert item.chosen.source == "acme"
    assert item.source is not None
    assert item.source.publisher == "Acme"
    assert item.level is Level.CORROBORATED
    assert item.status == "verified"
    assert item.why == "stated by a primary source, first of 2 claims; agrees with Other Press"


def test_it_is_a_mapping_over_all_numbers(package: Package) -> None:
    known = ProvenanceMap.of(package())
    places = list(known)
    assert len(places) == len(known) == len(set(places))
    assert (ENTITY, "power.tdp") in known
    assert ("scenarios/ask", "workload.batch") not in known  # a choice of the user, no fact
    assert all(known[place].field == place[1] for place in places)


@pytest.mark.parametrize("place", [(ENTITY, "memory.colour"), ("devices/none", "x"), ("nothing", "x"), ("", "")])
def test_an_unknown_number_is_a_key_error(package: Package, place: tuple[str, str]) -> None:
    known = ProvenanceMap.of(package())
    assert place not in known
    with pytest.raises(KeyError):
        known[place]


def test_an_estimate_is_the_lowest_level(package: Package) -> None:
    guess = '"400 W", estimate = "from its size", low = "300 W", high = "500 W"'
    item = ProvenanceMap.of(package(chip_1=(f'"400 W", {CLAIM}', guess)))[ENTITY, "power.tdp"]
    assert (item.level, item.status, item.source) == (Level.ESTIMATE, "", None)
    assert item.why == "the only claim; estimate: from its size"


def test_disputed_and_stale_numbers_come_first_and_are_listed(package: Package) -> None:
    known = ProvenanceMap.of(package(chip_1=('"2050 GB/s"', '"1935 GB/s"')))
    assert [item.field for item in known.disputed()] == ["memory.bandwidth"]
    assert next(iter(known.entity("device/Chip1"))) == "memory.bandwidth"
    assert known[ENTITY, "memory.bandwidth"].status == "disputed"


def test_age_makes_a_number_stale(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ProvenanceMap.of(package())
    assert known.stale() == []
    monkeypatch.setenv("MLSYSIM_TODAY", "2030-01-01")
    assert len(ProvenanceMap.of(package()).stale()) == len(known)


def test_totals_add_up(package: Package) -> None:
    known = ProvenanceMap.of(package())
    totals = {t.kind: t for t in known.totals()}
    assert sum(t.numbers for t in totals.values()) == len(known)
    assert all(sum(t.levels.values()) == t.numbers for t in totals.values())
    assert totals["devices"].entities == 1
    assert totals["scenarios"].numbers == 0
    assert 0 < totals["devices"].corroborated < 1
    assert totals["scenarios"].corroborated == 0


def test_a_faulty_entity_is_left_out(package: Package) -> None:
    known = ProvenanceMap.of(package({"links/acme/fastlink-1.toml": "]"}))
    assert not any(entity == "links/fastlink-1" for entity, _ in known)
    with pytest.raises(UnknownNameError):
        known.entity("links/none")


def test_the_package_offers_its_names_lazily() -> None:
    assert {"Catalog", "ProvenanceMap"} <= set(dir(mlsysim_registry))
    with pytest.raises(AttributeError, match="Nothing"):
        mlsysim_registry.Nothing  # noqa: B018
