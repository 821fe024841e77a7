"""The examples of README and docs print what the pages say they print."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(p for p in ROOT.glob("docs/*/*.md") if "catalog" not in p.parts)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_are_as_produced(page: Path, examples: ModuleType) -> None:
    """After a wanted change: ``python docs/_examples.py --write``."""
    assert examples.run_page(page) == page.read_text(encoding="utf-8")


def test_a_wrong_example_is_noticed(examples: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ mlsysim list no-such-kind\nfine\n```\n", encoding="utf-8")
    assert "there is no kind" in examples.run_page(page)


def test_lines_may_be_left_out_but_not_changed(examples: ModuleType) -> None:
    assert examples._matches("one\n...\nfour\n", "one\ntwo\nthree\nfour\n")
    assert examples._matches("...\n", "one\n")
    assert not examples._matches("one\n...\nfive\n", "one\ntwo\nfour\n")


def test_the_readme_starts_with_the_two_commands() -> None:
    import re

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second, *_ = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert "pip install" in first
    assert "mlsysim eval" in first
    assert "nox" in second
    assert "tests" in second
