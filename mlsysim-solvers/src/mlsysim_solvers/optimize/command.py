"""``mlsysim optimize training``: the best layout for a goal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsysim.config import SimulationConfig

    from .goals import Goal
    from .search import Candidate, Found

__all__ = ["add_optimize_command"]

_EXAMPLES = """examples:
  mlsysim optimize training gpt-175b-a100-1024
  mlsysim optimize training llama-70b-h100-64 --devices 32,64,128 --goal cost
  mlsysim optimize training gpt-175b-a100-1024 --goal devices --within "30 s" --devices 64,128,256,512,1024
  mlsysim optimize training llama-3.1-70b --on h100-sxm --devices 64,128 --batch 256 --sequence 8192
"""


def add_optimize_command(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    from mlsysim.cli.asking import add_scenario_arguments

    parser = commands.add_parser("optimize", help="find the best layout", description="Find the best layout.")
    inner = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    one = inner.add_parser(
        "training", help="of a training job on many devices", epilog=_EXAMPLES,
        description="Search all legal layouts of a training scenario, exactly: degrees of parallelism, interleaving, "
        "micro-batch, sequence parallelism, ZeRO and the kind of recomputation. Everything else stays as in the "
        "scenario, the number of recomputed layers too; its [parallelism] is ignored.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_scenario_arguments(one, without=("--devices",))
    one.add_argument(
        "--goal", choices=("step-time", "cost", "energy", "devices"), default="step-time",
        help="shortest step, least money or energy per sample, or fewest devices",
    )  # fmt: skip
    one.add_argument(
        "--devices", default="", metavar="N,N", help="numbers of devices to try; the scenario's by default"
    )
    one.add_argument(
        "--within", default="", metavar="TIME", help="longest step allowed, for the goals other than step-time"
    )
    one.add_argument("--exhaustive", action="store_true", help="evaluate every layout that fits, without bounds")
    one.add_argument("--json", action="store_true", help="the layouts found as plain data; numbers in SI")
    one.add_argument("--plot", metavar="FILE", help="draw where the step of the best layout goes: .svg, .png or .pdf")
    one.set_defaults(run=_run)


def _numbers(text: str, default: int) -> list[int]:
    from mlsysim.errors import ConfigError

    if not text:
        return [int(default)]
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{text!r} is not a list of counts", where="--devices", remedy="Write 64,128,256") from None
    if any(number < 2 for number in found):
        raise ConfigError("a layout needs 2 devices or more", where="--devices", remedy="Leave smaller numbers out")
    return found


def _limit(text: str) -> float:
    """Return the longest step allowed, in s."""
    from mlsysim.errors import ConfigError, UnitError
    from mlsysim.units import parse_quantity

    if not text:
        return float("inf")
    try:
        limit = float(parse_quantity(text, "s"))
    except UnitError as error:
        raise UnitError(error.what, where="--within", remedy=error.remedy) from None
    if limit <= 0.0:
        raise ConfigError(f"{text} is not a time for a step", where="--within", remedy="Give more than 0 s")
    return limit


def _run(args: argparse.Namespace) -> int:
    from mlsysim.cli.asking import read_config
    from mlsysim.cli.printing import print_json
    from mlsysim.plotting import check_plot_path

    from .report import compared, plain, report, too_slow

    if args.plot:
        check_plot_path(args.plot)
    if args.on is not None:  # what is put together trains, and has no number of devices of its own
        args.kind = args.kind or "training"
        args.set_system_devices = str(_numbers(args.devices, 0)[0]) if args.devices else None
    config = read_config(args)
    limit = _limit(args.within)
    tried, left_out = _searches(args, config, limit)
    fitting = [_Fitting(goal, found, found.best) for goal, found in tried if found.best is not None]
    able = [one for one in fitting if one.best.step <= limit]
    best = min(able, key=lambda one: (one.best.devices if args.goal == "devices" else 0, one.best.value), default=None)
    nearest = best or min(fitting, key=lambda one: one.best.step, default=None)
    if args.json:
        print_json(plain(tried, None if best is None else (best.goal, best.found), left_out, config.assumptions))
    else:
        for devices, why in left_out.items():
            print(f"{devices} devices are left out: {why}")
        if best is not None:
            lines = [*report(best.found, best.goal), *compared([one.found for one in able], best.goal),
                     *_answers(config, best.best)]  # fmt: skip
        elif nearest is not None:
            lines = [*too_slow(nearest.found, limit)]
        else:
            lines = [line for goal, found in tried[-1:] for line in report(found, goal)]
        print("".join(f"{line}\n" for line in lines), end="")
        print("".join(f"assumed: {text}\n" for text in config.assumptions), end="")
    if args.plot and nearest is not None:
        from ..step_pictures import plot_step

        plot_step(nearest.best.terms, args.plot, title=config.scenario.name)
    return 0 if able else 3


_SAID = ("performance.step_time", "performance.utilisation", "performance.time_to_train", "macro.run_cost",
         "macro.run_energy", "macro.run_carbon")  # fmt: skip
"""What a scorecard says of the best layout that a search does not need; of a run only where its length is known."""


def _answers(config: SimulationConfig, best: Candidate) -> Iterator[str]:
    """Write the answers of the best layout, with their intervals."""
    from mlsysim.config import SimulationConfig
    from mlsysim.evaluation import evaluate
    from mlsysim.renderers.content import rows

    recompute, sequence, zero = best.choice
    layout = {name: int(value) for name, value in best.axes.items()} | {"sequence": sequence, "zero": zero}
    changes = {"system.devices": str(best.devices), "workload.recompute": recompute}
    data = {**config.document.data, "parallelism": layout}
    answer = evaluate(SimulationConfig.from_dict(data, changes))
    found = [row for level in ("performance", "macro") for row in rows(answer, level) if row.name in _SAID]
    width = max(len(row.label) for row in found)
    yield "the best layout, with 90 % intervals (`mlsysim eval` of it tells more):"
    yield from (f"    {row.label:<{width}}  {row.value:<12}  {row.interval}".rstrip() for row in found)


class _Fitting(NamedTuple):
    """A search that found layouts that fit, and the best of them."""

    goal: Goal
    found: Found
    best: Candidate


def _searches(
    args: argparse.Namespace, config: SimulationConfig, limit: float
) -> tuple[list[tuple[Goal, Found]], dict[int, str]]:
    """Search each number of devices, and say why those are left out on which the run would never end."""
    from .goals import endless, goal_of
    from .search import search, search_columns

    tried, left_out = [], {}
    for devices in _numbers(args.devices, config.scenario.system.devices):
        columns = search_columns(config, devices)
        if why := endless(config, devices, columns):
            left_out[devices] = why
            continue
        goal = goal_of(config, devices, args.goal, columns)
        tried.append((goal, search(columns, devices, goal, limit=limit, exhaustive=args.exhaustive)))
    return tried, left_out
