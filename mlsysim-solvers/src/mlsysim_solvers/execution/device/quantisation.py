"""Tile areas of matrix products, remembered by shape.

An area depends on the shape and on the number of processors, not on rates, so it survives a
sweep over peaks and bandwidths. Rows enter only as a whole number of the smallest tile.
Scalars are looked up in a dictionary. Arrays are looked up in a table over that number, and
beyond its end only the tiles that are cheapest per row can win, so they are computed outright.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from mlsysim.numeric import ceil, is_array, maximum, minimum, where
from mlsysim.records.stack import Stack

from ...formulas.constants import FULL_WIDTH
from ...formulas.gemm import joining_area, output_tiles, tile_area
from ...formulas.tile_constants import JOIN_CLOCKS, SPLITS, TILE_DELIVERY
from ...lowering.linear import expanded
from .arrays import any_row

__all__ = ["TileMenu", "Tiles", "menu_area", "tile_menu", "tiles_of"]

Tiles = tuple[tuple[float, float, float], ...]
"""Rows, columns and relative rate of the tiles of a library."""


_LIMIT = 8192
"""Most rows of a table of areas; it bounds memory and changes no answer."""
_MEMORY = 65536
"""Most shapes remembered one by one; it bounds memory and changes no answer."""
_SAME = 1.0 + 1e-12
"""Two areas per row count as equal within rounding."""


def menu_area(
    m: Any, n: Any, k: Any, batch: Any, processors: Any, tiles: Tiles, splits: tuple[float, ...], lone: Any = 0.0,
    macs: Any = 0.0,
) -> Any:  # fmt: skip
    """Return the least area over all tiles and divisions of the inner dimension.

    Parameters
    ----------
    m, n, k, batch : float or array, count
        Shape and number of the products.
    processors : float, count
        Units that each run one tile at a time.
    tiles : tuple of (rows, columns, rate)
        Menu; empty means that nothing is lost.
    splits : tuple of float
        Ways to divide the inner dimension; used where tiles are fewer than processors and it pays.
    lone : float or array, count
        Area that takes as long as what a tile waits for that has a processor to itself.
    macs : float or array, count
        Multiply-accumulates of a processor in one clock; at 0 parts are added up in no time.

    Returns
    -------
    float or array, count
    """
    best: Any = None
    waits = is_array(lone) or lone > 0.0
    for tile_m, tile_n, rate in tiles:
        count = output_tiles(m, n, batch, tile_m, tile_n)
        area = tile_area(count, processors, tile_m, tile_n, rate, 1.0)
        if waits:
            area = area + where(count <= processors, lone, 0.0)
        best = area if best is None else minimum(best, area)
        idle = count < processors
        if not any_row(idle):
            # No row may divide: large products are never divided.
            continue
        for split in splits:
            area, joining = _divided(count, k, processors, (tile_m, tile_n, rate), split, lone, macs)
            best = where(idle, minimum(best, area + joining), best)
    return best if best is not None else batch * n * m / processors


def _divided(
    count: Any, k: Any, processors: Any, tile: tuple[float, float, float], split: float, lone: Any, macs: Any
) -> tuple[Any, Any]:
    """Return the area of a product in parts, and that of adding them up."""
    tall, wide, rate = tile
    area = tile_area(count, processors, tall, wide, rate, split)
    if is_array(lone) or lone > 0.0:
        area = area + where(count * split <= processors, lone / split, 0.0)
    parts = ceil(count * split / processors)
    return area, joining_area(parts, tall, wide, maximum(1.0, k), macs, JOIN_CLOCKS, FULL_WIDTH, TILE_DELIVERY)


class _Table:
    """Areas of one (n, k, batch) by number of smallest tiles, and the tiles that win beyond."""

    __slots__ = ("end", "tail", "values")

    def __init__(self, menu: TileMenu, n: float, k: float, batch: float, asked: int) -> None:
        import numpy as np

        per_row = [batch * math.ceil(n / tn) * tn / r for _, tn, r in menu.tiles]
        least = min(per_row)
        self.tail = tuple(t for t, cost in zip(menu.tiles, per_row, strict=True) if cost <= least * _SAME)
        needed = menu.turning_point(n, batch, per_row)
        # Looking up is faster than computing: where rows go on, so does the table, in powers of two.
        self.end = int(min(max(needed, 2 ** asked.bit_length()), _LIMIT))
        if needed > _LIMIT:
            # No tile is sure to win yet: beyond the table the whole menu is computed.
            self.tail = menu.tiles
        rows = np.arange(self.end + 1, dtype=np.float64) * menu.step
        rows[0] = menu.step
        self.values = menu.whole(rows, n, k, batch)


class TileMenu:
    """The tiles of a library on a number of processors.

    Parameters
    ----------
    tiles : tuple of (rows, columns, rate)
        Menu; empty means that nothing is lost.
    processors : float or array, count
        Units that each run one tile at a time; nothing is remembered for an array.
    splits : tuple of float
        Ways in which the library may divide the inner dimension of a product with few tiles.
    lone : float or array, count
        Area that takes as long as what a tile waits for that has a processor to itself; nothing is remembered for an
        array.
    macs : float or array, count
        Multiply-accumulates of a processor in one clock, by which the time counts in which parts of a divided product
        are added up; 0 where nobody knows. Nothing is remembered for an array.
    """

    __slots__ = ("_areas", "_codes", "_seen", "_tables", "lone", "macs", "processors", "splits", "step", "tiles")

    def __init__(
        self, tiles: Tiles, processors: Any, splits: tuple[float, ...] = SPLITS, lone: Any = 0.0, macs: Any = 0.0
    ) -> None:
        self.tiles = tiles
        self.processors = processors
        self.splits = splits
        self.lone = lone
        self.macs = macs
        self.step = float(math.gcd(*(int(tm) for tm, _, _ in tiles))) if tiles else 1.0
        self._areas: dict[tuple[float, float, float, float], float] = {}
        self._tables: dict[tuple[float, float, float], _Table] = {}
        self._codes: tuple[Any, ...] = (None,)
        self._seen: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def area(self, m: Any, n: Any, k: Any, batch: Any) -> Any:
        """Return the area that the busiest processor works through.

        Parameters
        ----------
        m, n, k, batch : float or array, count
            Shape and number of the products.

        Returns
        -------
        float or array, count
        """
        fixed = type(self.processors) is type(self.lone) is type(self.macs) is float
        if type(m) is not float:
            m, batch = expanded(m), expanded(batch)
        if fixed and type(m) is float:
            try:
                return self._areas[m, n, k, batch]
            except KeyError:
                return self._remember((m, n, k, batch))
            except TypeError:
                if type(n) is type(batch) is float and self.tiles and is_array(k):
                    return self._by_depth(m, n, k, batch)
        elif fixed and type(n) is type(k) is type(batch) is float and self.tiles and is_array(m):
            return self._from_table(m, n, k, batch)
        for number in (m, n, k, batch):
            if hasattr(number, "shared"):
                return number.lifted(self.area, m, n, k, batch)
        # Gradients, and what is computed again, are products of the same shapes; these stay with what is known.
        shape = m, n, k, batch
        found = self._seen.get(key := tuple(map(id, shape)))
        if found is None:
            tiles = self._rivals(m.max() if is_array(m) else m)
            area = menu_area(m, n, k, batch, self.processors, tiles, self.splits, self.lone, self.macs)
            found = self._seen[key] = area, shape
        return found[0]

    def whole(self, m: Any, n: Any, k: Any, batch: Any) -> Any:
        """Return the least area over the whole menu, worked out anew.

        Parameters
        ----------
        m, n, k, batch : float or array, count
            Shape and number of the products.

        Returns
        -------
        float or array, count
        """
        return menu_area(m, n, k, batch, self.processors, self.tiles, self.splits, self.lone, self.macs)

    def start(self) -> TileMenu:
        """Forget the arrays of earlier calls, which their owner may have overwritten since.

        Returns
        -------
        TileMenu
            Itself, with all its tables.
        """
        self._codes = (None,)
        self._seen.clear()
        return self

    def _remember(self, key: tuple[float, float, float, float]) -> float:
        if len(self._areas) >= _MEMORY:
            self._areas.clear()
        m, n, k, batch = key
        area: float = self.whole(m, n, k, batch)
        self._areas[key] = area
        return area

    def turning_point(self, n: float, batch: float, per_row: list[float]) -> float:
        """Return from how many smallest tiles on only the tiles cheapest per row can win.

        Parameters
        ----------
        n, batch : float, count
            Columns, products.
        per_row : list of float
            Area that each tile of the menu takes per row.

        Returns
        -------
        float, count

        Notes
        -----
        A tile costs at least m c / S and at most (m + t_m) c / S + t_m t_n / r, with c its area per row.
        The others drop out where their least cost exceeds the winner's greatest; the winner itself is
        not divided once its tiles outnumber the processors.
        """
        least = min(per_row)
        rows = 0.0
        for (tm, tn, r), cost in zip(self.tiles, per_row, strict=True):
            if cost <= least * _SAME:
                slack = tm * cost + self.processors * tm * tn / r
                dearer = [c for c in per_row if c > least * _SAME]
                if dearer:
                    rows = max(rows, slack / (min(dearer) - least))
                rows = max(rows, self.processors * tm / (batch * math.ceil(n / tn)))
        return math.ceil(rows / self.step) + 1.0

    def _rivals(self, most: Any) -> Tiles:
        """Return the tiles that may win: of those of one width that hold all rows, the smallest, also for its rate.

        They are equally many, so that it does for any width of the product, depth and number of processors.
        """
        return tuple(tile for tile in self.tiles if not any(_beats(other, tile, most) for other in self.tiles))

    def _by_depth(self, m: float, n: float, k: Any, batch: float) -> Any:
        """Return what only the inner dimension changes: how much adding up the parts of a divided product adds.

        That falls with the depth, so that each way to divide is a line over its inverse.
        """
        least = menu_area(m, n, 1.0, batch, self.processors, self.tiles, (), self.lone)
        lines = {
            _divided(count, 1.0, self.processors, tile, split, self.lone, self.macs)
            for tile in self.tiles
            for split in self.splits
            if (count := output_tiles(m, n, batch, tile[0], tile[1])) < self.processors
        }
        best = least + 0.0 * k
        for area, joining in lines:
            beaten = any((a < area and b <= joining) or (a == area and b < joining) for a, b in lines)
            if area < least and not beaten:
                best = minimum(best, area + joining / k)
        return best

    def _from_table(self, m: Any, n: float, k: float, batch: float) -> Any:
        import numpy as np

        # Every product of a pass has the same rows: their codes are worth keeping for the next call.
        kept = self._codes
        if kept[0] is not m:
            codes = np.ceil(m / self.step)
            kept = self._codes = (m, codes, codes.astype(np.intp), codes.min(), int(codes.max()))
        _, codes, indices, low, high = kept
        table = self._tables.get((n, k, batch))
        if table is None or table.end < min(high, _LIMIT):
            table = self._tables[n, k, batch] = _Table(self, n, k, batch, high)
        if high <= table.end:
            return table.values.take(indices)
        splits = self.splits if table.tail is self.tiles else ()
        rows = codes * self.step
        tail = menu_area(rows, n, k, batch, self.processors, table.tail, splits, self.lone, self.macs)
        if low > table.end:
            return tail
        return np.where(codes <= table.end, table.values.take(indices, mode="clip"), tail)


def _beats(one: tuple[float, float, float], other: tuple[float, float, float], most: Any) -> bool:
    """Tell whether a tile never takes longer than another of its width, and less where it is smaller for its rate."""
    if one[1] != other[1] or min(one[0], most) != min(other[0], most):
        return False
    first, second = (one[0] / one[2], one[0]), (other[0] / other[2], other[0])
    return first != second and first[0] <= second[0] and first[1] <= second[1]


@lru_cache(maxsize=64, typed=True)  # numbers with a history are not those without
def tile_menu(
    tiles: Tiles, processors: float, splits: tuple[float, ...] = SPLITS, lone: Any = 0.0, macs: Any = 0.0
) -> TileMenu:
    """Return the menu of a library on a number of processors, with what it remembers.

    Parameters
    ----------
    tiles : tuple of (rows, columns, rate)
        Menu.
    processors : float, count
        Units that each run one tile at a time.
    splits : tuple of float
        Ways in which the library may divide the inner dimension.
    lone : float or array, count
        Area that takes as long as what a tile waits for that has a processor to itself.
    macs : float or array, count
        Multiply-accumulates of a processor in one clock; 0 where nobody knows.

    Returns
    -------
    TileMenu
    """
    return TileMenu(tiles, processors, splits, lone, macs)


def tiles_of(stack: Stack, engine: str) -> Tiles:
    """Return the menu of a stack; vector units take operands so slowly that small tiles reuse them well enough.

    Parameters
    ----------
    stack : Stack
        The stack.
    engine : str
        Kind of the units: matrix, vector or scalar.

    Returns
    -------
    tuple of (rows, columns, rate)
    """
    matrix = engine == "matrix"
    # A rate keeps its history: it is an estimate of the card, and an explanation says so.
    return tuple((float(tile.m), float(tile.n), tile.rate if matrix else 1.0) for tile in stack.tiles)
