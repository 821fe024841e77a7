"""The table of names speaks of sets, models, devices and stacks that exist, and the code of none of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

import mlsysim_solvers
from mlsysim.documents import load_document
from mlsysim.plugins import plugins
from mlsysim_solvers.validation.mapping.recipes import Recipe
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.tables import outside_rows, packaged_rows, packaged_tables

HUGGING_FACE_TYPES = {"gpt2"}
"""Values of ``model_type`` in a config.json, one of which is also called as a model of the registry."""


@pytest.fixture(scope="module")
def data() -> Any:
    return load_document(packaged_tables()["names"]).data


@pytest.fixture(scope="module")
def sets() -> set[str]:
    return {row.set for row in (*packaged_rows(), *outside_rows())}


def test_each_beginning_of_a_set_is_one(sets):
    said = attrs.asdict(names().runs.sets)
    assert all(said.values())
    assert [start for starts in said.values() for start in starts if not any(s.startswith(start) for s in sets)] == []


def test_each_rented_machine_holds_a_device_and_cites_what_says_so(data):
    registry = plugins().registry
    cited = {name for package in registry.packages for name in package.sources}
    for one in data["instances"]:
        assert one["device"] in registry.keys("devices"), one
        assert one["source"] in cited, one
        assert one["at"], one
        re.compile(one["name"])


def test_what_is_said_of_runs_names_what_the_registry_has(data):
    registry = plugins().registry
    models = [key for keys in data["model_runs"].values() for key in keys]
    models += [one["model"] for one in data["narrow_caches"]]
    assert set(models) <= set(registry.keys("models"))
    assert {one["device"] for one in data["narrow_caches"]} <= set(registry.keys("devices"))
    assert {key for pair in data["language_engines"].items() for key in pair} <= set(registry.keys("stacks"))


def test_each_script_of_a_server_started_a_row_and_says_what_is_read():
    data = load_document(packaged_tables()["serving_scripts"]).data
    read = {field.name for field in attrs.fields(Recipe)} | {
        "prompts", "beside_clients", "beside_places", "multiple", "least", "requests_per_client", "requests_most",
        "shortest",
    }  # fmt: skip
    servers = [row for row in packaged_rows() if row.table == "serving_silicon"]
    for benchmark in data.values():
        for one in benchmark["scripts"]:
            assert set(one["says"]) <= read, one
            backend = {"backend": one.get("rows", {}).get("backend", ""), **_cells(one.get("rows", {}))}
            assert any(_fits(row, backend) for row in servers), one


def _cells(rows: Any) -> dict[str, str]:
    """Return the conditions on text cells, by the cell that holds them."""
    names = {"model": "model_path", "system": "system", "precision": "precision", "prompt": "isl", "output": "osl"}
    return {names[name]: str(value) for name, value in rows.items() if name in names}


def _fits(row: Any, cells: dict[str, str]) -> bool:
    return all(text in row.configuration.get(name, "") for name, text in cells.items())


def test_no_solver_names_an_entity_or_a_set(sets):
    """Whatever holds for one model, device, stack or set of measurements is data, where its source stands beside it."""
    registry = plugins().registry
    keys = sets.union(*(registry.keys(kind) for kind in ("devices", "models", "stacks", "datasets", "nodes")))
    found = [
        f"{path.name}:{node.lineno}: {node.value!r}"
        for path in Path(mlsysim_solvers.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in keys - HUGGING_FACE_TYPES
    ]
    assert found == []
