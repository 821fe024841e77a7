"""``@formula``: a pure function that declares the unit of each argument and of its result.

The declaration costs nothing when the function is called. It is what the two dimension
proofs (:mod:`mlsysim.testing`) check, what ``explain`` prints and what the reference
pages list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple, TypeVar

from .units import BASE_DIMENSIONS, parse_unit

__all__ = ["DECLARED", "FormulaSpec", "equation_of", "formula", "formula_of"]

_F = TypeVar("_F", bound=Callable[..., Any])

DECLARED: dict[CodeType, Callable[..., Any]] = {}
"""Every formula by its code object; ``explain`` recognises calls by it."""


class FormulaSpec(NamedTuple):
    """What a formula declares about itself.

    Parameters
    ----------
    name : str
        Function name.
    module : str
        Module that defines it.
    returns : str
        Unit of the result.
    units : dict of str to str
        Unit of each argument, in order.
    discrete : tuple of str
        Counting dimensions that the formula rounds or looks up, and which rescaling must leave alone.
    """

    name: str
    module: str
    returns: str
    units: dict[str, str]
    discrete: tuple[str, ...]


def formula(returns: str, *, discrete: tuple[str, ...] = (), **units: str) -> Callable[[_F], _F]:
    """Declare the units of a formula.

    Parameters
    ----------
    returns : str
        Unit of the result, for example ``"s"``.
    discrete : tuple of str
        Base dimensions whose numbers are rounded or raised to a non-integer power inside.
    **units : str
        Unit of each argument, by name.

    Returns
    -------
    callable
        A decorator that sets ``__formula__`` and returns the function unchanged.

    Raises
    ------
    TypeError
        When the declaration does not name exactly the function's arguments, or names no dimension.
    UnitError
        When a unit is unknown.
    """
    unknown = set(discrete) - set(BASE_DIMENSIONS)
    if unknown:
        raise TypeError(f"no base dimension is called {sorted(unknown)}; there are {', '.join(BASE_DIMENSIONS)}")

    def declare(function: _F) -> _F:
        code = function.__code__
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if set(arguments) != set(units):
            raise TypeError(f"{function.__name__}: arguments {list(arguments)} but units for {list(units)}")
        for unit in (returns, *units.values()):
            parse_unit(unit)
        ordered = {name: units[name] for name in arguments}
        spec = FormulaSpec(function.__name__, function.__module__, returns, ordered, discrete)
        function.__formula__ = spec  # type: ignore[attr-defined]
        DECLARED[code] = function
        return function

    return declare


def formula_of(function: object) -> FormulaSpec | None:
    """Return the declaration of a function, if it has one.

    Parameters
    ----------
    function : object
        Anything.

    Returns
    -------
    FormulaSpec or None
    """
    spec = getattr(function, "__formula__", None)
    return spec if isinstance(spec, FormulaSpec) else None


_EXPLANATION = re.compile(r"[.:]\s|:$")
"""Where words begin that explain an equation."""
_UNENDED = (",", "+", "-", "*", "/", "=")


def equation_of(function: Callable[..., Any]) -> tuple[str, str]:
    """Read equation and reference from a formula's docstring.

    Parameters
    ----------
    function : callable
        A formula whose docstring has the sections Notes (the equation is its first line, up to a colon or a full
        stop, and what follows where that ends in an operator) and References.

    Returns
    -------
    equation, reference : str
        Empty where a section is missing.
    """
    sections: dict[str, list[str]] = {}
    current = ""
    lines = [line.strip() for line in (function.__doc__ or "").splitlines()]
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        if following and set(following) == {"-"} and line:
            current = line
        elif current and line and set(line) != {"-"}:
            sections.setdefault(current, []).append(line)
    equation = ""
    for line in sections.get("Notes", []):
        equation = f"{equation} {line}".strip()
        if _EXPLANATION.search(equation) or not equation.endswith(_UNENDED):
            break
    equation = _EXPLANATION.split(equation, maxsplit=1)[0]
    reference = " ".join(sections.get("References", []))
    return equation, reference
