"""Many configurations at once: the same ``compute`` on arrays, chunk by chunk.

A sweep prepares each solver once, replaces the varied columns by arrays and lets the
solvers answer on chunks that fit the cache. Hooks, units and records stay outside the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from .config import SimulationConfig
from .constraints import full_output_name
from .errors import ConfigError, MlsysimError, SolverError
from .evaluation import ask, build_request
from .executors import process_pool
from .names import did_you_mean
from .plugins import plugins
from .running import load_solver
from .solving import SolverSpec
from .units import format_quantity, parse_quantity

__all__ = ["CHUNK", "SweepResult", "answering_solvers", "sweep"]

CHUNK = 8192
"""Rows per chunk: larger ones leave the cache, smaller ones pay more for calls."""

_DEGREES = ("data", "attention", "tensor", "pipeline", "context")
"""The degrees of a layout; their product is the number of devices."""

Column = NDArray[np.float64]


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
        Unit of each column and output.
    """

    varied: dict[str, Column]
    outputs: dict[str, Column]
    units: dict[str, str]

    def __len__(self) -> int:
        """Return the number of configurations."""
        return len(next(iter(self.varied.values())))

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """Mask of the configurations that fit, and whose other answers of yes or no to feasibility are yes; (n,)."""
        mask = np.ones(len(self), dtype=bool)
        for name, values in self.outputs.items():
            if name == "feasibility.fits" or (name.startswith("feasibility.") and self.units.get(name) == "bool"):
                mask &= values.astype(bool)
        return mask

    def best(self, output: str, *, largest: bool = False) -> int:
        """Return the row of the best feasible configuration; the first of equals.

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
            If none is feasible.
        """
        rows = np.flatnonzero(self.feasible)
        if rows.size == 0:
            raise SolverError("no configuration of the sweep fits", remedy="Vary something that needs less memory")
        values = self.outputs[full_output_name(output, self.outputs, where="output")][rows]
        return int(rows[np.argmax(values) if largest else np.argmin(values)])

    def pareto(self, minimise: Sequence[str] = (), maximise: Sequence[str] = ()) -> NDArray[np.intp]:
        """Return the rows that no feasible row beats in every respect.

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
            If not one or two outputs are named.
        """
        signed = [(name, 1.0) for name in minimise] + [(name, -1.0) for name in maximise]
        if not 1 <= len(signed) <= 2:
            raise ConfigError("a frontier needs one or two outputs", where="pareto")
        rows = np.flatnonzero(self.feasible)
        keys = [sign * self.outputs[full_output_name(name, self.outputs)][rows] for name, sign in signed]
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
        columns = {**self.varied, **{k: v for k, v in self.outputs.items() if not k.endswith(".log_sd")}}
        return {name: _text(float(values[index]), self.units[name]) for name, values in columns.items()}


def _text(value: float, unit: str) -> str:
    if unit == "bool":
        return "yes" if value else "no"
    if unit.startswith("choice:"):
        return unit.removeprefix("choice:").split(",")[int(value)].strip()
    return format_quantity(value, unit)


