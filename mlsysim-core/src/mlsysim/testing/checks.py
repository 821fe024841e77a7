"""The checks of a solver: small, named, each a function of a :class:`SolverCase` that raises when it fails."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import attrs

from ..config import LINK_ROLES
from ..errors import ConfigError, MlsysimError
from ..evaluation import LEVELS, evaluate
from ..explaining import traced_request
from ..formula import equation_of, formula_of
from ..records import KINDS, singular
from ..records.scenario import WORKLOADS
from ..running import run_solver
from ..solving import Columns, Result, SolverSpec, is_number
from ..structure.converting import converter, to_plain
from ..tracing import Node, Traced, formula_calls, trace
from ..units import parse_unit
from .case import SolverCase
from .isolation import no_sockets
from .proofs import random_powers, scale_of

__all__ = ["CHECKS"]

HEAVY = ("numpy", "pint", "requests", "matplotlib", "pandas", "scipy")
ROWS = 8


def _close(a: Any, b: Any) -> bool:
    return bool(a == b or abs(a - b) <= 1e-12 * max(abs(a), abs(b)))


def check_spec(case: SolverCase) -> None:
    """Check that the spec is complete and consistent, and that its target can be loaded."""
    spec = case.spec
    for field in ("name", "title", "question", "scenarios", "target", "inputs", "outputs", "references"):
        assert getattr(spec, field), f"{spec.name or 'the spec'}: {field} is empty"
    assert spec.layer in tuple("ABCDE"), f"{spec.name}: layer {spec.layer!r} is none of A to E"
    assert set(spec.scenarios) <= set(WORKLOADS), f"{spec.name}: scenarios are {', '.join(WORKLOADS)}"
    records = {singular(kind) for kind in KINDS} | set(LINK_ROLES)
    for role, _ in spec.roles:
        assert role in records, (
            f"{spec.name}: there is no record {role!r} to take; there are {', '.join(sorted(records))}"
        )
    assert not set(spec.needs) & set(spec.outputs), f"{spec.name} needs its own output"
    for output, unit in spec.outputs.items():
        assert output.partition(".")[0] in LEVELS, f"{output} is in no level; they are {', '.join(LEVELS)}"
        if is_number(unit):
            parse_unit(unit)
    unknown = set(spec.labels) - set(spec.outputs)
    assert not unknown, f"{spec.name} labels {sorted(unknown)}, which it does not answer"
    for unit in (*spec.columns.values(), *(setting.unit for setting in spec.settings.values())):
        parse_unit(unit)
    assert case.solver is not None


def check_import_budget(case: SolverCase) -> None:
    """Check that importing the plugin, which every run does, loads no heavy library."""
    code = (
        f"import importlib, sys; importlib.import_module({case.plugin_module()!r}); "
        f"print(*[m for m in {HEAVY!r} if m in sys.modules])"
    )
    paths = "import sys; sys.path[:] = " + repr(sys.path) + "; "
    run = subprocess.run(  # noqa: S603 - our own interpreter and our own text
        [sys.executable, "-c", paths + code], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, f"{case.plugin_module()} cannot be imported: {run.stderr.strip()}"
    loaded = run.stdout.split()
    assert not loaded, f"importing {case.plugin_module()} loads {', '.join(loaded)}: import them inside functions"


def check_units(case: SolverCase) -> None:
    """Check that outputs scale to the last bit as their units say: no dimensional constant is hidden."""
    source = random.Random(0)  # noqa: S311 - repeatable numbers are wanted
    hook = case.rescale_static or getattr(case.solver, "rescale_static", None)
    for columns in _prepared(case):
        for varied in (columns, *case.varied(columns, 2)):
            powers = random_powers(source, case.discrete)
            scaled = dict(varied)
            for name in case.numbers(varied):
                scaled[name] = varied[name] * scale_of(case.spec.columns[name], powers)
            if hook is not None:
                scaled = hook(scaled, partial(scale_of, powers=powers))
            _compare_scaled(case.spec, case.solver.compute(varied), case.solver.compute(scaled), powers)


def _compare_scaled(spec: SolverSpec, before: Columns, after: Columns, powers: dict[str, int]) -> None:
    for name, value in before.items():
        unit = "" if name.endswith(".log_sd") else spec.outputs[name]
        expected = value * scale_of(unit, powers) if is_number(unit) else value
        assert after[name] == expected, (
            f"{spec.name}: {name} does not scale as {unit or '1'}: {after[name]!r} instead of {expected!r}. "
            "Look for a number with a dimension that is no column, a column with a wrong unit, or a dimension that "
            "is rounded and not declared discrete"
        )


def _prepared(case: SolverCase) -> Iterator[Columns]:
    for request in case.all_requests():
        columns = case.solver.prepare(request)
        unknown = [n for n, v in columns.items() if type(v) is float and n not in case.spec.columns]
        assert not unknown, f"{case.spec.name}: prepare() returns {unknown}, which spec.columns gives no unit"
        yield columns


def check_sweep(case: SolverCase) -> None:
    """Check that an array of configurations gives what a loop gives, and that whole numbers may be ints."""
    import numpy as np

    for columns in _prepared(case):
        names = case.numbers(columns)
        rows = list(case.varied(columns, ROWS))
        one_by_one = [case.solver.compute(row) for row in rows]
        at_once = case.solver.compute({**columns, **{n: np.array([r[n] for r in rows], float) for n in names}})
        assert set(at_once) == set(one_by_one[0]), f"{case.spec.name} answers other outputs for arrays"
        for name, values in at_once.items():
            wide = np.broadcast_to(np.asarray(values, dtype=np.float64), (ROWS,))
            for row, alone in enumerate(one_by_one):
                assert _close(float(wide[row]), float(alone[name])), (
                    f"{case.spec.name}: {name} is {alone[name]!r} alone, but {wide[row]!r} in an array"
                )
        whole = {n: int(columns[n]) for n in names if columns[n] == int(columns[n])}
        for name, value in case.solver.compute({**columns, **whole}).items():
            plain = case.solver.compute(columns)[name]
            assert _close(value, plain), f"{case.spec.name}: {name} is {plain!r} for floats, but {value!r} for ints"


def check_pure(case: SolverCase) -> None:
    """Check that the same question has the same answer, nothing given is changed and nothing is fetched."""
    import numpy as np

    for request in case.all_requests():
        with no_sockets():
            columns = case.solver.prepare(request)
            again = case.solver.prepare(request)
            snapshot = dict(columns)
            first, second = case.solver.compute(columns), case.solver.compute(again)
            arrays = {n: np.full(3, float(columns[n])) for n in case.numbers(columns)}
            copies = {name: array.copy() for name, array in arrays.items()}
            case.solver.compute({**columns, **arrays})
        assert first == second, f"{case.spec.name} answered the same request with {first} and {second}"
        assert set(columns) == set(snapshot), f"{case.spec.name}: compute() adds or removes columns"
        changed = [n for n, v in snapshot.items() if columns[n] is not v and columns[n] != v]
        changed += [n for n, array in arrays.items() if not np.array_equal(array, copies[n])]
        assert not changed, f"{case.spec.name}: compute() changes its input {changed}"


def check_monotone(case: SolverCase) -> None:
    """Check that declared directions hold: more bandwidth is never slower, and the like."""
    declared = [(column, out, 1) for column, outs in case.never_falls.items() for out in outs]
    declared += [(column, out, -1) for column, outs in case.never_rises.items() for out in outs]
    assert declared, f"{case.spec.name}: declare never_falls or never_rises"
    for columns in _prepared(case):
        for base in (columns, *case.varied(columns, 3)):
            for column, output, sign in declared:
                if column in case.numbers(base):
                    _follow(case, base, column, output, sign)


def _follow(case: SolverCase, base: Columns, column: str, output: str, sign: int) -> None:
    before: float | None = None
    for factor in (1.0, 1.1, 1.5, 2.0, 4.0, 16.0):
        value = case.solver.compute({**base, column: base[column] * factor})[output]
        verb = "falls" if sign > 0 else "rises"
        assert before is None or sign * value >= sign * before - 1e-12 * abs(before), (
            f"{case.spec.name}: {output} {verb} from {before!r} to {value!r} when {column} rises to {factor:g}-fold"
        )
        before = float(value)


def check_limits(case: SolverCase) -> None:
    """Check that declared bounds hold on every request and around it."""
    assert case.limits, f"{case.spec.name}: declare limits"
    for columns in _prepared(case):
        for varied in (columns, *case.varied(columns, ROWS)):
            answers = case.solver.compute(varied)
            for name, holds in case.limits.items():
                assert holds(varied, answers), f"{case.spec.name} breaks the limit {name!r}: {answers}"


def check_errors(case: SolverCase) -> None:
    """Check that bad inputs are refused with an error that names the field."""
    spec = case.spec
    right = {name: f"1 {setting.unit}" for name, setting in spec.settings.items()}
    for name, setting in spec.settings.items():
        for wrong in (f"-1 {setting.unit}", f"1 {setting.unit} s^7", "nan", "many", None, True):
            _refuses(spec.read_settings, {**right, name: wrong}, name, f"{name} = {wrong!r}")
    for bad in case.bad_inputs:
        if bad.change is not None:
            changed = bad.change(case.all_requests()[0])
            _refuses(partial(run_solver, spec, case.solver), changed, bad.names, f"the request with a bad {bad.names}")
        else:
            _refuses(partial(_evaluated, case), bad.overrides, bad.names, str(dict(bad.overrides)))
    assert spec.settings or case.bad_inputs, f"{spec.name}: declare bad_inputs"


def _evaluated(case: SolverCase, overrides: Mapping[str, str]) -> Any:
    """Evaluate the first scenario; that the solver gives a reason instead of an answer is a refusal too."""
    evaluation = evaluate(case.scenarios[0], overrides)
    reason = evaluation.unanswered.get(case.spec.question)
    if reason is not None:
        raise ConfigError(reason)
    return evaluation.answers


def _refuses(attempt: Callable[..., Any], given: Any, names: str, what: str) -> None:
    try:
        answer = attempt(given)
    except MlsysimError as error:
        message = str(error)
    else:
        raise AssertionError(f"{what} is not refused, but answered: {answer}")
    assert names in message, f"{what} is refused, but the message does not name {names}: {message}"


def check_json_round_trip(case: SolverCase) -> None:
    """Check that the spec and every result survive JSON."""
    spec = case.spec
    assert converter.structure(json.loads(json.dumps(to_plain(spec))), SolverSpec) == spec
    for request in case.all_requests():
        result = run_solver(spec, case.solver, request)
        text = json.dumps(to_plain(result), allow_nan=False)
        assert converter.structure(json.loads(text), Result) == result, f"{spec.name}: {text} reads back differently"


def _traced(case: SolverCase) -> Iterator[Columns]:
    """Answer each request on numbers that remember where they came from."""
    for request in case.all_requests():
        inputs = {k: trace(v, "input", origin=k) for k, v in request.inputs.items()}
        with formula_calls():
            traced = attrs.evolve(traced_request(case.spec, request), inputs=inputs)
            yield case.solver.compute(case.solver.prepare(traced))


def _ancestors(value: Any) -> list[Node]:
    found: dict[int, Node] = {}
    pending = [value.node] if isinstance(value, Traced) else []
    while pending:
        node = pending.pop()
        if id(node) not in found:
            found[id(node)] = node
            pending += [p.node for p in (*node.parents, *node.arguments.values()) if isinstance(p, Traced)]
    return list(found.values())


def check_explain(case: SolverCase) -> None:
    """Check that every number traces back to inputs and a reference, and is what it is without a trace."""
    spec = case.spec
    for request, answers in zip(case.all_requests(), _traced(case), strict=True):
        plain = case.solver.compute(case.solver.prepare(request))
        for name, value in answers.items():
            assert _close(value, plain[name]), f"{spec.name}: {name} is {plain[name]!r}, but {value!r} when explained"
            if name.endswith(".log_sd") or not is_number(spec.outputs[name]):
                continue
            nodes = _ancestors(value)
            assert any(n.origin for n in nodes), f"{spec.name}: {name} traces back to no input"
            cited = any(equation_of(n.formula)[1] for n in nodes if n.formula is not None)
            assert cited or spec.references, f"{spec.name}: {name} names no reference"


def check_docs(case: SolverCase) -> None:
    """Check that class, outputs, settings and formulas say what they are, with equation and unit."""
    spec = case.spec
    assert type(case.solver).__doc__, f"{spec.target} has no docstring"
    unlabelled = [name for name in spec.outputs if not spec.labels.get(name)]
    assert not unlabelled, f"{spec.name}: no label for {', '.join(unlabelled)}"
    for name, setting in spec.settings.items():
        assert setting.help, f"{spec.name}: the setting {name} has no help"
    formulas = {n.formula for answers in _traced(case) for v in answers.values() for n in _ancestors(v) if n.formula}
    for formula in formulas:
        declared = formula_of(formula)
        assert declared is not None
        assert equation_of(formula)[0], f"{declared.name}() gives no equation under Notes"
        for argument in declared.units:
            lines = [ln for ln in (formula.__doc__ or "").splitlines() if " : " in ln]
            named = [ln for ln in lines if argument in ln.partition(" : ")[0].replace(",", " ").split()]
            assert named, f"{declared.name}(): the argument {argument} is not documented"
            assert "," in named[0].partition(" : ")[2], f"{declared.name}(): {argument} is documented without its unit"


CHECKS: dict[str, Callable[[SolverCase], None]] = {
    check.__name__: check
    for check in (
        check_spec, check_import_budget, check_units, check_sweep, check_pure, check_monotone, check_limits,
        check_errors, check_json_round_trip, check_explain, check_docs,
    )
}  # fmt: skip
"""Every check by name, in the order in which they run."""
