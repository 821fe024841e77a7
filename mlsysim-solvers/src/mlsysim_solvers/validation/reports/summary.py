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
    left_out : tuple of Score
        By set and metric, in the order of ``sets``, each row predicted without its group; empty when that was not
        asked for.
    left_out_overall : Score or None
        Over all rows.
    left_out_outcomes : tuple of Outcome
        Row by row, in the order of ``outcomes``.
    left_out_by : str
        What was left out with each row: ``group``, ``device``, ``model`` or ``set``.
    folds : tuple of (Score, Score)
        Where devices or models were left out: the scores of each, in sample and left out, most rows first.
    outside : Score or None
        Over the rows on which no constant is fitted; none of them counts in any other score.
    """

    outcomes: tuple[Outcome, ...]
    overall: Score
    sets: tuple[Score, ...]
    groups: tuple[Score, ...]
    reasons: tuple[tuple[str, int], ...]
    left_out: tuple[Score, ...] = ()
    left_out_overall: Score | None = None
    left_out_outcomes: tuple[Outcome, ...] = ()
    left_out_by: str = "group"
    folds: tuple[tuple[Score, Score], ...] = ()
    outside: Score | None = None


def summarise(
    outcomes: Sequence[Outcome],
    left_out: Sequence[Outcome] = (),
    *,
    by: str = "group",
    outside: Sequence[Outcome] = (),
) -> Report:
    """Score a validation.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Row by row.
    left_out : sequence of Outcome
        The same rows, each predicted with constants fitted without its group; may be empty.
    by : str
        What was left out with each row: ``group``, ``device``, ``model`` or ``set``.
    outside : sequence of Outcome
        Rows on which no constant is fitted.

    Returns
    -------
    Report
    """
    groups = score_groups(outcomes)
    sets, baselines = _by_set(outcomes)
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.reason)
    return Report(
        outcomes=tuple(outcomes),
        overall=_over_all("all", outcomes, groups, baselines),
        sets=tuple(sets),
        groups=tuple(groups),
        reasons=tuple(reasons.most_common()),
        left_out=tuple(_by_set(left_out)[0]),
        left_out_overall=score(("all",), left_out) if left_out else None,
        left_out_outcomes=tuple(left_out),
        left_out_by=by,
        folds=tuple(_by_fold(outcomes, left_out, by)) if by in ("device", "model") else (),
        outside=_over_all("outside", outside, score_groups(outside), _by_set(outside)[1]) if outside else None,
    )


def _over_all(name: str, outcomes: Sequence[Outcome], groups: Sequence[Score], baselines: Sequence[float]) -> Score:
    """Score all rows together, with the median over groups beside that over rows."""
    medians = [group.median_ape for group in groups if group.median_ape is not None]
    found = score((name,), outcomes, baseline=median(baselines) if baselines else None)
    return attrs.evolve(found, group_median_ape=median(medians) if medians else None)


def _by_fold(outcomes: Sequence[Outcome], left_out: Sequence[Outcome], by: str) -> list[tuple[Score, Score]]:
    """Score the rows of each device or model, in sample and left out."""
    places: dict[str, list[int]] = {}
    for place, outcome in enumerate(left_out):
        if outcome.predicted is not None and getattr(outcome, by):
            places.setdefault(getattr(outcome, by), []).append(place)
    found = []
    for name, own in sorted(places.items(), key=lambda item: (-len(item[1]), item[0])):
        before, after = ([rows[place] for place in own] for rows in (outcomes, left_out))
        found.append((score((name,), before), score((name,), after)))
    return found


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
