"""``mlsysim registry schema``: JSON Schema for editors, generated from the records."""

from __future__ import annotations

import argparse
from typing import Any

from mlsysim.cli.parser import add_command

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = add_command(commands, "schema", "print the JSON Schema of a kind, for editors", _run)
    parser.add_argument("kind", nargs="?", metavar="KIND", help="device, model ... or source; all of them by default")


def _run(args: argparse.Namespace) -> int:
    """Print the schema."""
    from mlsysim.cli.printing import print_json

    from ..schema import all_schemas, schema_of

    print_json(schema_of(args.kind) if args.kind else all_schemas())
    return 0
