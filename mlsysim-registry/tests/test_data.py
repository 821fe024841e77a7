"""The packaged data: every file loads, every check passes, every file is in canonical form."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from csv import DictReader
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from mlsysim.entities import Registry
from mlsysim.provenance import Level
from mlsysim.records import KINDS, Scenario
from mlsysim.shapes.layers import expand, network_work
from mlsysim.structure import _Reader
from mlsysim.structure.converting import converter
from mlsysim_registry.canonical import canonical
from mlsysim_registry.catalog import DATA, Catalog
from mlsysim_registry.checks import Finding, run
from mlsysim_registry.checks.generations import _lines
from mlsysim_registry.checks.ranges import _bounds, _table
from mlsysim_registry.describe import fields_of, parts
from mlsysim_registry.provenance_map import ProvenanceMap
from mlsysim_registry.template import _inner

CATALOG = Catalog("packaged", DATA)
REGISTRY = Registry([CATALOG])
FILES = [(kind, path) for kind in KINDS for paths in CATALOG.files(kind).values() for path in paths]
FILES += [("sources", path) for path in CATALOG.sources.files.values()]
NAMES = [str(Path(path).relative_to(DATA)) for _, path in FILES]
SAMPLE = [*(f for f in FILES if f[0] not in ("grids", "sources"))][::4] + FILES[::40]
"""Reading a file with all its comments is slow: the form is tested on a part of them."""


@lru_cache(maxsize=1)
def findings() -> dict[str, list[Finding]]:
    """Faults and disputes by file."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in run(REGISTRY):
        found[finding.place[: finding.place.rfind(".toml") + len(".toml")]].append(finding)
    return found


@pytest.mark.parametrize(("kind", "path"), FILES, ids=NAMES)
def test_a_file_has_no_fault(kind: str, path: str) -> None:
    key = Path(path).stem
    if kind == "sources":
        CATALOG.sources.read(key)
    else:
        CATALOG.entry(kind, key)
    assert [str(f) for f in findings()[path] if f.severity == "fault"] == []


def test_reading_straight_is_converting() -> None:
    """A record made while its file is read is the one that the converter makes of the same data."""
    for kind, cls in KINDS.items():
        for key in CATALOG.keys(kind):
            document = CATALOG.document(kind, key)
            sourced = cls is not Scenario
            reader = _Reader(document, sourced=sourced, sources=CATALOG.sources if sourced else {}, direct=False)
            made: Any = converter.structure(reader.table(cls, document.data, "", {}), cls)
            entry = CATALOG.entry(kind, key)
            assert (made, reader.claims) == (entry.record, entry.claims), (kind, key)
            assert repr(made) == repr(entry.record), "1 is not 1.0"


def test_every_finding_belongs_to_a_file() -> None:
    assert set(findings()) <= {path for _, path in FILES}


@pytest.mark.parametrize(("kind", "path"), SAMPLE, ids=lambda value: Path(value).stem)
def test_the_canonical_form_loses_nothing_and_is_stable(kind: str, path: str) -> None:
    once = canonical(Path(path).read_text(encoding="utf-8"), kind, path)  # refuses to lose data or comments
    assert canonical(once, kind, path) == once


def test_every_number_has_a_document_and_a_place_or_says_that_it_is_an_estimate() -> None:
    known = ProvenanceMap.of(REGISTRY)
    assert len(known) > 500
    for item in known.values():
        for claim in item.claims:
            if claim.kind == "estimate":
                assert claim.reason
                assert claim.low is not None
                assert claim.high is not None
                assert claim.low <= claim.value <= claim.high
            else:
                assert claim.at
                assert item.sources[claim.source].url.startswith("http")


def test_no_document_corroborates_itself() -> None:
    for item in ProvenanceMap.of(REGISTRY).values():
        backed = item.field in REGISTRY.get(*item.entity.split("/", 1)).cross_checked
        publishers = {item.sources[c.source].publisher for c in item.claims if c.source}
        if item.level >= Level.CORROBORATED and not backed:
            assert len(publishers) > 1, item


def test_measurements_are_tables_outside_the_kinds() -> None:
    assert not set(CATALOG.tables("measurements")) & set(CATALOG.kinds())


def test_no_measurement_is_counted_twice() -> None:
    """No row repeats another, and no two runs of a server have the same two times to ten digits."""
    for name, path in CATALOG.tables("measurements").items():
        if path.suffix != ".csv":
            continue
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(DictReader(lines))
        times = [k for k in rows[0] if k.startswith("silicon_")]
        found = Counter(
            tuple(f"{float(row[k]):.10g}" for k in times) if times else tuple(row[k] for k in row if k != "id")
            for row in rows
        )
        assert [row for row, count in found.items() if count > 1] == [], name


