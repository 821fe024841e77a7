"""``mlsysim solvers``: what each solver answers, from what, in which units."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from .parser import Commands, add_command
from .printing import print_json

if TYPE_CHECKING:
    from ..renderers.style import Style
    from ..solving import SolverSpec

__all__ = ["add"]

_EXAMPLES = """
mlsysim solvers
mlsysim solvers single-node
mlsysim solvers --json
"""


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(commands, "solvers", "list solvers: questions, inputs, outputs with units", _run, _EXAMPLES)
    parser.add_argument("name", nargs="?", metavar="SOLVER", help="show one with its settings and references")
    parser.add_argument("--json", action="store_true", help="plain data")


def _run(args: argparse.Namespace) -> int:
    """Print the solvers."""
    from ..plugins import plugins
    from ..renderers.style import Style

    loaded = plugins()
    specs = [loaded.solver(args.name)] if args.name else list(loaded.solvers.values())
    if args.json:
        print_json([attrs.asdict(spec) for spec in specs])
        return 0
    style = Style.of(sys.stdout)
    for position, spec in enumerate(specs):
        if position:
            print()
        print("\n".join(_lines(spec, style, full=bool(args.name))))
    if not specs:
        print("No solver is installed: pip install mlsysim-solvers")
    return 0


def _lines(spec: SolverSpec, style: Style, *, full: bool) -> Iterator[str]:
    yield style.paint(spec.name, "bold") + f"  {spec.title}"
    facts = {
        "question": f"{spec.question} of {', '.join(spec.scenarios)} scenarios",
        "inputs": ", ".join(name.rstrip("?") + (" (optional)" if name.endswith("?") else "") for name in spec.inputs),
        "outputs": ", ".join(f"{name} [{unit}]" for name, unit in spec.outputs.items()),
        "settings": ", ".join(f"{name} [{setting.unit}]" for name, setting in spec.settings.items()),
    }
    if full:
        facts.pop("settings")
        facts.pop("outputs")
    for what, text in facts.items():
        if text:
            yield from style.wrap(text, f"  {what}: ".ljust(13), " " * 13)
    if full:
        yield from _details(spec, style)


def _details(spec: SolverSpec, style: Style) -> Iterator[str]:
    yield from ("", style.paint("outputs", "bold"))
    width = max(map(len, spec.outputs), default=0)
    units = {name: unit.partition(":") for name, unit in spec.outputs.items()}
    wide = max((len(unit) for unit, _, _ in units.values()), default=0)
    for name, (unit, _, choices) in units.items():
        label = spec.labels.get(name, "") + (f" ({choices.strip()})" if choices else "")
        words = ", ".join(filter(None, (label, spec.answered_if.get(name, ""))))
        yield f"  {name.ljust(width)}  {unit.ljust(wide)}  {words}".rstrip()
    if spec.settings:
        yield from ("", style.paint(f"settings (under [settings.{spec.name}])", "bold"))
    width = max(map(len, spec.settings), default=0)
    for name, setting in spec.settings.items():
        default = "required" if setting.default is None else f"default {setting.default:g}"
        yield f"  {name.ljust(width)}  {setting.unit.ljust(8)}  {setting.help} ({default})"
    if spec.references:
        yield from ("", style.paint("references", "bold"))
        yield from (f"  {reference}" for reference in spec.references)
    yield from ("", f"  class {spec.target}")
