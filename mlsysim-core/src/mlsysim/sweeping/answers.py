"""Where the answers of a sweep come together: each number is written once, into the row that asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chunks import Column

__all__ = ["Answers", "Places", "rows_in"]

Places = slice | NDArray[np.intp]
"""Some rows of a sweep, in ascending order: those between two ends, or each by its number."""


def rows_in(places: Places) -> int:
    """Return how many rows these are.

    Parameters
    ----------
    places : slice or array of int
        Rows.

    Returns
    -------
    int
    """
    return int(places.stop - places.start) if isinstance(places, slice) else len(places)


class Answers:
    """The answers of all rows of a sweep, in one array for each output.

    Parameters
    ----------
    size : int
        Rows.

    Attributes
    ----------
    before : int
        Rows of choices that are answered.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.before = 0
        self.columns: dict[str, Column] = {}

    def put(self, places: Places, done: int, count: int, part: Mapping[str, Any]) -> list[str]:
        """Write the answers of a chunk.

        Parameters
        ----------
        places : slice or array of int
            The rows of which the chunk is a part.
        done, count : int
            Rows of them that were answered before, and those of the chunk.
        part : mapping of str to array, shape (count,)
            Answers.

        Returns
        -------
        list of str
            Their names.
        """
        rows: Places
        if isinstance(places, slice):
            rows = slice(places.start + done, places.start + done + count)
        else:
            rows = places[done : done + count]
        for name, values in part.items():
            if name not in self.columns:
                self.columns[name] = np.empty(self.size)
            self.columns[name][rows] = values
        return list(part)

    def column(self, name: str, places: Places) -> Column:
        """Return an answer of some rows.

        Parameters
        ----------
        name : str
            Output.
        places : slice or array of int
            Rows.

        Returns
        -------
        array, shape (n,)
        """
        return self.columns[name][places]

    def gathered(self, parts: Iterable[tuple[Places, Any]]) -> Column:
        """Return a column of all rows from those of some; 0 in the others.

        Parameters
        ----------
        parts : iterable of (rows, number or array of shape (n,))
            Rows, and what they have.

        Returns
        -------
        array, shape (size,)
        """
        found = np.zeros(self.size)
        for places, values in parts:
            found[places] = values
        return found
