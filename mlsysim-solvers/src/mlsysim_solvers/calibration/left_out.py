"""Every measurement predicted with constants that were fitted without its group."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import attrs
import numpy as np

from mlsysim.entities import Entry
from mlsysim.executors import process_pool
from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.records.stack import ANY, Calibration
from mlsysim.units import parse_unit

from ..execution.ceilings import scatter_of
from ..validation.predicting import Outcome, predict, strayed
from ..validation.tables import packaged_rows
from .fitting import Array
from .problem import Point, prepare
from .samples import sample_of
from .scatter import LEAST_ROWS, Mask, Strays, fit_sample, row_weights, stack_scatter
from .stacks import calibration_of

__all__ = ["left_out", "scatters", "under_refits"]

Group = tuple[str, str, str]

_SAME = 1e-3
"""Relative difference up to which two figures are one: a document and a table may round differently."""


@attrs.frozen
class _Asked:
    """A row that is predicted without its group.

    Parameters
    ----------
    row : Measurement
        The row.
    group : tuple of str
        Set, model and device.
    device, precision : str
        Under which calibrations are looked up.
    """

    row: Measurement
    group: Group
    device: str
    precision: str


def left_out(
    outcomes: Sequence[Outcome], *, jobs: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[Outcome]:
    """Predict rows as if nothing of their set, model and device had been fitted on.

    Parameters
    ----------
    outcomes : sequence of Outcome
        The ordinary predictions.
    jobs : int
        Processes; 0 takes one per core.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    list of Outcome
        In the same order. The prediction of a row in which no fitted figure took part is left out already; its
        interval, like all, follows how far the other groups of its stack stray among these rows.
    """
    known = {e.key: scatter_of(e.record) for e in plugins().registry.entries("stacks")}
    raw = under_refits(outcomes, predict, jobs=jobs, progress=progress)
    usual = [
        strayed(before, 1.0 / known.get(before.stack, 1.0)) if found is None else found
        for before, found in zip(outcomes, raw, strict=True)
    ]
    return [strayed(o, factor) for o, factor in zip(usual, scatters(usual, apart=True), strict=True)]


def under_refits(
    outcomes: Sequence[Outcome], ask: Callable[[Measurement], Any], *, jobs: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:  # fmt: skip
    """Ask something of every row whose prediction took fitted figures, under figures fitted without its group.

    Parameters
    ----------
    outcomes : sequence of Outcome
        The ordinary predictions.
    ask : callable
        What is asked of a row; a function of a module, since processes look it up by its name. The stack then strays
        as far as is usual.
    jobs : int
        Processes; 0 takes one per core.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    list
        Answers in the same order; None for the other rows.
    """
    fitted = (outcome.predicted is not None and (outcome.calibrated or outcome.in_sample) for outcome in outcomes)
    wanted = [(place, outcomes[place]) for place, took_part in enumerate(fitted) if took_part]
    by_stack: dict[str, list[tuple[int, _Asked]]] = {}
    for place, outcome in wanted:
        asked = _Asked(outcome.row, _group(outcome), outcome.device, outcome.precision)
        by_stack.setdefault(outcome.stack, []).append((place, asked))
    tasks = sorted(by_stack.items(), key=lambda task: -len(task[1]))
    found: list[Any] = [None] * len(outcomes)
    done = 0
    ran = _run([(key, [asked for _, asked in each], ask) for key, each in tasks], jobs)
    for (_, places), answers in zip(tasks, ran, strict=True):
        for (place, _), answer in zip(places, answers, strict=True):
            found[place] = answer
        done += len(places)
        if progress is not None:
            progress(done, len(wanted))
    return found


def scatters(outcomes: Sequence[Outcome], *, apart: bool) -> list[float]:
    """Return how far the measurements of each row's stack stray.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Predictions that have not seen their groups, under the usual scales.
    apart : bool
        Whether the rows of a group take no part in their own factor.

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
        names = [(_group(outcomes[i]), outcomes[i].row.name) for i in places]
        rows = _strays([outcomes[i] for i in places], row_weights(names))
        owners = [group if apart else None for group, _ in names]
        for owner in sorted(set(owners), key=str):
            own = np.array([one == owner for one in owners])
            others = ~own if apart else own
            factor = stack_scatter(Strays(*(part[others] for part in rows)))
            for place, mine in zip(places, own, strict=True):
                found[place] = factor if mine else found[place]
    return found


def _strays(outcomes: Sequence[Outcome], weights: Array) -> Strays:
    own = np.array([o.own_sd**2 for o in outcomes])
    return Strays(
        np.array([np.log((o.predicted or 1.0) / o.row.value) for o in outcomes]),
        own,
        np.maximum(0.0, np.array([o.log_sd**2 for o in outcomes]) - own),
        weights,
    )


