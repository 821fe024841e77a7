"""``mlsysim step``: where the time of a distributed training step goes, as bars and as a schedule."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

__all__ = ["add_step_command"]

_EXAMPLES = """examples:
  mlsysim step gpt-175b-a100-1024
  mlsysim step gpt-175b-a100-1024 --set virtual=1 --plot step.svg --plot-pipeline schedule.svg
  mlsysim step llama-3.1-8b --on h100-sxm --devices 64 --batch 256 --sequence 8192"""
_ROUNDS = 12
"""Micro-batches that a schedule shows at most; the steady state repeats itself."""


def add_step_command(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    from mlsysim.cli.asking import add_scenario_arguments

    parser = commands.add_parser(
        "step", help="where a distributed training step goes", epilog=_EXAMPLES,
        description="Show the terms of a training step as bars, and the schedule of its pipeline.",
    )  # fmt: skip
    add_scenario_arguments(parser)
    parser.add_argument("--json", action="store_true", help="the terms as plain data, in seconds")
    parser.add_argument("--plot", metavar="FILE", help="draw the terms as a stacked bar: .svg, .png or .pdf")
    parser.add_argument("--plot-pipeline", metavar="FILE", help="draw the schedule: .svg, .png or .pdf")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from mlsysim.cli.asking import read_config
    from mlsysim.cli.printing import print_json
    from mlsysim.errors import ConfigError
    from mlsysim.evaluation import evaluate
    from mlsysim.plotting import check_plot_path

    from .step_pictures import plot_gantt, plot_step, step_lines, terms_of

    for path in (args.plot, args.plot_pipeline):
        if path:
            check_plot_path(path)
    args.kind = args.kind or ("training" if args.on is not None else None)
    found = evaluate(read_config(args))
    if found.solvers.get("performance") != "distributed":
        raise ConfigError("the scenario trains on one device, or not at all", where="system.devices",
                          remedy="Give a training scenario on several devices")  # fmt: skip
    terms = terms_of(found)
    layout = found.scenario.parallelism
    drawn = layout.pipeline > 1 and not layout.schedule.startswith("zero-bubble")
    if args.plot_pipeline and not drawn:
        why = "the layout has one stage" if layout.pipeline == 1 else f"{layout.schedule} schedules are not drawn"
        raise ConfigError(f"there is no schedule to draw: {why}", where="--plot-pipeline", remedy="Leave it out")
    played = _played(found, terms) if drawn else None
    if args.json:
        step = found["step_time"]
        print_json({"scenario": found.scenario.name, "step": step.value, "low": step.low, "high": step.high,
                    "terms": terms, "exit_code": found.exit_code})  # fmt: skip
    else:
        print("\n".join((f"{found.scenario.name}: step {found['step_time']}", *step_lines(terms), *_schedule(played))))
    if args.plot_pipeline and played is not None:
        title = f"{found.scenario.name}: {played[0]} of {played[1]} micro-batches"
        plot_gantt(played[2], args.plot_pipeline, title=title)
    if args.plot:
        plot_step(terms, args.plot, title=found.scenario.name)
    return found.exit_code


def _played(found: Any, terms: dict[str, float]) -> tuple[int, int, Any]:
    """Return how many micro-batches are shown and how many there are, and the slots of each stage."""
    from .step_pictures import gantt

    layout, workload = found.scenario.parallelism, found.scenario.workload
    samples = -(-int(workload.batch) // layout.data)
    rounds = -(-samples // (layout.micro_batch or samples))
    shown = min(-(-rounds // layout.pipeline), max(1, _ROUNDS // layout.pipeline)) * layout.pipeline
    busy = sum(terms[name] for name in ("compute", "recompute", "tensor", "context", "expert", "pipeline")) / rounds
    # A forward pass is a third of the work.
    slots = gantt(layout.pipeline, shown, layout.virtual, busy / 3.0, 2.0 * busy / 3.0, layout.schedule)
    return shown, rounds, slots


def _schedule(played: tuple[int, int, Any] | None) -> Iterator[str]:
    from .step_pictures import gantt_lines

    if played is not None:
        shown, rounds, slots = played
        yield f"schedule of {shown} of {rounds} micro-batches (digits forward, letters backward, dots waiting):"
        yield from gantt_lines(slots)
