"""Loading a solver, asking it, and checking what it answered."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from .errors import MlsysimError, PluginError, SolverError
from .hookspecs import hookimpl
from .solving import Request, Result, Solver, SolverSpec

__all__ = ["load_solver", "mlsysim_solve", "run_solver"]


def load_solver(spec: SolverSpec) -> Solver:
    """Import the solver that a spec names.

    Parameters
    ----------
    spec : SolverSpec
        The spec.

    Returns
    -------
    Solver

    Raises
    ------
    PluginError
        If it cannot be imported or lacks a method.
    """
    module, _, name = spec.target.partition(":")
    try:
        solver = getattr(importlib.import_module(module), name)()
    except Exception as error:
        raise PluginError(
            f"the solver {spec.name} cannot be loaded from {spec.target}: {type(error).__name__}: {error}",
            remedy="Reinstall or update the plugin that offers it",
        ) from error
    for method in ("prepare", "compute"):
        if not callable(getattr(solver, method, None)):
            raise PluginError(
                f"{spec.target} has no method {method}()", remedy="A solver needs prepare() and compute()"
            )
    found: Solver = solver
    return found


@hookimpl(trylast=True)
def mlsysim_solve(spec: SolverSpec, request: Request) -> Result:
    """Answer by calling the solver itself.

    Parameters
    ----------
    spec : SolverSpec
        The solver.
    request : Request
        The question.

    Returns
    -------
    Result
    """
    return run_solver(spec, load_solver(spec), request)


def run_solver(spec: SolverSpec, solver: Solver, request: Request) -> Result:
    """Run one solver on one request and check its answer.

    Parameters
    ----------
    spec : SolverSpec
        What the solver declared.
    solver : Solver
        The solver.
    request : Request
        The question.

    Returns
    -------
    Result

    Raises
    ------
    SolverError
        If the solver fails, or an output is undeclared or no finite number.
    """
    try:
        columns = solver.prepare(request)
        answers = solver.compute(columns)
    except MlsysimError:
        raise
    except Exception as error:
        raise SolverError(
            f"the solver {spec.name} failed: {type(error).__name__}: {error}",
            remedy="Please report this to its authors",
        ) from error
    if not isinstance(answers, Mapping):
        raise SolverError(
            f"the solver {spec.name} failed: compute() returned {type(answers).__name__}, not outputs by name",
            remedy="Please report this to its authors",
        )
    outputs: dict[str, Any] = {}
    log_sd: dict[str, float] = {}
    for name, value in answers.items():
        base = name.removesuffix(".log_sd")
        if base not in spec.outputs:
            raise SolverError(f"the solver {spec.name} answered {name!r}, which it does not declare")
        if not _is_answer(value):
            raise SolverError(
                f"the solver {spec.name} found {name} = {value!r}", remedy="Please report this to its authors"
            )
        if base == name:
            outputs[name] = value
        else:
            log_sd[base] = float(value)
    return Result(spec.name, outputs, log_sd, tuple(columns.get("assumptions", ())))


def _is_answer(value: Any) -> bool:
    """Whether a value is a bool or a finite number."""
    return isinstance(value, (int, float)) and math.isfinite(value)
