"""Columns of a sweep that share few values: work is done once per combination of values, not once per row.

The degrees of layouts take a handful of values in thousands of rows. A :class:`Factored` number keeps one value
for each combination of them, and all of these share the codes that say which row has which. Arithmetic among
factored numbers works on the combinations; where a row's own number enters, the result has one for each row. Every
operation is the one that the rows would do, on the same numbers, so the answers are the same to the last bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...lowering.linear import Linear
from .arrays import keep_memory

__all__ = ["Combinations", "Factored", "factored", "rows_of"]

_FEWEST = 512
"""Rows below which factoring costs more than it saves."""

_GRID = 65536
"""Largest number of places that are counted to find which combinations occur."""

_SHARE = 8
"""Combinations pay while each stands for at least so many rows."""

_PLAIN = frozenset({float, int, bool, np.float64, np.bool_})
"""What holds for every row alike."""


class Combinations:
    """The combinations of values that occur in a sweep.

    Parameters
    ----------
    codes : array of int, shape (rows,)
        Which combination each row has.
    count : int
        How many there are.
    """

    __slots__ = ("codes", "count")

    def __init__(self, codes: NDArray[np.intp], count: int) -> None:
        self.codes = codes
        self.count = count


def _operator(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Factored, other: Any) -> Any:
        kind = type(other)
        if kind in _PLAIN:
            return Factored(function(self.values, other), self.shared)
        if kind is Factored and other.shared is self.shared:
            return Factored(function(self.values, other.values), self.shared)
        return function(self.rows(), rows_of(other))

    return method


def _swapped(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Factored, other: Any) -> Any:
        if type(other) in _PLAIN:
            return Factored(function(other, self.values), self.shared)
        return function(other, self.rows())

    return method


class Factored:
    """A number per combination.

    Parameters
    ----------
    values : array, shape (combinations,)
        The numbers.
    shared : Combinations
        Which row has which; all factored numbers of a sweep share one.
    """

    __slots__ = ("_rows", "shared", "values")
    __array_ufunc__ = None  # arrays leave operators to this class
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: Any, shared: Combinations) -> None:
        self.values = values
        self.shared = shared
        self._rows: Any = None

    def rows(self) -> Any:
        """Return the number of every row.

        Returns
        -------
        array, shape (rows,)
        """
        if self._rows is None:
            self._rows = self.values.take(self.shared.codes)
        return self._rows

    def min(self) -> Any:
        """Return the least number of all rows.

        Returns
        -------
        float
        """
        return self.values.min()

    def max(self) -> Any:
        """Return the greatest number of all rows.

        Returns
        -------
        float
        """
        return self.values.max()

    def lifted(self, function: Callable[..., Any], *args: Any) -> Any:
        """Apply a function to the combinations, or to the rows where an argument is a row's own.

        Parameters
        ----------
        function : callable
            Of numbers and arrays.
        *args : Factored, array or float
            Its arguments.

        Returns
        -------
        Factored, or array of shape (rows,)
        """
        if not all(type(arg) in _PLAIN or (type(arg) is Factored and arg.shared is self.shared) for arg in args):
            return function(*map(rows_of, args))
        return Factored(function(*(arg.values if type(arg) is Factored else arg for arg in args)), self.shared)

    __add__ = _operator(operator.add)
    __radd__ = _swapped(operator.add)
    __sub__ = _operator(operator.sub)
    __rsub__ = _swapped(operator.sub)
    __mul__ = _operator(operator.mul)
    __rmul__ = _swapped(operator.mul)
    __truediv__ = _operator(operator.truediv)
    __rtruediv__ = _swapped(operator.truediv)
    __pow__ = _operator(operator.pow)
    __lt__ = _operator(operator.lt)
    __le__ = _operator(operator.le)
    __gt__ = _operator(operator.gt)
    __ge__ = _operator(operator.ge)
    __eq__ = _operator(operator.eq)
    __ne__ = _operator(operator.ne)
    __and__ = _operator(operator.and_)
    __rand__ = _swapped(operator.and_)
    __or__ = _operator(operator.or_)
    __ror__ = _swapped(operator.or_)

    def __neg__(self) -> Factored:
        return Factored(-self.values, self.shared)

    def __invert__(self) -> Factored:
        return Factored(~self.values, self.shared)

    def __bool__(self) -> bool:
        raise TypeError("a column has no truth of its own; ask for all() or any()")

    def all(self) -> bool:
        """Tell whether a condition holds in every row.

        Returns
        -------
        bool
        """
        return bool(self.values.all())

    def any(self) -> bool:
        """Tell whether a condition holds in some row.

        Returns
        -------
        bool
        """
        return bool(self.values.any())

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.rows(), dtype=dtype)

    def __mlsysim_apply__(self, name: str, args: tuple[Any, ...], scalar: Callable[..., Any]) -> Any:
        """Run a helper of :mod:`mlsysim.numeric`."""
        return self.lifted(getattr(np, name), *args)


def rows_of(value: Any) -> Any:
    """Return a number as the rows of the sweep have it.

    Parameters
    ----------
    value : Factored, Linear, array or float
        A number.

    Returns
    -------
    array or float
    """
    return value.rows() if type(value) is Factored or type(value) is Linear else value


def factored(columns: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """Factor some columns of a sweep, where they are arrays of few whole numbers.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    names : sequence of str
        Those to factor, the most useful ones first: the last are left as they are where all together have
        too many combinations.

    Returns
    -------
    mapping of str to number or object
    """
    arrays = {name: columns[name] for name in names if isinstance(columns[name], np.ndarray)}
    rows = max((array.size for array in arrays.values()), default=0)
    arrays = {name: array for name, array in arrays.items() if array.shape == (rows,)}
    if rows < _FEWEST:
        return columns
    keep_memory()
    packed: Any = 0.0
    chosen: list[tuple[str, int]] = []
    places = 1
    for name, column in arrays.items():
        top = column.max()
        if not 0.0 <= column.min() <= top < _GRID or (np.floor(column) != column).any():
            continue
        if places * (top + 1.0) > _GRID:
            break
        packed = packed * (top + 1.0) + column
        places *= int(top) + 1
        chosen.append((name, int(top) + 1))
    while chosen:
        place = packed.astype(np.intp)
        found = np.flatnonzero(np.bincount(place, minlength=places))
        if found.size * _SHARE <= rows:
            break
        _, size = chosen.pop()
        packed, places = np.floor(packed / size), places // size
    if not chosen:
        return columns
    index = np.empty(places, dtype=np.intp)
    index[found] = np.arange(found.size)
    shared = Combinations(index.take(place), found.size)
    values: dict[str, Any] = {}
    for name, size in reversed(chosen):
        values[name] = Factored((found % size).astype(np.float64), shared)
        found = found // size
    return {**columns, **values}
