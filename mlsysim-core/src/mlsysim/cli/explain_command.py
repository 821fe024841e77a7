"""``mlsysim explain``: from an answer through each formula to each document."""

from __future__ import annotations

import argparse
import sys

from ..errors import ConfigError
from .asking import add_scenario_arguments, read_config
from .parser import Commands, add_command
from .printing import print_json

__all__ = ["add"]

_EXAMPLES = """
mlsysim explain smart-doorbell battery_life
mlsysim explain my-scenario.toml performance.latency --depth 3
mlsysim explain llama-3.1-8b --on h100-sxm --batch 32 performance.tpot --format json
"""
_DEPTH = 4


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(commands, "explain", "show the formulas and sources behind one answer", _run, _EXAMPLES)
    add_scenario_arguments(parser)
    parser.add_argument(
        "output",
        metavar="OUTPUT",
        help='a line of the scorecard, such as latency, performance.latency or "time per output token"',
    )
    parser.add_argument(
        "--depth", metavar="N", default=str(_DEPTH), help=f"levels to print; {_DEPTH} by default, 0 for all"
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="text (default) or json, which is always complete"
    )


def _run(args: argparse.Namespace) -> int:
    """Print the tree."""
    if not args.depth.isdigit():
        raise ConfigError(f"{args.depth!r} is not a depth", where="--depth", remedy="Give a whole number, or 0 for all")
    from ..evaluation import evaluate
    from ..explaining import explain
    from ..renderers.style import Style
    from ..renderers.tree import tree_data, tree_lines
    from ..structure.converting import to_plain

    evaluation = evaluate(read_config(args))
    explanation = explain(evaluation, args.output)
    if args.format == "json":
        print_json({"answer": to_plain(evaluation[args.output]), **tree_data(explanation)})
        return 0
    for line in tree_lines(explanation, Style.of(sys.stdout), int(args.depth) or None):
        print(line)
    return 0
