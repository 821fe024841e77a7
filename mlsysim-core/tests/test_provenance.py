"""Claims, documents and the rule that judges them."""

from __future__ import annotations

import datetime as dt
import math
import statistics

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsysim.errors import RegistryError
from mlsysim.intervals import INTERVAL_SHARE
from mlsysim.provenance import TIME_TO_LIVE, Claim, Level, Source, independent, judge, preferred_first

TODAY = dt.date(2026, 6, 1)


def source(key, publisher="Maker", kind="datasheet", tier="primary", retrieved="2026-01-01", **more):
    return Source(key, key, publisher, f"https://{key}.example", kind, tier, retrieved, **more)


SOURCES = {
    s.id: s
    for s in (
        source("sheet"),
        source("paper", publisher="Lab", kind="paper"),
        source("wiki", publisher="Wiki", kind="page", tier="tertiary"),
        source("blog", publisher="Blog", kind="page", tier="secondary", derived_from=("sheet",)),
        source("digest", publisher="Digest", kind="page", tier="secondary", derived_from=("blog",)),
        source("second", publisher="MAKER"),
        source("old", publisher="Archive", retrieved="2020-01-01"),
        source("kept", publisher="Keeper", sha256="00"),
    )
}


def claim(value, key="sheet", kind="stated", **more):
    return Claim("memory.bandwidth", f"{value:g} B/s", value, "B/s", kind, source=key, at="table 1", **more)


def guess(value, low=None, high=None):
    return Claim("memory.bandwidth", "about", value, "B/s", "estimate", reason="usual",
                 low=value / 2 if low is None else low, high=value * 2 if high is None else high)  # fmt: skip


def verdict(*claims, tolerance=0.01, **more):
    return judge(claims, SOURCES, tolerance=tolerance, today=TODAY, **more)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"source": ""}, "no source"),
        ({"at": ""}, "no place"),
        ({"source": "", "kind": "measured"}, "no source"),
        ({"kind": "derived"}, "does not say how"),
        ({"kind": "estimate"}, "lacks a reason or a range"),
        ({"kind": "estimate", "reason": "r"}, "lacks a reason or a range"),
        ({"kind": "estimate", "reason": "r", "low": 0.5}, "lacks a reason or a range"),
        ({"kind": "estimate", "low": 0.5, "high": 2.0}, "lacks a reason or a range"),
        ({"kind": "estimate", "reason": "r", "low": 2.0, "high": 3.0}, "outside its own range"),
        ({"kind": "estimate", "reason": "r", "low": 0.1, "high": 0.5}, "outside its own range"),
    ],
)
def test_a_number_without_its_source_does_not_construct(broken, words):
    whole = {"field": "f", "as_stated": "1", "value": 1.0, "unit": "1", "source": "sheet", "at": "p. 1"}
    Claim(**whole)
    with pytest.raises(RegistryError, match=words):
        Claim(**{**whole, **broken})


def test_the_range_of_a_claim_is_its_interval():
    claim = guess(3.0, 1.0, 9.0)
    inside = statistics.NormalDist(0.0, claim.log_sd).cdf(math.log(9.0 / 3.0)) - 0.5
    assert 2.0 * inside == pytest.approx(INTERVAL_SHARE)
    assert guess(0.5, 0.0, 1.0).log_sd is None


def test_levels_are_computed_from_weakest_to_strongest():
    ladder = [
        verdict(guess(1.0)),
        verdict(claim(1.0)),
        verdict(claim(1.0, "kept")),
        verdict(claim(1.0), claim(1.0, "paper")),
        verdict(claim(1.0), claim(1.0, "paper", "measured")),
    ]
    assert [s.level for s in ladder] == list(Level)
    assert [s.badge for s in ladder] == ["estimate", "stated", "archived", "corroborated", "measured"]
    assert [s.verified for s in ladder] == [False, False, False, True, True]
    assert "agrees with Lab" in ladder[3].why
    assert sorted(Level) == list(Level)


def test_a_machine_check_corroborates():
    standing = verdict(claim(1.0), cross_checked=True)
    assert standing.level == Level.CORROBORATED
    assert "by machine" in standing.why
    assert verdict(guess(1.0), cross_checked=True).level == Level.ESTIMATE


