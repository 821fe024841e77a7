"""The proofs of a formula: by rescaling, by pint, and on arrays.

Rescaling needs no pint and works on any black box. All inputs are multiplied by random
powers of two, one power per base dimension; a function without hidden dimensional constants
then answers with exactly the power that its own unit asks for, to the last bit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from ..formula import formula_of
from ..solving import is_number
from ..units import BASE_DIMENSIONS, dimension_text, parse_unit
from .drawing import Draws, draw_arguments

__all__ = ["ProofError", "prove_arrays", "prove_pint", "prove_rescaling", "random_powers", "scale_of"]


_RESCALED, _WITH_UNITS, _ROWS = 8, 4, 64
"""Sets of arguments that each proof draws."""


class ProofError(AssertionError):
    """A function does not obey the units that it declares; the message says where."""


def _declaration(
    function: Callable[..., Any], units: Mapping[str, str] | None, returns: str | Mapping[str, str] | None
) -> tuple[str, dict[str, str], str | Mapping[str, str], tuple[str, ...]]:
    spec = formula_of(function)
    if spec is not None:
        return spec.name, dict(units or spec.units), returns if returns is not None else spec.returns, spec.discrete
    if units is None or returns is None:
        raise TypeError(f"{function!r} is not a @formula: give units and returns")
    return getattr(function, "__name__", repr(function)), dict(units), returns, ()


def random_powers(source: random.Random, discrete: tuple[str, ...] = ()) -> dict[str, int]:
    """Draw the exponent of two for each base dimension.

    Parameters
    ----------
    source : random.Random
        Where chance comes from.
    discrete : tuple of str
        Base dimensions to leave alone.

    Returns
    -------
    dict of str to int
        Even and not zero, so that square roots stay exact; zero for discrete dimensions.

    Raises
    ------
    TypeError
        If a discrete dimension is none of the base dimensions.
    """
    unknown = set(discrete) - set(BASE_DIMENSIONS)
    if unknown:
        raise TypeError(f"no base dimension is called {sorted(unknown)}; there are {', '.join(BASE_DIMENSIONS)}")
    even = (-8, -6, -4, -2, 2, 4, 6, 8)
    return {name: 0 if name in discrete else source.choice(even) for name in BASE_DIMENSIONS}


def scale_of(unit: str, powers: Mapping[str, int]) -> float:
    """Return the factor by which a number of a unit is rescaled.

    Parameters
    ----------
    unit : str
        For example ``"B/s"``; ``bool`` and ``choice: ...`` are not rescaled.
    powers : mapping of str to int
        As :func:`random_powers` drew them.

    Returns
    -------
    float
        A power of two.
    """
    if not is_number(unit):
        return 1.0
    dimension = parse_unit(unit).dimension
    exponent = sum(power * powers[name] for name, power in zip(BASE_DIMENSIONS, dimension, strict=True))
    return float(2.0**exponent)


def _named(result: Any, returns: str | Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Give each output of a function its unit."""
    if isinstance(returns, str):
        return {"the result": (result, returns)}
    missing = [name for name in result if name not in returns]
    if missing:
        raise ProofError(f"no unit is declared for the output {missing[0]!r}")
    return {name: (value, returns[name]) for name, value in result.items()}


