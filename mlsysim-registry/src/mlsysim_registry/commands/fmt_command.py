"""``mlsysim registry fmt``: put data files into their one canonical form."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlsysim.cli.parser import add_command
from mlsysim.errors import RegistryError

__all__ = ["add"]

_CHANGED = 1
_FAULTY = 2


def add(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = add_command(commands, "fmt", "put data files into canonical form, keeping comments", _run)
    parser.add_argument("files", nargs="*", metavar="FILE", help="files; all packaged data by default")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when a file would change")


def _run(args: argparse.Namespace) -> int:
    """Rewrite files that are not in canonical form; 1 where one would change, 2 where one cannot be read."""
    from ..canonical import canonical

    changed = faulty = 0
    for path, kind in _files(args.files):
        try:
            text = _read(path)
            new = canonical(text, kind, str(path))
        except RegistryError as error:
            faulty += 1
            print(error)
            continue
        if new != text:
            changed += 1
            print(f"{path}: {'would change' if args.check else 'rewritten'}")
            if not args.check:
                path.write_text(new, encoding="utf-8", newline="\n")
    print(f"{changed} {'would change' if args.check else 'rewritten'}, {faulty} faulty")
    return _FAULTY if faulty else _CHANGED if args.check and changed else 0


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"cannot be read: {error}", where=str(path)) from None


def _files(names: Sequence[str]) -> Iterator[tuple[Path, str]]:
    from mlsysim.records import KINDS

    from ..catalog import packaged
    from ..files import folder_of_kind

    if not names:
        catalog = packaged()
        for kind in KINDS:
            yield from ((Path(path), kind) for paths in catalog.files(kind).values() for path in paths)
        yield from ((Path(path), "sources") for path in catalog.sources.files.values())
    for name in names:
        yield Path(name), folder_of_kind(name).name
