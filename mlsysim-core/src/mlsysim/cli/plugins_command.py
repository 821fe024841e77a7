"""``mlsysim plugins``: what is installed, and what is broken."""

from __future__ import annotations

import argparse
import sys

import attrs

from .parser import Commands, add_command
from .printing import print_json

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(
        commands, "plugins", "list plugins: what they offer, and which are broken", _run, "mlsysim plugins --json"
    )
    parser.add_argument("--json", action="store_true", help="plain data")


def _run(args: argparse.Namespace) -> int:
    """Print the plugins."""
    from ..plugins import plugins
    from ..renderers.style import Style

    infos = plugins().infos
    if args.json:
        print_json([attrs.asdict(info) for info in infos])
        return 0
    style = Style.of(sys.stdout)
    if not infos:
        print("No plugins are installed, so there is no data and no solver.")
        print("pip install mlsysim-registry mlsysim-solvers")
    for info in infos:
        colour = "green" if info.status == "ok" else "red"
        title = style.paint(info.name, "bold") + f"  {info.distribution} {info.version}".rstrip()
        print(f"{title}  {style.paint(info.status, 'bold', colour)}")
        for what, names in (("solvers", info.solvers), ("data", info.packages), ("hooks", _short(info.hooks))):
            if names:
                print("\n".join(style.wrap(", ".join(names), f"  {what}: ".ljust(12), " " * 12)))
        if info.reason:
            lines = style.wrap(info.reason, "  reason: ".ljust(12), " " * 12)
            print(style.paint("\n".join(lines), colour))
    return 0


def _short(hooks: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(hook.removeprefix("mlsysim_") for hook in hooks)
