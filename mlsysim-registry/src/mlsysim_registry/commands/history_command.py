"""``mlsysim registry history``: what has been said of one number, and when."""

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
    parser = add_command(commands, "history", "show what has been said of a number, and when", _run)
    parser.add_argument("entity", metavar="ENTITY", help="for example grids/fr")
    parser.add_argument("field", metavar="FIELD", nargs="?", help="for example carbon; all numbers by default")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output format")


def _run(args: argparse.Namespace) -> int:
    """Print the history of one number, or of all numbers of an entity."""
    import attrs

    from mlsysim.cli.printing import print_json, table
    from mlsysim.errors import ConfigError
    from mlsysim.renderers.style import Style

    from ..provenance_map import ProvenanceMap

    kind, _, key = args.entity.partition("/")
    if not (kind and key):
        raise ConfigError(f"{args.entity!r} is not KIND/KEY", where="ENTITY", remedy="Write for example grids/fr")
    known = ProvenanceMap.of()
    fields = [args.field] if args.field else sorted(known.entity(args.entity))
    events = [(field, event) for field in fields for event in known.history(args.entity, field)]
    if args.format == "json":
        print_json([{"field": field, **attrs.asdict(event)} for field, event in events])
        return 0
    rows = [
        (field, e.date or "-", e.what, e.value, e.source or "-", "<- in force" if e.in_force else "")
        for field, e in events
    ]
    print("\n".join(table(("field", "date", "what", "value", "document", ""), rows, Style())))
    return 0
