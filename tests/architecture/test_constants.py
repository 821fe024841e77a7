"""No uncited number in the physics: a constant is a record, a setting, or documented with its reference."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

LARGEST = 12
"""Whole numbers up to here follow from an equation (three matrices, twelve bytes of Adam)."""

STATISTICS = ("calibration", "validation")
PICTURES = ("step_pictures.py",)
"""Sizes of a picture are no physics."""


def numbers(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the numbers in a module, without those of documented constants and of cache sizes."""
    exempt: set[int] = set()
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and documented:
            exempt |= {id(inner) for inner in ast.walk(node)}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("cache"):
            exempt |= {id(inner) for inner in ast.walk(call)}
    for number in ast.walk(tree):
        if isinstance(number, ast.Constant) and type(number.value) in (int, float) and id(number) not in exempt:
            yield number


def is_small(value: float) -> bool:
    """Whether a number may stand in an equation as it is: a small whole number, or a half."""
    return value == 0.5 or (value == int(value) and abs(value) <= LARGEST)


def test_solver_code_holds_no_uncited_number(modules: list[Any]) -> None:
    """Fitting and judging are statistics; what they find stands in the stacks, with its source."""
    found = [
        f"{module.path}:{node.lineno}: {node.value!r}"
        for module in modules
        if module.package == "mlsysim_solvers"
        and not any(f"/{part}/" in module.path for part in STATISTICS)
        and not module.path.endswith(PICTURES)
        for node in numbers(module.tree)
        if not is_small(node.value)  # type: ignore[arg-type]
    ]
    assert found == []


def test_every_constant_says_where_it_is_from(modules: list[Any]) -> None:
    """Each one has a docstring; a number above the small ones names a document, a rule or its range."""
    module = next(m for m in modules if m.path.endswith("formulas/constants.py"))
    body = [node for node in module.tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]
    undocumented = []
    for node, following in zip(body, [*body[1:], None], strict=True):
        names = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        if not names or names == ["__all__"]:
            continue
        text = (
            following.value.value
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            else ""
        )
        if not isinstance(text, str) or len(text) < 20:
            undocumented += names
    assert undocumented == []


def test_every_formula_has_an_equation_and_a_reference(modules: list[Any]) -> None:
    from importlib import import_module

    from mlsysim.formula import equation_of, formula_of

    lacking = []
    for module in modules:
        if "/formulas" not in module.path:
            continue
        name = module.path.split("src/")[1].removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for function in vars(import_module(name)).values():
            spec = formula_of(function)
            if spec is not None and spec.module == name and not equation_of(function)[0]:
                lacking.append(f"{name}.{spec.name}")
    assert lacking == []
