"""Suggestions for mistyped names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsysim.names import did_you_mean, suggest

KNOWN = ["h100-sxm", "h100-pcie", "h200-sxm", "a100-sxm-80gb", "mi300x", "tpu-v5e", "esp32-s3"]


@pytest.mark.parametrize(
    ("typo", "first"),
    [
        ("H100-SXM", "h100-sxm"),
        ("h100_sxm", "h100-sxm"),
        ("h100sxm", "h100-sxm"),
        ("MI300", "mi300x"),
        ("tpu-v5", "tpu-v5e"),
        ("a100", "a100-sxm-80gb"),
        ("h100-smx", "h100-sxm"),
        ("esp32", "esp32-s3"),
    ],
)
def test_the_nearest_name_comes_first(typo, first):
    assert suggest(typo, KNOWN)[0] == first


def test_at_most_three_and_none_far_away():
    assert len(suggest("h", ["h1", "h2", "h3", "h4", "h5"])) <= 3
    assert suggest("zzzzzz", KNOWN) == []
    assert suggest("", KNOWN) == []
    assert suggest("anything", []) == []


def test_remedies():
    assert did_you_mean("h100-smx", ["h100-sxm"]) == "Did you mean 'h100-sxm'?"
    assert did_you_mean("zzz", ["one", "two"]) == "Known names: one, two"
    assert did_you_mean("zzz", []) == ""
    assert did_you_mean("zzz", [], listing="mlsysim list devices") == "`mlsysim list devices` shows all of them"
    assert did_you_mean("zzz", ["one"], listing="x").endswith("; `x` shows all of them")
    assert did_you_mean("one", ["one"], listing="x") == "Did you mean 'one'? `x` shows all of them"
    assert did_you_mean("zzz", [f"name-{i}" for i in range(40)]) == ""


@given(st.text(max_size=20), st.lists(st.text(max_size=12), max_size=8))
def test_suggestions_are_known_names_without_repetition(name, known):
    found = suggest(name, known)
    assert set(found) <= set(known)
    assert len(found) == len(set(found)) <= 3
