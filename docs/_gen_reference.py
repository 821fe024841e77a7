"""The reference pages: command line, hooks, solvers, formulas, units, errors, records, Python."""

from __future__ import annotations

import argparse
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import attrs
from _gen_catalog import cell, table

from mlsysim import errors, hookspecs
from mlsysim.cli import build_parser
from mlsysim.formula import DECLARED, FormulaSpec, equation_of, formula_of
from mlsysim.plugins import plugins
from mlsysim.records import KINDS
from mlsysim.units import UNIT_TABLE, dimension_text, format_quantity, unit_symbols

__all__ = ["pages"]

_PYTHON = (
    "config", "config.overrides", "config.constraints", "evaluation", "explaining", "explaining.tree", "sweeping",
    "sweeping.result", "sweeping.chunks", "sweeping.answers", "plotting", "entities", "solving", "formula", "numeric",
    "units", "units.quantity", "provenance", "plugins", "entry_points", "front", "errors", "executors", "refreshing",
    "renderers", "structure", "structure.plans", "structure.converting", "documents", "tracing", "shapes",
    "shapes.layers", "records.model", "records.device", "records.infrastructure", "records.supply", "records.scenario",
    "records.parallelism", "records.scheduler", "records.stack", "records.stack_parts", "records.calibration",
    "records.precision", "records.fields", "testing", "testing.fixtures",
)  # fmt: skip


def pages() -> dict[str, str]:
    """Write the reference.

    Returns
    -------
    dict of str to str
        File name to Markdown.
    """
    writers = {
        "cli": _cli, "hooks": _hooks, "solvers": _solvers, "formulas": _formulas, "units": _units, "errors": _errors,
        "records": _records, "python": _python,
    }  # fmt: skip
    return {f"reference/{name}.md": write() for name, write in writers.items()}


def _code(text: str, language: str = "text") -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def _cli() -> str:
    parts = [
        "# Command line\n",
        "Exit codes: 0 good, 1 a fault of the program or of a plugin, 2 bad input, 3 it does not fit or cannot work, 4 a declared constraint is violated.\n",
    ]
    parts += [f"## `{parser.prog}`\n\n{_code(_help(parser))}" for parser in _parsers(build_parser())]
    return "\n".join(parts)


def _help(parser: argparse.ArgumentParser) -> str:
    # argparse wraps at the width of the terminal; a page has its own.
    parser.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100)
    return parser.format_help()


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in dict.fromkeys(action.choices.values()):
                yield from _parsers(inner)


def _docstring(thing: object) -> str:
    return inspect.getdoc(thing) or ""


def _hooks() -> str:
    parts = [
        "# Hooks\n",
        "The whole contract of a plugin: `mlsysim.hookspecs`. Project name and entry-point group are `mlsysim`.\n",
    ]
    for name, function in vars(hookspecs).items():
        if not name.startswith("mlsysim_"):
            continue
        options = getattr(function, "mlsysim_spec", {})
        kind = "first result" if options.get("firstresult") else "historic" if options.get("historic") else "collect"
        signature = f"{name}{inspect.signature(function)}"
        parts.append(
            f"## `{name}`\n\n{{bdg-info}}`{kind}`\n\n{_code(signature, 'python')}\n{_code(_docstring(function))}"
        )
    return "\n".join(parts)


def _solvers() -> str:
    parts = ["# Solvers\n", "What each installed solver says about itself; `mlsysim solvers` lists them too.\n"]
    for spec in sorted(plugins().solvers.values(), key=lambda s: s.name):
        parts.append(f"## `{spec.name}`\n\n{cell(spec.title)}\n")
        facts = [
            ["question", f"`{spec.question}`"],
            ["scenarios", ", ".join(spec.scenarios)],
            ["class", f"`{spec.target}`"],
            ["needs", ", ".join(f"`{name}`" for name in spec.inputs)],
            ["references", "; ".join(map(cell, spec.references))],
        ]
        parts.append(table(["", ""], facts))
        outputs = [[f"`{o}`", cell(unit), cell(spec.labels.get(o, ""))] for o, unit in spec.outputs.items()]
        parts.append(table(["output", "unit", "on the scorecard"], outputs))
        settings = [[f"`{n}`", cell(s.unit), _default(s), cell(s.help)] for n, s in spec.settings.items()]
        if settings:
            parts.append(table(["setting", "unit", "default", "what"], settings))
        columns = [[f"`{name}`", cell(unit)] for name, unit in spec.columns.items()]
        if columns:
            parts.append(table(["column for sweeps", "unit"], columns))
    return "\n".join(parts)


def _default(setting: Any) -> str:
    return "required" if setting.default is None else cell(format_quantity(setting.default, setting.unit))


def _submodules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for info in pkgutil.iter_modules(getattr(package, "__path__", [])):
        yield from _submodules(import_module(f"{package.__name__}.{info.name}"))