def test_a_name_that_states_a_context_leads_to_a_card_that_has_it() -> None:
    """An edition for more tokens has a card of its own: under the name of the shorter one it would be refused them."""
    for key in CATALOG.keys("models"):
        record = CATALOG.entry("models", key).record
        for name in (key, *record.aliases):
            stated = re.search(r"(?<=[-_])(\d+)k(?![0-9a-z])", name.lower())
            if stated and record.transformer is not None:
                assert record.transformer.context == pytest.approx(1024 * int(stated[1]), rel=0.05), (key, name)


def test_the_lines_of_products_name_devices_that_exist_and_fields_that_they_have() -> None:
    for line in _lines():
        assert len(line["keys"]) > 1
        for key in line["keys"]:
            claims = REGISTRY.get(line["kind"], key).claims
            assert any(field in claims for field in line["fields"]), key


def test_every_range_has_a_reason_and_names_a_number_of_its_kind() -> None:
    for row in _table():
        assert row["reason"]
        low, high = _bounds(row["low"], row["high"], _numbers(KINDS[row["kind"]])[row["field"]])
        assert low < high


def _numbers(cls: type) -> dict[str, str]:
    """Units of all facts of a record by field, with ``*`` for the keys of a dictionary."""
    found: dict[str, str] = {}
    for name, field in fields_of(cls).items():
        inner = _inner(field)
        if "unit" in field.metadata:
            found[name] = field.metadata["unit"]
        elif inner is not None and inner is not cls:
            step = f"{name}.*" if parts(field.type)[0] in (dict, tuple) else name
            found |= {f"{step}.{path}": unit for path, unit in _numbers(inner).items()}
    return found


PARTS = {
    # taesd (madebyollin), README.md, comparison table: parameters in the decoder of the SD VAE.
    "image decoder": (49_490_179, None),
    # Stable Diffusion, README.md: "123M text encoder"; OpenCLIP, docs/model_profile.csv, text_mparams and text_gflops
    # (123.65 with a projection of 768 x 768 that the image models do not use).
    "text encoder (CLIP ViT-L/14)": (123.65e6 - 768 * 768, 13.3e9),
    "text encoder (OpenCLIP ViT-bigG/14)": (694.66e6, 97.86e9),
}


@pytest.mark.parametrize("model", ["stable-diffusion-1.5", "sdxl-base"])
def test_parts_of_image_models_have_their_published_size_and_work(model: str) -> None:
    network = REGISTRY.get("models", model).record.network
    assert {part.name for part in network.parts} >= {"image decoder", "text encoder (CLIP ViT-L/14)"}
    for part in network.parts:
        count, flops = PARTS[part.name]
        assert sum(op.parameters for op in expand(part)) == pytest.approx(count, rel=1e-4)
        assert part.guided == (flops is not None)
        if flops is not None:
            assert 2.0 * network_work(part) == pytest.approx(flops, rel=1e-3)


PRINTED = {
    # To the last parameter, or to the last digit printed; work in FLOP per sample.
    "alexnet": (61_100_840, 0.714e9 * 2), "shufflenet-v2-0.5": (1_366_792, 0.04e9 * 2),
    "shufflenet-v2-1.0": (2_278_604, 0.145e9 * 2), "shufflenet-v2-1.5": (3_503_624, 0.296e9 * 2),
    "shufflenet-v2-2.0": (7_393_996, 0.583e9 * 2), "mobilenet-v2-0.35-144": (0.75e6, 23.5e6 * 2),
    "yolov10n": (2.3e6, 6.7e9), "yolov10b": (19.1e6, 92.0e9), "yolov10x": (29.5e6, 160.4e9),
    "rt-detr-r18": (20e6, 60e9), "rt-detr-r50": (42e6, 136e9), "ssd-mobilenet-v2": (16.818e6, 3.775e9),
    "flux.2-dev": (32e9, None), "stable-diffusion-3.5-large": (8.1e9, None),
}  # fmt: skip


@pytest.mark.parametrize("model", PRINTED)
def test_networks_have_the_parameters_and_the_work_that_are_printed(model: str) -> None:
    network = REGISTRY.get("models", model).record.network
    count, flops = PRINTED[model]
    found = sum(op.parameters for op in expand(network))
    assert found == count if isinstance(count, int) else found == pytest.approx(count, rel=0.01)
    assert flops is None or 2.0 * network_work(network) == pytest.approx(flops, rel=0.02)


def test_no_device_is_assumed_to_run_the_runtime_of_another_maker() -> None:
    bound = {"AWS", "Hailo", "NVIDIA", "STMicroelectronics"}  # their runtimes run on devices of their own only
    tiers = {entry.record.tier for entry in REGISTRY.readable("devices")}
    for stack in REGISTRY.readable("stacks"):
        for place in stack.record.assumed_for if stack.record.vendor in bound else ():
            named = place.partition("/")[2]
            assert named, f"{stack.key} is assumed for all devices"
            assert named not in tiers, f"{stack.key} is assumed for all {named} devices"
            if named in REGISTRY.keys("devices"):
                assert REGISTRY.get("devices", named).record.vendor == stack.record.vendor
            else:
                assert named == stack.record.vendor
