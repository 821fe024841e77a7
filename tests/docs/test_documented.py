"""Everything a user can name is documented, and the documentation names nothing that does not exist."""

from __future__ import annotations

import argparse
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import mlsysim
import mlsysim_registry
import mlsysim_solvers
from mlsysim import errors, hookspecs, registry
from mlsysim.cli import build_parser
from mlsysim.evaluation import LEVELS
from mlsysim.formula import DECLARED
from mlsysim.plugins import plugins
from mlsysim.records import KINDS
from mlsysim.units import UNIT_TABLE

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*/*.md"))]
WRITTEN = [page for page in PAGES if "catalog" not in page.parts]


def commands() -> list[str]:
    """Return the full name of every command and subcommand."""
    found: list[str] = []
    pending: list[argparse.ArgumentParser] = [build_parser()]
    while pending:
        parser = pending.pop()
        found.append(parser.prog)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                pending += action.choices.values()
    return sorted(found)


def test_every_hook_with_its_signature(reference: dict[str, str]) -> None:
    for name, hook in vars(hookspecs).items():
        if name.startswith("mlsysim_"):
            assert f"{name}{inspect.signature(hook)}" in reference["reference/hooks.md"]
            assert "Returns" in hook.__doc__ or "Parameters" in hook.__doc__, name


def test_every_solver_with_its_outputs_and_settings(reference: dict[str, str]) -> None:
    page = reference["reference/solvers.md"]
    for spec in plugins().solvers.values():
        assert f"## `{spec.name}`" in page
        for name in (*spec.outputs, *spec.settings, *spec.columns):
            assert f"`{name}`" in page, f"{spec.name}: {name}"
        assert all(output.partition(".")[0] in LEVELS for output in spec.outputs)


def test_every_command(reference: dict[str, str]) -> None:
    found = commands()
    assert {"mlsysim eval", "mlsysim explain", "mlsysim show", "mlsysim list", "mlsysim plugins"} <= set(found)
    for name in found:
        assert f"## `{name}`" in reference["reference/cli.md"]


def test_every_unit(reference: dict[str, str]) -> None:
    for row in UNIT_TABLE:
        assert f"| `{row.symbol}` |" in reference["reference/units.md"]


def test_every_error_class(reference: dict[str, str]) -> None:
    for name in errors.__all__:
        thing = getattr(errors, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            assert f"| `{name}` |" in reference["reference/errors.md"]


def test_every_formula(reference: dict[str, str]) -> None:
    page = reference["reference/formulas.md"]
    for function in DECLARED.values():
        if function.__module__.startswith(("mlsysim_solvers.", "mlsysim_buyrent.")):
            assert f"### `{function.__name__}`" in page


def test_every_public_name(reference: dict[str, str]) -> None:
    for name in mlsysim.__all__:
        assert f"| `{name}` |" in reference["reference/python.md"]


@pytest.mark.parametrize("package", [mlsysim, mlsysim_registry, mlsysim_solvers], ids=lambda package: package.__name__)
def test_every_room_is_on_the_map(package: ModuleType) -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rooms = {info.name for info in pkgutil.iter_modules(package.__path__)}
    assert {name for name in rooms if f"`{name}`" not in page and f"`{name}/" not in page} == set()


def test_every_kind_of_record(reference: dict[str, str]) -> None:
    for kind in KINDS:
        assert f"## {kind}" in reference["reference/records.md"]


def test_every_entity_with_its_numbers(catalog: dict[str, str]) -> None:
    for kind in registry().kinds():
        for entry in registry().entries(kind):
            page = catalog.get(f"{kind}/{entry.key}.md") or catalog[f"{kind}/index.md"]
            assert all(f"`{field}`" in page for field in entry.claims)
            assert entry.key in page


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_commands_in_prose_exist(page: Path) -> None:
    known = {name.removeprefix("mlsysim ").split()[0] for name in commands()} | {"SCENARIO"}
    text = page.read_text(encoding="utf-8")
    for used in re.findall(r"`mlsysim ([a-z]+)", text):
        assert used in known, f"{page.name} speaks of `mlsysim {used}`"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path, reference: dict[str, str], catalog: dict[str, str]) -> None:
    generated = {ROOT / "docs" / "catalog" / name for name in (*reference, *catalog)}
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve()
        assert path.exists() or path in generated, f"{page.name} links to {target}"
