"""Every measurement predicted with constants that were fitted without its group, device, model or set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import attrs
import numpy as np

from mlsysim.entities import Entry
from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.records.stack import Calibration
from mlsysim.units import parse_unit

from ..execution.device.ceilings import scatter_of
from ..validation.folds import Fold, fold_of
from ..validation.predicting import Outcome, predict, rescaled
from ..validation.running import in_processes
from ..validation.tables import packaged_rows
from .fitting import Array
from .problem import prepare
from .refits import Asked, Refits
from .scatter import Residuals, row_weights, stack_scatter

__all__ = ["left_out", "scatters", "under_refits"]

_SAME = 1e-3
"""Relative difference up to which two figures are one: a document and a table may round differently."""


def left_out(
    outcomes: Sequence[Outcome], by: str = "group", *, jobs: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:  # fmt: skip
    """Predict rows as if nothing of their set, model and device had been fitted on, or of one of the three.

    Parameters
    ----------
    outcomes : sequence of Outcome
        The ordinary predictions.
    by : str
        ``group`` leaves out the rows of the same set, model and device; ``device``, ``model`` and ``set`` leave out
        all rows that have this one thing in common, under any stack. A device that is left out reaches what devices
        do on which no rate of products was measured.
    jobs : int
        Processes; 0 takes one per core.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    list of Outcome
        In the same order. The prediction of a row in which no fitted figure took part is left out already; its
        interval, like all, follows how far the other groups (devices, models, sets) of its stack stray among these
        rows.
    """
    known = {e.key: scatter_of(e.record) for e in plugins().registry.entries("stacks")}
    raw = under_refits(outcomes, predict, by, jobs=jobs, progress=progress)
    usual = [
        rescaled(before, 1.0 / known.get(before.stack, 1.0)) if found is None else found
        for before, found in zip(outcomes, raw, strict=True)
    ]
    return [rescaled(o, factor) for o, factor in zip(usual, scatters(usual, by), strict=True)]


def under_refits(
    outcomes: Sequence[Outcome], ask: Callable[[Measurement], Any], by: str = "group", *, jobs: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:  # fmt: skip
    """Ask something of every row whose prediction took fitted figures, under figures fitted without it and its like.

    Parameters
    ----------
    outcomes : sequence of Outcome
        The ordinary predictions.
    ask : callable
        What is asked of a row; a function of a module, since processes look it up by its name. The stack then strays
        as far as is usual.
    by : str
        What is left out with a row, as for :func:`left_out`.
    jobs : int
        Processes; 0 takes one per core.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    list
        Answers in the same order; None for the other rows.
    """
    wanted = [(place, outcome) for place, outcome in enumerate(outcomes) if _took_part(outcome, by)]
    by_stack: dict[str, list[tuple[int, _Row]]] = {}
    for place, outcome in wanted:
        asked = Asked(_fold(outcome, by), outcome.device, outcome.precision)
        by_stack.setdefault(outcome.stack, []).append((place, (outcome.row, asked)))
    tasks = sorted(by_stack.items(), key=lambda task: -len(task[1]))
    found: list[Any] = [None] * len(outcomes)
    done = 0
    ran = in_processes(_one_stack, [(key, [row for _, row in each], ask, by) for key, each in tasks], jobs)
    for (_, places), answers in zip(tasks, ran, strict=True):
        for (place, _), answer in zip(places, answers, strict=True):
            found[place] = answer
        done += len(places)
        if progress is not None:
            progress(done, len(wanted))
    return found


def _took_part(outcome: Outcome, by: str) -> bool:
    """Tell whether fitted figures took part in a prediction, or rates measured on a device that is left out."""
    if outcome.predicted is None or not outcome.stack:
        return False
    return (
        outcome.calibrated
        or outcome.in_sample
        or (by == "device" and bool(_measured(plugins().registry.get("devices", outcome.device))))
    )


def _measured(entry: Entry) -> list[str]:
    """Name the formats in which a rate of products was measured on a device; estimates come from how it is built."""
    standings = {
        name: entry.standing(f"compute.peak.{name}.achieved")
        for name, peak in entry.record.compute.peak.items()
        if peak.achieved is not None
    }
    return [name for name, found in standings.items() if found is not None and found.chosen.source]


def scatters(outcomes: Sequence[Outcome], apart: str = "") -> list[float]:
    """Return how far the measurements of each row's stack stray.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Predictions that have not seen their groups, under the usual scales.
    apart : str
        Which rows take no part in their own factor: those of the same group, device, model or set. All take part
        where it is empty.

    Returns
    -------
    list of float, ratio
        In the same order; 1 for rows whose spread follows no stack.
    """
    by_stack: dict[str, list[int]] = {}
    for place, outcome in enumerate(outcomes):
        if outcome.predicted is not None and outcome.own_sd and outcome.stack:
            by_stack.setdefault(outcome.stack, []).append(place)
    found = [1.0] * len(outcomes)
    for places in by_stack.values():
        names = [(_fold(outcomes[i], "group"), outcomes[i].row.name) for i in places]
        rows = _residuals([outcomes[i] for i in places], row_weights(names))
        folds = [_fold(outcomes[i], apart) if apart else () for i in places]
        for fold in sorted(set(folds)):
            own = np.array([one == fold for one in folds])
            others = ~own if apart else own
            factor = stack_scatter(Residuals(*(part[others] for part in rows)))
            for place, mine in zip(places, own, strict=True):
                found[place] = factor if mine else found[place]
    return found


def _residuals(outcomes: Sequence[Outcome], weights: Array) -> Residuals:
    own = np.array([o.own_sd**2 for o in outcomes])
    return Residuals(
        np.array([np.log((o.predicted or 1.0) / o.row.value) for o in outcomes]),
        own,
        np.maximum(0.0, np.array([o.log_sd**2 for o in outcomes]) - own),
        weights,
    )


def _fold(outcome: Outcome, by: str) -> Fold:
    return fold_of(by, outcome.row.set, outcome.model or outcome.row.kind, outcome.device)


_Row = tuple[Measurement, Asked]
_Task = tuple[str, list[_Row], Callable[[Measurement], Any], str]


def _one_stack(task: _Task) -> list[Any]:
    """Refit the calibrations of one stack without what is asked for, and ask about it."""
    key, rows, ask, by = task
    entry = plugins().registry.get("stacks", key)
    ids = {row for calibration in entry.record.calibrations for row in calibration.rows}
    points = {point.row.id: point for point in prepare([row for row in packaged_rows() if row.id in ids])}
    refits = Refits(entry, points, by)
    refits.plan(sorted({asked for _, asked in rows}))
    return [_answer(entry, refits.calibration(asked), row, asked.device, ask, by) for row, asked in rows]


def _answer(
    entry: Entry, calibration: Calibration | None, row: Measurement, device: str,
    ask: Callable[[Measurement], Any], by: str,
) -> Any:  # fmt: skip
    calibrations = () if calibration is None else (calibration,)
    with ExitStack() as stack:
        record = attrs.evolve(entry.record, calibrations=calibrations, scatter=1.0)
        stack.enter_context(plugins().registry.replacing(attrs.evolve(entry, record=record)))
        if by == "device" or row.table == "kernels":
            figure = None if by == "device" else row.value * parse_unit(row.metric.unit).factor
            stack.enter_context(plugins().registry.replacing(_without_facts(device, figure)))
        return ask(row)


def _without_facts(key: str, figure: float | None) -> Entry:
    """Return a device without the achieved rate that is a figure, or without all of them."""
    entry = plugins().registry.get("devices", key)
    peaks = dict(entry.record.compute.peak)
    for name in _measured(entry):
        if figure is None or abs(peaks[name].achieved / figure - 1.0) < _SAME:
            peaks[name] = attrs.evolve(peaks[name], achieved=None)
    compute = attrs.evolve(entry.record.compute, peak=peaks)
    return attrs.evolve(entry, record=attrs.evolve(entry.record, compute=compute))
