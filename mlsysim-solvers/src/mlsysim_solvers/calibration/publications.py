"""How far publications stray that nobody compared with answers before, found from those of outside sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import attrs
import numpy as np

from ..formulas import constants
from ..formulas.constants import INTERVAL_QUANTILE, INTERVAL_SHARE
from ..formulas.uncertainty import student_tail
from ..validation.predicting import Outcome
from ..validation.publications import kind_of
from ..validation.running import run_rows
from ..validation.tables import outside_rows
from .fitting import Array
from .scatter import SHRINKAGE, Mask, row_weights
from .spreads import row_correlation

__all__ = ["Sides", "Strays", "estimate_publications", "lines_of", "next_sides", "strays_of"]

_TRIED = np.array([0.01, *(0.02 * step for step in range(1, 101))]).round(2)
"""Spreads that are tried, natural-log units."""

_FIRST_CORRELATION, _ROUNDS, _HALVINGS = 0.3, 4, 25


class Strays(NamedTuple):
    """Measurements of publications that were not compared before.

    Parameters
    ----------
    slower : ndarray, shape (m,), natural-log units
        ln of the time that was measured over that answered, and likewise of memory; negative where the run was faster.
    own : ndarray, shape (m,), natural-log units
        Spread of each answer as for a publication that was compared.
    publications : tuple of str, length m
        Whose they are.
    """

    slower: Array
    own: Array
    publications: tuple[str, ...]


@attrs.frozen
class Sides:
    """How far publications of one kind stray.

    Parameters
    ----------
    fast, slow : float, natural-log units
        Spread towards faster and towards slower runs, beyond that of the answer.
    rows, publications : int
        What it comes from.
    before, held : float, ratio
        Share of the measurements in the intervals without it, and with what the other publications alone tell.
    """

    fast: float
    slow: float
    rows: int
    publications: int
    before: float
    held: float


def next_sides(strays: Strays) -> Sides:
    """Return the spreads whose intervals hold nine of ten of the next publication.

    Parameters
    ----------
    strays : Strays
        At least one.

    Returns
    -------
    Sides

    Notes
    -----
    The likelihood of a row is w ln(2 / (f + g) t(r / (f or g))), with f^2 and g^2 the squared spread of the answer plus
    that of the faster or the slower side, whichever r is on: two halves of Student's t with six degrees of freedom that
    meet at the answer. Rows of a publication are alike, so n of them count as n / (1 + (n - 1) rho), with the rho that
    residuals show under the likeliest spreads. Of all spreads that the rows leave likely the mean is taken, times the
    factor at which a tenth of the next figures would lie outside: few publications leave more open.

    References
    ----------
    quantgirl.blog/two-piece-normal, Definition: halves of different spread that meet under one factor 2 / (s_1 + s_2).
    """
    slower, own, names = strays
    slow_side = slower > 0.0
    correlation, likeliest = _FIRST_CORRELATION, (0.0, 0.0)
    each = _log_likelihoods(slower, own)
    for _ in range(_ROUNDS):
        weighted = each * row_weights(names, correlation)[:, None, None]
        found = _best(weighted.sum(axis=0))
        if found == likeliest:
            break
        likeliest = found
        spread = np.hypot(own, np.where(slow_side, *reversed(likeliest)))
        correlation = max(0.0, row_correlation(slower, spread, [(name,) for name in names]))
    inside = []
    total, whose, usual = weighted.sum(axis=0), np.array(names), float(np.median(own))
    for name in sorted(set(names)):
        mine = whose == name
        fast, slow = _next(total - weighted[mine].sum(axis=0), usual)
        inside += _held(slower[mine], np.hypot(own[mine], np.where(slow_side[mine], slow, fast))).tolist()
    fast, slow = (round(side, 2) for side in _next(total, usual))
    return Sides(fast, slow, len(slower), len(set(names)), float(_held(slower, own).mean()), float(np.mean(inside)))


def _next(total: Array, own: float) -> tuple[float, float]:
    """Return the spreads for the next publication, from the likelihood of each pair and the usual spread of answers."""
    chances = np.exp(total - total.max())
    chances /= chances.sum()
    fast, slow = np.hypot(own, _TRIED)[:, None], np.hypot(own, _TRIED)[None, :]
    means = float((chances * _TRIED[:, None]).sum()), float((chances * _TRIED[None, :]).sum())
    low, high = 0.5, 4.0
    for _ in range(_HALVINGS):
        factor = (low * high) ** 0.5
        ends = (INTERVAL_QUANTILE / SHRINKAGE**0.5 * np.hypot(own, factor * mean) for mean in means)
        beyond = [side * student_tail(end / side) for side, end in zip((fast, slow), ends, strict=True)]
        outside = float((chances * sum(beyond) / (fast + slow)).sum())
        low, high = (factor, high) if outside > 1.0 - INTERVAL_SHARE else (low, factor)
    return high * means[0], high * means[1]


def _held(slower: Array, spread: Array) -> Mask:
    found: Mask = np.abs(slower) <= INTERVAL_QUANTILE * spread
    return found


def _log_likelihoods(slower: Array, own: Array) -> Array:
    """Return those of each row under each pair of spreads, shape (m, fast, slow), up to a constant."""
    fast, slow = (SHRINKAGE**0.5 * np.hypot(own[:, None], _TRIED) for _ in range(2))
    off = -3.5 * np.log1p((slower[:, None] / fast) ** 2 / 6.0)
    side = np.where((slower > 0.0)[:, None, None], off[:, None, :], off[:, :, None])
    found: Array = side - np.log(fast[:, :, None] + slow[:, None, :])
    return found


def _best(total: Array) -> tuple[float, float]:
    fast, slow = np.unravel_index(int(np.argmax(total)), total.shape)
    return float(_TRIED[fast]), float(_TRIED[slow])


def strays_of(outcomes: Sequence[Outcome]) -> Strays:
    """Gather how far measurements stray.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Predictions; refused ones, and those of publications that were compared, are left out.

    Returns
    -------
    Strays
    """
    found = [o for o in outcomes if o.predicted and any(o.beyond)]
    ratios = np.log([(o.predicted or 1.0) / o.row.value for o in found])
    signs = np.array([1.0 if o.row.metric.larger_is_faster else -1.0 for o in found])
    return Strays(ratios * signs, np.array([o.log_sd for o in found]), tuple(o.row.publication for o in found))


def estimate_publications(
    *, jobs: int = 0, progress: Callable[[int, int], None] | None = None
) -> dict[str, Sides]:  # fmt: skip
    """Find how far publications stray that nobody compared before, from the measurements of outside sources.

    Parameters
    ----------
    jobs : int
        Processes; 0 takes one per core.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    dict of str to Sides
        By kind.
    """
    outcomes = run_rows(outside_rows(), jobs=jobs, progress=progress)
    kinds = constants.PUBLICATION_LOG_SDS
    return {kind: next_sides(strays_of([o for o in outcomes if kind_of(o.row) == kind])) for kind in kinds}


def lines_of(found: dict[str, Sides]) -> list[str]:
    """Write the spreads.

    Parameters
    ----------
    found : dict of str to Sides
        By kind.

    Returns
    -------
    list of str
    """
    lines = ["  PUBLICATION_LOG_SDS = {"]
    for kind, sides in found.items():
        value, now = (sides.fast, sides.slow), constants.PUBLICATION_LOG_SDS[kind]
        lines.append(f'    "{kind}": {value},' + ("" if value == now else f"   (the program has {now})"))
    lines.append("  }")
    for kind, sides in found.items():
        lines.append(
            f"  {kind}: {sides.rows} figures of {sides.publications} publications; intervals hold {sides.before:.1%} "
            f"without it, {sides.held:.1%} with what the other publications tell"
        )
    return lines
