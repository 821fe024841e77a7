"""``mlsysim registry stats``: how well the numbers are supported, by kind and level."""

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
    parser = add_command(commands, "stats", "count entities and numbers by kind and level", _run)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output format")


def _run(args: argparse.Namespace) -> int:
    """Print the table."""
    from mlsysim.cli.printing import print_json, table
    from mlsysim.provenance import Level
    from mlsysim.renderers.style import Style

    from ..provenance_map import ProvenanceMap

    totals = ProvenanceMap.of().totals()
    head = ["kind", "entities", "numbers", *(level.label for level in Level), "stale", "disputed", "corroborated+"]
    rows: list[list[Any]] = [
        [t.kind, t.entities, t.numbers, *(t.levels[level] for level in Level), t.stale, t.disputed, t.corroborated]
        for t in totals
    ]
    if args.format == "json":
        print_json([dict(zip(head, row, strict=True)) for row in rows])
        return 0
    sums = [sum(row[i] for row in rows) for i in range(1, len(head) - 1)]
    good = sum(row[i] for row in rows for i, level in enumerate(Level, 3) if level >= Level.CORROBORATED)
    rows.append(["all", *sums, good / sums[1] if rows and sums[1] else 0.0])
    cells = [[*map(str, row[:-1]), f"{row[-1]:.0%}"] for row in rows]
    print("\n".join(table(head, cells, Style(), right=range(1, len(head)))))
    return 0
