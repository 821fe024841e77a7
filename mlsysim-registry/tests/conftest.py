"""A small data package that every test can break in its own way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlsysim.entities import Registry
from mlsysim_registry.catalog import Catalog

SOURCE = """\
title = "Acme {id} datasheet"
publisher = "{publisher}"
url = "https://example.org/{id}"
kind = "datasheet"
tier = "{tier}"
retrieved = "2026-11-20"
"""

CLAIM = 'source = "acme", at = "table 1"'

FILES = {
    "sources/acme.toml": SOURCE.format(id="acme", publisher="Acme", tier="primary"),
    "sources/other.toml": SOURCE.format(id="other", publisher="Other Press", tier="secondary"),
    "links/acme/fastlink-1.toml": f'name = "Fastlink 1"\nbandwidth = {{ value = "25 GB/s", {CLAIM} }}\n',
    "links/acme/fastlink-2.toml": (
        'name = "Fastlink 2"\nbandwidth = { value = "50 GB/s", source = "acme", at = "table 1: total 900 GB/s", '
        'derived = "900 GB/s over 9 links, both directions added" }\n'
    ),
    "devices/acme/chip-1.toml": f"""\
name = "Acme Chip 1"
vendor = "Acme"
tier = "cloud"
aliases = ["chip one", "chip1"]

[compute]
processors = {{ value = 100, {CLAIM} }}
clock = {{ value = "1.5 GHz", {CLAIM} }}

[compute.peak.fp16]
dense = {{ value = "153.6 TFLOPS", {CLAIM} }}
sparse = {{ value = "307.2 TFLOPS", {CLAIM} }}
achieved = {{ value = "120 TFLOPS", {CLAIM}, kind = "measured" }}
engine = "matrix"

[memory]
kind = "HBM2"
capacity = {{ value = "80 GB", {CLAIM} }}
bandwidth = [
    {{ value = "2.05 TB/s", {CLAIM} }},
    {{ value = "2050 GB/s", source = "other", at = "row 3" }},
]
bus = {{ value = "4096 bit", {CLAIM} }}
rate = {{ value = "4 GT/s", {CLAIM} }}

[power]
tdp = {{ value = "400 W", {CLAIM} }}

[[ports]]
link = "fastlink-2"
count = {{ value = 9, {CLAIM} }}
""",
    "nodes/acme/box-8.toml": f"""\
name = "Acme Box"
device = "chip-1"
devices = {{ value = 8, {CLAIM} }}
inner = "fastlink-2"
inner_links = {{ value = 9, {CLAIM} }}
domain = {{ value = 8, {CLAIM} }}
power = {{ value = "5 kW", {CLAIM} }}
""",
    "models/acme/toy.toml": f"""\
name = "Toy"
lab = "Acme"
parameters = {{ value = 1171584, {CLAIM} }}

[transformer]
source = "acme"
at = "config"
layers = 4
hidden = 128
heads = 4
kv_heads = 2
head_dim = 32
ffn = 384
vocab = 1500
context = 512
""",
    "models/acme/net.toml": f"""\
name = "Net"
lab = "Acme"
parameters = {{ value = 1110, {CLAIM} }}
work = {{ value = "0.1112 MMAC/sample", {CLAIM} }}

[network]
source = "acme"
at = "listing"
height = 16
width = 16
channels = 3
layers = [
    {{ op = "conv", out = 16, kernel = 3 }},
    {{ op = "global_pool" }},
    {{ op = "dense", out = 38, bias = true, norm = false }},
]
""",
    "prices/acme/acme-rent.toml": f"""\
name = "Acme cloud chip"
provider = "Acme"
date = "2026-11-01"
term = "on-demand"
device = "chip-1"
devices = {{ value = 1, {CLAIM} }}
rate = {{ value = "2 USD/h", {CLAIM} }}
""",
    "scenarios/ask.toml": """\
name = "Ask"
kind = "serving"

[workload]
model = "toy"
precision = "fp16"

[system]
device = "chip1"
""",
}
"""A package without a fault."""

Package = Callable[..., Registry]


@pytest.fixture(autouse=True)
def _fixed_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSYSIM_TODAY", "2026-11-24")


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """Write the package with some files changed or added, and return it as a registry."""

    def write(changes: dict[str, str] | None = None, **edits: tuple[str, str]) -> Registry:
        files = {**FILES, **(changes or {})}
        for stem, (old, new) in edits.items():
            name = next(n for n in files if n.endswith(f"/{stem.replace('_', '-')}.toml"))
            assert old in files[name], f"{old!r} is not in {name}"
            files[name] = files[name].replace(old, new)
        for name, text in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Registry([Catalog("toy", tmp_path / "data")])

    return write
