"""All legal layouts of a model on a number of devices, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..lowering.divisors import divisors
from ..lowering.shape import TransformerShape

__all__ = ["AXES", "Choice", "Space", "choices", "layouts"]

AXES = ("data", "tensor", "pipeline", "context", "expert", "virtual", "micro_batch")
"""Numbers of a layout that vary within an array."""

Column = NDArray[np.float64]

_SHORTEST = 1024
"""Fewest tokens of a sequence that one device keeps under context parallelism."""


class Choice(NamedTuple):
    """Settings that are no numbers; one array of layouts is searched for each combination.

    Parameters
    ----------
    recompute : str
        none, selective or full.
    sequence : bool
        Sequence parallelism.
    zero : int
        What data parallelism divides.
    """

    recompute: str
    sequence: bool
    zero: int


class Space(NamedTuple):
    """Layouts of one choice.

    Parameters
    ----------
    choice : Choice
        The settings.
    columns : dict of str to array, shape (n,)
        One row for each layout.
    """

    choice: Choice
    columns: dict[str, Column]


def choices(columns: Mapping[str, Any]) -> list[Choice]:
    """Return the combinations of settings worth a search.

    Parameters
    ----------
    columns : mapping of str to number or object
        As the solver prepared them.

    Returns
    -------
    list of Choice
        Selective recomputation only where the stack's attention or its policy gives it a meaning.
    """
    features = columns["features"]
    kinds = ["none", "full"]
    if not features.fused_attention or features.selective == "products" or columns["again"]:
        kinds.insert(1, "selective")
    return [Choice(r, s, z) for r in kinds for s in (False, True) for z in (1, 3)]


class _Job(NamedTuple):
    """What a layout must divide."""

    shape: TransformerShape
    devices: int
    batch: int
    sequence: int
    ends: int


def _rows(job: _Job, choice: Choice) -> Iterator[tuple[int, ...]]:
    layers = int(job.shape.layers) if job.shape.source is None else 1
    # What check_layout refuses: stages of two stacks, and sequences whose states, or whose reader, cannot be divided.
    whole = job.shape.source is not None or job.shape.recurrence is not None
    for tensor in divisors(int(job.shape.heads)):
        if job.devices % tensor or (choice.sequence and tensor == 1):
            continue
        for pipeline in divisors(job.devices // tensor):
            if pipeline <= layers and (choice.zero < 3 or pipeline == 1):
                for context in [1] if whole else divisors(job.devices // (tensor * pipeline)):
                    yield from _inner(job, tensor, pipeline, context)


def _inner(job: _Job, tensor: int, pipeline: int, context: int) -> Iterator[tuple[int, ...]]:
    """Yield the layouts of one tensor, pipeline and context degree, in the order of the axes."""
    data = job.devices // (tensor * pipeline * context)
    # Context parallelism gives each device two pieces, to balance causal work; shorter ones are not worth it.
    short = context > 1 and (job.sequence % (2 * context) or job.sequence // context < _SHORTEST)
    if job.batch % data or short:
        return
    own = job.batch // data
    for micro in divisors(own):
        for virtual in _chunks(job, pipeline):
            if virtual == 1 or not (own // micro) % pipeline:
                for expert in _spreads(job, data * context * tensor):
                    yield data, tensor, pipeline, context, expert, virtual, micro


def _chunks(job: _Job, pipeline: int) -> list[int]:
    """Return the chunks per stage that divide the layers evenly; one where none does."""
    layers = int(job.shape.layers)
    if pipeline == 1:
        return [1]
    pieces = ((chunks, pipeline * chunks) for chunks in range(1, layers // pipeline + 1))
    return [chunks for chunks, all_ in pieces if not layers % all_ or not (layers + job.ends) % all_] or [1]


def _spreads(job: _Job, group: int) -> list[int]:
    """Return the expert-parallel degrees of a group of devices."""
    experts = int(job.shape.experts)
    return [e for e in divisors(experts) if e <= group and not group % e] if experts else [1]


def layouts(columns: Mapping[str, Any], devices: int) -> list[Space]:
    """Enumerate every legal layout.

    Parameters
    ----------
    columns : mapping of str to number or object
        As the solver prepared them.
    devices : int, count
        Devices.

    Returns
    -------
    list of Space
        Degrees that divide heads, devices, experts and batch; stages that divide the layers, or else one chunk each;
        whole rounds of micro-batches where chunks are interleaved; micro-batches that divide a rank's samples.
    """
    ends = 2 if columns["features"].ends_as_layers else 0
    job = _Job(columns["shape"], devices, int(columns["batch"]), int(columns["sequence"]), ends)
    found = []
    known: dict[tuple[bool, bool], dict[str, Column]] = {}
    for choice in choices(columns):
        key = (choice.sequence, choice.zero == 3)
        if key not in known:
            rows = list(_rows(job, choice))
            table = np.array(rows, dtype=np.float64).reshape(-1, len(AXES)).T
            known[key] = dict(zip(AXES, (np.ascontiguousarray(axis) for axis in table), strict=True))
        if known[key]["data"].size:
            found.append(Space(choice, known[key]))
    return found
