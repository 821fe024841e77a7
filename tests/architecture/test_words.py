"""What must not stand anywhere in the tree."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = {".py", ".toml", ".md", ".cfg", ".yml", ".yaml", ".json", ".csv", ".txt", ".html", ".css", ""}
SKIPPED = {".git", ".nox", ".venv", "_build", "dist", "build", "__pycache__", ".hypothesis", ".ruff_cache",
           ".mypy_cache", ".pytest_cache", ".benchmarks", "catalog", "reference_generated"}  # fmt: skip
# Spelled in pieces, so that this file does not contain them itself.
FORBIDDEN = {
    "a machine's own path": re.compile(r"(?<![\w.])/" + r"(?:work|home|root|Users)/\w"),
    "an open end": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"),
    "a leftover of a merge": re.compile(r"^(?:<{7}|>{7}|={7})(?:\s|$)", re.MULTILINE),
    "a debugger": re.compile(r"\b(?:pdb|ipdb)\.set_" + r"trace\b|^\s*break" + r"point\(\)", re.MULTILINE),
}


def files(root: Path) -> list[Path]:
    """Return the text files of the tree, without what tools made."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and path.suffix in TEXT
        and path.name != "LICENSE"
        and not SKIPPED & set(path.relative_to(root).parts)
        and not any(part.endswith(".egg-info") for part in path.parts)
    ]


def test_nothing_forbidden_stands_in_the_tree(root: Path) -> None:
    found = []
    for path in files(root):
        text = path.read_text(encoding="utf-8", errors="replace")
        for what, pattern in FORBIDDEN.items():
            match = pattern.search(text)
            if match:
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{path.relative_to(root)}:{line}: {what}: {match[0]!r}")
    assert found == []


def test_every_distribution_carries_its_licence(root: Path) -> None:
    for project in [*root.glob("mlsysim-*/pyproject.toml"), *root.glob("plugins/*/pyproject.toml")]:
        licence = project.with_name("LICENSE")
        assert licence.read_text(encoding="utf-8") == (root / "LICENSE").read_text(encoding="utf-8"), licence
        assert (project.parent / "README.md").stat().st_size > 0
        assert list(project.parent.glob("src/*/py.typed"))
