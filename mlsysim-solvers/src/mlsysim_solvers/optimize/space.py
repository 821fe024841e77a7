"""All legal layouts of a model on a number of devices, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..lowering.shape import TransformerShape

__all__ = ["AXES", "Choice", "Space", "choices", "divisors", "layouts"]

AXES = ("data", "tensor", "pipeline", "context", "expert", "virtual", "micro_batch")
"""Numbers of a layout that vary within an array."""

Column = NDArray[np.float64]


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


def divisors(number: int) -> list[int]:
    """Return all divisors.

    Parameters
    ----------
    number : int
        Positive.

    Returns
    -------
    list of int
        In order.
    """
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


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
    if not features.fused_attention or features.selective == "products":
        kinds.insert(1, "selective")
    return [Choice(r, s, z) for r in kinds for s in (False, True) for z in (1, 3)]


def _rows(
    shape: TransformerShape, devices: int, batch: int, sequence: int, ends: int, choice: Choice
) -> Iterator[tuple[int, ...]]:
    layers, experts = int(shape.layers), int(shape.experts)
    for t in divisors(int(shape.heads)):
        if devices % t or (choice.sequence != (t > 1) and choice.sequence):
            continue
        for p in divisors(devices // t):
            if p > layers or (choice.zero == 3 and p > 1):
                continue
            for c in divisors(devices // (t * p)):
                if c > 1 and (sequence % (2 * c) or sequence // c < 1024):
                    continue
                d = devices // (t * p * c)
                if batch % d:
                    continue
                own = batch // d
                chunks = (
                    [1]
                    if p == 1
                    else [v for v in range(1, layers // p + 1) if not layers % (p * v) or not (layers + ends) % (p * v)]
                    or [1]
                )
                spread = [e for e in divisors(experts) if (d * c * t) % e == 0 and e <= d * c * t] if experts else [1]
                for b in divisors(own):
                    for v in chunks:
                        if v > 1 and (own // b) % p:
                            continue
                        for e in spread:
                            yield d, t, p, c, e, v, b


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
    shape = columns["shape"]
    ends = 2 if columns["features"].ends_as_layers else 0
    found = []
    known: dict[tuple[bool, bool], dict[str, Column]] = {}
    for choice in choices(columns):
        key = (choice.sequence, choice.zero == 3)
        if key not in known:
            rows = list(_rows(shape, devices, int(columns["batch"]), int(columns["sequence"]), ends, choice))
            table = np.array(rows, dtype=np.float64).reshape(-1, len(AXES)).T
            known[key] = dict(zip(AXES, (np.ascontiguousarray(axis) for axis in table), strict=True))
        if known[key]["data"].size:
            found.append(Space(choice, known[key]))
    return found
