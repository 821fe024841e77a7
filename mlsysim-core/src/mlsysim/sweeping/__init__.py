"""Many configurations at once: the same ``compute`` on arrays, chunk by chunk.

A sweep prepares each solver once, replaces the varied columns by arrays and lets the
solvers answer on chunks that fit the cache. Hooks, units and records stay outside the loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config import SimulationConfig
from ..config.overrides import known_keys
from ..errors import ConfigError, MlsysimError, SolverError
from ..evaluation import ask, build_request
from ..names import did_you_mean
from ..running import load_solver
from ..solving import SolverSpec, column_units
from .answers import Answers, Places, rows_in
from .assumed import assumed_by, assumed_together, chosen_by
from .axes import columns_of
from .chunks import Chunk, Column, Rows, run_chunks
from .names import check_choices, codes_of, with_numbers
from .result import Refusal, SweepResult

__all__ = ["CHUNK", "answering_solvers", "sweep"]

CHUNK = 16384
"""Rows per chunk: larger ones leave the cache, smaller ones pay more for calls."""

DEGREES = ("data", "attention", "tensor", "pipeline", "context")
"""The degrees of a layout; their product is the number of devices."""

_POOLS = tuple(tuple(f"{pool}_{name}" for name in ("workers", *DEGREES)) for pool in ("prefill", "decode"))
"""Workers and degrees of pools; the products of both add up to the number of devices."""

COUNTS = frozenset(name for product in (DEGREES, *_POOLS) for name in product)
"""Columns from which the number of devices follows."""

_MORE = "Give the scenario its devices (--devices 8), then vary data, tensor or pipeline"


def sweep(
    scenario: Any,
    vary: Mapping[str, Any],
    *,
    grid: bool = True,
    overrides: Mapping[str, str] | None = None,
    wanted: Sequence[str] = (),
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
        the columns. Or key of the scenario to choices: ``{"device": ["h100-sxm", "b200-sxm"]}``.
    grid : bool
        Combine every value with every other; False takes the sequences as points, row by row.
    overrides : mapping of str to str
        As for :func:`mlsysim.evaluate`.
    wanted : sequence of str, or str
        Outputs that every row shall have: choices that do not answer one, though others do, are refused.
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
    Columns are computed as arrays; each choice of keys is a scenario of its own, checked and prepared once. Choices
    that contradict the scenario are reported, and only if all do, the first is raised.
    """
    if not isinstance(vary, Mapping):
        raise ConfigError(f"{type(vary).__name__} names no columns", where="vary",
                          remedy='Give a mapping of columns to values, for example {"batch": [1, 8]}')  # fmt: skip
    if chunk < 1:
        raise ConfigError(f"a chunk of {chunk} rows", where="chunk", remedy="Give 1 or more")
    config = SimulationConfig.of(scenario, overrides)
    specs = answering_solvers(config)
    units = column_units(specs)
    keys = _keys(vary, units, config)
    codes = {name: codes_of(name, vary[name]) for name in keys}
    for name, full in keys.items():
        check_choices(name, full, codes[name][0])
    units |= {name: f"choice: {', '.join(choices)}" for name, (choices, _) in codes.items()}
    answers = sum(len(spec.outputs) for spec in specs)
    columns = columns_of({**vary, **{name: code for name, (_, code) in codes.items()}}, units, answers, grid=grid)
    _check_shares(config, columns, units)
    way = _Way(executor, progress, chunk)
    if not keys:
        size = len(next(iter(columns.values())))
        return _answered(config, specs, Rows(columns, size), way, Answers(size), slice(0, size))
    chosen = {name: (full, codes[name][0]) for name, full in keys.items()}
    return with_numbers(_over_choices(config, columns, chosen, units, way, wanted), "devices")


class _Way(NamedTuple):
    """Where rows are computed, who is told, and how many at a time."""

    executor: str
    progress: Callable[[int, int], None] | None
    chunk: int


class _Part(NamedTuple):
    """The rows of one choice, and their answers."""

    rows: Places
    choice: dict[str, str]
    result: SweepResult