def prove_rescaling(
    function: Callable[..., Any],
    units: Mapping[str, str] | None = None,
    *,
    returns: str | Mapping[str, str] | None = None,
    discrete: tuple[str, ...] = (),
    draws: Draws | None = None,
) -> None:
    """Prove that a function contains no hidden dimensional constant.

    Parameters
    ----------
    function : callable
        A :func:`mlsysim.formula.formula`, or any function of keyword arguments.
    units : mapping of str to str, optional
        Unit of each argument; those of the formula by default.
    returns : str or mapping of str to str, optional
        Unit of the result, or of each output when the function returns a mapping.
    discrete : tuple of str
        Base dimensions to leave alone, beside those that the formula declares.
    draws : mapping, optional
        Ranges of arguments, as in :func:`draw_arguments`. A proof covers the branches that they reach.

    Raises
    ------
    ProofError
        If a result does not scale, to the last bit, as its unit says.
    """
    name, units, returns, declared = _declaration(function, units, returns)
    source = random.Random(0)  # noqa: S311 - repeatable numbers are wanted
    fixed = (*declared, *discrete)
    for trial in range(_RESCALED):
        powers = random_powers(source, fixed)
        arguments = draw_arguments(units, draws=draws, seed=trial)
        scaled = {key: value * scale_of(units[key], powers) for key, value in arguments.items()}
        before, after = _named(function(**arguments), returns), _named(function(**scaled), returns)
        for output, (value, unit) in before.items():
            expected, found = value * scale_of(unit, powers), after[output][0]
            if found != expected:
                raise ProofError(
                    f"{name}: {output} does not scale as {unit or '1'}: from {arguments} to {scaled} it went from "
                    f"{value!r} to {found!r} instead of {expected!r}. It combines the wrong units, holds a number "
                    "with a dimension, or rounds a dimension that it does not declare discrete"
                )


def prove_pint(function: Callable[..., Any], *, draws: Draws | None = None) -> None:
    """Prove the units of a formula by running it on quantities.

    Parameters
    ----------
    function : callable
        A :func:`mlsysim.formula.formula`.
    draws : mapping, optional
        Ranges of arguments, as in :func:`draw_arguments`.

    Raises
    ------
    ProofError
        If units do not fit inside the formula, or its result has another unit or value.
    """
    import pint

    from ..units.quantity import Quantity

    name, units, returns, _ = _declaration(function, None, None)
    wanted = parse_unit(str(returns)).dimension
    for trial in range(_WITH_UNITS):
        arguments = draw_arguments(units, draws=draws, seed=trial)
        try:
            found = function(**{key: Quantity(value, units[key]) for key, value in arguments.items()})
            base = Quantity(1.0, dimension_text(wanted) if any(wanted) else "")
            magnitude = float((found / base).to("").magnitude)
        except (pint.PintError, TypeError, ValueError) as error:
            raise ProofError(f"{name} on {arguments}, declared to return {returns or '1'}: {error}") from error
        plain = function(**arguments)
        if abs(magnitude - plain) > 1e-12 * abs(plain):
            raise ProofError(f"{name} on {arguments} is {magnitude!r} with units, but {plain!r} without")


def prove_arrays(
    function: Callable[..., Any], units: Mapping[str, str] | None = None, *, draws: Draws | None = None
) -> None:
    """Prove that a function answers on an array what it answers on each row.

    Parameters
    ----------
    function : callable
        A :func:`mlsysim.formula.formula`, or any function of keyword arguments.
    units : mapping of str to str, optional
        Unit of each argument; those of the formula by default.
    draws : mapping, optional
        Ranges of arguments, as in :func:`draw_arguments`.

    Raises
    ------
    ProofError
        If a row differs by more than 1e-12.
    """
    import numpy as np

    name, units, _, _ = _declaration(function, units, "" if units is not None else None)
    drawn = [draw_arguments(units, draws=draws, seed=row) for row in range(_ROWS)]
    one_by_one = np.array([function(**arguments) for arguments in drawn], dtype=np.float64)
    at_once = function(**{key: np.array([arguments[key] for arguments in drawn]) for key in units})
    at_once = np.broadcast_to(np.asarray(at_once, dtype=np.float64), (_ROWS,))
    wrong = np.flatnonzero(~np.isclose(at_once, one_by_one, rtol=1e-12, atol=0.0))
    if wrong.size:
        row = int(wrong[0])
        raise ProofError(f"{name} on {drawn[row]} is {one_by_one[row]!r}, but {at_once[row]!r} inside an array")
