"""``mlsysim verify``: read documents again and look for the numbers copied from them."""

from __future__ import annotations

import argparse
import time
from typing import Any

from mlsysim.errors import ConfigError, RegistryError

__all__ = ["add"]

_NOT_FOUND = 1
_UNREADABLE = 4
_PAUSE = 1.0


def add(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = commands.add_parser(
        "verify", help="read cited documents again and look for the numbers (opens connections)",
        description="Read cited documents again, look for each number as printed, and keep hash and date. "
        "Exit code 1: a number was not found again; 4: a document could not be read.",
    )  # fmt: skip
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="ids of documents, as `mlsysim show` prints them")
    parser.add_argument("--all", action="store_true", help="every document")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Verify documents, at most one a second; 1 where a number is gone, 4 where a document cannot be read."""
    from mlsysim import registry as installed
    from mlsysim.names import did_you_mean

    from ..checks.finding import catalogs
    from ..refresh import verified
    from ..refresh.verifying import citations, verify

    known = {key: source for catalog in catalogs(installed()) for key, source in catalog.sources.items()}
    if not args.sources and not args.all:
        raise ConfigError("no document is named", where="SOURCE", remedy="Name ids of documents, or --all")
    for key in args.sources:
        if key not in known:
            remedy = did_you_mean(key, known) or "`mlsysim show KIND/KEY` prints the ids of its documents"
            raise ConfigError(f"there is no document {key!r}", where="SOURCE", remedy=remedy)
    cited = citations(installed())
    code = 0
    for position, key in enumerate(args.sources or sorted(known)):
        if position:
            time.sleep(_PAUSE)
        try:
            result = verify(known[key], cited.get(key, []))
        except RegistryError as error:
            code = _UNREADABLE
            print(f"{key}: {error}")
            continue
        verified.record(key, result)
        print(f"{key}: {len(result.found)} found again, {len(result.missing)} not")
        for name in result.missing:
            code = code or _NOT_FOUND
            print(f"  not found: {name}")
    return code
