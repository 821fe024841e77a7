"""Sweeps answer what rows share once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlsysim.numeric import is_array

__all__ = ["answered"]

Columns = Mapping[str, Any]


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
