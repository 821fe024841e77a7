"""Every check fires on the fault that it is for, and is silent on a package without faults."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mlsysim_registry.checks import Finding, all_checks, run
from mlsysim_registry.checks.generations import generations
from mlsysim_registry.checks.ranges import ranges

from .conftest import CLAIM, FILES, SOURCE, Package

DEVICE, MODEL, NODE = "devices/acme/chip-1.toml", "models/acme/toy.toml", "nodes/acme/box-8.toml"
LATENT = """
[transformer.latent]
kv_rank = 16
rope_dim = 8
nope_dim = 16
v_dim = 32
"""
STATES = """
[transformer.states]
layers = 2
attention = 1
mlp = 4
heads = 4
head_dim = 16
state = 16
groups = 1
conv = 4
chunk = 64
"""


TWO_KINDS = """
[transformer.full]
layers = 1
kv_heads = 2
head_dim = 32
"""


def changed(name: str, old: str, new: str) -> dict[str, str]:
    assert old in FILES[name]
    return {name: FILES[name].replace(old, new)}


FIRES: list[tuple[str, str, dict[str, str], str]] = [
    # check, severity, what was changed, what must be said
    ("schema", "fault", changed(DEVICE, '"153.6 TFLOPS"', '"153.6 TFLOP"'), "FLOP/s is needed"),
    ("schema", "fault", changed(DEVICE, 'value = "80 GB"', 'value = "80"'), "has no unit"),
    ("schema", "fault", changed(DEVICE, ', source = "other", at = "row 3"', ""), "no source"),
    ("schema", "fault", changed(DEVICE, 'source = "other", at = "row 3"', 'source = "other"'), "no place"),
    ("template", "fault", {DEVICE: re.sub("^vendor = .*", 'vendor = "..."', FILES[DEVICE], flags=re.MULTILINE)}, 'vendor is still "..."'),
    ("template", "fault", {"sources/new.toml": FILES["sources/acme.toml"].replace("title =", 'title = "..." #')}, "title is still"),
    ("names", "fault", {"devices/rival/chip-1.toml": FILES[DEVICE]}, "is taken by"),
    ("names", "fault", {"devices/rival/Chip_3.toml": FILES[DEVICE]}, "is not allowed"),
    ("names", "fault", {"links/twin.toml": FILES["links/acme/fastlink-1.toml"] + 'aliases = ["Fastlink_1"]\n'}, "'fastlink-1' means the link"),
    ("names", "note", {"nodes/box-9.toml": FILES["nodes/acme/box-8.toml"]}, "'Acme Box' means the node box-8 and"),
    ("documents", "fault", changed("sources/acme.toml", "2026-11-20", "2026-12-24"), "in the future"),
    ("documents", "fault", changed("sources/acme.toml", "https://", "ftp://"), "not a public address"),
    ("documents", "fault", {"sources/bad.toml": "title = 1"}, "is missing"),
    ("documents", "note", {"sources/unused.toml": FILES["sources/acme.toml"]}, "no number names"),
    ("lineage", "fault", {"sources/other.toml": FILES["sources/other.toml"] + 'derived_from = ["gone"]'}, "'gone'"),
    ("lineage", "fault", {"sources/other.toml": FILES["sources/other.toml"] + 'derived_from = ["other"]'}, "circle"),
    ("lineage", "note", {"sources/other.toml": FILES["sources/other.toml"] + 'derived_from = ["acme"]'}, "count once"),
    ("lineage", "note", changed("sources/other.toml", "Other Press", "ACME"), "count once"),
    ("freshness", "note", changed("sources/acme.toml", "2026-11-20", "2023-01-01"), "days ago"),
    ("disputes", "dispute", changed(DEVICE, '"2050 GB/s"', '"1935 GB/s"'), "2.05 TB/s (acme), 1935 GB/s (other)"),
    ("units-clock-peak", "fault", changed(DEVICE, '"1.5 GHz"', '"1.6 GHz"'), "100 processors x 1600 MHz x 1024"),
    ("units-clock-peak", "dispute", changed(DEVICE, f'"1.5 GHz", {CLAIM}', f'"1.6 GHz", {CLAIM}, note = "boost"'), "boost"),
    ("bus-rate-bandwidth", "fault", changed(DEVICE, '"4 GT/s"', '"5 GT/s"'), "4096 bit x 5 GT/s"),
    ("dense-sparse", "fault", changed(DEVICE, '"307.2 TFLOPS"', '"150 TFLOPS"'), "exceeds the sparse"),
    ("dense-sparse", "fault", changed(DEVICE, '"120 TFLOPS"', '"160 TFLOPS"'), "exceeds the dense peak"),
    ("dense-sparse", "fault", changed(DEVICE, '"153.6 TFLOPS"', '"307.2 TFLOPS", means = "153.6 TFLOPS"'), "as if it were"),
    ("dense-sparse", "fault", changed(DEVICE, f'"153.6 TFLOPS", {CLAIM}',
                                      '"153.6 TFLOPS", source = "acme", at = "FP16, with sparsity"'), "sparse one"),
    ("dense-sparse", "fault", changed(DEVICE, "peak.fp16]", "peak.fp61]"), "'fp61' is no number format"),
    ("shape-parameters", "fault", changed(MODEL, "1171584", "1200000"), "2.4% apart"),
    ("shape-parameters", "dispute", changed(MODEL, f"1171584, {CLAIM}", f'1200000, {CLAIM}, note = "with a tool"'), "a tool"),
    ("shape-parameters", "fault", changed("models/acme/net.toml", "kernel = 3", "groups = 2"), "do not divide"),
    ("shape-active", "fault", changed(MODEL, "[transformer]", f"active = {{ value = 900000, {CLAIM} }}\n[transformer]"), "apart"),
    ("shape-work", "fault", changed("models/acme/net.toml", "MMAC", "MFLOP"), "MACs or FLOPs"),
    ("kv-cache", "fault", changed(MODEL, "kv_heads = 2", "kv_heads = 3"), "do not divide"),
    ("kv-cache", "fault", {MODEL: FILES[MODEL] + STATES.replace("groups = 1", "groups = 3")}, "into 3 groups"),
    ("kv-cache", "fault", {MODEL: FILES[MODEL] + STATES}, "are not two for each"),
    ("kv-cache", "fault", {MODEL: FILES[MODEL] + TWO_KINDS}, "no window is given"),
    ("kv-cache", "fault", {MODEL: FILES[MODEL] + TWO_KINDS.replace("layers = 1", "layers = 99")}, "leave none with"),
    ("kv-cache", "fault", {MODEL: FILES[MODEL] + TWO_KINDS.replace("kv_heads = 2", "kv_heads = 3")}, "do not divide"),
    ("kv-cache", "fault", {MODEL: FILES[MODEL] + LATENT + TWO_KINDS}, "one kind of heads"),
    ("kv-cache", "fault", {MODEL: FILES[MODEL] + LATENT}, "is not rope_dim"),
    ("kv-cache", "fault", {MODEL: FILES[MODEL] + LATENT.replace("16\nrope", "400\nrope")}, "more than"),
    ("references", "fault", changed(NODE, 'device = "chip-1"', 'device = "chip1"'), "no device 'chip1'"),
    ("references", "fault", changed(DEVICE, 'link = "fastlink-2"', 'link = "fastlink-9"'), "Did you mean"),
    ("references", "fault", changed("scenarios/ask.toml", '"toy"', '"tony"'), "no model 'tony'"),
    ("references", "fault", changed("scenarios/ask.toml", '"fp16"', '"fp8"'), "It has fp16"),
    ("node-devices", "fault", changed(NODE, "inner_links = { value = 9", "inner_links = { value = 6"), "9 ports"),
    ("node-devices", "fault", changed(NODE, '"5 kW"', '"3 kW"'), "less than its 8 devices"),
    ("node-devices", "fault", changed(NODE, "domain = { value = 8", "domain = { value = 4"), "smaller than the node"),
    ("node-devices", "dispute", {NODE: FILES[NODE].replace('"5 kW"', '"3 kW"') + 'note = "capped"\n'}, "capped"),
    ("link-totals", "fault", changed("links/acme/fastlink-2.toml", "900 GB/s over", "800 GB/s over"), "44.44 GB/s"),
    ("link-totals", "fault", changed("links/acme/fastlink-1.toml", "table 1", "bidirectional bandwidth"), "both directions"),
    ("prices", "fault", changed("prices/acme/acme-rent.toml", '"on-demand"', '"purchase"'), "needs the amount"),
    ("prices", "fault", changed("prices/acme/acme-rent.toml", "2026-11-01", "last week"), "not a date"),
    ("ranges", "fault", changed(DEVICE, '"400 W"', '"400 kW"'), "outside"),
    ("ranges", "fault", changed(DEVICE, '"80 GB"', '"80 kB"'), "wrong prefix"),
    ("generations", "fault", changed("links/acme/fastlink-1.toml", "25 GB/s", "60 GB/s"), "its predecessor fastlink-1"),
]  # fmt: skip


def found(package: Package, check: str, changes: dict[str, str]) -> list[Finding]:
    return list(all_checks()[check](package(changes)))


@pytest.mark.parametrize("check", all_checks())
def test_a_sound_package_passes(package: Package, check: str) -> None:
    assert found(package, check, {}) == []


@pytest.mark.parametrize(
    ("check", "severity", "changes", "said"), FIRES, ids=[f"{c}-{i}" for i, (c, *_) in enumerate(FIRES)]
)
def test_a_fault_is_found(package: Package, check: str, severity: str, changes: dict[str, str], said: str) -> None:
    hits = [f for f in found(package, check, changes) if said in str(f)]
    assert [f.severity for f in hits[:1]] == [severity]
    assert hits[0].check == check
    assert re.fullmatch(r".+\.toml(:\d+)?(: [\w.]+)?", hits[0].place)


def test_a_machine_of_ones_own_passes(package: Package) -> None:
    url = FILES["sources/acme.toml"].partition('url = "')[2].partition('"')[0]
    own = changed("sources/acme.toml", url, "urn:mlsysim:measured:chip-1")
    assert found(package, "documents", own) == []
    faster = changed(DEVICE, f'"153.6 TFLOPS", {CLAIM}', f'"180 TFLOPS", {CLAIM}, kind = "measured"')
    assert found(package, "units-clock-peak", faster) == []


def test_every_check_has_a_case_that_fires() -> None:
    assert {check for check, *_ in FIRES} == set(all_checks())


def test_a_finding_names_the_line(package: Package) -> None:
    (finding,) = found(package, "bus-rate-bandwidth", changed(DEVICE, '"4 GT/s"', '"5 GT/s"'))
    line = FILES[DEVICE].splitlines().index("bandwidth = [") + 1
    assert finding.place.endswith(f"chip-1.toml:{line}: memory.bandwidth")


def test_a_second_claim_that_agrees_makes_a_failing_relation_a_dispute(package: Package) -> None:
    changes = changed(DEVICE, '"4 GT/s"', '"5 GT/s"')
    changes[DEVICE] = changes[DEVICE].replace('"2050 GB/s"', '"2560 GB/s"')
    (finding,) = found(package, "bus-rate-bandwidth", changes)
    assert finding.severity == "dispute"
    assert "other agrees" in finding.what


def test_an_estimate_whose_range_holds_the_computed_value_is_no_fault(package: Package) -> None:
    estimate = 'value = "150 TFLOPS", estimate = "a guess", low = "{low} TFLOPS", high = "170 TFLOPS" }}'
    old = f'value = "153.6 TFLOPS", {CLAIM} }}'
    changes = changed(DEVICE, '"1.5 GHz"', '"1.6 GHz"')
    wide = {DEVICE: changes[DEVICE].replace(old, estimate.format(low=140))}
    assert found(package, "units-clock-peak", wide) == []
    narrow = {DEVICE: wide[DEVICE].replace("170 TFLOPS", "151 TFLOPS")}
    assert len(found(package, "units-clock-peak", narrow)) == 1


def test_a_coarsely_printed_number_may_differ_by_its_last_digit(package: Package) -> None:
    coarse = {DEVICE: FILES[DEVICE].replace('"2.05 TB/s"', '"2 TB/s"').replace('"2050 GB/s"', '"2 TB/s"')}
    assert found(package, "bus-rate-bandwidth", coarse) == []


def test_lines_of_products_are_compared_in_order(package: Package) -> None:
    newer = (
        FILES[DEVICE]
        .replace('"80 GB"', '"64 GB"')
        .replace("Acme Chip 1", "Acme Chip 2")
        .replace('"chip one", "chip1"', "")
    )
    line = {"kind": "devices", "fields": ["memory.capacity"], "keys": ["chip-1", "chip-2", "unknown"]}
    (finding,) = generations(package({"devices/acme/chip-2.toml": newer}), [line])
    assert "64 GB is less than the 80 GB" in finding.what
    noted = newer.replace('"64 GB", source', '"64 GB", note = "a cheaper part", source')
    assert list(generations(package({"devices/acme/chip-2.toml": noted}), [line])) == []


def test_ranges_hold_for_their_tier_only(package: Package) -> None:
    row = {"kind": "devices", "field": "power.*", "low": "1 mW", "high": "1 W", "reason": "toy"}
    assert len(list(ranges(package(), [{**row, "tier": "cloud"}]))) == 1
    assert list(ranges(package(), [{**row, "tier": "tiny"}])) == []
    assert len(list(ranges(package(), [row]))) == 1


def test_what_somebody_measured_on_a_machine_is_noted_and_no_fault(package: Package) -> None:
    row = {"kind": "devices", "field": "power.*", "low": "1 mW", "high": "1 W", "reason": "toy"}
    own = FILES["sources/acme.toml"].replace("https://example.org/", "urn:mlsysim:measured:")
    assert [f.severity for f in ranges(package(), [row])] == ["fault"]
    assert [f.severity for f in ranges(package({"sources/acme.toml": own}), [row])] == ["note"]


def test_a_broken_file_is_one_fault_and_the_other_checks_go_on(package: Package) -> None:
    every = run(package({DEVICE: "name = ["}))
    assert {f.check for f in every if f.severity == "fault"} <= {"schema", "references"}
    assert any("chip-1.toml" in f.place and f.check == "schema" for f in every)


def test_faults_come_first(package: Package) -> None:
    changes: dict[str, Any] = {"sources/unused.toml": SOURCE.format(id="x", publisher="X", tier="primary")}
    changes |= changed(DEVICE, '"2050 GB/s"', '"1935 GB/s"') | changed(NODE, '"5 kW"', '"3 kW"')
    assert [f.severity for f in run(package(changes))] == ["fault", "dispute", "note"]
