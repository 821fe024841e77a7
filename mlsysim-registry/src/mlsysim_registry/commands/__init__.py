"""The subcommands of ``mlsysim registry``, and ``mlsysim verify``: one module each, imported cheaply."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["SUBCOMMANDS", "add_commands"]

SUBCOMMANDS = ("check", "stats", "history", "export", "new", "fmt", "schema", "refresh")
"""Modules ``<name>_command`` with ``add(commands)``, in the order of the help page."""

_EXAMPLES = """\
examples:
  mlsysim registry check                     what is wrong with the data, and what is disputed?
  mlsysim registry new device my-chip        a template to fill in
  mlsysim registry stats                     how well are the numbers supported?
  mlsysim registry history grids/fr          what has been said of its numbers, and when?
  mlsysim registry export --format csv       one row per number, with its source
  mlsysim registry refresh plan              what do live sources say now?
"""


def add_commands(commands: Any) -> None:
    """Add the commands of this distribution.

    Parameters
    ----------
    commands : argparse subparsers action
        The commands of ``mlsysim``.
    """
    import argparse

    parser = commands.add_parser(
        "registry",
        help="check, count, export and extend the data",
        description="Work on the data: check, count, export and extend them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="registry_command", required=True,
        action=type(commands), parser_class=type(parser),
    )  # fmt: skip
    for name in SUBCOMMANDS:
        import_module(f".{name}_command", __name__).add(inner)
    import_module(".verify_command", __name__).add(commands)