def _answered(
    config: SimulationConfig, specs: Sequence[SolverSpec], rows: Rows, way: _Way, into: Answers, at: Places
) -> SweepResult:  # fmt: skip
    """Answer the rows of one scenario, which are some of the rows of the sweep."""
    units = column_units(specs)
    unknown = [name for name in rows.columns if name not in units and name != "devices"]
    if unknown:
        raise ConfigError(f"there is no column {unknown[0]!r} to vary", where="vary",
                          remedy=did_you_mean(unknown[0], units))  # fmt: skip
    columns = _with_devices(dict(rows.columns), config, specs)
    units.setdefault("devices", "1")
    asked = Rows(columns, rows.size)
    reasons: tuple[str, ...] = ()
    able = list(specs)
    try:
        names = _run(config, able, asked, way, into, at)
    except SolverError:
        able, reasons = _able(config, specs, Rows({name: values[:1] for name, values in columns.items()}, 1))
        if len(able) == len(specs):
            raise
        names = _run(config, able, asked, way, into, at)
    outputs = {name: into.column(name, at) for name in names}
    for spec in specs:
        units.update(spec.outputs)
    silent: dict[str, tuple[str, ...]] = {name: () for spec in specs if spec not in able for name in spec.outputs}
    met = _met(config, outputs, rows.size)
    return SweepResult(columns, outputs, units, (), silent, reasons, met, assumed_by(config))


def _run(
    config: SimulationConfig, specs: Sequence[SolverSpec], rows: Rows, way: _Way, into: Answers, at: Places
) -> list[str]:  # fmt: skip
    """Answer chunk by chunk, and say what was answered."""
    each = math.ceil(rows.size / math.ceil(rows.size / way.chunk))  # no chunk is much smaller than the others
    chunks = [
        Rows({name: values[i : i + each] for name, values in rows.columns.items()}, min(each, rows.size - i))
        for i in range(0, rows.size, each)
    ]
    names: list[str] = []
    done = 0
    for part, chunk in zip(run_chunks(way.executor, Chunk(config, tuple(specs)), chunks), chunks, strict=True):
        names = into.put(at, done, chunk.size, part)
        done += chunk.size
        if way.progress is not None:
            way.progress(into.before + done, into.size)
    return names


def _able(
    config: SimulationConfig, specs: Sequence[SolverSpec], rows: Rows
) -> tuple[list[SolverSpec], tuple[str, ...]]:  # fmt: skip
    """Leave out the solvers beside performance that cannot answer, as a scorecard does, and say why."""
    able: list[SolverSpec] = []
    reasons: list[str] = []
    lost: set[str] = set()
    for spec in specs:
        if lost & set(spec.needs):
            lost |= set(spec.outputs)
            continue
        try:
            Chunk(config, (*able, spec))(rows)
        except SolverError as error:
            if spec.question == "performance":
                raise
            reasons.append(str(error))
            lost |= set(spec.outputs)
        else:
            able.append(spec)
    return able, tuple(reasons)


def _met(config: SimulationConfig, outputs: Mapping[str, Column], size: int) -> NDArray[np.bool_] | None:
    """Tell which rows keep every limit of the scenario; a limit on what is not answered is not kept."""
    if not config.constraints:
        return None
    met = np.ones(size, dtype=bool)
    for one in config.constraints:
        met &= one.holds(outputs[one.output]) if one.output in outputs else False
    return met


