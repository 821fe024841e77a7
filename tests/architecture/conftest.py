"""The source tree as the tests of this folder see it: every module parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Module(NamedTuple):
    """One parsed source file of a distribution."""

    path: str
    package: str
    text: str
    tree: ast.Module

    def __repr__(self) -> str:
        return f"Module({self.path!r})"

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
        """Yield each function with its dotted name and whether a user may call it."""
        yield from _functions(self.tree, self.path, public=True)

    def classes(self) -> Iterator[tuple[str, ast.ClassDef]]:
        """Yield each public class of the module."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield f"{self.path}: {node.name}", node


def _functions(
    parent: ast.AST, name: str, *, public: bool
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            seen = public and not node.name.startswith("_")
            yield f"{name}: {node.name}", node, seen
            yield from _functions(node, f"{name}: {node.name}", public=False)
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{name}: {node.name}", public=public and not node.name.startswith("_"))
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _functions(node, name, public=public)


def source_folders() -> list[Path]:
    """Return the ``src`` folder of every distribution and plugin."""
    return sorted([*ROOT.glob("mlsysim-*/src"), *ROOT.glob("plugins/*/src")])


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    found = []
    for folder in source_folders():
        for path in sorted(folder.rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            package = path.relative_to(folder).parts[0]
            found.append(Module(str(path.relative_to(ROOT)), package, text, ast.parse(text)))
    assert found
    return found
