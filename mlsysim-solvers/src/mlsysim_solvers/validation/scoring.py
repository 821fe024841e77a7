"""How good predictions are: errors, bias, rank, coverage, and skill against the best constant."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median

import attrs

from .predicting import Outcome

__all__ = [
    "Score", "baseline_error", "groups_of", "median_error", "quantile", "score", "score_groups", "sets_of", "spearman",
]  # fmt: skip


@attrs.frozen
class Score:
    """The score of some rows.

    Parameters
    ----------
    name : tuple of str
        What they have in common.
    n, predicted, refused : int
        Rows, and what came of them.
    median_ape, p90_ape, bias : float or None
        Median and 90 % quantile of the absolute relative error; median of the relative error.
    spearman : float or None
        Rank correlation of prediction and measurement.
    coverage90 : float or None
        Share of measurements inside the 90 % interval.
    half_width : float or None
        Median half-width of the interval, as a share of the prediction.
    baseline_median_ape : float or None
        The same error for the best constant: one ratio of the ideal time for all rows of a set.
    calibrated, in_sample : float
        Shares of rows predicted with fitted constants, and of rows that those were fitted on.
    group_median_ape : float or None
        Median over (set, model, device, metric) groups of their median errors.
    group_rows : tuple of int
        Predicted rows of each such group.
    inside : int
        Measurements inside the 90 % interval.
    """

    name: tuple[str, ...]
    n: int
    predicted: int
    refused: int
    median_ape: float | None = None
    p90_ape: float | None = None
    bias: float | None = None
    spearman: float | None = None
    coverage90: float | None = None
    half_width: float | None = None
    baseline_median_ape: float | None = None
    calibrated: float = 0.0
    in_sample: float = 0.0
    group_median_ape: float | None = None
    group_rows: tuple[int, ...] = ()
    inside: int = 0

    @property
    def skill(self) -> float | None:
        """Share of the baseline's error that the predictions remove."""
        if self.baseline_median_ape is None or self.median_ape is None or self.baseline_median_ape == 0.0:
            return None
        return 1.0 - self.median_ape / self.baseline_median_ape


def median_error(residuals: Iterable[float]) -> float:
    """Return the median relative error of predictions.

    Parameters
    ----------
    residuals : iterable of float, natural-log units
        Of predicted over measured.

    Returns
    -------
    float, ratio
    """
    return median(abs(math.expm1(residual)) for residual in residuals)


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile by linear interpolation.

    Parameters
    ----------
    values : sequence of float
        At least one.
    share : float
        Between 0 and 1.

    Returns
    -------
    float
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in range(start, end + 1):
            ranks[order[place]] = 0.5 * (start + end)
        start = end + 1
    return ranks


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation.

    Parameters
    ----------
    first, second : sequence of float
        Pairs; ties share their mean rank.

    Returns
    -------
    float or None
        None for fewer than three pairs, or where one side is constant.
    """
    if len(first) < 3:
        return None
    a, b = _ranks(first), _ranks(second)
    mean = 0.5 * (len(a) - 1)
    cross = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    size = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return cross / size if size else None


def baseline_error(outcomes: Sequence[Outcome]) -> float | None:
    """Return the median error of the best constant.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Predicted rows of one set.

    Returns
    -------
    float or None
        None for fewer than two rows with an ideal.

    Notes
    -----
    Each row's ideal is its time at the full peak and the full bandwidth of the device; the baseline
    multiplies all ideals of the set by the one ratio that makes the median of the errors least
    among the rows' own ratios.
    """
    ratios = [o.row.value / o.ideal for o in outcomes if o.ideal]
    if len(ratios) < 2:
        return None
    return min(median(abs(guess / true - 1.0) for true in ratios) for guess in _candidates(ratios))


def _candidates(ratios: Sequence[float]) -> list[float]:
    ordered = sorted(ratios)
    if len(ordered) <= 60:
        return ordered
    return [quantile(ordered, place / 60.0) for place in range(61)]


def score(name: tuple[str, ...], outcomes: Sequence[Outcome], *, baseline: float | None = None) -> Score:
    """Score rows.

    Parameters
    ----------
    name : tuple of str
        What they have in common.
    outcomes : sequence of Outcome
        Predicted and refused rows.
    baseline : float or None
        Error of the best constant.

    Returns
    -------
    Score
    """
    known = [o for o in outcomes if o.predicted is not None]
    counts = (len(outcomes), len(known), len(outcomes) - len(known))
    if not known:
        return Score(name, *counts)
    errors = [o.error or 0.0 for o in known]
    inside = sum((o.low or 0.0) <= o.row.value <= (o.high or 0.0) for o in known)
    return Score(
        name,
        *counts,
        median_ape=median(map(abs, errors)),
        p90_ape=quantile([abs(e) for e in errors], 0.9),
        bias=median(errors),
        spearman=spearman([o.predicted or 0.0 for o in known], [o.row.value for o in known]),
        coverage90=inside / len(known),
        half_width=median(o.half_width for o in known),
        baseline_median_ape=baseline,
        calibrated=sum(o.calibrated for o in known) / len(known),
        in_sample=sum(o.in_sample for o in known) / len(known),
        group_rows=tuple(len(rows) for rows in groups_of(known).values()),
        inside=inside,
    )


def _gather(
    outcomes: Sequence[Outcome], key: Callable[[Outcome], tuple[str, ...]]
) -> dict[tuple[str, ...], list[Outcome]]:
    found: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(key(outcome), []).append(outcome)
    return found


def groups_of(outcomes: Sequence[Outcome]) -> dict[tuple[str, ...], list[Outcome]]:
    """Gather rows by set, model, device and metric.

    Parameters
    ----------
    outcomes : sequence of Outcome
        All rows.

    Returns
    -------
    dict of tuple of str to list of Outcome
    """
    return _gather(outcomes, lambda o: (*o.row.group, o.row.name))


def sets_of(outcomes: Sequence[Outcome]) -> dict[tuple[str, ...], list[Outcome]]:
    """Gather rows by set and metric.

    Parameters
    ----------
    outcomes : sequence of Outcome
        All rows.

    Returns
    -------
    dict of tuple of str to list of Outcome
    """
    return _gather(outcomes, lambda o: (o.row.set, o.row.name))


def score_groups(outcomes: Sequence[Outcome]) -> list[Score]:
    """Score every group of rows.

    Parameters
    ----------
    outcomes : sequence of Outcome
        All rows.

    Returns
    -------
    list of Score
        Each beside the best constant of its set.
    """
    baselines = {
        name: baseline_error([o for o in rows if o.predicted is not None]) for name, rows in sets_of(outcomes).items()
    }
    return [
        score(name, rows, baseline=baselines.get((name[0], name[-1]))) for name, rows in groups_of(outcomes).items()
    ]
