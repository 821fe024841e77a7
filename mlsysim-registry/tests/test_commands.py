"""``mlsysim registry ...``, as a user types it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import pytest
import tomli

from mlsysim.cli import main
from mlsysim.documents import Document
from mlsysim.entities import Registry
from mlsysim.provenance import Source
from mlsysim.records import KINDS, Scenario
from mlsysim.structure import read_facts, read_settings
from mlsysim.structure.converting import converter
from mlsysim_registry import plugin
from mlsysim_registry.commands.export_command import COLUMNS
from mlsysim_registry.schema import all_schemas, schema_of
from mlsysim_registry.template import template

from .conftest import FILES, Package

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def toy(package: Package, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The toy package as the only installed data."""
    registry = package()
    monkeypatch.setattr("mlsysim.front.registry", lambda: registry)
    return registry


def installed(package: Package, monkeypatch: pytest.MonkeyPatch, **edits: tuple[str, str]) -> None:
    registry = package(**edits)
    monkeypatch.setattr("mlsysim.front.registry", lambda: registry)


# --- check ----------------------------------------------------------------------------------------


def test_check_says_that_all_is_well(toy: Registry, capsys: Capture) -> None:
    assert main(["registry", "check"]) == 0
    assert capsys.readouterr().out == f"{len(FILES) - 2} files: 0 faults, 0 disputes, 0 notes\n"


