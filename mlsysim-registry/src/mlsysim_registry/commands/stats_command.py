"""``mlsysim registry stats``: how well the numbers are supported, by kind and level."""

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
    parser = commands.add_parser("stats", help="count entities and numbers by kind and level",
                                 description="Count entities and numbers by kind and level.")  # fmt: skip
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output format")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed arguments.

    Returns
    -------
    int
        0.
    """
    from mlsysim.provenance import Level

    from ..provenance_map import ProvenanceMap

    totals = ProvenanceMap.of().totals()
    head = ["kind", "entities", "numbers", *(level.label for level in Level), "stale", "disputed", "corroborated+"]
    rows: list[list[Any]] = [
        [t.kind, t.entities, t.numbers, *(t.levels[level] for level in Level), t.stale, t.disputed, t.corroborated]
        for t in totals
    ]
    if args.format == "json":
        import json

        print(json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=2))
        return 0
    sums = [sum(row[i] for row in rows) for i in range(1, len(head) - 1)]
    good = sum(row[i] for row in rows for i, level in enumerate(Level, 3) if level >= Level.CORROBORATED)
    rows.append(["all", *sums, good / sums[1] if rows and sums[1] else 0.0])
    table = [head, *([*(str(cell) for cell in row[:-1]), f"{row[-1]:.0%}"] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    for line in table:
        first, *others = [cell.ljust(w) if i == 0 else cell.rjust(w)
                          for i, (cell, w) in enumerate(zip(line, widths, strict=True))]  # fmt: skip
        print("  ".join([first, *others]))
    return 0
