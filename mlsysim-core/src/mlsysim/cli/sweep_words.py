"""Which rows of a sweep are worth a look beside the best ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..intervals import INTERVAL_QUANTILE
from ..solving import choices_of
from ..sweeping.result import stuck

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..config.constraints import Constraint
    from ..sweeping.result import SweepResult

__all__ = ["beside_the_best"]

_MOST_CHOICES = 12
"""Choices of a key at most of which each is answered by its best row: more are a search, not a comparison."""


def beside_the_best(
    result: SweepResult, order: NDArray[np.intp], shown: NDArray[np.intp], limits: Sequence[Constraint]
) -> Iterator[tuple[str, list[int]]]:
    """Find the rows that a decision needs and that are not among the best.

    Parameters
    ----------
    result : SweepResult
        The sweep.
    order : array of int, shape (k,)
        Acceptable rows, best first.
    shown : array of int
        Those of them that are printed anyway.
    limits : sequence of Constraint
        Limits that the scenario declares.

    Yields
    ------
    heading : str
    rows : list of int
    """
    sure = _sure(result, order, limits)
    if sure is not None and not sure[0]:
        count = int(sure.sum())
        best = order[sure][:1].tolist()
        yield (f"{count:,} keep the constraints with their whole 90 % intervals, the best of them:" if count
               else "none keeps the constraints with its whole 90 % interval"), best  # fmt: skip
    for name, values in result.varied.items():
        choices = choices_of(result.units[name])
        missing = [code for code in range(len(choices)) if code not in values[shown]]
        if missing and 1 < len(choices) <= _MOST_CHOICES:
            yield f"best of each other {name.rpartition('.')[2]}:", _firsts(values[order], order, missing)
            yield from ((text, []) for text in _without(result, name, choices, missing))


def _firsts(codes: NDArray[np.float64], order: NDArray[np.intp], missing: Sequence[int]) -> list[int]:
    """Return the first row of each choice, best first."""
    found = (np.flatnonzero(codes == code)[:1] for code in missing)
    rows: list[int] = order[sorted(int(at[0]) for at in found if at.size)].tolist()
    return rows


def _without(result: SweepResult, name: str, choices: Sequence[str], missing: Sequence[int]) -> Iterator[str]:
    """Say why a choice has no row among the acceptable ones."""
    for code in missing:
        rows = result.varied[name] == code
        if (result.acceptable & rows).any():
            continue
        if not rows.any():
            continue  # refused, which is said with its reason
        why = "keeps the constraints" if (result.feasible & rows).any() else "can work" if stuck(result) else "fits"
        yield f"{choices[code]}: none of {int(rows.sum()):,} {why}"


def _sure(
    result: SweepResult, order: NDArray[np.intp], limits: Sequence[Constraint]
) -> NDArray[np.bool_] | None:  # fmt: skip
    """Tell which rows keep every limit at both ends of its interval; None where no limit has an interval."""
    spread = [limit for limit in limits if f"{limit.output}.log_sd" in result.outputs]
    if not spread or not order.size:
        return None
    kept = np.ones(order.size, dtype=bool)
    for limit in spread:
        sign = 1.0 if limit.relation == "<=" else -1.0
        sd = result.outputs[f"{limit.output}.log_sd"][order]
        kept &= limit.holds(result.outputs[limit.output][order] * np.exp(sign * INTERVAL_QUANTILE * sd))
    return kept
