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
        Median over the groups of their median errors: what issues of accuracy quote.
    """

    outcomes: tuple[Outcome, ...]
    overall: Score
    sets: tuple[Score, ...]
    groups: tuple[Score, ...]
    reasons: tuple[tuple[str, int], ...]
    group_median: float | None


def summarise(outcomes: Sequence[Outcome]) -> Report:
    """Score a validation.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Row by row.

    Returns
    -------
    Report
    """
    groups = score_groups(outcomes)
    medians = [group.median_ape for group in groups if group.median_ape is not None]
    sets = []
    baselines: list[float] = []
    for name, rows in sets_of(outcomes).items():
        known = [row for row in rows if row.predicted is not None]
        baseline = baseline_error(known)
        own = [s.median_ape for s in score_groups(rows) if s.median_ape is not None]
        found = score(name, rows, baseline=baseline)
        sets.append(attrs.evolve(found, group_median_ape=median(own)) if own else found)
        if baseline is not None:
            baselines += [baseline] * len(known)
    overall = score(("all",), outcomes, baseline=median(baselines) if baselines else None)
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.reason)
    return Report(
        outcomes=tuple(outcomes),
        overall=attrs.evolve(overall, group_median_ape=median(medians) if medians else None),
        sets=tuple(sets),
        groups=tuple(groups),
        reasons=tuple(reasons.most_common()),
        group_median=median(medians) if medians else None,
    )