def _group(outcome: Outcome) -> Group:
    return outcome.row.set, outcome.model or outcome.row.kind, outcome.device


_Task = tuple[str, list[_Asked], Callable[[Measurement], Any]]


def _run(tasks: Sequence[_Task], jobs: int) -> Iterator[list[Any]]:
    workers = min(jobs or os.cpu_count() or 1, len(tasks))
    if workers < 2:
        yield from map(_one_stack, tasks)
        return
    with process_pool(workers, long=True) as pool:
        yield from pool.map(_one_stack, tasks)


def _one_stack(task: _Task) -> list[Any]:
    """Refit the calibrations of one stack without each group that is asked for, and ask about the group."""
    key, asked, ask = task
    entry = plugins().registry.get("stacks", key)
    ids = {row for calibration in entry.record.calibrations for row in calibration.rows}
    points = {point.row.id: point for point in prepare([row for row in packaged_rows() if row.id in ids])}
    refits = _Refits(entry, points)
    needed = {(one.group, one.device, one.precision) for one in asked}
    refits.plan(sorted(needed))
    return [_answer(entry, refits.calibration(one.group, one.device, one.precision), one.row, ask) for one in asked]


class _Refits:
    """The calibrations of a stack without one group each."""

    def __init__(self, entry: Entry, points: dict[str, Point]) -> None:
        self._entry = entry
        self._points = [[points[row] for row in c.rows if row in points] for c in entry.record.calibrations]
        self._found: dict[tuple[int, bytes], Calibration] = {}

    def plan(self, needed: Sequence[tuple[Group, str, str]]) -> None:
        """Fit what is needed, for each calibration all groups in step."""
        masks: dict[int, dict[bytes, Mask]] = {}
        for group, device, precision in needed:
            chosen = self._choose(group, device, precision)
            if chosen is not None and not chosen[1].all():
                masks.setdefault(chosen[0], {})[chosen[1].tobytes()] = chosen[1]
        for index, kept in masks.items():
            old = self._entry.record.calibrations[index]
            sample = sample_of(self._entry, self._points[index], old.device, old.precision)
            fits = fit_sample(sample, list(kept.values()))
            for mask, fitted in zip(kept.values(), fits, strict=True):
                self._found[index, mask.tobytes()] = calibration_of(sample, fitted, old.device, old.precision)

    def calibration(self, group: Group, device: str, precision: str) -> Calibration | None:
        """Return what a row of a group is predicted with; None means the general ceilings."""
        chosen = self._choose(group, device, precision)
        if chosen is None:
            return None
        index, kept = chosen
        calibration: Calibration = self._entry.record.calibrations[index]
        return calibration if kept.all() else self._found[index, kept.tobytes()]

    def _choose(self, group: Group, device: str, precision: str) -> tuple[int, Mask] | None:
        """Return the first calibration, in the order in which they are looked up, with enough rows left."""
        by_key = {(c.device, c.precision): i for i, c in enumerate(self._entry.record.calibrations)}
        maker = f"{plugins().registry.get('devices', device).record.vendor}/{ANY}"
        for key in ((device, precision), (maker, precision), (maker, ANY), (ANY, precision), (ANY, ANY)):
            index = by_key.get(key)
            if index is None:
                continue
            kept = np.array([point.group != group for point in self._points[index]], dtype=bool)
            if kept.sum() >= LEAST_ROWS:
                return index, kept
        return None


def _answer(entry: Entry, calibration: Calibration | None, row: Measurement, ask: Callable[[Measurement], Any]) -> Any:
    calibrations = () if calibration is None else (calibration,)
    with ExitStack() as stack:
        record = attrs.evolve(entry.record, calibrations=calibrations, scatter=1.0)
        stack.enter_context(plugins().registry.replacing(attrs.evolve(entry, record=record)))
        if row.table == "kernels":
            for device in _without_facts(row):
                stack.enter_context(plugins().registry.replacing(device))
        return ask(row)


def _without_facts(row: Measurement) -> Iterator[Entry]:
    """Give the device without an achieved rate that is this very figure."""
    outcome = predict(row)
    if not outcome.device:
        return
    entry = plugins().registry.get("devices", outcome.device)
    peaks = dict(entry.record.compute.peak)
    figure = row.value * parse_unit(row.metric.unit).factor
    for name, peak in peaks.items():
        if peak.achieved is not None and abs(peak.achieved / figure - 1.0) < _SAME:
            peaks[name] = attrs.evolve(peak, achieved=None)
    compute = attrs.evolve(entry.record.compute, peak=peaks)
    yield attrs.evolve(entry, record=attrs.evolve(entry.record, compute=compute))
