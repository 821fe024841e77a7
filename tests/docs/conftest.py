"""The scripts of the documentation, importable, and the pages that they write."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    """Import a script of the folder docs."""
    folder = str(ROOT / "docs")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


@pytest.fixture(scope="session")
def reference() -> dict[str, str]:
    """Return the generated reference pages by name."""
    pages: dict[str, str] = script("_gen_reference").pages()
    return pages


@pytest.fixture(scope="session")
def catalog() -> dict[str, str]:
    """Return the generated catalog pages by name."""
    pages: dict[str, str] = script("_gen_catalog").pages()
    return pages


@pytest.fixture(scope="session")
def examples() -> ModuleType:
    """Return the runner of examples."""
    return script("_examples")
