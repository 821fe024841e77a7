"""Times of one layer for many layouts: each combination of degrees and micro-batch is lowered once.

Where nothing else varies, a combination is also run once. Where rates vary, all rows run together on the tables of
their combinations, and where shapes vary, the rows of each combination are lowered together as arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlsysim.numeric import is_array

from ...lowering.parallel import Division
from ..device.arrays import keep_memory
from ..device.factored import Combinations, Factored, rows_of
from ..device.machine import Machine
from ..device.quantisation import TileMenu
from ..device.ranking import joined, rebound
from ..device.sharing import alike
from .layers import Layer, Lowered, Setup, lowered, timed_layer

__all__ = ["times_of_many"]

_BITS = 16
"""Bits of a packed number of a layout: degrees and micro-batches stay far below 65,536."""

_MASK = 65535
"""The largest number of so many bits."""

Codes = NDArray[np.intp]


class _Cells(NamedTuple):
    """Distinct combinations of some numbers of a layout.

    Parameters
    ----------
    values : list of tuple of float
        Tensor, context and expert degree, and micro-batch where it counts.
    codes : array of int, shape (rows,)
        Which combination each row has.
    """

    values: list[tuple[float, ...]]
    codes: Codes


def times_of_many(setup: Setup, division: Division, batch: Any, sequence: Any, known: dict[Any, Any]) -> Layer:
    """Return the times of one layer for many layouts.

    Parameters
    ----------
    setup : Setup
        What is common; rates and widths may be arrays.
    division : Division
        Degrees.
    batch, sequence : float, array or Factored, count
        Sequences of a micro-batch, and tokens of each.
    known : dict
        What was found for single combinations; filled.

    Returns
    -------
    Layer
    """
    keep_memory()
    rates = any(map(is_array, (*setup.machine, *setup.plain_machine)))
    if _tables_vary(setup, division) or (rates and _is_many(sequence)):
        return _by_degrees(setup, division, batch, sequence)
    if _is_many(sequence):
        return _by_lengths(setup, division, batch, sequence)
    keys = (*division[:3], batch)
    if rates:
        return _by_rates(setup, division, keys, sequence, known)
    times = known.setdefault((setup, division[3:]), {})
    shared = _shared(keys)
    cells = _cells(tuple(key.values if type(key) is Factored else key for key in keys) if shared else keys)
    table = np.array([_single(setup, division, cell, sequence, times) for cell in cells.values])
    columns = [column.take(cells.codes) for column in table.T]
    return Layer._make(Factored(column, shared) for column in columns) if shared else Layer._make(columns)


def _shared(keys: tuple[Any, ...]) -> Combinations | None:
    """Return the combinations that the sweep is factored into, unless some number is a row's own."""
    found = None
    for key in keys:
        if is_array(key):
            return None
        if type(key) is Factored:
            found = key.shared
    return found


def _is_many(number: Any) -> bool:
    """Tell whether a number stands for many rows."""
    return type(number) is Factored or is_array(number)


def _tables_vary(setup: Setup, division: Division) -> bool:
    """Tell whether something varies that changes tables in a way that no two rows share."""
    given = (
        *division[3:], setup.full_width, setup.adapter, setup.dropout, setup.mask_width, setup.unpacked,
        setup.abilities.reread_ratio, setup.machine.processors, *setup.formats, *setup.plain,
    )  # fmt: skip
    return any(map(is_array, given))


def _cells(keys: tuple[Any, ...]) -> _Cells:
    """Find the distinct combinations of degrees and micro-batch."""
    packed: Any = np.zeros(1, dtype=np.int64)
    for key in keys:
        column = rows_of(key)
        packed = packed * (_MASK + 1) + (column.astype(np.int64) if is_array(column) else int(column))
    distinct, codes = np.unique(packed, return_inverse=True)
    shifts = range(_BITS * (len(keys) - 1), -1, -_BITS)
    values = [tuple(float((code >> shift) & _MASK) for shift in shifts) for code in distinct.tolist()]
    return _Cells(values, codes)


def _single(setup: Setup, division: Division, cell: tuple[float, ...], sequence: Any, known: dict[Any, Layer]) -> Layer:
    found = known.get((cell, sequence))
    if found is None:
        own = division._replace(tensor=cell[0], context=cell[1], expert=cell[2])
        found = known[cell, sequence] = timed_layer(lowered(setup, own, cell[3], sequence), setup)
    return found


