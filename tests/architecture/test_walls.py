"""The walls between the distributions: who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Any

OURS = {"mlsysim", "mlsysim_registry", "mlsysim_solvers"}
MAY_IMPORT = {
    "mlsysim": set(),
    "mlsysim_registry": {"mlsysim"},
    "mlsysim_solvers": {"mlsysim"},
}
"""Distributions that each one may import; a plugin may import the core and the registry's catalog."""

THIRD_PARTY = {
    "mlsysim": {"attr", "attrs", "cattrs", "matplotlib", "numpy", "pint", "pluggy", "shtab", "tomli", "yaml"},
    "mlsysim_registry": {"attrs", "requests"},
    "mlsysim_solvers": {"attrs", "numpy"},
}
"""What each distribution declares and may import; pytest only inside the kit for plugin authors."""

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


def test_third_parties_are_the_declared_ones(modules: list[Any]) -> None:
    strangers = [
        f"{module.path} imports {name}"
        for module in modules
        if module.package in THIRD_PARTY
        for name in imported(module.tree)
        if (top := name.partition(".")[0])
        and top not in sys.stdlib_module_names
        and top not in OURS
        and top not in THIRD_PARTY[module.package]
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