def _formulas() -> str:
    """Import every module named ``formulas`` beside a solver, then list what was declared."""
    for top in sorted({spec.target.partition(".")[0] for spec in plugins().solvers.values()}):
        list(_submodules(import_module(f"{top}.formulas")))
    functions = sorted(DECLARED.values(), key=lambda f: (f.__module__, f.__name__))
    parts = [
        "# Formulas\n",
        (
            "Pure functions with declared units. Each runs on a float, on an array and on a quantity, and each is proved "
            "by rescaling its inputs and by pint.\n"
        ),
    ]
    module = ""
    for function in functions:
        spec = formula_of(function)
        if spec is None:
            continue
        if spec.module != module:
            module = spec.module
            parts.append(f"## `{module}`\n\n{cell(_docstring(import_module(module)).partition(chr(10))[0])}\n")
        parts.append(_formula(spec, function))
    return "\n".join(parts)


def _formula(spec: FormulaSpec, function: Any) -> str:
    equation, reference = equation_of(function)
    units = ", ".join(f"`{name}` [{cell(unit)}]" for name, unit in spec.units.items())
    lines = [f"### `{spec.name}`\n", cell(_docstring(function).partition("\n")[0]) + "\n"]
    if equation:
        lines.append(_code(equation))
    lines.append(f"{units} → [{cell(spec.returns)}]\n")
    if spec.discrete:
        lines.append(f"Counts in whole: {', '.join(spec.discrete)}.\n")
    if reference:
        lines.append(f"Reference: {cell(reference)}\n")
    return "\n".join(lines)


def _units() -> str:
    symbols = unit_symbols()
    rows = [
        [
            f"`{row.symbol}`",
            f"{row.factor:g}",
            cell(dimension_text(symbols[row.symbol][1])),
            "yes" if row.prefixable else "",
        ]
        for row in UNIT_TABLE
    ]
    return (
        "# Units\n\nText in data and scenario files: a number, then a unit; products with a space or `*`, quotients "
        "with `/`, powers as `m^2`. GB is 1e9 B and GiB is 2^30 B. FLOP is an amount, FLOP/s a rate, and one MAC is 2 FLOP. "
        "A prefix (`k`, `M`, `G`, `T`, `P`, `E`, `m`, `u`, `n` ...) may stand where the table says so.\n\n"
        + table(["symbol", "in base units", "dimension", "prefix"], rows)
    )


def _errors() -> str:
    classes = [c for name in errors.__all__ if inspect.isclass(c := getattr(errors, name))]
    rows = [
        [f"`{c.__name__}`", cell(_docstring(c).partition("\n")[0]), str(getattr(c, "exit_code", ""))] for c in classes
    ]
    return (
        "# Errors\n\nEvery error that a user can cause derives from `MlsysimError`, says where it is, what is wrong "
        "and what to do, and reports all faults of a file at once (`error.faults`). The command line prints it without a "
        "traceback and leaves with its exit code.\n\n" + table(["class", "when", "exit code"], rows)
    )


def _records() -> str:
    parts = [
        "# Records and files\n",
        (
            "One TOML file holds one entity; its fields are those of the record. A *fact* is a number about the world and "
            "must carry its source; a *setting* is a choice and needs only its unit. "
            "[Correct a number](../../how-to/correct-a-number.md) shows the grammar.\n"
        ),
    ]
    seen: set[type] = set()
    for kind, cls in KINDS.items():
        parts.append(f"## {kind}\n\n{cell(_docstring(cls).partition(chr(10))[0])}\n")
        parts += _record(cls, seen)
    return "\n".join(parts)


def _record(cls: type, seen: set[type]) -> Iterator[str]:
    if cls in seen:
        return
    seen.add(cls)
    attrs.resolve_types(cls)
    rows, inner = [], []
    for field in attrs.fields(cls):
        kind = "fact" if field.metadata.get("fact") else "setting" if "unit" in field.metadata else ""
        needed = "required" if field.default is attrs.NOTHING else ""
        kind_text = _type_text(field.type)
        rows.append([f"`{field.name}`", f"`{kind_text}`", cell(field.metadata.get("unit", "")), kind, needed])
        inner += [c for c in _records_in(field.type) if c not in seen]
    yield f"### `{cls.__name__}`\n\n{table(['field', 'type', 'unit', '', ''], rows)}"
    for other in dict.fromkeys(inner):
        yield from _record(other, seen)


def _records_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and attrs.has(annotation):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _records_in(argument)


def _type_text(annotation: Any) -> str:
    text = (
        annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    )
    for noise in ("typing.", "mlsysim.records.", "infrastructure.", "device.", "model.", "scenario.", "stack."):
        text = text.replace(noise, "")
    return text.replace("|", "or")


def _python() -> str:
    import mlsysim

    rows = []
    for name in mlsysim.__all__:
        thing = getattr(mlsysim, name)
        about = _docstring(thing).partition("\n")[0] if not isinstance(thing, str) else "Version of the core."
        rows.append([f"`{name}`", cell(about)])
    parts = [
        "# Python\n",
        (
            "`import mlsysim` loads nothing until a name is used. Public classes of other installed distributions "
            "(`SingleNodeSolver`, `ProvenanceMap` ...) are found through the same door.\n"
        ),
        table(["name", "what"], rows),
    ]
    for module in _PYTHON:
        full = f"mlsysim.{module}"
        parts.append(f"## `{full}`\n\n```{{eval-rst}}\n.. automodule:: {full}\n   :members:\n```\n")
    return "\n".join(parts)
