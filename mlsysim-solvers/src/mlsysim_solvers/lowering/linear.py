"""Numbers of a pass that grow evenly with its rows, as work and traffic of products do.

In a sweep whose passes have other rows in every configuration, most of what lowering works out is a number for each row
of a pass, times that array, plus a number. A :class:`Linear` number keeps the two, and arithmetic on it is arithmetic
on them, until something else, such as a roofline, needs the array.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from mlsysim import numeric
from mlsysim.numeric import is_array

__all__ = ["Linear", "expanded", "linear"]

_PLAIN = frozenset({float, int, bool})
"""What holds for every configuration alike."""


def _sum(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Linear, other: Any) -> Any:
        if type(other) in _PLAIN:
            return Linear(self.base, self.each, function(self.fixed, other))
        if type(other) is Linear and other.base is self.base:
            return Linear(self.base, function(self.each, other.each), function(self.fixed, other.fixed))
        return function(self.rows(), expanded(other))

    return method


def _multiple(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Linear, other: Any) -> Any:
        if type(other) in _PLAIN:
            return Linear(self.base, function(self.each, other), function(self.fixed, other))
        return function(self.rows(), expanded(other))

    return method


def _other(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: function(self.rows(), expanded(other))


class Linear:
    """A number for each row of a pass, and one beside.

    Parameters
    ----------
    base : array, count, shape (configurations,)
        Rows of the pass.
    each, fixed : float
        The number is ``fixed + each * base``.
    """

    __slots__ = ("_least", "_rows", "base", "each", "fixed")
    __array_ufunc__ = None  # arrays leave operators to this class
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, base: Any, each: Any = 1.0, fixed: Any = 0.0) -> None:
        self.base = base
        self.each = each
        self.fixed = fixed
        self._rows: Any = None
        self._least: Any = None

    def rows(self) -> Any:
        """Return the number of every configuration.

        Returns
        -------
        array, shape (configurations,)
        """
        if self._rows is None:
            found = self.base if self.each == 1.0 else self.each * self.base
            self._rows = found if self.fixed == 0.0 else found + self.fixed
        return self._rows

    def min(self) -> Any:
        """Return the least number of all configurations.

        Returns
        -------
        float
        """
        if self._least is None:
            self._least = self.rows().min()
        return self._least

    __add__ = __radd__ = _sum(operator.add)
    __sub__ = _sum(operator.sub)
    __mul__ = __rmul__ = _multiple(operator.mul)
    __truediv__ = _multiple(operator.truediv)
    __rtruediv__ = _other(lambda own, other: other / own)
    __pow__ = _other(operator.pow)
    __rpow__ = _other(lambda own, other: other**own)
    __lt__ = _other(operator.lt)
    __le__ = _other(operator.le)
    __gt__ = _other(operator.gt)
    __ge__ = _other(operator.ge)
    __eq__ = _other(operator.eq)
    __ne__ = _other(operator.ne)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __neg__(self) -> Linear:
        return Linear(self.base, -self.each, -self.fixed)

    def __mlsysim_apply__(self, name: str, args: tuple[Any, ...], scalar: Callable[..., Any]) -> Any:
        """Run a helper of :mod:`mlsysim.numeric`."""
        return getattr(numeric, name)(*map(expanded, args))


def linear(rows: Any) -> Any:
    """Return the rows of a pass, of which work and traffic are multiples.

    Parameters
    ----------
    rows : float or array, count
        The rows.

    Returns
    -------
    float or Linear, count
    """
    return Linear(rows) if is_array(rows) else rows


def expanded(value: Any) -> Any:
    """Return a number with a value for each configuration.

    Parameters
    ----------
    value : Linear, array or float
        A number.

    Returns
    -------
    array or float
    """
    return value.rows() if type(value) is Linear else value
