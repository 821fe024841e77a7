"""A sum of rooflines without one roofline per product.

Whether arithmetic or traffic sets the time of a product depends on a machine's balance, its arithmetic rate over
its bandwidth. Sorted by intensity, the products above the balance take the sum of their work, and those below the
sum of their traffic. So a machine needs a place in a sorted list and two running sums, however many products there
are; a sweep over machines looks up all its places at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...formulas.roofline import compute_time, memory_time
from .factored import Combinations, Factored
from .machine import Machine
from .settling import Settled, Settlement

__all__ = ["Ranking", "Sums", "joined", "rebound", "sorted_out"]

Array = NDArray[np.float64]

_MARGIN = 1e-9
"""A product that is so close to running faster beside the matrix units is timed by itself."""

_FEWEST = 3
"""Products below which sorting costs more than it saves."""


class Sums(NamedTuple):
    """What the sorted products of a table take, all layers together.

    Parameters
    ----------
    time : array, s
        Sum of their rooflines.
    bound : array, s
        Part of it that arithmetic sets.
    work : array, s
        What their arithmetic alone would take.
    """

    time: Any
    bound: Any
    work: Any


class _Order(NamedTuple):
    """Products of each combination by falling intensity.

    Parameters
    ----------
    products : int
        How many.
    width : int
        Places for intensities: the next power of two, less one.
    intensity : array, FLOP/B, shape (combinations * width,)
        Sorted; the places that are left over are below any balance.
    work : array, FLOP, shape (combinations * (products + 1),)
        Of the first 0, 1, 2 ... products.
    traffic : array, B, shape (combinations * (products + 1),)
        Of all products but these.
    """

    products: int
    width: int
    intensity: Array
    work: Array
    traffic: Array


class Ranking:
    """The products of a settled table, ready to be sorted.

    Parameters
    ----------
    groups : Settlement
        The table; numbers of its products are floats or factored.
    count : int
        Combinations.
    """

    __slots__ = ("_orders", "_padded", "_plain", "_ratio", "_traffic")

    def __init__(self, groups: Settlement, count: int) -> None:
        products = [(group.count, product) for group in groups for product in group.products]
        shape = (len(products), count)
        self._padded, self._plain, self._traffic = np.empty(shape), np.empty(shape), np.empty(shape)
        for i, (times, (padded, plain, moved, _, _)) in enumerate(products):
            self._padded[i] = _values(times * padded)
            self._plain[i] = _values(times * plain)
            self._traffic[i] = _values(times * moved)
        # A product without rows takes no time on either.
        ratio = np.divide(self._padded, self._plain, out=np.zeros(shape), where=self._padded > 0.0)
        self._ratio = ratio.max(axis=1)
        self._orders: dict[bytes, _Order] = {}

    def split(self, machine: Machine) -> NDArray[np.bool_]:
        """Tell which products surely run on the matrix units, whichever machine of the sweep it is.

        Parameters
        ----------
        machine : Machine
            Rates.

        Returns
        -------
        array of bool, shape (products,)
        """
        if machine.vector_rate is machine.matrix_rate:
            return np.ones(self._ratio.shape, dtype=bool)
        faster = np.min(machine.matrix_rate / machine.vector_rate)
        sure: NDArray[np.bool_] = self._ratio <= faster * (1.0 - _MARGIN)
        return sure

    def sums(self, sure: NDArray[np.bool_], machine: Machine, shared: Combinations | None) -> Sums:
        """Return what products take.

        Parameters
        ----------
        sure : array of bool, shape (products,)
            Which of them.
        machine : Machine
            Rates.
        shared : Combinations or None
            Which combination each row has; None where there is only one.

        Returns
        -------
        Sums
        """
        rate, bandwidth = machine.matrix_rate, machine.bandwidth
        # Where nothing runs beside, padding is never chosen.
        padded = machine.vector_rate is not rate
        order = self._order(sure, padded=padded)
        codes: Any = 0 if shared is None else shared.codes
        balance = rate / bandwidth
        place = np.zeros(balance.shape, dtype=np.intp)
        before = codes * order.width - 1
        step = (order.width + 1) // 2
        while step:
            place += step * (order.intensity.take(before + place + step) >= balance)
            step //= 2
        first = codes * (order.products + 1)
        bound = compute_time(order.work.take(first + place), rate)
        work = compute_time(order.work.take(first + order.products), rate)
        return Sums(bound + memory_time(order.traffic.take(first + place), bandwidth), bound, work)

    def _order(self, sure: NDArray[np.bool_], *, padded: bool) -> _Order:
        key = sure.tobytes() + bytes([padded])
        found = self._orders.get(key)
        if found is None:
            work, traffic = (self._padded if padded else self._plain)[sure], self._traffic[sure]
            found = self._orders[key] = _sorted(work, traffic)
        return found


def _sorted(work: Array, traffic: Array) -> _Order:
    products, count = work.shape
    intensity = work / traffic
    places = np.argsort(-intensity, axis=0, kind="stable")
    width = 2 ** products.bit_length() - 1
    wide = np.full((count, width), -np.inf)
    wide[:, :products] = np.take_along_axis(intensity, places, axis=0).T
    done, left = np.zeros((count, products + 1)), np.zeros((count, products + 1))
    done[:, 1:] = np.cumsum(np.take_along_axis(work, places, axis=0), axis=0).T
    left[:, :-1] = np.cumsum(np.take_along_axis(traffic, places, axis=0)[::-1], axis=0)[::-1].T
    return _Order(products, width, wide.ravel(), done.ravel(), left.ravel())


def _values(number: Any) -> Any:
    return number.values if type(number) is Factored else number


def sorted_out(table: Settlement, machine: Machine) -> tuple[list[Settled], Sums | None]:
    """Return what the products of a table take that can be sorted once for all rows, and the table without them.

    Parameters
    ----------
    table : Settlement
        Settled rows; its ranking is kept for the next machines.
    machine : Machine
        Rates, of which the matrix rate or the bandwidth is an array.

    Returns
    -------
    list of Settled, and Sums or None
        None where products are few, or differ from row to row.
    """
    if table.ranking is None:
        table.ranking = _ranking(table)
    if not table.ranking:
        return table, None
    ranking, shared = table.ranking
    sure = ranking.split(machine)
    if np.count_nonzero(sure) < _FEWEST:
        return table, None
    return _without(table, sure), ranking.sums(sure, machine, shared)


def _ranking(table: Settlement) -> tuple[Any, ...]:
    """Return the ranking and which combination each row has; nothing where it would not pay."""
    if sum(len(group.products) for group in table) < _FEWEST:
        return ()
    shared = None
    for group in table:
        for number in (group.count, *(value for product in group.products for value in product)):
            if type(number) is Factored:
                shared = number.shared
            elif type(number) is not float:
                return ()
    return Ranking(table, 1 if shared is None else shared.count), shared


def _without(table: Settlement, sure: NDArray[np.bool_]) -> list[Settled]:
    chosen = iter(sure.tolist())
    return [group._replace(products=[one for one in group.products if not next(chosen)]) for group in table]


def rebound(table: Settlement, shared: Combinations) -> Settlement:
    """Return a table for other rows that have the same combinations.

    Parameters
    ----------
    table : Settlement
        Settled rows of an earlier chunk.
    shared : Combinations
        Which of the same combinations each row of this one has.

    Returns
    -------
    Settlement
    """

    def _again(number: Any) -> Any:
        return Factored(number.values, shared) if type(number) is Factored else number

    found = Settlement(
        Settled(
            group.name, _again(group.count), _again(group.kernels),
            *([tuple(map(_again, row)) for row in rows] for rows in group[3:6]), *map(_again, group[6:]),
        )
        for group in table
    )  # fmt: skip
    found.ranking = (table.ranking[0], shared) if table.ranking else table.ranking
    return found


def joined(tables: list[Settlement], shared: Combinations) -> Settlement | None:
    """Return the tables of several combinations as one.

    Parameters
    ----------
    tables : list of Settlement
        One for each combination; their numbers are floats.
    shared : Combinations
        Which combination each row has.

    Returns
    -------
    Settlement, or None
        None where they do not consist of the same rows.
    """
    if len({tuple(_form(group) for group in table) for table in tables}) > 1:
        return None

    def _one(numbers: tuple[Any, ...]) -> Any:
        first = numbers[0]
        return first if all(number == first for number in numbers) else Factored(np.array(numbers), shared)

    def _rows(parts: tuple[list[Any], ...]) -> list[Any]:
        return [tuple(map(_one, zip(*rows, strict=True))) for rows in zip(*parts, strict=True)]

    return Settlement(
        Settled(
            groups[0].name, _one(tuple(g.count for g in groups)), _one(tuple(g.kernels for g in groups)),
            *map(_rows, zip(*(g[3:6] for g in groups), strict=True)),
            *map(_one, zip(*(g[6:] for g in groups), strict=True)),
        )
        for groups in zip(*tables, strict=True)
    )  # fmt: skip


def _form(group: Settled) -> tuple[int, int, int]:
    return len(group.products), len(group.beside), len(group.scores)
