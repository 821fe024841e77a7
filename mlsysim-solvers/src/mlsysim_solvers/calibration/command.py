"""``mlsysim calibrate``: fit a stack on published measurements, or measure the machine at hand."""

from __future__ import annotations

import argparse
import sys
from typing import Any

__all__ = ["add_calibrate_command"]

_EXAMPLES = """\
examples:
  mlsysim calibrate stack tensorrt-llm-0.9 --on trtllm_v0.9.0 --precision fp8
  mlsysim calibrate stack llama.cpp-b3000 --on llamacpp --device rtx-4090 --precision fp16
  mlsysim calibrate device --out my-machine"""


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
    stack.add_argument("--on", required=True, metavar="ROWS", help="ids of rows, or beginnings of ids, with commas")
    stack.add_argument("--device", default="*", help="key of the device; * fits all devices together")
    stack.add_argument("--precision", default="*", help="number format; * fits all formats together")
    stack.add_argument("--file", metavar="CSV", help="a table of measurements of your own")
    stack.add_argument(
        "--out", metavar="FILE", help="write the stack with its calibrations there; - prints only the table"
    )
    stack.set_defaults(run=_run_stack)
    device = kinds.add_parser("device", help="measure the machine that this runs on")
    device.add_argument("--out", metavar="FOLDER", default="", help="folder of the overlay that is written")
    device.add_argument("--seconds", type=float, default=20.0, help="about how long to measure")
    device.set_defaults(run=_run_device)


def _run_stack(args: argparse.Namespace) -> int:
    from .stacks import calibrate_stack, write_calibration

    found = calibrate_stack(args.key, args.on, device=args.device, precision=args.precision, file=args.file)
    print(found.summary())
    written = write_calibration(found, args.out)
    if written:
        print(f"wrote {written}", file=sys.stderr)
    return 0


def _run_device(args: argparse.Namespace) -> int:
    from .machine import calibrate_device

    return calibrate_device(args.out, seconds=args.seconds)
