"""Every measurement predicted with constants that were fitted without its group."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import attrs
import numpy as np

from mlsysim.entities import Entry
from mlsysim.executors import process_pool
from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.records.stack import ANY, Calibration
from mlsysim.units import parse_unit

from ..validation.predicting import Outcome, predict
from ..validation.tables import packaged_rows
from .problem import Point, prepare
from .samples import Neighbours, sample_of
from .scatter import LEAST_ROWS, Mask, fit_sample
from .stacks import calibration_of

__all__ = ["left_out"]

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
        In the same order. The prediction of a row in which no fitted figure took part is left out already, and
        stands as it is.
    """
    fitted = (outcome.predicted is not None and (outcome.calibrated or outcome.in_sample) for outcome in outcomes)
    wanted = [(place, outcomes[place]) for place, took_part in enumerate(fitted) if took_part]
    by_stack: dict[str, list[tuple[int, _Asked]]] = {}
    for place, outcome in wanted:
        row = outcome.row
        group = (row.set, outcome.model or row.kind, outcome.device)
        asked = _Asked(row, group, outcome.device, outcome.precision)
        by_stack.setdefault(outcome.stack, []).append((place, asked))
    tasks = sorted(by_stack.items(), key=lambda task: -len(task[1]))
    found = list(outcomes)
    done = 0
    ran = _run([(key, [asked for _, asked in each]) for key, each in tasks], jobs)
    for (_, places), answers in zip(tasks, ran, strict=True):
        for (place, _), answer in zip(places, answers, strict=True):
            found[place] = answer
        done += len(places)
        if progress is not None:
            progress(done, len(wanted))
    return found


def _run(tasks: Sequence[tuple[str, list[_Asked]]], jobs: int) -> Iterator[list[Outcome]]:
    workers = min(jobs or os.cpu_count() or 1, len(tasks))
    if workers < 2:
        yield from map(_one_stack, tasks)
        return
    with process_pool(workers, long=True) as pool:
        yield from pool.map(_one_stack, tasks)


def _one_stack(task: tuple[str, list[_Asked]]) -> list[Outcome]:
    """Refit the calibrations of one stack without each group that is asked for, and predict the group."""
    key, asked = task
    entry = plugins().registry.get("stacks", key)
    ids = {row for calibration in entry.record.calibrations for row in calibration.rows}
    points = {point.row.id: point for point in prepare([row for row in packaged_rows() if row.id in ids])}
    refits = _Refits(entry, points)
    needed = {(one.group, one.device, one.precision) for one in asked}
    refits.plan(sorted(needed))
    return [_predicted(entry, refits.calibration(one.group, one.device, one.precision), one.row) for one in asked]


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
        neighbours = Neighbours(self._entry)
        for index, kept in masks.items():
            old = self._entry.record.calibrations[index]
            sample = sample_of(self._entry, self._points[index], old.device, old.precision)
            fits = fit_sample(sample, list(kept.values()), neighbours.of(old.device))
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


def _predicted(entry: Entry, calibration: Calibration | None, row: Measurement) -> Outcome:
    calibrations = () if calibration is None else (calibration,)
    with ExitStack() as stack:
        record = attrs.evolve(entry.record, calibrations=calibrations)
        stack.enter_context(plugins().registry.replacing(attrs.evolve(entry, record=record)))
        if row.table == "kernels":
            for device in _without_facts(row):
                stack.enter_context(plugins().registry.replacing(device))
        return predict(row)


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
