"""All numbers that a report shows, computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

import attrs

from ..predicting import Outcome
from ..scoring import Score, baseline_error, score, score_groups, sets_of

__all__ = ["Report", "summarise"]


@attrs.frozen
class Report:
    """A validation.

    Parameters
    ----------
    outcomes : tuple of Outcome
        Row by row.
    overall : Score
        Over all rows.
    sets, groups : tuple of Score
        By set and metric; by set, model, device and metric.
    reasons : tuple of (str, int)
        Why rows were refused, most frequent first.
    group_median : float or None
        Median over the groups of their median errors.
    left_out : tuple of Score
        By set and metric, in the order of ``sets``, each row predicted without its group; empty when that was not
        asked for.
    left_out_overall : Score or None
        Over all rows.
    left_out_outcomes : tuple of Outcome
        Row by row, in the order of ``outcomes``.
    """

    outcomes: tuple[Outcome, ...]
    overall: Score
    sets: tuple[Score, ...]
    groups: tuple[Score, ...]
    reasons: tuple[tuple[str, int], ...]
    group_median: float | None
    left_out: tuple[Score, ...] = ()
    left_out_overall: Score | None = None
    left_out_outcomes: tuple[Outcome, ...] = ()


def summarise(outcomes: Sequence[Outcome], left_out: Sequence[Outcome] = ()) -> Report:
    """Score a validation.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Row by row.
    left_out : sequence of Outcome
        The same rows, each predicted with constants fitted without its group; may be empty.

    Returns
    -------
    Report
    """
    groups = score_groups(outcomes)
    medians = [group.median_ape for group in groups if group.median_ape is not None]
    sets, baselines = _by_set(outcomes)
    overall = score(("all",), outcomes, baseline=median(baselines) if baselines else None)
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.reason)
    return Report(
        outcomes=tuple(outcomes),
        overall=attrs.evolve(overall, group_median_ape=median(medians) if medians else None),
        sets=tuple(sets),
        groups=tuple(groups),
        reasons=tuple(reasons.most_common()),
        group_median=median(medians) if medians else None,
        left_out=tuple(_by_set(left_out)[0]),
        left_out_overall=score(("all",), left_out) if left_out else None,
        left_out_outcomes=tuple(left_out),
    )


def _by_set(outcomes: Sequence[Outcome]) -> tuple[list[Score], list[float]]:
    """Score each set and metric; the errors of the best constants come row by row."""
    sets: list[Score] = []
    baselines: list[float] = []
    for name, rows in sets_of(outcomes).items():
        known = [row for row in rows if row.predicted is not None]
        baseline = baseline_error(known)
        own = [s.median_ape for s in score_groups(rows) if s.median_ape is not None]
        found = score(name, rows, baseline=baseline)
        sets.append(attrs.evolve(found, group_median_ape=median(own)) if own else found)
        if baseline is not None:
            baselines += [baseline] * len(known)
    return sets, baselines