def _over_choices(
    config: SimulationConfig, columns: dict[str, Column], keys: dict[str, tuple[str, list[str]]],
    units: dict[str, str], way: _Way, wanted: Sequence[str],
) -> SweepResult:  # fmt: skip
    """Answer the scenario of each combination of choices with its rows."""
    numbers = {name: values for name, values in columns.items() if name not in keys}
    into = Answers(len(next(iter(columns.values()))))
    parts: list[_Part] = []
    refused: list[Refusal] = []
    for rows in _alike(
        [columns[name].astype(np.intp) for name in keys], [len(choices) for _, choices in keys.values()]
    ):
        first = rows.start if isinstance(rows, slice) else rows[0]
        choice = {full: choices[int(columns[name][first])] for name, (full, choices) in keys.items()}
        try:
            asked = Rows({name: values[rows] for name, values in numbers.items()}, rows_in(rows))
            changed = config.changed(choice)
            part = _answered(changed, answering_solvers(changed), asked, way, into, rows)
        except MlsysimError as error:
            refused.append(Refusal(choice, error))
        else:
            parts.append(_Part(rows, choice, part))
            into.before += asked.size
    if not parts:
        raise refused[0].error
    for name in [wanted] if isinstance(wanted, str) else wanted:
        parts, silent = _split(parts, name)
        refused += [Refusal(part.choice, _why_not(config, part, parts[0], name)) for part in silent]
    return _together(parts, columns, units, tuple(refused), into)


def _split(parts: list[_Part], name: str) -> tuple[list[_Part], list[_Part]]:
    """Return who answers an output and who does not; where nobody does, all stay and whoever asks for it is told."""
    has = [any(name in (full, full.partition(".")[2]) for full in part.result.outputs) for part in parts]
    if not any(has):
        return parts, []
    return list(compress(parts, has)), [part for part, answered in zip(parts, has, strict=True) if not answered]


def _why_not(config: SimulationConfig, part: _Part, other: _Part, name: str) -> SolverError:
    """Say what the scorecard of a choice says of the question to which another choice has this answer."""
    specs = answering_solvers(config.changed(other.choice))
    asked = {spec.question for spec in specs for full in spec.outputs if name in (full, full.partition(".")[2])}
    said = [text for question, _, result in ask(config.changed(part.choice), barring=False) if question in asked
            for text in ([result] if isinstance(result, str) else result.assumptions)]  # fmt: skip
    return SolverError(f"{name} is not answered" + (f": {'; '.join(said)}" if said else ""))


def _alike(codes: list[NDArray[np.intp]], counts: list[int]) -> list[Places]:
    """Return the rows of each combination of choices, in the order of these."""
    packed = np.ravel_multi_index(codes, counts)
    # Few bits are sorted by counting, not by comparing.
    order = np.argsort(packed.astype(np.min_scalar_type(packed.max())), kind="stable")
    packed = packed[order]
    groups = np.split(order, np.flatnonzero(packed[1:] != packed[:-1]) + 1)
    return [slice(int(g[0]), int(g[-1]) + 1) if g[-1] - g[0] + 1 == len(g) else g for g in groups]


def _together(
    parts: list[_Part], columns: dict[str, Column], units: dict[str, str],
    refused: tuple[Refusal, ...], into: Answers,
) -> SweepResult:  # fmt: skip
    """Keep what all choices answer, of the rows that are answered."""
    every_name = dict.fromkeys(name for _, _, part in parts for name in (*part.outputs, *part.left_out))
    # Who cannot answer leaves out all that he declares, also what nobody else answers in such a scenario.
    silenced = set.intersection(*(set(part.left_out) for _, _, part in parts))
    names = [name for name in every_name if name in silenced or any(name in part.outputs for _, _, part in parts)]
    choices = [part.choice for part in parts]
    silent = {name: chosen_by(choices, [name not in part.result.outputs for part in parts]) for name in names}
    varied = dict(columns)
    if all("devices" in part.varied for _, _, part in parts):
        varied["devices"] = into.gathered((at, part.varied["devices"]) for at, _, part in parts)
    met: Any = None
    if any(part.met is not None for _, _, part in parts):
        met = into.gathered((at, 1.0 if part.met is None else part.met) for at, _, part in parts).astype(bool)
    outputs = {name: into.columns[name] for name in names if not silent[name]}
    if refused:
        kept = into.gathered((at, 1.0) for at, _, _ in parts).astype(bool)
        varied, outputs = ({name: values[kept] for name, values in table.items()} for table in (varied, outputs))
        met = None if met is None else met[kept]
    every = {name: unit for _, _, part in parts for name, unit in part.units.items()} | units
    left_out = {name: who for name, who in silent.items() if who and not name.endswith(".log_sd")}
    reasons = tuple(dict.fromkeys(reason for _, _, part in parts for reason in part.unanswered))
    taken = assumed_together((part.choice, part.result.assumed) for part in parts)
    return SweepResult(varied, outputs, every, refused, left_out, reasons, met, taken)


