"""The calibrations of one stack, fitted again without some of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlsysim.entities import Entry
from mlsysim.plugins import plugins
from mlsysim.records.stack import ANY, Calibration

from ..validation.folds import Fold, fold_of
from .fitting import Fit, Prior
from .pooling import card_priors, pooled
from .problem import Point
from .scatter import LEAST_ROWS, Mask, Sample, fit_sample
from .stacks import calibration_of

__all__ = ["Asked", "Refits"]


class Asked(NamedTuple):
    """What a row asks of the calibrations of its stack.

    Parameters
    ----------
    fold : tuple of str
        What is left out.
    device, precision : str
        Under which calibrations are looked up.
    """

    fold: Fold
    device: str
    precision: str


class Refits:
    """The calibrations of a stack without the rows of one fold each.

    Parameters
    ----------
    entry : Entry
        The stack.
    points : mapping of str to Point
        Its rows by id.
    by : str
        What is left out: one of :data:`~mlsysim_solvers.validation.folds.CHOICES`.
    """

    def __init__(self, entry: Entry, points: Mapping[str, Point], by: str) -> None:
        self._entry = entry
        self._card = card_priors(entry)
        self._points = [[points[row] for row in c.rows if row in points] for c in entry.record.calibrations]
        self._folds = [[fold_of(by, *point.group) for point in rows] for rows in self._points]
        self._found: dict[tuple[int, Fold], Calibration] = {}
        self._alone: dict[tuple[int, bytes], Fit] = {}

    def plan(self, needed: Sequence[Asked]) -> None:
        """Fit what is needed, for each calibration all folds in step.

        Parameters
        ----------
        needed : sequence of Asked
            What will be asked for.
        """
        wanted: dict[int, dict[Fold, Mask]] = {}
        for asked in needed:
            chosen = self._choose(asked)
            if chosen is not None and not chosen[1].all():
                wanted.setdefault(chosen[0], {})[asked.fold] = chosen[1]
        self._fit_alone({(j, fold) for i, folds in wanted.items() for fold in folds for j in self._others(i)})
        for index, kept in wanted.items():
            sample, old = self._sample(index), self._entry.record.calibrations[index]
            fits = fit_sample(sample, list(kept.values()), [self._priors(index, fold) for fold in kept])
            for fold, fitted in zip(kept, fits, strict=True):
                self._found[index, fold] = calibration_of(sample, fitted, old.device, old.precision)

    def calibration(self, asked: Asked) -> Calibration | None:
        """Return what a row is predicted with.

        Parameters
        ----------
        asked : Asked
            One of those that were planned for.

        Returns
        -------
        Calibration or None
            None means the general ceilings.
        """
        chosen = self._choose(asked)
        if chosen is None:
            return None
        index, kept = chosen
        calibration: Calibration = self._entry.record.calibrations[index]
        return calibration if kept.all() else self._found[index, asked.fold]

    def _choose(self, asked: Asked) -> tuple[int, Mask] | None:
        """Return the first calibration, in the order in which they are looked up, with enough rows left."""
        by_key = {(c.device, c.precision): i for i, c in enumerate(self._entry.record.calibrations)}
        device, precision = asked.device, asked.precision
        maker = f"{plugins().registry.get('devices', device).record.vendor}/{ANY}"
        for key in ((one, kind) for one in (device, maker, ANY) for kind in (precision, ANY)):
            index = by_key.get(key)
            if index is None:
                continue
            kept = self._without(index, asked.fold)
            if kept.sum() >= LEAST_ROWS:
                return index, kept
        return None

    def _without(self, index: int, fold: Fold) -> Mask:
        return np.array([one != fold for one in self._folds[index]], dtype=bool)

    def _sample(self, index: int) -> Sample:
        points = tuple(self._points[index])
        return Sample(points, self._card, np.zeros(len(points)), self._entry.record.calibrations[index].is_shared)

    def _others(self, index: int) -> list[int]:
        """Return the calibrations of other devices, which tell of a device before it is fitted."""
        all_ = self._entry.record.calibrations
        if ANY in all_[index].device:
            return []
        return [j for j, c in enumerate(all_) if ANY not in c.device and c.device != all_[index].device]

    def _priors(self, index: int, fold: Fold) -> tuple[Prior, ...]:
        found = (self._alone.get((j, self._without(j, fold).tobytes())) for j in self._others(index))
        return pooled(self._card, [fit for fit in found if fit is not None])

    def _fit_alone(self, needed: set[tuple[int, Fold]]) -> None:
        """Fit calibrations under the card alone, without folds: they know nothing of them either."""
        masks: dict[int, dict[bytes, Mask]] = {}
        for index, fold in sorted(needed):
            kept = self._without(index, fold)
            if kept.sum() >= LEAST_ROWS:
                masks.setdefault(index, {})[kept.tobytes()] = kept
        for index, kinds in masks.items():
            for key, fitted in zip(kinds, fit_sample(self._sample(index), list(kinds.values())), strict=True):
                self._alone[index, key] = fitted
