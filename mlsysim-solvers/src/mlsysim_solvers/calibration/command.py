"""``mlsysim calibrate``: fit a stack on published measurements, or measure the machine at hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["add_calibrate_command"]

_EXAMPLES = """\
examples:
  mlsysim calibrate stack tensorrt-llm-0.9 --on trtllm_v0.9.0 --precision fp8
  mlsysim calibrate stack llama.cpp-b3000 --on llamacpp --device rtx-4090 --precision fp16
  mlsysim calibrate stacks
  mlsysim calibrate spreads
  mlsysim calibrate publications
  mlsysim calibrate device --out my-machine"""

_DEVICE_EXAMPLES = """\
examples:
  mlsysim calibrate device
  mlsysim calibrate device --backend numpy --seconds 60 --out my-machine
  mlsysim calibrate device --backend torch --device cuda:0"""


def add_calibrate_command(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = commands.add_parser(
        "calibrate",
        help="fit the constants of a stack on measurements, or measure this machine",
        description="Fit the constants of a stack on measurements, or measure this machine.",
        epilog=_EXAMPLES,
    )
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    stack = kinds.add_parser("stack", help="fit a stack on published measurements")
    stack.add_argument("key", help="key of the stack")
    stack.add_argument("--on", required=True, metavar="ROWS", help="row ids or their beginnings, separated by commas")
    stack.add_argument(
        "--device", default="*", help="key of the device; * fits all devices together, NVIDIA/* those of a maker"
    )
    stack.add_argument("--precision", default="*", help="number format; * fits all formats together")
    stack.add_argument("--file", metavar="CSV", help="a table of measurements of your own")
    stack.add_argument(
        "--out", metavar="FILE", help="write the stack with its calibrations there; - prints only the table"
    )
    stack.set_defaults(run=_run_stack)
    stacks = kinds.add_parser("stacks", help="run the recorded commands of stacks again")
    stacks.add_argument("keys", nargs="*", metavar="KEY", help="stacks to refit; without it: all that are calibrated")
    stacks.add_argument("--out", metavar="FOLDER", default="", help="write the files of the stacks there")
    stacks.add_argument("--jobs", type=int, default=0, help="processes; 0 takes as many as there are cores")
    stacks.set_defaults(run=_run_stacks)
    spreads = kinds.add_parser(
        "spreads",
        help="estimate from all packaged measurements how far groups, devices and stacks stray",
        description="Estimate the general scales of intervals from all packaged measurements, each predicted without "
        "its group, and how far each stack strays over what is usual.",
    )
    spreads.add_argument("--out", metavar="FOLDER", default="", help="write the files of the stacks there")
    spreads.add_argument("--jobs", type=int, default=0, help="processes; 0 takes as many as there are cores")
    spreads.set_defaults(run=_run_spreads)
    publications = kinds.add_parser(
        "publications",
        help="estimate from outside sources how far runs stray that nobody compared before",
        description="Estimate how far measurements of publications stray that nobody compared with answers before, to "
        "the fast and to the slow side, from the packaged ones of outside sources.",
    )
    publications.add_argument("--jobs", type=int, default=0, help="processes; 0 takes as many as there are cores")
    publications.set_defaults(run=_run_publications)
    _add_device(kinds)


def _add_device(kinds: Any) -> None:
    device = kinds.add_parser(
        "device",
        help="measure the machine that this runs on",
        description="Measure the machine that this runs on: copies, matrix products, attention, a decode step, "
        "what an operation costs, and links.",
        epilog=_DEVICE_EXAMPLES,
    )
    device.add_argument("--out", metavar="FOLDER", default="", help="folder of the overlay; mlsysim-machine without it")
    device.add_argument("--seconds", type=float, default=20.0, help="about how long to measure")
    device.add_argument("--backend", default="auto", metavar="NAME", help="auto, numpy, or torch; auto takes torch "
                        "where it is installed")  # fmt: skip
    device.add_argument("--device", default="", metavar="NAME", help="cpu, cuda, or cuda:1 for the second one")
    device.add_argument("--key", default="", help="key of the device; the machine's name without it")
    device.add_argument("--ranks", type=int, default=0, metavar="N", help="also time all-reduce over N processes: on "
                        "as many CUDA devices, or on the loopback interface of the host")  # fmt: skip
    device.set_defaults(run=_run_device)


def _run_stack(args: argparse.Namespace) -> int:
    from .stacks import calibrate_stack, write_calibration

    found = calibrate_stack(args.key, args.on, device=args.device, precision=args.precision, file=args.file)
    print(found.summary())
    if args.out:
        write_calibration(found, args.out)
    return 0


def _run_stacks(args: argparse.Namespace) -> int:
    from pathlib import Path

    from mlsysim.cli.printing import Progress, written

    from .recalibration import recalibrate

    _check_folder(args.out)
    with Progress() as progress:
        found = recalibrate(args.keys, jobs=max(0, args.jobs), progress=progress)
    for stack in found:
        print(f"{stack.key}: {stack.failed or ('changed' if stack.changed else 'as recorded')}")
        for line in stack.lines:
            print(f"  {line}")
        if args.out and not stack.failed:
            with written(str(Path(args.out) / stack.file), "w", encoding="utf-8", newline="") as file:
                file.write(stack.text)
    return 1 if any(stack.failed for stack in found) else 0


def _run_spreads(args: argparse.Namespace) -> int:
    from mlsysim.cli.printing import Progress

    from .spreads import estimate_spreads, general_coverage

    _check_folder(args.out)
    with Progress() as progress:
        found = estimate_spreads(jobs=max(0, args.jobs), progress=progress)
    print("\n".join(found.lines()))
    for stack, factor in sorted(found.factors.items()):
        print(f"  {stack} strays {factor:.3g} times as far as is usual")
    if args.out:
        print(f"wrote {len(found.write(args.out))} files to {args.out}", file=sys.stderr)
    held, rows, stacks = general_coverage()
    print(f"without fitted constants intervals hold {held:.1%} ({rows} rows, {stacks} stacks counting alike)")
    return 0


def _run_publications(args: argparse.Namespace) -> int:
    from mlsysim.cli.printing import Progress

    from .publications import estimate_publications, lines_of

    with Progress() as progress:
        found = estimate_publications(jobs=max(0, args.jobs), progress=progress)
    print("\n".join(lines_of(found)))
    return 0


def _check_folder(out: str) -> None:
    from pathlib import Path

    from mlsysim.errors import ConfigError

    if out and not Path(out).is_dir():
        raise ConfigError("there is no such folder", where="--out", remedy="Make it first")


def _run_device(args: argparse.Namespace) -> int:
    from .machine import calibrate_device

    with _ended_at_once():
        return calibrate_device(
            args.out, seconds=args.seconds, backend=args.backend, device=args.device, key=args.key, ranks=args.ranks
        )


@contextmanager
def _ended_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process in the middle of a matrix product, which Python would wait for, many seconds long."""
    import signal
    import threading

    alone = threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else takes care of it
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