def sweep(
    scenario: Any,
    vary: Mapping[str, Any],
    *,
    grid: bool = True,
    overrides: Mapping[str, str] | None = None,
    executor: str = "serial",
    progress: Callable[[int, int], None] | None = None,
    chunk: int = CHUNK,
) -> SweepResult:
    """Evaluate many variations of one scenario.

    Parameters
    ----------
    scenario : str, Path, mapping, Scenario or SimulationConfig
        As for :func:`mlsysim.evaluate`.
    vary : mapping of str to sequence
        Column to values; numbers are SI, text carries its unit. ``mlsysim sweep --columns`` lists
        the columns.
    grid : bool
        Combine every value with every other; False takes the sequences as points, row by row.
    overrides : mapping of str to str
        As for :func:`mlsysim.evaluate`.
    executor : str
        Where chunks run; plugins may add some.
    progress : callable
        Called with (rows done, rows in all) after each chunk.
    chunk : int
        Rows per chunk.

    Returns
    -------
    SweepResult

    Raises
    ------
    ConfigError
        On an unknown column, an empty list, sequences of unequal length, a number of devices that contradicts the
        layout, or a zero that leaves an answer without a finite value.

    Notes
    -----
    Where a degree of the layout varies, the number of devices follows as their product, in a column of its own.
    """
    from .evaluation import _as_config

    if not isinstance(vary, Mapping):
        raise ConfigError(f"{type(vary).__name__} names no columns", where="vary",
                          remedy='Give a mapping of columns to values, for example {"batch": [1, 8]}')  # fmt: skip
    if chunk < 1:
        raise ConfigError(f"a chunk of {chunk} rows", where="chunk", remedy="Give 1 or more")
    config = _as_config(scenario, overrides)
    specs = answering_solvers(config)
    units = {name: unit for spec in reversed(specs) for name, unit in spec.columns.items()}
    columns = _with_devices(_columns(vary, units, grid=grid), config, specs)
    units.setdefault("devices", "1")
    rows = len(next(iter(columns.values())))
    chunks = [{name: values[i : i + chunk] for name, values in columns.items()} for i in range(0, rows, chunk)]
    work = _Chunk(config, tuple(specs))
    parts: list[dict[str, Column]] = []
    done = 0
    for part, rows_in in zip(_map(executor, work, chunks), chunks, strict=True):
        parts.append(part)
        done += len(next(iter(rows_in.values())))
        if progress is not None:
            progress(done, rows)
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for spec in specs:
        units.update(spec.outputs)
    return SweepResult(columns, outputs, units)


def answering_solvers(config: SimulationConfig) -> list[SolverSpec]:
    """Return the solvers that answer a scenario, in order; their columns can be varied.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.

    Returns
    -------
    list of SolverSpec
    """
    # Asking the scenario itself once leaves out those that say, as its scorecard does, why they cannot answer.
    # Where only this one scenario is infeasible, its variations need not be.
    return [spec for _, spec, result in ask(config, barring=False) if spec is not None and not isinstance(result, str)]


def _columns(vary: Mapping[str, Any], units: Mapping[str, str], *, grid: bool) -> dict[str, Column]:
    axes: dict[str, Column] = {}
    for name, values in vary.items():
        if name not in units:
            raise ConfigError(f"there is no column {name!r} to vary", where="vary", remedy=did_you_mean(name, units))
        axis = _axis(name, values, units[name])
        if axis.ndim != 1 or axis.size == 0:
            raise ConfigError(f"{name} has no list of values", where="vary", remedy="Give at least one value")
        if not np.all(np.isfinite(axis)) or np.any(axis < 0):
            raise ConfigError(f"{name} has values that are negative or not finite", where="vary")
        axes[name] = axis
    if not axes:
        raise ConfigError("nothing varies", where="vary", remedy="Name at least one of " + ", ".join(sorted(units)))
    if grid:
        mesh = np.meshgrid(*axes.values(), indexing="ij")
        return {name: part.ravel() for name, part in zip(axes, mesh, strict=True)}
    if len({axis.size for axis in axes.values()}) > 1:
        sizes = ", ".join(f"{name}: {axis.size}" for name, axis in axes.items())
        raise ConfigError(
            f"the lists have unequal lengths ({sizes})", where="vary", remedy="Give equally many, or a grid"
        )
    return axes