def _groups(codes: Codes, count: int) -> Iterator[Codes]:
    """Yield the rows of each combination."""
    order = np.argsort(codes.astype(np.uint16) if count <= _MASK else codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=count)).tolist()
    begin = 0
    for end in ends:
        yield order[begin:end]
        begin = end


def _some(value: Any, rows: Codes) -> Any:
    """Return what some rows of a sweep have of a record or a number."""
    if is_array(value):
        return value.take(rows)
    if isinstance(value, TileMenu):
        given = value.processors, value.lone, value.macs
        if not any(map(is_array, given)):
            return value
        processors, lone, macs = (_some(part, rows) for part in given)
        return TileMenu(value.tiles, processors, value.splits, lone, macs)
    make = getattr(value, "_make", None)
    if make is not None:
        return make(part if type(part) is float else _some(part, rows) for part in value)
    return value


def _by_rates(setup: Setup, division: Division, keys: tuple[Any, ...], sequence: Any, known: dict[Any, Any]) -> Layer:
    """Lower each combination once, and run all rows on the tables of these."""
    machine = setup.machine
    # What a lowered table depends on: everything but the rates.
    fixed = tuple(part for part in setup if not isinstance(part, Machine))
    bare = (fixed, machine.processors, machine.menu, division[3:])
    tables: dict[Any, Any] = known.setdefault(bare, {})

    def _parts(cell: tuple[float, ...]) -> Lowered:
        found: Lowered | None = tables.get((cell, sequence))
        if found is None:
            own = division._replace(tensor=cell[0], context=cell[1], expert=cell[2])
            found = tables[cell, sequence] = lowered(setup, own, cell[3], sequence)
        return found

    cells = _cells(keys)
    if len(cells.values) == 1:
        return timed_layer(_parts(cells.values[0]), setup)
    shared = Combinations(cells.codes, len(cells.values))
    kept = tables.get("together")
    if kept is None or kept[0] != (cells.values, sequence):
        # The next chunk of a sweep mostly has the same combinations.
        parts = zip(*map(_parts, cells.values), strict=True)
        kept = tables["together"] = (cells.values, sequence), [joined(list(part), shared) for part in parts]
    together = [rebound(table, shared) for table in kept[1] if table is not None]
    if len(together) == len(Lowered._fields):
        # These combinations are not those of the sweep's other numbers.
        return Layer._make(map(rows_of, timed_layer(Lowered(*together), setup)))
    # Their tables do not consist of the same rows.
    return _by_group(cells, lambda cell, rows: timed_layer(_parts(cell), _some(setup, rows)))


def _by_lengths(setup: Setup, division: Division, batch: Any, sequence: Any) -> Layer:
    """Answer rows of the same degrees, micro-batch and length once."""
    numbers = {"length": sequence, "batch": batch, **division._asdict()}
    kinds = alike({name: rows_of(number) for name, number in numbers.items()}, frozenset())
    if kinds is None:
        return _by_degrees(setup, division, batch, sequence)
    own = dict(kinds.columns)
    length, batch = own.pop("length"), own.pop("batch")
    found: Layer = kinds.rows(_by_degrees(setup, Division(**own), batch, length))
    return found


def _by_degrees(setup: Setup, division: Division, batch: Any, sequence: Any) -> Layer:
    """Lower the rows of each combination of degrees together, as arrays of whatever else varies."""
    batch, sequence = rows_of(batch), rows_of(sequence)
    if not any(map(_is_many, division[:3])):
        return timed_layer(lowered(setup, division, batch, sequence), setup)

    def _layer(cell: tuple[float, ...], rows: Codes) -> Layer:
        part: Setup = _some(setup, rows)
        own: Division = _some(division._replace(tensor=cell[0], context=cell[1], expert=cell[2]), rows)
        return timed_layer(lowered(part, own, _some(batch, rows), _some(sequence, rows)), part)

    return _by_group(_cells(division[:3]), _layer)


def _by_group(cells: _Cells, answer: Callable[[tuple[float, ...], Codes], Layer]) -> Layer:
    """Answer the rows of each combination together."""
    columns = [np.empty(cells.codes.size) for _ in Layer._fields]
    for cell, rows in zip(cells.values, _groups(cells.codes, len(cells.values)), strict=True):
        for column, values in zip(columns, answer(cell, rows), strict=True):
            column[rows] = values
    return Layer._make(columns)