def _keys(vary: Mapping[str, Any], units: Mapping[str, str], config: SimulationConfig) -> dict[str, str]:
    """Return the keys of the scenario among what varies, with their full names."""
    known = known_keys(config.scenario.kind)
    full = {**known, **{name: name for name in known.values()}}
    keys: dict[str, str] = {}
    # Where nothing says how devices share the work, each number of them is a scenario with the layout that it takes.
    layout, free = config.scenario.parallelism, config.scenario.pools is None and not COUNTS & set(vary)
    columns = set(units) - {"devices"} if free and layout.degrees == 1 else set(units)
    for name in vary:
        if name in columns:
            continue
        if name not in full:
            remedy = did_you_mean(name, [*units, *full], listing="mlsysim sweep SCENARIO --columns")
            raise ConfigError(f"nothing called {name!r} can vary", where="vary", remedy=remedy)
        if full[name] in keys.values():
            raise ConfigError(f"{full[name]} varies twice", where="vary", remedy="Give all its values at once")
        keys[name] = full[name]
    return keys


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


def _check_shares(config: SimulationConfig, columns: Mapping[str, Column], units: Mapping[str, str]) -> None:
    """Refuse shares of the workload that the scenario itself would refuse: arrays pass by what checks it."""
    known = known_keys(config.scenario.kind) if config.document.data else {}
    for name, values in columns.items():
        full = known.get(name, "")
        if units[name] != "1" or not full.startswith("workload."):
            continue
        for value in (values.min(), values.max()):
            try:
                answering_solvers(config.changed({full: repr(float(value))}))
            except ConfigError as error:
                for fault in error.faults:
                    if fault.where.endswith(full):
                        raise ConfigError(fault.what, where=f"vary.{name}", remedy=fault.remedy) from None


def _with_devices(
    columns: dict[str, Column], config: SimulationConfig, specs: Sequence[SolverSpec]
) -> dict[str, Column]:
    """Let the number of devices follow from the layout; money and energy would count others than those that work."""
    if not {*COUNTS, "devices"} & set(columns):
        return columns
    for name in (*sorted(COUNTS), "devices"):
        values = columns.get(name, np.ones(1))
        broken = values[(values < 1.0) | (values % 1.0 != 0.0)]
        if broken.size:
            raise ConfigError(f"{name} = {broken[0]:g} is not a number of devices", where="vary",
                              remedy="Give whole numbers, 1 or more")  # fmt: skip
    held = next((spec for spec in specs if set(DEGREES) & set(spec.columns)), None)
    given = {} if held is None else load_solver(held).prepare(build_request(config, held, {}))
    lone = [name for name in DEGREES if name in columns and name not in given and (columns[name] > 1.0).any()]
    if held is not None and lone and not set(DEGREES) & set(given):
        pools = _POOLS[0][0] in given
        raise ConfigError(
            f"{lone[0]} varies, and the scenario {'has pools' if pools else 'runs on one device'}", where="vary",
            remedy=f"Vary prefill_{lone[0]} or decode_{lone[0]}" if pools else _MORE,
        )  # fmt: skip
    product = np.zeros(len(next(iter(columns.values()))))
    for names in _POOLS if _POOLS[0][0] in given else (DEGREES,):
        product = product + math.prod(columns.get(name, given.get(name, 1.0)) for name in names)
    if "devices" not in columns:
        return {**columns, "devices": product}
    wrong = np.flatnonzero(columns["devices"] != product)
    if wrong.size:
        asked, made = columns["devices"][wrong[0]], product[wrong[0]]
        raise ConfigError(
            f"{asked:g} devices are asked for, and the layout has {made:g}", where="vary",
            remedy="Vary data, tensor or pipeline; the number of devices follows" if held is not None
            else _MORE,
        )  # fmt: skip
    return columns
