"""``mlsysim registry schema``: JSON Schema for editors, generated from the records."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = commands.add_parser("schema", help="print the JSON Schema of a kind, for editors",
                                 description="Print the JSON Schema of a kind, for editors.")  # fmt: skip
    parser.add_argument("kind", nargs="?", metavar="KIND", help="device, model ... or source; all of them by default")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the schema.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed arguments.

    Returns
    -------
    int
        0.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    import json

    from ..schema import all_schemas, schema_of

    print(json.dumps(schema_of(args.kind) if args.kind else all_schemas(), indent=2))
    return 0