def test_check_exits_with_2_and_names_the_line(
    package: Package, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    installed(package, monkeypatch, chip_1=('"4 GT/s"', '"5 GT/s"'))
    assert main(["registry", "check"]) == 2
    out = capsys.readouterr().out
    assert "chip-1.toml:19: memory.bandwidth: fault [bus-rate-bandwidth]" in out
    assert "1 faults" in out


def test_check_of_one_file_is_silent_about_the_others(
    package: Package, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    installed(package, monkeypatch, chip_1=('"4 GT/s"', '"5 GT/s"'))
    assert main(["registry", "check", str(tmp_path / "data/links/acme/fastlink-1.toml")]) == 0
    assert main(["registry", "check", str(tmp_path / "data/devices/acme/chip-1.toml")]) == 2
    assert main(["registry", "check", "--format", "json", str(tmp_path / "data/devices/acme/chip-1.toml")]) == 2
    assert json.loads(capsys.readouterr().out.split("notes\n")[-1])[0]["check"] == "bus-rate-bandwidth"


def test_disputes_are_printed_and_do_not_fail(
    package: Package, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    installed(package, monkeypatch, chip_1=('"2050 GB/s"', '"1935 GB/s"'))
    assert main(["registry", "check"]) == 0
    assert "dispute [disputes]" in capsys.readouterr().out


def test_check_of_a_file_outside_of_any_package_knows_the_packaged_documents(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "mine/links/own/mylink.toml"
    file.parent.mkdir(parents=True)
    file.write_text('name = "Mine"\nbandwidth = { value = "1 GB/s", source = "nowhere", at = "x" }\n', encoding="utf-8")
    assert main(["registry", "check", str(file)]) == 2
    assert "no document is called 'nowhere'" in capsys.readouterr().out
    (tmp_path / "mine/sources").mkdir()
    (tmp_path / "mine/sources/nowhere.toml").write_text(FILES["sources/acme.toml"], encoding="utf-8")
    assert main(["registry", "check", str(file)]) == 0


@pytest.mark.parametrize("name", ["none.toml", "loose.toml"])
def test_check_refuses_what_it_cannot_place(tmp_path: Path, name: str, capsys: Capture) -> None:
    (tmp_path / "loose.toml").write_text("", encoding="utf-8")
    assert main(["registry", "check", str(tmp_path / name)]) == 2
    assert "error:" in capsys.readouterr().err


# --- stats and export -----------------------------------------------------------------------------


def test_stats_counts_by_kind_and_level(toy: Registry, capsys: Capture) -> None:
    assert main(["registry", "stats", "--format", "json"]) == 0
    rows = {row["kind"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["devices"]["entities"] == 1
    assert rows["devices"]["numbers"] == sum(
        rows["devices"][k] for k in ("estimate", "stated", "corroborated", "measured")
    )
    assert main(["registry", "stats"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["kind", "entities", "numbers"]
    assert lines[-1].startswith("all ")


def test_export_has_one_row_per_number_in_si(toy: Registry, capsys: Capture) -> None:
    assert main(["registry", "export"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == sum(len(e.claims) for kind in toy.kinds() for e in toy.entries(kind))
    by_field = {(r["key"], r["field"]): r for r in rows}
    peak = by_field["chip-1", "compute.peak.fp16.dense"]
    assert float(peak["value_si"]) == pytest.approx(153.6e12)
    assert (peak["unit"], peak["as_stated"], peak["locator"]) == ("FLOP/s", "153.6 TFLOPS", "table 1")
    assert peak["condition"] == "precision=fp16;engine=matrix"
    assert peak["aliases"] == "chip one;chip1"
    assert (peak["level"], peak["status"], peak["source_title"]) == ("corroborated", "verified", "Acme acme datasheet")
    bus = by_field["chip-1", "memory.bus"]
    assert (float(bus["value_si"]), bus["unit"]) == (512.0, "B")
    rent = by_field["acme-rent", "rate"]
    assert (float(rent["value_si"]), rent["unit"]) == (pytest.approx(2 / 3600), "USD/s")
    assert "term=on-demand;date=2026-11-01" in rent["condition"]


def test_export_of_one_kind_as_json_into_a_file(toy: Registry, tmp_path: Path) -> None:
    file = tmp_path / "links.json"
    assert main(["registry", "export", "link", "--format", "json", "--output", str(file)]) == 0
    assert {row["kind"] for row in json.loads(file.read_text(encoding="utf-8"))} == {"links"}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["export", "gadgets"], "no kind 'gadgets'"), (["export", "--output", "/no/such/folder/x.csv"], "cannot be written"),
     (["export", "--format", "parquet"], "parquet is not text"), (["schema", "gadget"], "no kind"),
     (["new", "gadget"], "no kind"), (["new", "device", "Big Chip"], "is not allowed"),
     (["new", "device", "chip", "--maker", "../.."], "is not allowed"), (["fmt", "x.toml"], "no such file"),
     (["fmt", __file__], "no folder of a kind")],
)  # fmt: skip
def test_mistakes_are_refused_with_a_remedy(toy: Registry, words: list[str], said: str, capsys: Capture) -> None:
    assert main(["registry", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_parquet_without_pyarrow_says_what_to_install(
    toy: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["registry", "export", "--format", "parquet", "--output", str(tmp_path / "x.parquet")]) == 2
    assert "pip install pyarrow" in capsys.readouterr().err


# --- new, schema, fmt -----------------------------------------------------------------------------


def _filled(kind: str) -> str:
    """Fill every placeholder of a template and take the mark from every optional line."""
    lines, unit = [], ""
    for line in template(kind).replace("#: ", "").splitlines():
        if line.startswith("# "):
            unit = found[1] if (found := re.search(r"\[(.+)\]$", line)) else unit
        name = line.split(" = ")[0]
        text = "2026-11-22" if name in ("retrieved", "published") else "text"
        value = "1" if unit == "count or ratio" else f"1 {unit}"
        filled = line.replace('value = "..."', f'value = "{value}"').replace('source = "..."', 'source = "acme"')
        lines.append(filled.replace('at = "..."', 'at = "p. 1"').replace('"..."', f'"{text}"'))
    return "\n".join(lines)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("stacks", "scenarios", "models")])
def test_a_template_passes_the_schema_once_filled_in(kind: str) -> None:
    text = _filled(kind)
    record, claims = read_facts(KINDS[kind], Document("t.toml", tomli.loads(text), text))
    assert record.name == "text"
    assert claims or kind == "fleets"


@pytest.mark.parametrize("kind", ["stacks", "models", "scenarios", "sources"])
def test_every_template_is_toml_and_its_lines_are_fields(kind: str) -> None:
    data = tomli.loads(template(kind))
    allowed = set(schema_of(kind)["properties"])
    assert set(data) <= allowed
    assert set(schema_of(kind)["required"]) <= set(data)


def test_a_filled_description_of_a_document_is_accepted() -> None:
    data = tomli.loads(_filled("sources"))
    assert converter.structure({**data, "id": "x"}, Source).tier == "primary"


def test_a_filled_scenario_is_accepted() -> None:
    text = template("scenarios").replace('"..."', '"1"')
    data = {k: v for k, v in tomli.loads(text).items() if k in ("name", "kind", "workload", "system")}
    assert read_settings(Scenario, Document("s.toml", data)).kind == "serving"


def test_new_writes_a_file_once(tmp_path: Path, capsys: Capture) -> None:
    words = ["registry", "new", "device", "my-chip", "--maker", "me", "--folder", str(tmp_path)]
    assert main(words) == 0
    file = tmp_path / "devices/me/my-chip.toml"
    assert file.read_text(encoding="utf-8") == template("devices")
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["registry", "new", "battery"]) == 0
    assert capsys.readouterr().out == template("batteries")


def _accepts(schema: dict[str, object], value: object, defs: dict[str, object]) -> bool:
    """Check the few keywords that the schemas use."""
    s: dict[str, object] = defs[str(schema["$ref"]).rsplit("/", 1)[-1]] if "$ref" in schema else schema  # type: ignore[assignment]
    if "anyOf" in s:
        return any(_accepts(option, value, defs) for option in s["anyOf"])  # type: ignore[attr-defined]
    if "enum" in s and value not in s["enum"]:  # type: ignore[operator]
        return False
    types = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "object": dict, "array": list}
    wanted = s.get("type", [])
    names = [wanted] if isinstance(wanted, str) else wanted
    if names and not any(isinstance(value, types[n]) for n in names):  # type: ignore[attr-defined,index]
        return False
    if isinstance(value, dict):
        properties = s.get("properties", {})
        rest = s.get("additionalProperties", {})
        return all(n in value for n in s.get("required", ())) and all(  # type: ignore[attr-defined]
            _accepts(properties[k], v, defs) if k in properties else rest is not False and _accepts(rest, v, defs)  # type: ignore[operator,index,arg-type]
            for k, v in value.items()
        )
    if isinstance(value, list) and "items" in s:
        return all(_accepts(s["items"], item, defs) for item in value)  # type: ignore[arg-type]
    return True


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_schema_accepts_what_the_registry_accepts(name: str) -> None:
    schema = schema_of(name.split("/", maxsplit=1)[0])
    data = tomli.loads(FILES[name])
    assert _accepts(schema, data, schema["$defs"])
    assert not _accepts(schema, {**data, "colour": "red"}, schema["$defs"])
    assert not _accepts(schema, {k: v for k, v in data.items() if k not in ("name", "title")}, schema["$defs"])


def test_schemas_are_json_and_cover_every_kind(capsys: Capture) -> None:
    assert main(["registry", "schema"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {*KINDS, "sources"} == set(all_schemas())
    assert main(["registry", "schema", "device"]) == 0
    device = json.loads(capsys.readouterr().out)
    assert device["properties"]["memory"]["properties"]["bandwidth"]["description"] == "Peak transfer rate."


def test_fmt_rewrites_reports_and_leaves_faulty_files_alone(package: Package, tmp_path: Path, capsys: Capture) -> None:
    package({"links/messy.toml": "generation='1' # first\nname='x'\n", "links/faulty.toml": "]"})
    messy, faulty = (str(tmp_path / "data/links" / f"{n}.toml") for n in ("messy", "faulty"))
    assert main(["registry", "fmt", "--check", messy]) == 1
    assert main(["registry", "fmt", messy]) == 0
    assert Path(messy).read_text(encoding="utf-8") == 'name = "x"\ngeneration = "1"  # first\n'
    assert main(["registry", "fmt", "--check", messy]) == 0
    capsys.readouterr()
    assert main(["registry", "fmt", faulty]) == 2
    assert "faulty.toml" in capsys.readouterr().out
    assert Path(faulty).read_text(encoding="utf-8") == "]"


def test_the_plugin_offers_the_packaged_data() -> None:
    (catalog,) = plugin.mlsysim_register_sources()
    assert catalog.name == "mlsysim-registry"
    assert "h100-sxm" in catalog.keys("devices")
