"""``mlsysim sweep``: many variations of one scenario."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, InfeasibleError, SLAViolation, UnitError
from ..names import did_you_mean
from ..solving import choices_of, column_units, is_number
from ..units import format_quantity
from .asking import add_scenario_arguments, read_config
from .parser import Commands, add_command
from .printing import Progress, print_json, table, write_text, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..config import SimulationConfig
    from ..renderers.style import Style
    from ..solving import SolverSpec
    from ..sweeping.result import SweepResult

__all__ = ["add"]

_EXAMPLES = """
mlsysim sweep llama-3.1-8b --on h100-sxm --columns
mlsysim sweep llama-3.1-8b --on h100-sxm --vary batch=1,8,64 --minimise latency
mlsysim sweep llama-3.1-8b --on h100-sxm --vary device=h100-sxm,h200-sxm,mi300x --maximise throughput
mlsysim sweep my-scenario.toml --vary batch=1:512:10:log --maximise throughput --minimise latency --plot frontier.svg
mlsysim sweep my-scenario.toml --vary batch=1:64:64 --vary "bandwidth=2 TB/s:8 TB/s:7" --csv all.csv
"""
_TOP = 10
_MOST_VALUES = 10_000_000
"""Values of a range at most: no memory is asked for what no sweep could answer."""
_USUAL = ("feasibility.memory_required", "performance.latency", "performance.step_time", "performance.throughput",
          "performance.bound", "macro.cost_per_token", "macro.cost_per_sample", "macro.energy_per_token",
          "macro.energy_per_sample")  # fmt: skip
"""Answers to print beside what varies and what is aimed at; the last go first where room is short."""
_MOST_OWN = 3
"""So many answers of a solver that alone takes what varies are printed beside the usual ones."""
_WRITTEN = 8192
"""Rows that are spelled out at a time."""
_COUNTED = ("sample", "token")
"""Units whose ranges hold whole numbers only: there is no half request."""


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(commands, "sweep", "evaluate many variations and find the best", _run, _EXAMPLES)
    add_scenario_arguments(parser)
    group = parser.add_argument_group("variations")
    group.add_argument("--columns", action="store_true", help="list what can vary, with unit and value now, and stop")
    group.add_argument("--vary", action="append", default=[], metavar="COLUMN=VALUES",
                       help="a,b,c or low:high:count or low:high:count:log, or choices of a key of the scenario "
                       "(device=h100-sxm,b200-sxm); all are combined")  # fmt: skip
    group.add_argument("--minimise", action="append", default=[], metavar="OUTPUT", help="less is better")
    group.add_argument("--maximise", action="append", default=[], metavar="OUTPUT", help="more is better")
    group.add_argument("--top", metavar="N", default=None, help=f"rows to print; {_TOP} by default")
    group.add_argument("--json", action="store_true", help="plain data: the rows to print, in SI, or --columns")
    group.add_argument("--csv", metavar="FILE", help="write all rows, in SI units; - for standard output")
    group.add_argument("--npz", metavar="FILE", help="write all rows as arrays of numpy, in SI units: for very many")
    group.add_argument("--plot", metavar="FILE", help="draw the variations: .svg, .png or .pdf")
    group.add_argument(
        "--executor", metavar="NAME", default="serial", help="serial (default), processes, or one of a plugin"
    )


def _run(args: argparse.Namespace) -> int:
    """Print the best variations; 3 where none fits, 4 where none that fits keeps the constraints."""
    config = read_config(args)
    from ..config.overrides import known_keys
    from ..sweeping import answering_solvers, sweep

    specs = answering_solvers(config)
    units = column_units(specs)
    if args.columns:
        return _list_columns(config, units, plain=args.json)
    if args.json and args.csv == "-":
        raise ConfigError("--csv - and --json both write to standard output", where="--json", remedy="Give one")
    vary = _vary(args.vary, units, known_keys(config.scenario.kind))
    top = _top(args.top)
    if args.plot:
        from ..plotting import check_plot_path

        check_plot_path(args.plot)
    with Progress() as progress:
        result = sweep(config, vary, wanted=[*args.minimise, *args.maximise], executor=args.executor, progress=progress)
    _tell(result)
    order = _order(result, args.minimise, args.maximise)
    if args.plot:  # before the text: whoever reads that may close the pipe
        from ..plotting import plot_sweep

        plot_sweep(
            result,
            args.plot,
            minimise=args.minimise,
            maximise=args.maximise,
            heading=_heading(config, list(vary)),
        )
        print(f"wrote {args.plot}", file=sys.stderr)
    if args.csv:
        write_text(args.csv, lambda file: _write_csv(result, file))
    if args.npz:
        _write_arrays(result, args.npz)
    if args.json:
        print_json(_plain(result, order[:top]))
    elif args.csv != "-":
        limited = [limit.output for limit in config.constraints if limit.output in result.outputs]
        aims = [*args.minimise, *args.maximise]
        _print(result, order, top, aims, [*limited, *_own(specs, vary)], config)
        if not order.size:
            _say_why(result, config)
    return _exit_code(result)


def _list_columns(config: SimulationConfig, units: dict[str, str], *, plain: bool) -> int:
    if plain:
        print_json(dict(sorted(units.items())))
    else:
        from .columns import print_columns

        print_columns(config)
    return 0


def _heading(config: SimulationConfig, vary: list[str]) -> str:
    """Say what a picture shows; a name that was put together loses the device where that varies."""
    name = config.scenario.name
    if {"device", "system.device"} & set(vary):
        name = name.removesuffix(f" on {config.entries['device'].record.name}")
    return f"{name}: {', '.join(vary)}"


def _tell(result: SweepResult) -> None:
    from ..sweeping.result import idle

    for choice, error in result.refused:
        print(f"left out: {_words(choice)}: {error.faults[0].what}", file=sys.stderr)
    for reason in result.unanswered:
        print(f"not evaluated: {reason}", file=sys.stderr)
    for name in idle(result):
        print(f"note: {name} changes no answer here", file=sys.stderr)


def _exit_code(result: SweepResult) -> int:
    if not result.feasible.any():
        return InfeasibleError.exit_code
    return 0 if result.acceptable.any() else SLAViolation.exit_code


def _top(text: str | None) -> int:
    if text is not None and not (text.isdigit() and int(text)):
        raise ConfigError(f"{text!r} is not a number of rows", where="--top", remedy="Give a whole number from 1")
    return _TOP if text is None else int(text)


def _vary(texts: list[str], units: dict[str, str], keys: dict[str, str]) -> dict[str, Any]:
    if not texts:
        raise ConfigError(
            "nothing varies", where="--vary", remedy="Write for example --vary batch=1,2,4; --columns lists all"
        )
    vary: dict[str, Any] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not values.strip():
            raise ConfigError(f"{text!r} is not COLUMN=VALUES", where="--vary", remedy="Write for example batch=1,2,4")
        if name in vary:
            raise ConfigError(f"{name} varies twice", where="--vary", remedy="Give all its values at once")
        if name not in units:
            if name not in keys and name not in keys.values():
                remedy = did_you_mean(name, [*units, *keys], listing="mlsysim sweep SCENARIO --columns")
                raise ConfigError(f"nothing called {name!r} can vary", where="--vary", remedy=remedy)
            vary[name] = [part.strip() for part in values.split(",")]
            continue
        try:
            vary[name] = _range(values, units[name]) if ":" in values else _list(values, units[name])
        except UnitError as error:
            raise UnitError(error.what, where=f"--vary {name}", remedy=error.remedy) from None
    return vary


def _list(text: str, unit: str) -> list[float]:
    from ..units import parse_quantity

    return [parse_quantity(part.strip(), unit) for part in text.split(",")]


def _range(text: str, unit: str) -> Any:
    """Read ``low:high:count`` with even steps, or ``low:high:count:log`` with even ratios."""
    import numpy as np

    from ..units import parse_quantity

    parts = [part.strip() for part in text.split(":")]
    log = parts[3:] == ["log"]
    if len(parts) not in (3, 4) or (len(parts) == 4 and not log) or not parts[2].isdigit() or int(parts[2]) < 2:
        raise ConfigError(f"{text!r} is not a range", where="--vary",
                          remedy="Write low:high:count, or low:high:count:log")  # fmt: skip
    low, high, steps = parse_quantity(parts[0], unit), parse_quantity(parts[1], unit), int(parts[2])
    if low >= high or (log and low <= 0):
        raise ConfigError(
            f"{text!r} does not rise{' from above 0' if log else ''}", where="--vary", remedy="Put the lower end first"
        )
    if steps > _MOST_VALUES:
        raise ConfigError(f"{steps:,} values are too many", where="--vary", remedy=f"Give at most {_MOST_VALUES:,}")
    values = np.geomspace(low, high, steps) if log else np.linspace(low, high, steps)
    return np.unique(np.round(values)) if unit in _COUNTED else values


def _order(result: SweepResult, minimise: list[str], maximise: list[str]) -> NDArray[np.intp]:
    """Return the rows to print: the best first, the frontier of two aims, or all in order."""
    import numpy as np

    if both := set(minimise) & set(maximise):
        raise ConfigError(f"{min(both)} is to be less and more", where="--maximise", remedy="Give it once")
    if len(minimise) + len(maximise) > 2:
        raise ConfigError("more than two aims are given", where="--maximise" if maximise else "--minimise",
                          remedy="A frontier is drawn between two")  # fmt: skip
    if len(minimise) + len(maximise) > 1:
        return result.pareto(minimise, maximise)
    rows = np.flatnonzero(result.acceptable)
    if minimise or maximise:
        name = result.aim((minimise or maximise)[0], where="--minimise" if minimise else "--maximise")
        values = result.outputs[name][rows]
        rows = rows[np.argsort(values if minimise else -values, kind="stable")]
    return rows


def _own(specs: list[SolverSpec], vary: dict[str, Any]) -> list[str]:
    """Return what solvers answer that alone take a column which varies: without it the column would seem idle."""
    takers = ([spec for spec in specs if name in spec.columns] for name in vary)
    alone = [found[0] for found in takers if len(found) == 1 and found[0].question != "performance"]
    return [output for spec in alone for output in list(spec.outputs)[:_MOST_OWN]]


def _print(
    result: SweepResult, order: NDArray[np.intp], top: int, aims: list[str], own: list[str], config: SimulationConfig
) -> None:  # fmt: skip
    from ..renderers.style import Style
    from ..sweeping.assumed import assumption_lines
    from ..sweeping.result import counted
    from .sweep_words import beside_the_best

    style = Style.of(sys.stdout)
    shown = order[:top]
    words = ["", f", best {len(shown)} first", f", {len(order)} of them on the frontier"]
    print(f"{counted(result)}{words[min(2, len(aims))] if order.size else ''}")
    for name, who in result.left_out.items():
        if who and (name in _USUAL or name in aims or name.partition(".")[2] in aims):
            print(f"{name} is left out: not answered for {', '.join(who)}")
    if not order.size:
        return
    texts = [result.row(int(row)) for row in shown]
    full = [result.output_name(aim) for aim in aims]
    wanted = {*result.varied, *_USUAL, *full, *own}
    names = [name for name in texts[0] if name in wanted]
    print()
    lines = _table(names, texts, style)
    while style.terminal and max(map(len, lines[1:])) > style.width and names[-1] in _USUAL and names[-1] not in full:
        names.pop()
        lines = _table(names, texts, style)
    print("\n".join(lines))
    for heading, rows in beside_the_best(result, order, shown, config.constraints) if len(aims) == 1 else ():
        print(f"\n{heading}" if rows else heading)
        print("".join(f"{line}\n" for line in _table(names, [result.row(row) for row in rows], style) if rows), end="")
    if lines := assumption_lines(result.assumed):
        print("", *lines, sep="\n")


def _say_why(result: SweepResult, config: SimulationConfig) -> None:
    """Say what comes nearest where nothing is left to print."""
    import numpy as np

    from ..evaluation.unanswered import why_not
    from ..plugins import plugins

    fits = result.feasible
    if not fits.any():
        needed = result.outputs.get("feasibility.memory_required")
        if needed is not None and not result.outputs.get("feasibility.fits", np.ones(1)).any():
            least, usable = int(np.argmin(needed)), result.row(int(np.argmin(needed))).get("feasibility.memory_usable")
            print(f"the least memory that one needs is {result.row(least)['feasibility.memory_required']} of {usable}")
        return
    for limit in config.constraints:
        values = result.outputs.get(limit.output)
        if values is None:
            print(f"  {limit}: not answered: {why_not(limit.output, plugins().solvers, {})}")
            continue
        nearest = float((np.min if limit.relation == "<=" else np.max)(values[fits]))
        kept = int(np.sum(limit.holds(values[fits])))
        print(f"  {limit}: kept by {kept:,} of {int(fits.sum()):,}; nearest {format_quantity(nearest, limit.unit)}")


def _words(choice: dict[str, str]) -> str:
    return ", ".join(f"{name} = {text}" for name, text in choice.items())


def _table(names: list[str], texts: list[dict[str, str]], style: Style) -> list[str]:
    head = [name.partition(".")[2] or name for name in names]
    return table(head, [[text[name] for name in names] for text in texts], style, right=range(len(names)))


def _plain(result: SweepResult, order: NDArray[np.intp]) -> dict[str, Any]:
    columns = result.columns
    return {
        "variations": len(result), "fit": int(result.feasible.sum()), "acceptable": int(result.acceptable.sum()),
        "units": {name: _si(result.units[name]) for name in columns},
        "rows": [{k: _value(float(values[row]), result.units[k]) for k, values in columns.items()} for row in order],
        "refused": [{**choice, "reason": error.faults[0].what} for choice, error in result.refused],
        "left_out": {name: list(who) for name, who in result.left_out.items()},
        "unanswered": list(result.unanswered),
        "assumed": result.assumed,
    }  # fmt: skip


def _value(value: float, unit: str) -> float | bool | str:
    if choices := choices_of(unit):
        return choices[int(value)]
    return bool(value) if unit == "bool" else value


def _write_csv(result: SweepResult, file: Any) -> None:
    import csv

    columns = result.columns
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_head(name, result.units[name]) for name in columns)
    choices = {name: choices_of(result.units[name]) for name in columns}
    for begin in range(0, len(result), _WRITTEN):
        some = (_texts(values[begin : begin + _WRITTEN].tolist(), choices[name]) for name, values in columns.items())
        # A writer that looks into every number for what needs quotes takes half of the time.
        file.write("\n".join(map(",".join, zip(*some, strict=True))) + "\n")


def _write_arrays(result: SweepResult, path: str) -> None:
    import numpy as np

    choices = {name: choices_of(result.units[name]) for name in result.columns}
    arrays: dict[str, Any] = {
        name: np.array(choices[name])[values.astype(np.intp)] if choices[name] else values
        for name, values in result.columns.items()
    }
    with written(path, "wb") as file:
        np.savez(file, **arrays)


def _texts(values: list[float], choices: Sequence[str]) -> list[str]:
    """Return numbers as text: most columns of a grid have few different ones, each of which is spelled out once."""
    different = list(set(values))
    if not choices and 2 * len(different) > len(values):
        return _spelled(values)
    words = [_quoted(choices[int(value)]) for value in different] if choices else _spelled(different)
    return list(map(dict(zip(different, words, strict=True)).__getitem__, values))


def _quoted(word: str) -> str:
    import csv
    import io

    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([word])
    return line.getvalue()


def _spelled(values: list[float]) -> list[str]:
    """Return each number with as many digits as tell it from all others, as a list of TOML has them.

    The library that writes such lists takes a fourth of the time of ``repr``, and writes no exponents.
    """
    import rtoml

    listed: str = rtoml.dumps({"a": values})
    return listed[listed.index("[") + 1 : listed.rindex("]")].split(", ")


def _head(name: str, unit: str) -> str:
    return f"{name} [{_si(unit)}]" if _si(unit) else name


def _si(unit: str) -> str:
    """Return the SI unit of values that are declared in a unit; nothing for words."""
    from ..units import dimension_text, parse_unit

    if not is_number(unit):
        return ""
    known = parse_unit(unit)
    # The values are in SI: a declared unit that is SI itself reads better than its base units.
    return unit if unit and known.factor == 1.0 else dimension_text(known.dimension)
