"""``mlsysim registry check``: run the machine checks; this is what continuous integration runs."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsysim.errors import ConfigError

if TYPE_CHECKING:
    from mlsysim.entities import Registry

    from ..checks import Finding

__all__ = ["add"]

_FAULTY = 2


def add(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = commands.add_parser("check", help="check data files: schema, sources, arithmetic, references, names",
                                 description="Check data files. Exit code 2 when there is a fault.")  # fmt: skip
    parser.add_argument("files", nargs="*", metavar="FILE", help="only findings on these files; all data by default")
    parser.add_argument("--notes", action="store_true", help="also print notes")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output format")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Print the findings; 2 where one of them is a fault."""
    from ..checks import run as run_checks

    registry = _registry(args.files)
    found = run_checks(registry)
    if args.files:
        wanted = {str(Path(name).resolve()) for name in args.files}
        found = [finding for finding in found if _file(finding) in wanted]
    shown = [finding for finding in found if args.notes or finding.severity != "note"]
    if args.format == "json":
        import attrs

        from mlsysim.cli.printing import print_json

        print_json([attrs.asdict(finding) for finding in shown])
    else:
        _print(shown, found, len(args.files) or sum(len(registry.keys(kind)) for kind in registry.kinds()))
    return _FAULTY if any(finding.severity == "fault" for finding in found) else 0


def _print(shown: Sequence[Finding], found: Sequence[Finding], files: int) -> None:
    for finding in shown:
        print(finding)
    counts = Counter(finding.severity for finding in found)
    hint = " (--notes prints them)" if counts["note"] and len(shown) < len(found) else ""
    print(f"{files} files: {counts['fault']} faults, {counts['dispute']} disputes, {counts['note']} notes{hint}")


def _file(finding: Finding) -> str:
    """Return the file of a finding: what stands before ``:line``."""
    text = finding.place
    end = text.rfind(".toml")
    return str(Path(text[: end + len(".toml")]).resolve()) if end >= 0 else text


def _registry(files: Sequence[str]) -> Registry:
    """Return all installed data, and the folders of files that belong to no installed package."""
    from mlsysim import registry as installed
    from mlsysim.entities import Registry

    from ..catalog import Catalog, packaged
    from ..checks.finding import catalogs
    from ..files import folder_of_kind

    known = installed()
    folders: dict[Path, None] = {}
    for name in files:
        path = Path(name).resolve()
        if not path.is_file():
            what = "this is a folder" if path.is_dir() else "there is no such file"
            remedy = f"Give the files in it: {name.rstrip('/')}/*/*.toml" if path.is_dir() else "Give a .toml file"
            raise ConfigError(what, where=name, remedy=remedy)
        if any(catalog.where(path) for catalog in catalogs(known)):
            continue
        folders[folder_of_kind(name).parent] = None
    extra = [Catalog(str(folder), folder, shared=packaged().sources) for folder in folders]
    return Registry([*known.packages, *extra]) if extra else known
