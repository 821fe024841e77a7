"""Writes the reference pages and the catalog from what is installed: ``docs/catalog`` is never edited by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import _gen_catalog
import _gen_reference

__all__ = ["write"]


def write(folder: Path) -> None:
    """Write all generated pages anew.

    Parameters
    ----------
    folder : Path
        Where to; emptied first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pages = {**_gen_reference.pages(), **_gen_catalog.pages()}
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent / "catalog")
