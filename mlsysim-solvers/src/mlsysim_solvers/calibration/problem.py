"""Rows as a function of the constants of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from mlsysim.config import SimulationConfig
from mlsysim.errors import MlsysimError, SolverError
from mlsysim.evaluation import build_request
from mlsysim.evaluation.choice import choose_solvers
from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.records.scenario import Scenario
from mlsysim.running import load_solver
from mlsysim.solving import Solver
from mlsysim.units import parse_unit

from ..validation.kernels import Kernel, kernel_of
from ..validation.mapping import question_for
from ..validation.names import names
from ..validation.predicting import check_row
from ..validation.questions import Question, Refused

__all__ = ["CONSTANTS", "Point", "predictions", "prepare"]

CONSTANTS = ("compute", "memory", "overhead")
"""What may be fitted for time."""

_COLUMNS = {"compute": "compute_ceiling", "memory": "memory_ceiling", "overhead": "overhead"}


@attrs.frozen
class Point:
    """One row, ready to be predicted for any constants.

    Parameters
    ----------
    row : Measurement
        The row.
    question : Question or None
        What is asked; None for a kernel.
    columns : dict
        Columns of the performance solver.
    solver : Solver or None
        The solver; None for a kernel.
    stack, device, precision, model : str
        Keys.
    achieved : float, ratio
        Share of the peak that the device reaches: the ceiling on ``compute`` is its inverse.
    kernel : Kernel or None
        What is timed, for rows of single kernels.
    """

    row: Measurement
    question: Question | None
    columns: dict[str, Any]
    solver: Solver | None
    stack: str
    device: str
    precision: str
    model: str
    achieved: float
    kernel: Kernel | None = None

    @property
    def group(self) -> tuple[str, str, str]:
        """Set, model and device."""
        return self.row.set, self.model, self.device

    def substituted(self, constants: Mapping[str, Any]) -> dict[str, Any]:
        """Return constants as columns, held below their roofs.

        Parameters
        ----------
        constants : mapping of str to float or ndarray, SI
            compute, memory, overhead.

        Returns
        -------
        dict of str to float or ndarray
        """
        limits = {"compute": 1.0 / self.achieved, "memory": 1.0, "overhead": np.inf}
        return {_COLUMNS[name]: np.minimum(value, limits[name]) for name, value in constants.items()}

    def at(self, constants: dict[str, float]) -> float:
        """Predict the row.

        Parameters
        ----------
        constants : dict of str to float, SI
            compute, memory, overhead; those that are missing keep what the stack says.

        Returns
        -------
        float
            In the unit of the metric.
        """
        return float(self._figure({**self.columns, **self.substituted(constants)}))

    def under(self, constants: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict the row for many sets of constants.

        Parameters
        ----------
        constants : ndarray, shape (k, 3), SI
            compute, memory and overhead of each set; held below their roofs.

        Returns
        -------
        ndarray, shape (k,)
            In the unit of the metric.
        """
        held = self.substituted(dict(zip(CONSTANTS, constants.T, strict=True)))
        return np.broadcast_to(np.asarray(self._figure({**self.columns, **held}), dtype=np.float64), len(constants))

    def _figure(self, columns: dict[str, Any]) -> Any:
        unit = parse_unit(self.row.metric.unit).factor
        if self.kernel is not None:
            return self.kernel.work / self.kernel.totals(columns).time / unit
        if self.solver is None or self.question is None:
            raise SolverError(f"nothing is asked for {self.row.id}")
        return self.question.figure(self.solver.compute(columns)[self.question.output], unit)


def prepare(rows: Sequence[Measurement], *, judged: bool = False) -> list[Point]:
    """Make rows ready; those that cannot be expressed are left out.

    Parameters
    ----------
    rows : sequence of Measurement
        The rows.
    judged : bool
        Whether they are predicted with constants fitted on others; rows that say nothing about the constants of a
        stack alone, like those of several devices that serve a model, are then kept.

    Returns
    -------
    list of Point
    """
    found = []
    for row in rows:
        try:
            found.append(_point(row, judged=judged))
        except (Refused, MlsysimError):
            continue
    return found


def _point(row: Measurement, *, judged: bool) -> Point:
    check_row(row)
    if row.table == "kernels":
        kernel = kernel_of(row, names())
        return Point(row, None, dict(kernel.columns), None, kernel.stack, kernel.device, kernel.precision, row.kind,
                     float(kernel.columns["achieved"]), kernel)  # type: ignore[arg-type]  # fmt: skip
    question = question_for(row, names())
    config = SimulationConfig.from_scenario(question.scenario)
    if not judged:
        _check_alone(config.scenario, question)
    chosen, _ = choose_solvers(config, plugins())
    spec = next(spec for spec in chosen if spec.question == "performance")
    if question.output not in spec.outputs:
        raise Refused(f"{spec.name} does not answer {question.output}")
    solver = load_solver(spec)
    columns = solver.prepare(build_request(config, spec, {}))
    entries = config.entries
    return Point(
        row, question, columns, solver, entries["stack"].key, entries["device"].key,
        config.scenario.workload.precision, entries["model"].key, float(columns["achieved"]),
    )  # fmt: skip


def _check_alone(scenario: Scenario, question: Question) -> None:
    """Refuse rows on which constants are not fitted."""
    # Copies of a model on one device each say as much as one of them.
    if scenario.kind in ("serving", "traffic") and scenario.system.devices > scenario.parallelism.data:
        raise Refused("constants are fitted on one device; what several do with them is for judging")
    if scenario.kind == "traffic" and question.output == "performance.ttft":
        raise Refused("how long requests wait for each other is not what the constants of a stack set")


def predictions(points: Sequence[Point], constants: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predict all rows with many sets of constants.

    Parameters
    ----------
    points : sequence of Point
        The rows.
    constants : ndarray, shape (k, 3), SI
        Constants in the order of :data:`CONSTANTS`.

    Returns
    -------
    ndarray, shape (k, n)
        In the units of their metrics.
    """
    return np.stack([point.under(constants) for point in points], axis=1)
