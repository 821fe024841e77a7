"""The shape of the code: sizes, annotations, docstrings."""

from __future__ import annotations

import ast
import re
import statistics
from typing import Any

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
USUAL_FUNCTION = 25
FRONT_DOOR = 60


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    """List the arguments of a function, without self and cls."""
    spec = node.args
    found = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *(a for a in (spec.vararg, spec.kwarg) if a)]
    return [a for a in found if a.arg not in ("self", "cls")]


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Name the decorators of a function."""
    return {ast.unparse(d).partition("(")[0].rsplit(".", 1)[-1] for d in node.decorator_list}


def test_files_are_short(modules: list[Any]) -> None:
    long = {m.path: n for m in modules if (n := len(m.text.splitlines())) > LONGEST_FILE}
    assert long == {}


def test_functions_are_short(modules: list[Any]) -> None:
    lengths = {f"{name}:{node.lineno}": length(node) for m in modules for name, node, _ in m.functions()}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= USUAL_FUNCTION


def test_the_front_door_is_short(root: Any) -> None:
    text = (root / "mlsysim-core/src/mlsysim/__init__.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FRONT_DOOR


def test_every_module_postpones_annotations(modules: list[Any]) -> None:
    without = [m.path for m in modules if len(m.tree.body) > 1 and "from __future__ import annotations" not in m.text]
    assert without == []


def test_everything_is_annotated(modules: list[Any]) -> None:
    bare = [
        f"{name}({argument.arg})"
        for m in modules
        for name, node, _ in m.functions()
        for argument in arguments(node)
        if argument.annotation is None
    ]
    bare += [f"{name} returns ?" for m in modules for name, node, _ in m.functions() if node.returns is None]
    assert bare == []


def test_public_names_have_docstrings(modules: list[Any]) -> None:
    silent = [m.path for m in modules if m.tree.body and not ast.get_docstring(m.tree)]
    silent += [
        name
        for m in modules
        for name, node, public in m.functions()
        if public and not ast.get_docstring(node) and "overload" not in decorators(node)
    ]
    silent += [name for m in modules for name, node in m.classes() if not ast.get_docstring(node)]
    assert silent == []


def test_docstrings_document_every_argument(modules: list[Any]) -> None:
    """numpydoc: a Parameters section that names each argument, and Returns or Yields for an answer."""
    lacking = []
    for module in modules:
        for name, node, public in module.functions():
            kind = decorators(node) & {"property", "cached_property", "setter", "fixture", "overload"}
            # the checks of the kit all take the same case, which their module documents once
            if not public or kind or module.path.endswith("testing/checks.py"):
                continue
            text = ast.get_docstring(node) or ""
            documented = set(re.findall(r"\*{0,2}(\w+)(?=[\w*, ]* :)|(?<=, )\*{0,2}(\w+)(?=[\w*, ]* :)", text))
            names = {part for pair in documented for part in pair}
            # a ``**`` argument needs no type, so a name on a line of its own counts too
            names |= set(re.findall(r"^\*{1,2}(\w+)\s*$", text, re.MULTILINE))
            lacking += [f"{name}({a.arg})" for a in arguments(node) if a.arg not in names]
            answers = node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn")
            if answers and not re.search(r"^(Returns|Yields)$", text, re.MULTILINE):
                lacking.append(f"{name} says not what it returns")
    assert lacking == []