def test_a_measurement_alone_is_not_corroborated():
    assert verdict(claim(1.0, "paper", "measured")).level == Level.STATED


@pytest.mark.parametrize(("other", "level"), [("blog", 2), ("digest", 2), ("second", 2), ("paper", 4), ("wiki", 4)])
def test_only_an_independent_publisher_corroborates(other, level):
    """A copy, a copy of a copy and the same publisher add nothing."""
    assert verdict(claim(1.0), claim(1.0, other)).level == level
    assert independent(SOURCES["sheet"], SOURCES[other], SOURCES) is (level == 4)
    assert independent(SOURCES[other], SOURCES["sheet"], SOURCES) is (level == 4)


def test_two_copies_of_one_document_do_not_corroborate_each_other():
    assert not independent(SOURCES["blog"], SOURCES["digest"], SOURCES)
    common = {"a": source("a", "A", derived_from=("x",)), "b": source("b", "B", derived_from=("x",))}
    assert not independent(common["a"], common["b"], common)


def test_copies_in_a_circle_end():
    ring = {"a": source("a", "A", derived_from=("b",)), "b": source("b", "B", derived_from=("a",))}
    assert not independent(ring["a"], ring["b"], ring)


def test_an_estimate_never_corroborates_nor_disputes():
    standing = verdict(claim(1.0), guess(100.0))
    assert standing.level == Level.STATED
    assert not standing.disputed


@pytest.mark.parametrize(("other", "disputed"), [(1.0, False), (1.01, False), (1.02, True), (0.9, True)])
def test_disagreement_beyond_tolerance_is_shown(other, disputed):
    standing = verdict(claim(1.0), claim(other, "paper"))
    assert standing.disputed is disputed
    assert standing.verified is not disputed
    assert ("disputed" in standing.badge) is disputed
    assert standing.chosen.value == 1.0


def test_zero_tolerance_means_equal():
    assert not verdict(claim(132.0), claim(132.0, "paper"), tolerance=0.0).disputed
    assert verdict(claim(132.0), claim(133.0, "paper"), tolerance=0.0).disputed


@pytest.mark.parametrize("kind", TIME_TO_LIVE)
def test_each_kind_of_document_goes_stale_after_its_time(kind):
    days = TIME_TO_LIVE[kind]
    read = dt.date(2026, 6, 1)
    documents = {"d": source("d", kind=kind, retrieved=read.isoformat())}
    for age, stale in ((0, False), (days, False), (days + 1, True)):
        standing = judge([claim(1.0, "d")], documents, tolerance=0.01, today=read + dt.timedelta(days=age))
        assert standing.stale is stale
        assert standing.badge == ("stated (stale)" if stale else "stated")


def test_stale_and_disputed_stand_side_by_side():
    assert verdict(claim(1.0, "old"), claim(2.0, "paper")).badge == "stated (stale, disputed)"


def test_the_rule_of_choice():
    """Stated and measured before derived before estimated; primary first; then file order."""
    derived = claim(3.0, "sheet", "derived", reason="from others")
    order = [claim(1.0, "sheet"), claim(1.1, "second"), claim(2.0, "blog"), claim(2.5, "wiki"), derived, guess(4.0)]
    for claims in (order, order[::-1], order[3:] + order[:3]):
        chosen = verdict(*claims, tolerance=10).chosen
        first = next(c for c in claims if c.source in ("sheet", "second") and c.kind == "stated")
        assert chosen is first
        ranked = preferred_first(claims, SOURCES)
        assert ranked[0] is first
        assert [c.kind for c in ranked[-2:]] == ["derived", "estimate"]
    assert verdict(guess(1.0), derived).chosen is derived
    assert verdict(claim(1.0, "nowhere"), claim(2.0, "wiki")).chosen.source == "wiki"


@given(st.permutations([claim(1.0), claim(1.0, "paper"), claim(1.0, "wiki"), guess(1.0)]))
def test_level_and_value_do_not_depend_on_the_order_in_the_file(claims):
    standing = verdict(*claims)
    assert (standing.level, standing.chosen.value) == (Level.CORROBORATED, 1.0)


def test_age_is_counted_in_days():
    assert SOURCES["sheet"].age_days(dt.date(2026, 1, 31)) == 30
    assert attrs.evolve(SOURCES["sheet"], retrieved="2026-06-01").age_days(TODAY) == 0
