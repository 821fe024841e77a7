"""Running the checks: all at once, or one pytest test each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..errors import MlsysimError
from ..solving import SolverSpec
from .case import SolverCase
from .checks import CHECKS

__all__ = ["Outcome", "check_solver", "parametrize_checks"]


class Outcome(NamedTuple):
    """What one check found.

    Parameters
    ----------
    check : str
        Name of the check.
    status : str
        ``passed``, ``failed``, ``expected`` (failed as declared) or ``unexpected`` (passed, though
        declared to fail).
    reason : str
        Message of the failure, or the declared reason.
    """

    check: str
    status: str
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether this is as it should be."""
        return self.status in ("passed", "expected")


def _reasons(expected_failures: Mapping[str, str] | None) -> dict[str, str]:
    reasons = dict(expected_failures or {})
    unknown = set(reasons) - set(CHECKS)
    if unknown:
        raise TypeError(f"there is no check {sorted(unknown)}; there are {', '.join(CHECKS)}")
    for name, reason in reasons.items():
        if not reason.strip():
            raise TypeError(f"say why {name} is expected to fail")
    return reasons


def _run(case: SolverCase, name: str, expected: str | None) -> Outcome:
    try:
        CHECKS[name](case)
    except Exception as error:  # noqa: BLE001 - whatever a solver raises is a finding
        if expected is not None:
            return Outcome(name, "expected", expected)
        plain = isinstance(error, (AssertionError, MlsysimError))
        return Outcome(name, "failed", str(error) if plain else f"{type(error).__name__}: {error}")
    if expected is not None:
        return Outcome(name, "unexpected", f"expected to fail ({expected}), but passes: drop the expectation")
    return Outcome(name, "passed")


def check_solver(
    target: str | SolverSpec | SolverCase, *, expected_failures: Mapping[str, str] | None = None, **declared: Any
) -> list[Outcome]:
    """Run every check on a solver.

    Parameters
    ----------
    target : str, SolverSpec or SolverCase
        ``"package:SPEC"``, ``"package:CASE"``, or the object itself.
    expected_failures : mapping of str to str
        Check to the reason why this solver cannot pass it. One that passes all the same is reported.
    **declared
        Fields of :class:`SolverCase`, for example ``scenarios=["resnet-50-training"]``.

    Returns
    -------
    list of Outcome
        One for each check; see :attr:`Outcome.ok`.

    Raises
    ------
    TypeError
        If an expectation names no check or gives no reason.
    """
    reasons = _reasons(expected_failures)
    case = SolverCase.of(target, **declared)
    return [_run(case, name, reasons.get(name)) for name in CHECKS]


def parametrize_checks(
    target: str | SolverSpec | SolverCase, *, expected_failures: Mapping[str, str] | None = None, **declared: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Turn a test function with the argument ``check`` into one test for each check.

    Parameters
    ----------
    target : str, SolverSpec or SolverCase
        As for :func:`check_solver`; a name is imported when the first check runs.
    expected_failures : mapping of str to str
        As for :func:`check_solver`; such a check fails when it passes.
    **declared
        Fields of :class:`SolverCase`.

    Returns
    -------
    callable
        A decorator for pytest. The test calls ``check()``.

    Raises
    ------
    TypeError
        If an expectation names no check or gives no reason.
    """
    import pytest

    reasons = _reasons(expected_failures)
    cases: list[SolverCase] = []

    def bound(name: str) -> Callable[[], None]:
        def check() -> None:
            if not cases:
                cases.append(SolverCase.of(target, **declared))
            outcome = _run(cases[0], name, reasons.get(name))
            if outcome.status == "expected":
                pytest.xfail(outcome.reason)
            if not outcome.ok:
                raise AssertionError(f"{name}: {outcome.reason}")

        return check

    return pytest.mark.parametrize("check", [pytest.param(bound(name), id=name) for name in CHECKS])
