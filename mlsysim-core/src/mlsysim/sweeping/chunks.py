"""The loop of a sweep: the same ``compute`` on rows that fit the cache, in this process or others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from ..config import SimulationConfig
from ..errors import ConfigError, MlsysimError, SolverError
from ..evaluation import build_request
from ..executors import process_pool
from ..names import did_you_mean
from ..plugins import plugins
from ..running import load_solver
from ..solving import SolverSpec

__all__ = ["Chunk", "Column", "Rows", "run_chunks"]

Column = NDArray[np.float64]


_FEWEST = 512
"""Rows below which a column of one number stays an array: what it spares is less than what looking for it costs."""


class Rows(NamedTuple):
    """Some rows of a sweep.

    Parameters
    ----------
    columns : mapping of str to array, shape (n,), SI
        What varies.
    size : int
        How many rows; n, also where no column varies.
    """

    columns: Mapping[str, Column]
    size: int


@attrs.frozen
class Chunk:
    """The work on some rows; picklable, so that other processes can do it.

    Parameters
    ----------
    config : SimulationConfig
        The scenario.
    specs : tuple of SolverSpec
        Who answers, in order.
    """

    config: SimulationConfig
    specs: tuple[SolverSpec, ...]
    _prepared: dict[str, Any] = attrs.field(factory=dict, init=False, eq=False, repr=False)
    """Columns of solvers that need no answer of another: they are the same for all rows, with what they remember."""

    def __call__(self, rows: Rows) -> dict[str, Column]:
        """Answer some rows.

        Parameters
        ----------
        rows : Rows
            What varies.

        Returns
        -------
        dict of str to array, shape (n,), SI
        """
        columns, size = rows
        plain = _plain(columns, size)
        known: dict[str, Any] = {}
        outputs: dict[str, Column] = {}
        for spec in self.specs:
            solver = load_solver(spec)
            prepared = self._prepared.get(spec.name)
            if prepared is None:
                prepared = solver.prepare(build_request(self.config, spec, known))
                if not spec.needs:
                    self._prepared[spec.name] = prepared
            varied = {k: plain.get(k, v) if k in prepared else v for k, v in columns.items() if k in spec.columns}
            try:
                with np.errstate(all="ignore"):  # what is not finite is refused below, by name
                    answers = solver.compute({**prepared, **varied})
            except MlsysimError:
                raise
            except Exception as error:
                _refuse_strange(varied, prepared)
                raise SolverError(
                    f"the solver {spec.name} failed on arrays of {', '.join(varied)}: {type(error).__name__}: {error}",
                    remedy="Please report this to its authors",
                ) from error
            known.update(answers)
            outputs.update({k: _answer(spec, k, v, size, columns) for k, v in answers.items()})
        return outputs


def _refuse_strange(varied: Iterable[str], prepared: Mapping[str, Any]) -> None:
    """Refuse what the scenario has no number for, where a solver failed over it: it varies one part of a whole."""
    strange = [name for name in varied if prepared.get(name) is None]
    if strange:
        raise ConfigError(
            f"this scenario has no {' and no '.join(strange)} that could vary", where="vary",
            remedy="Leave it out, or give the scenario the part that has it: a stack, a network, several devices",
        )  # fmt: skip


def _plain(columns: Mapping[str, Column], rows: int) -> dict[str, float]:
    """Return the columns that have one number in all rows; 0 stays an array, where dividing by it is no error."""
    if rows < _FEWEST:
        return {}
    return {name: float(v[0]) for name, v in columns.items() if v[0] and (v == v[0]).all()}


def _answer(spec: SolverSpec, name: str, value: Any, rows: int, columns: Mapping[str, Column]) -> Column:
    """Return one output as a column, or refuse what a scalar solve refuses too."""
    if name.removesuffix(".log_sd") not in spec.outputs:
        raise SolverError(f"the solver {spec.name} answered {name!r}, which it does not declare")
    given = np.asarray(value, dtype=np.float64)
    column = np.broadcast_to(given, (rows,))
    if not np.isfinite(given).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        zeros = [key for key, values in columns.items() if values[row] == 0.0]
        if zeros:
            raise ConfigError(
                f"{' and '.join(zeros)} = 0 leaves {name} without a finite value", where="vary",
                remedy="Leave 0 out",
            )  # fmt: skip
        point = ", ".join(f"{key} = {values[row]:g}" for key, values in columns.items())
        raise SolverError(
            f"the solver {spec.name} found {name} = {column[row]} in row {row} of a chunk, with {point}",
            remedy="Leave that out where nothing can be like it; otherwise please report this to its authors",
        )
    return column


def run_chunks(executor: str, work: Chunk, chunks: Iterable[Rows]) -> Iterator[dict[str, Column]]:
    """Answer chunks, one after another or in other processes.

    Parameters
    ----------
    executor : str
        ``serial``, ``processes``, or one of a plugin.
    work : Chunk
        What answers.
    chunks : iterable of Rows
        The rows.

    Yields
    ------
    dict of str to array, shape (n,), SI

    Raises
    ------
    ConfigError
        If nobody offers that executor.
    """
    if executor == "serial":
        return map(work, chunks)
    if executor == "processes":
        return _in_processes(work, chunks)
    offered = plugins().executors
    if executor not in offered:
        raise ConfigError(
            f"there is no executor {executor!r}",
            where="executor",
            remedy=did_you_mean(executor, ["serial", "processes", *offered]),
        )
    results: Iterator[dict[str, Column]] = offered[executor].map(work, chunks)
    return results


def _in_processes(work: Chunk, chunks: Iterable[Rows]) -> Iterator[dict[str, Column]]:
    with process_pool() as pool:
        yield from pool.map(work, chunks)
