"""Mean batches of many queues: the sizes between which the mean lies are looked up, not tried one after another.

Fewer come during passes over each size than are in it as long as requests arrive more slowly than some rate. These
rates are found once for each curve; a rate of arrivals then has a place among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...formulas.queue_constants import LEAST

__all__ = ["Crossings"]

_NEWTON = 5
"""Steps of Newton's method to a rate; one less gives the same mean batches to twelve digits."""


class Crossings:
    """Where the mean batch changes from one pair of sizes to the next.

    Parameters
    ----------
    around : sequence of Near
        Passes around some mean batches, from one to the greatest; of one curve or of many.
    codes : array of int, shape (rows,)
        The curve of each row.
    """

    __slots__ = ("_batch", "_codes", "_curves", "_few", "_many", "_places", "_share", "_turns")

    def __init__(self, around: Sequence[Any], codes: NDArray[np.intp]) -> None:
        def _stacked(numbers: list[Any]) -> Any:
            return np.stack(np.broadcast_arrays(*map(np.atleast_1d, numbers)))

        self._places = len(around) - 1
        stacked = np.stack([_stacked([near.batch, near.share, near.few, near.many]) for near in around], axis=1)
        self._curves = stacked.shape[-1]
        self._codes = codes
        turns = np.full((2 ** self._places.bit_length(), self._curves), np.inf)
        # The first size at which no more come than are in it counts.
        turns[: self._places] = np.maximum.accumulate(_turns(*stacked[:, 1:]))
        self._turns = turns.ravel()
        self._batch, self._share, self._few, self._many = (part.ravel() for part in stacked)

    def mean(self, rate: Any, comes: Callable[[Any, Any], Any]) -> Any:
        """Return the mean batches.

        Parameters
        ----------
        rate : array, count/s
            Arrivals.
        comes : callable
            From arrivals and the time of a pass to the next batch.

        Returns
        -------
        array, sample
        """
        codes, curves = self._codes, self._curves
        below = np.zeros(np.broadcast_shapes(np.shape(rate), codes.shape), dtype=np.intp)
        step = 2 ** self._places.bit_length() // 2
        while step:
            below += step * (self._turns.take((below + (step - 1)) * curves + codes) < rate)
            step //= 2
        lower = np.minimum(below, self._places - 1) * curves + codes

        def _surplus(at: Any) -> tuple[Any, Any]:
            size, share = self._batch.take(at), self._share.take(at)
            few, many = comes(rate, self._few.take(at)), comes(rate, self._many.take(at))
            return size, (1.0 - share) * few + share * many - size

        (last, ahead), (size, surplus) = _surplus(lower), _surplus(lower + curves)
        ahead = np.maximum(ahead, 0.0)
        crossed = last + (size - last) * (ahead / np.maximum(LEAST, ahead - surplus))
        return np.where(below == self._places, size, crossed)


def _turns(size: Any, share: Any, few: Any, many: Any) -> Any:
    """Return the rates at which as many come during passes over each size as are in it.

    Notes
    -----
    E[x + exp(-x)] = K with x = lambda s: Newton's method on a convex function, from sqrt(2 u) + u / 3 or 1 + u over the
    mean pass, with u = K - 1, whichever is smaller.
    """
    mean, further = (1.0 - share) * few + share * many, size - 1.0
    rate = np.minimum(size, np.sqrt(2.0 * further) + further / 3.0) / mean
    for _ in range(_NEWTON):
        less, more = np.exp(-rate * few), np.exp(-rate * many)
        surplus = rate * mean + (1.0 - share) * less + share * more - size
        slope = (1.0 - share) * few * (1.0 - less) + share * many * (1.0 - more)
        rate = np.maximum(rate - surplus / np.maximum(slope, LEAST * mean), 0.0)
    return rate