def _with_devices(
    columns: dict[str, Column], config: SimulationConfig, specs: Sequence[SolverSpec]
) -> dict[str, Column]:
    """Let the number of devices follow from the layout; money and energy would count others than those that work."""
    if not {*_DEGREES, "devices"} & set(columns):
        return columns
    for name in (*_DEGREES, "devices"):
        values = columns.get(name, np.ones(1))
        broken = values[(values < 1.0) | (values % 1.0 != 0.0)]
        if broken.size:
            raise ConfigError(f"{name} = {broken[0]:g} is no number of devices", where="vary",
                              remedy="Give whole numbers, 1 or more")  # fmt: skip
    held = next((spec for spec in specs if set(_DEGREES) & set(spec.columns)), None)
    given = {} if held is None else load_solver(held).prepare(build_request(config, held, {}))
    product = np.ones(len(next(iter(columns.values()))))
    for name in _DEGREES:
        product = product * columns.get(name, given.get(name, 1.0))
    if "devices" not in columns:
        return {**columns, "devices": product}
    wrong = np.flatnonzero(columns["devices"] != product)
    if wrong.size:
        asked, made = columns["devices"][wrong[0]], product[wrong[0]]
        raise ConfigError(
            f"{asked:g} devices are asked for, and the layout has {made:g}", where="vary",
            remedy="Vary data, tensor or pipeline; the number of devices follows" if held is not None
            else "Give the scenario its devices (--devices 8), then vary data, tensor or pipeline",
        )  # fmt: skip
    return columns


def _axis(name: str, values: Any, unit: str) -> Column:
    """Return values in SI; int64 would overflow silently in 6 N D, so everything is float64 from here on."""
    if isinstance(values, (str, bytes)):
        values = [values]
    try:
        if not isinstance(values, np.ndarray):
            values = [parse_quantity(v, unit) if isinstance(v, str) else float(v) for v in values]
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(
            f"{name} has values that are no numbers", where="vary", remedy=f"Give numbers or text in {unit}"
        ) from None


@attrs.frozen
class _Chunk:
    """The work on one chunk; picklable, so that other processes can do it."""

    config: SimulationConfig
    specs: tuple[SolverSpec, ...]

    def __call__(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        size = len(next(iter(columns.values())))
        known: dict[str, Any] = {}
        outputs: dict[str, Column] = {}
        for spec in self.specs:
            solver = load_solver(spec)
            prepared = solver.prepare(build_request(self.config, spec, known))
            varied = {k: v for k, v in columns.items() if k in spec.columns}
            try:
                with np.errstate(all="ignore"):  # what is not finite is refused below, by name
                    answers = solver.compute({**prepared, **varied})
            except MlsysimError:
                raise
            except Exception as error:
                raise SolverError(
                    f"the solver {spec.name} failed on arrays of {', '.join(varied)}: {type(error).__name__}: {error}",
                    remedy="Please report this to its authors",
                ) from error
            known.update(answers)
            outputs.update({k: _answer(spec, k, v, size, columns) for k, v in answers.items()})
        return outputs


def _answer(spec: SolverSpec, name: str, value: Any, rows: int, columns: Mapping[str, Column]) -> Column:
    """Return one output as a column, or refuse what a scalar solve refuses too."""
    if name.removesuffix(".log_sd") not in spec.outputs:
        raise SolverError(f"the solver {spec.name} answered {name!r}, which it does not declare")
    column = np.broadcast_to(np.asarray(value, dtype=np.float64), (rows,))
    if not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        zeros = [key for key, values in columns.items() if values[row] == 0.0]
        if zeros:
            raise ConfigError(
                f"{' and '.join(zeros)} = 0 leaves {name} without a finite value", where="vary",
                remedy="Leave 0 out",
            )  # fmt: skip
        raise SolverError(
            f"the solver {spec.name} found {name} = {column[row]} in row {row} of a chunk",
            remedy="Please report this to its authors",
        )
    return column


def _map(executor: str, work: _Chunk, chunks: Iterable[Any]) -> Iterator[dict[str, Column]]:
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


def _in_processes(work: _Chunk, chunks: Iterable[Any]) -> Iterator[dict[str, Column]]:
    with process_pool() as pool:
        yield from pool.map(work, chunks)
