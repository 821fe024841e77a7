"""``mlsysim validate``: predictions against published measurements."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .folds import CHOICES

if TYPE_CHECKING:
    from mlsysim.cli.printing import Progress
    from mlsysim.records.measurement import Measurement

    from .predicting import Outcome
    from .reports.summary import Report

__all__ = ["add_validate_command"]

_EXAMPLES = """\
examples:
  mlsysim validate
  mlsysim validate --kind static_batch --device H100
  mlsysim validate --source llamacpp --format json
  mlsysim validate --file my-measurements.csv --plot fit.png
  mlsysim validate --left-out
  mlsysim validate --left-out device
  mlsysim validate --outside
  mlsysim validate --ablation"""


def add_validate_command(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = commands.add_parser(
        "validate",
        help="predict published measurements, and say how far off the predictions are",
        description="Predict published measurements, and say how far off the predictions are.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "--file", metavar="CSV", help="a table of your own; its header says which of the four shapes it is"
    )
    parser.add_argument(
        "--kind", default="", help="a table (training, inference, serving_silicon, kernels) or a kind in it"
    )
    parser.add_argument("--device", default="", help="part of the published name of the device, or its key")
    parser.add_argument("--model", default="", help="part of the published name of the model, or its key")
    parser.add_argument("--source", default="", help="part of the document's id, of the set or of the row's id")
    parser.add_argument("--format", default="text", choices=("text", "json", "markdown", "html"), help="how to print")
    parser.add_argument("--plot", metavar="FILE", help="draw predicted against measured into FILE (.png, .svg, .pdf)")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0 takes as many as help")
    parser.add_argument(
        "--left-out", nargs="?", const="group", default="", choices=CHOICES,
        help="also predict each row with constants fitted without its group (its set, model and device; the default), "
        "or without any row of its device, its model or its set",
    )  # fmt: skip
    parser.add_argument(
        "--outside", action="store_true",
        help="only the measurements of outside sources: no constant is fitted on them, and no other score counts them",
    )  # fmt: skip
    parser.add_argument("--ablation", action="store_true", help="drop one term of the physics at a time")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Run the command; a poor prediction is no error."""
    from mlsysim.cli.printing import Progress

    _check(args)
    chosen, outside = _rows(args)
    if args.ablation:
        from .ablation import ablation_table

        with Progress() as progress:
            table = ablation_table(chosen, progress=progress)
        print(table)
        return 0
    with Progress() as progress:
        report = _judged(args, chosen, outside, progress)
    _report(args, report)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that have no meaning, alone or beside others."""
    from mlsysim.errors import ConfigError
    from mlsysim.plotting import check_plot_path

    if args.jobs < 0:
        raise ConfigError(f"{args.jobs} is not a number of processes", where="--jobs", remedy="Give 0 or more")
    if args.plot:
        check_plot_path(args.plot)
    given = {"--plot": bool(args.plot), "--left-out": bool(args.left_out), "--format": args.format != "text"}
    for option, is_given in given.items():
        if args.ablation and is_given:
            raise ConfigError("--ablation prints one table of text and has nothing else to show", where=option,
                              remedy="Leave one of the two out")  # fmt: skip
    if args.outside and args.file:
        raise ConfigError("a table of your own is not a packaged one", where="--outside", remedy="Leave out --file")
    if args.outside and args.left_out:
        raise ConfigError("no constant is fitted on these rows, so none can be left out", where="--outside",
                          remedy="Leave out --left-out")  # fmt: skip


def _rows(args: argparse.Namespace) -> tuple[list[Measurement], list[Measurement]]:
    """Return the measurements that are asked for, and those of outside sources that are told beside them."""
    from mlsysim.errors import ConfigError

    from .running import select
    from .tables import outside_rows, packaged_rows, read_table, unread_columns

    rows = read_table(Path(args.file)) if args.file else outside_rows() if args.outside else packaged_rows()
    unread = unread_columns(Path(args.file)) if args.file else []
    if unread:
        print(f"note: {args.file}: nothing reads the columns {', '.join(unread)}", file=sys.stderr)
    wanted = {name: getattr(args, name) for name in ("kind", "device", "model", "source")}
    chosen = select(rows, **wanted)
    outside = [] if args.file or args.outside or args.ablation else select(outside_rows(), **wanted)
    if not chosen:
        known = f", but {len(outside)} of outside sources: add --outside" if outside else ""
        raise ConfigError(
            f"none of {len(rows)} measurements matches{known}", where="validate", remedy=_remedy(args, rows)
        )
    return chosen, outside


def _remedy(args: argparse.Namespace, rows: list[Measurement]) -> str:
    from mlsysim.names import did_you_mean
    from mlsysim.plugins import plugins

    for name in ("device", "model"):
        wanted = getattr(args, name)
        if wanted and not any(wanted.casefold() in getattr(row, name).casefold() for row in rows):
            known = {*plugins().registry.keys(f"{name}s"), *(getattr(row, name) for row in rows)} - {""}
            return did_you_mean(wanted, known, listing=f"mlsysim list {name}s")
    return "Leave out --kind, --device, --model or --source"


def _judged(
    args: argparse.Namespace, chosen: list[Measurement], outside: list[Measurement], progress: Progress
) -> Report:
    """Predict the measurements, and sum up how far off the predictions are."""
    from .reports import summarise
    from .running import run_rows

    outcomes = run_rows([*chosen, *outside], jobs=args.jobs, progress=progress)
    outcomes, others = outcomes[: len(chosen)], outcomes[len(chosen) :]
    unseen: list[Outcome] = []
    if args.left_out:
        from ..calibration.left_out import left_out

        unseen = left_out(outcomes, args.left_out, jobs=args.jobs, progress=progress)
    return summarise(outcomes, unseen, by=args.left_out or "group", outside=others)


def _report(args: argparse.Namespace, report: Report) -> None:
    from .reports import FORMATS

    sys.stdout.write(FORMATS[args.format](report) + "\n")
    if args.plot:
        from .reports.figure import save_figure

        save_figure(report, args.plot)
        print(f"wrote {args.plot}", file=sys.stderr)
