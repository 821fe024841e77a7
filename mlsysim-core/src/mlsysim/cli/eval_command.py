"""``mlsysim eval``: answer every question about a scenario."""

from __future__ import annotations

import argparse
import sys

from ..errors import ConfigError
from .asking import add_scenario_arguments, read_config
from .parser import Commands, add_command

__all__ = ["add"]

_EXAMPLES = """
mlsysim eval smart-doorbell
mlsysim eval llama-3.1-8b --on h100-sxm --batch 32 --input 1024 --output 256
mlsysim eval my-scenario.toml --set batch=64 --set place.grid=france --plot card.svg
mlsysim eval my-scenario.toml --json > answer.json
"""


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(commands, "eval", "does it fit, how fast is it, what does it cost", _run, _EXAMPLES)
    add_scenario_arguments(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format", default=None, metavar="NAME", help="text (default), json, markdown or one of a plugin"
    )
    group.add_argument("--json", action="store_true", help="the same as --format json")
    group.add_argument("--plot", metavar="FILE", help="draw the scorecard: .svg, .png or .pdf")
    group.add_argument("--no-evidence", action="store_true", help="do not say how well the numbers are supported")


def _run(args: argparse.Namespace) -> int:
    """Print the scorecard; 3 where it does not fit or cannot work, 4 where a constraint is violated."""
    from ..evaluation import evaluate
    from ..renderers import find_renderer
    from ..renderers.builtin import BUILT_IN

    name = _format(args)
    renderer = find_renderer(name)
    built_in = BUILT_IN.get(name)
    if args.no_evidence and built_in is None:
        raise ConfigError(f"the format {name} has no such choice", where="--no-evidence", remedy="Leave it out")
    if args.plot:
        from ..plotting import check_plot_path

        check_plot_path(args.plot)
    evaluation = evaluate(read_config(args))
    render = renderer.render
    text = render(evaluation, evidence=not args.no_evidence) if built_in else render(evaluation)  # type: ignore[call-arg]
    if args.plot:  # before the text: whoever reads that may close the pipe
        from ..plotting import plot_scorecard

        plot_scorecard(evaluation, args.plot)
        print(f"wrote {args.plot}", file=sys.stderr)
    print(text)
    return evaluation.exit_code


def _format(args: argparse.Namespace) -> str:
    if args.json and args.format not in (None, "json"):
        raise ConfigError(f"--json and --format {args.format} contradict each other", where="--json", remedy="Give one")
    return "json" if args.json else args.format or "text"
