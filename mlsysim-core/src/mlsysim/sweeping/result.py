"""The answers of a sweep, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, MlsysimError, SolverError
from ..evaluation.unanswered import answer_name
from ..solving import choices_of, is_number
from ..units import format_quantity
from .assumed import Assumed
from .chunks import Column

__all__ = ["Refusal", "SweepResult", "counted", "idle", "stuck"]


class Refusal(NamedTuple):
    """Choices that cannot be answered.

    Parameters
    ----------
    choice : dict of str to str
        Key of the scenario to the value that was asked for.
    error : MlsysimError
        Why.
    """

    choice: dict[str, str]
    error: MlsysimError


@attrs.frozen(eq=False)
class SweepResult:
    """The answers of a sweep, column by column.

    Parameters
    ----------
    varied : dict of str to array, shape (n,), SI
        The varied columns.
    outputs : dict of str to array, shape (n,), SI
        The answers.
    units : dict of str to str
        Unit of each column and output. A key of the scenario that varies is a column too: positions in its choices.
    refused : tuple of Refusal
        Choices without rows, because they contradict the rest of the scenario.
    left_out : dict of str to tuple of str
        Outputs that not all choices answer, with those that do not; nobody is named where no choice varies.
    unanswered : tuple of str
        Why some are not answered.
    met : array of bool, shape (n,), or None
        Mask of the configurations that keep every limit of the scenario; None where it declares none.
    assumed : dict of str to (dict of str to tuple of str)
        Role that the scenario leaves open to the entities taken for it, each with the choices that take it.
    """

    varied: dict[str, Column]
    outputs: dict[str, Column]
    units: dict[str, str]
    refused: tuple[Refusal, ...] = ()
    left_out: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    unanswered: tuple[str, ...] = ()
    met: NDArray[np.bool_] | None = None
    assumed: Assumed = attrs.field(factory=dict)

    def __len__(self) -> int:
        """Return the number of configurations."""
        return len(next(iter(self.varied.values())))

    @property
    def columns(self) -> dict[str, Column]:
        """What varies and what is answered, without the spreads of answers; each (n,), SI."""
        return {**self.varied, **{k: v for k, v in self.outputs.items() if not k.endswith(".log_sd")}}

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """Mask of the configurations that fit, and whose other answers of yes or no to feasibility are yes; (n,)."""
        mask = np.ones(len(self), dtype=bool)
        for name, values in self.outputs.items():
            if name == "feasibility.fits" or (name.startswith("feasibility.") and self.units.get(name) == "bool"):
                mask &= values.astype(bool)
        return mask

    @property
    def acceptable(self) -> NDArray[np.bool_]:
        """Mask of the feasible configurations that keep every limit which the scenario declares; (n,)."""
        return self.feasible if self.met is None else self.feasible & self.met

    def output_name(self, name: str, *, where: str = "") -> str:
        """Return the full name of what all choices answer.

        Parameters
        ----------
        name : str
            Full or short name of an output.
        where : str
            Where it was asked for, for the error.

        Returns
        -------
        str

        Raises
        ------
        ConfigError
            If nobody answers it, or not for every choice of a key.
        """
        full = answer_name(name, [*self.outputs, *self.left_out], where=where)
        if full in self.left_out:
            who = " and ".join(self.left_out[full])
            raise ConfigError(
                f"{full} is not answered" + (f" for {who}" if who else f": {'; '.join(self.unanswered)}"), where=where,
                remedy=f"{'Leave that out of what varies, or give' if who else 'Give'} the scenario what is missing",
            )  # fmt: skip
        return full

    def aim(self, name: str, *, where: str = "") -> str:
        """Return the full name of a number that can be least or most.

        Parameters
        ----------
        name : str
            Full or short name of an output.
        where : str
            Where it was asked for, for the error.

        Returns
        -------
        str

        Raises
        ------
        ConfigError
            If nobody answers it, not for every choice of a key, or it is a yes or no, or a choice.
        """
        full = self.output_name(name, where=where)
        if full in self.units and not is_number(self.units[full]):
            raise ConfigError(f"{full} is not a number, so nothing is the least or the most of it", where=where,
                              remedy="Name an output with a unit: `mlsysim solvers NAME` lists them")  # fmt: skip
        return full

    def best(self, output: str, *, largest: bool = False) -> int:
        """Return the row of the best acceptable configuration; the first of equals.

        Parameters
        ----------
        output : str
            Full or short name of an output.
        largest : bool
            Whether more is better.

        Returns
        -------
        int

        Raises
        ------
        SolverError
            If none fits, or none keeps the limits of the scenario.
        ConfigError
            If the output is not answered.
        """
        rows = np.flatnonzero(self.acceptable)
        if not self.feasible.any():
            raise SolverError("no configuration of the sweep fits", remedy="Vary something that needs less memory")
        if rows.size == 0:
            raise SolverError("no configuration of the sweep keeps the constraints of the scenario",
                              remedy="Relax them, or vary something else")  # fmt: skip
        values = self.outputs[self.aim(output, where="output")][rows]
        return int(rows[np.argmax(values) if largest else np.argmin(values)])

    def pareto(self, minimise: Sequence[str] = (), maximise: Sequence[str] = ()) -> NDArray[np.intp]:
        """Return the rows that no acceptable row beats in every respect.

        Parameters
        ----------
        minimise, maximise : sequence of str
            Outputs, one or two in all.

        Returns
        -------
        array of int, shape (k,)
            Sorted by the first output.

        Raises
        ------
        ConfigError
            If not one or two outputs are named, or one is not answered.
        """
        signed = [(name, 1.0) for name in minimise] + [(name, -1.0) for name in maximise]
        if not 1 <= len(signed) <= 2:
            raise ConfigError("a frontier needs one or two outputs", where="pareto")
        rows = np.flatnonzero(self.acceptable)
        keys = [sign * self.outputs[self.aim(name, where="pareto")][rows] for name, sign in signed]
        order = np.lexsort(keys[::-1])
        if len(keys) == 1:
            return rows[order[:1]]
        second = keys[1][order]
        before = np.concatenate(([np.inf], np.minimum.accumulate(second)[:-1]))
        return rows[order[second < before]]

    def row(self, index: int) -> dict[str, str]:
        """Return one configuration as text.

        Parameters
        ----------
        index : int
            Row.

        Returns
        -------
        dict of str to str
        """
        return {name: _text(float(values[index]), self.units[name]) for name, values in self.columns.items()}


def counted(result: SweepResult) -> str:
    """Say how many configurations there are, and how many of them will do.

    Parameters
    ----------
    result : SweepResult
        The sweep.

    Returns
    -------
    str
        For example ``15 variations, 8 fit, 5 keep the constraints``.
    """
    rows, will_do = len(result), "can work" if stuck(result) else "fit"
    said = f"{rows:,} variation{'s' * (rows != 1)}, {int(result.feasible.sum()):,} {will_do}"
    if result.met is None or not result.feasible.any():
        return said
    kept = int(result.acceptable.sum())
    return f"{said}, {kept:,} keep{'s' * (kept == 1)} the constraints"


def stuck(result: SweepResult) -> bool:
    """Tell whether some configurations fit and yet cannot work, such as those that do not keep up with arrivals.

    Parameters
    ----------
    result : SweepResult
        The sweep.

    Returns
    -------
    bool
    """
    fits = result.outputs.get("feasibility.fits")
    return fits is not None and bool((fits.astype(bool) & ~result.feasible).any())


def _text(value: float, unit: str) -> str:
    if unit == "bool":
        return "yes" if value else "no"
    if choices := choices_of(unit):
        return choices[int(value)]
    return format_quantity(value, unit)


def idle(result: SweepResult) -> list[str]:
    """Return what varies and changes no answer, seen from the first and from the last configuration.

    Parameters
    ----------
    result : SweepResult
        The sweep.

    Returns
    -------
    list of str
        Names of columns, such as a rate of arrivals where all requests start together.
    """
    if len(result) == 0:
        return []
    found = []
    for name, values in result.varied.items():
        others = [column for other, column in result.varied.items() if other != name]
        groups = [np.flatnonzero(np.all([column == column[at] for column in others], axis=0))
                  if others else np.arange(len(result)) for at in (0, -1)]  # fmt: skip
        several = [rows for rows in groups if np.ptp(values[rows]) > 0]
        if several and all(np.ptp(answer[rows]) == 0 for rows in several for answer in result.outputs.values()):
            found.append(name)
    return found
