"""The walls between the distributions: who may import whom."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli

OURS = {"mlsysim", "mlsysim_registry", "mlsysim_solvers"}
MAY_IMPORT = {
    "mlsysim": set(),
    "mlsysim_registry": {"mlsysim"},
    "mlsysim_solvers": {"mlsysim"},
}
"""Distributions that each one may import; a plugin may import the core and the registry's catalog."""

IMPORT_NAMES = {"pyyaml": {"yaml"}, "attrs": {"attr", "attrs"}}
"""Distributions whose import package has another name."""


def declared(project: Path) -> set[str]:
    """Return the packages that a distribution may import by what its pyproject.toml declares."""
    table = tomli.loads(project.read_text(encoding="utf-8"))["project"]
    wanted = [*table.get("dependencies", []), *(r for e in table.get("optional-dependencies", {}).values() for r in e)]
    names = {re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower() for requirement in wanted}  # type: ignore[index]
    return {package for name in names for package in IMPORT_NAMES.get(name, {name.replace("-", "_")})}


DOCTOR = ("mlsysim-core/src/mlsysim/cli/doctor_command.py", "mlsysim_registry.doctor")


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the full name of every imported module, also of those imported inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str))


def test_distributions_meet_only_through_hooks(modules: list[Any]) -> None:
    """`mlsysim doctor` alone may look, if it is there, at a check that must not import the core."""
    crossings = [
        f"{module.path} imports {name}"
        for module in modules
        for name in imported(module.tree)
        if (top := name.partition(".")[0]) in OURS
        and top != module.package
        and top not in MAY_IMPORT.get(module.package, {"mlsysim", "mlsysim_registry"})
        and (module.path, name) != DOCTOR
    ]
    assert crossings == []


def test_the_core_names_no_solver_and_no_data(modules: list[Any]) -> None:
    """The core may not know its fillings by name either, except to load built-in plugins first."""
    named = [
        f"{module.path}:{node.lineno} {node.value!r}"
        for module in modules
        if module.package == "mlsysim" and not module.path.endswith(("/plugins.py", "/doctor_command.py"))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and node.value.startswith(("mlsysim_solvers", "mlsysim_registry"))
    ]  # fmt: skip
    assert named == []


def test_third_parties_are_the_declared_ones(modules: list[Any], root: Path) -> None:
    """pytest is imported only inside the kit for plugin authors, which have it."""
    allowed = {folder.parent.name: declared(folder) for folder in root.glob("mlsysim-*/pyproject.toml")}
    allowed |= {f"plugins/{folder.parent.name}": declared(folder) for folder in root.glob("plugins/*/pyproject.toml")}
    strangers = [
        f"{module.path} imports {name}"
        for module in modules
        for name in imported(module.tree)
        if (top := name.partition(".")[0])
        and top not in sys.stdlib_module_names
        and top not in OURS | {module.package}
        and top not in allowed[module.path.partition("/src/")[0]]
        and not (top == "pytest" and "/testing/" in module.path)
    ]
    assert strangers == []


def test_relative_imports_stay_inside(modules: list[Any]) -> None:
    outside = [
        f"{module.path}:{node.lineno}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level > len(module.path.split("src/")[1].split("/")) - 1
    ]
    assert outside == []
