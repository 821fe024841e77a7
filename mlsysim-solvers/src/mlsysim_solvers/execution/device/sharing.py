"""Sweeps answer what rows share once.

Three ways, for three kinds of question. Where rates differ from row to row and little else does, :func:`answered`
carries the few other numbers through the whole answer as they are, one for each combination (:mod:`.factored`). Where a
long part of an answer does not depend on some columns at all, as the passes of an engine do not on who comes,
:func:`alike` asks that part once for all rows that differ only in these, and hands each row its copy. Where degrees
divide a model, :func:`apart` answers the rows that divide it alike together, since their operators have one shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mlsysim.numeric import is_array

from .remembering import same_tuples

__all__ = ["Alike", "alike", "answered", "apart"]

Columns = Mapping[str, Any]

_FEWEST = 512
"""Rows below which looking for equal ones costs more than it saves."""

_PAYS = 4
"""Rows that each different one must stand for on average, so that looking for them pays."""

_LOOKED_AT = 1024
"""Rows drawn at random, which say whether it pays to look at all."""

_ALIKE = 0.9
"""Share of different ones among them that is still worth it: of many rows that are four times the same, 88 %."""


def answered(answer: Callable[[Columns], dict[str, Any]], columns: Columns, names: Sequence[str]) -> dict[str, Any]:
    """Answer a case, or many that share values of some columns.

    Parameters
    ----------
    answer : callable
        Takes columns and returns outputs.
    columns : mapping of str to number or object
        All columns.
    names : sequence of str
        Columns that take few values in a sweep, those on which most depends first.

    Returns
    -------
    dict of str to number
        As ``answer`` gives them for the rows of the columns.
    """
    for name in names:
        if type(columns[name]) is not float and is_array(columns[name]):
            break
    else:
        return answer(columns)
    from .factored import factored, rows_of

    return {name: rows_of(value) for name, value in answer(factored(columns, names)).items()}


def apart(answer: Callable[[Columns], dict[str, Any]], columns: Columns, names: Sequence[str]) -> dict[str, Any]:
    """Answer a case, or many, those with the same degrees together: degrees that are numbers leave shapes numbers too.

    Parameters
    ----------
    answer : callable
        Takes columns and returns outputs.
    columns : mapping of str to number or object
        All columns.
    names : sequence of str
        The degrees, where the case has them.

    Returns
    -------
    dict of str to number
        As ``answer`` gives them for the rows of the columns.
    """
    arrays = {name: value for name, value in columns.items() if type(value) is not float and is_array(value)}
    degrees = [name for name in names if name in arrays]
    if not degrees:
        return answer(columns)
    import numpy as np

    rows = arrays[degrees[0]].size
    codes: Any = 0
    for name in degrees:
        different, code = np.unique(arrays[name], return_inverse=True)
        if different.size * _FEWEST > rows:
            return answer(columns)
        codes = codes * different.size + code
    groups = np.flatnonzero(np.bincount(codes))
    if groups.size * _FEWEST > rows:
        return answer(columns)
    found: dict[str, Any] = {}
    for group in groups:
        some = np.flatnonzero(codes == group)
        own = {name: value.take(some) for name, value in arrays.items()}
        own |= {name: float(own[name][0]) for name in degrees}
        for name, value in answer({**columns, **own}).items():
            if name not in found:
                found[name] = np.empty(rows, dtype=np.asarray(value).dtype)
            found[name][some] = value
    return found


class Alike(NamedTuple):
    """The different rows of a sweep, as far as a part of the answer is concerned.

    Parameters
    ----------
    columns : dict of str to number or object
        As of a sweep with one row of each kind.
    size : int
        How many kinds there are.
    codes : array of int, shape (rows,)
        Of which kind each row is.
    """

    columns: dict[str, Any]
    size: int
    codes: Any

    def rows(self, found: Any) -> Any:
        """Return for all rows what was found for one of each kind.

        Parameters
        ----------
        found : array, number, object, or tuples, lists and dictionaries of them
            Arrays have one number for each kind.

        Returns
        -------
        array, number, object, or tuples, lists and dictionaries of them
        """
        if is_array(found):
            return found.item() if self.size == 1 else found.take(self.codes)
        if isinstance(found, dict):
            return {name: self.rows(value) for name, value in found.items()}
        if not isinstance(found, (list, tuple)):
            return found
        parts = map(self.rows, found)
        make = getattr(found, "_make", type(found))
        return make(parts)


def alike(columns: Columns, without: frozenset[str]) -> Alike | None:
    """Find rows of a sweep that are one to a part of the answer, as most rows of a grid are.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    without : frozenset of str
        Columns that do not touch that part.

    Returns
    -------
    Alike, or None
        None where there are few rows, or most differ.
    """
    arrays = {name: value for name, value in columns.items() if type(value) is not float and is_array(value)}
    rows = min((value.size for value in arrays.values()), default=0)
    if rows < _FEWEST:
        return None
    import numpy as np

    touching = {name: values for name, values in arrays.items() if name not in without}
    some = np.unique(np.random.default_rng(0).integers(0, rows, _LOOKED_AT))
    if _different([values[some] for values in touching.values()], some.size, _ALIKE) is None:
        return None
    found = _different(list(touching.values()), rows, 1.0 / _PAYS)
    if found is None:
        return None
    first, codes = found
    rest = {name: value for name, value in columns.items() if name not in arrays}
    if first.size == 1:
        # A case of numbers, whose lowered tables are known again.
        numbers = {name: values.item(first[0]) for name, values in touching.items()}
        return Alike(same_tuples(rest | numbers), 1, codes)
    return Alike(rest | {name: values.take(first) for name, values in touching.items()}, first.size, codes)


def _different(columns: Sequence[Any], rows: int, share: float) -> tuple[Any, Any] | None:
    """Return the first of each different row, and which of them each row is; None where they are a larger share."""
    import numpy as np

    first, codes = np.zeros(1, dtype=np.intp), np.zeros(rows, dtype=np.intp)
    for values in columns:
        different, code = np.unique(values, return_inverse=True)
        found, first, codes = np.unique(codes * different.size + code, return_index=True, return_inverse=True)
        if found.size > share * rows:
            return None
    return first, codes
