"""Which stage does what: layers, micro-batches and what is in flight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum, minimum, only, where

from ...formulas.pipeline import (
    bubble_time,
    chunk_slots,
    in_flight_chunks,
    local_batch,
    micro_batches,
    padded_micro_batches,
    stage_slots,
    zero_bubble_time,
)
from ...lowering.shape import TransformerShape
from ..device.arrays import all_rows

__all__ = ["Layout", "bubble", "in_flight_layers", "layout_of", "one_device"]


class Layout(NamedTuple):
    """One layout or many, as numbers.

    Parameters
    ----------
    data, tensor, pipeline, context, expert, virtual : float or array, count
        Degrees and chunks per stage.
    devices : float or array, count
        Their product.
    micro : float or array, sample
        Micro-batch.
    rounds : float or array, count
        Micro-batches of a step, padded where the schedule needs whole rounds.
    middle, first, last : float or array, count
        Layers of the fullest, the first and the last stage.
    even : bool or array of bool
        Whether the last stage has at least as much as nothing.
    """

    data: Any
    tensor: Any
    pipeline: Any
    context: Any
    expert: Any
    virtual: Any
    devices: Any
    micro: Any
    rounds: Any
    middle: Any
    first: Any
    last: Any
    even: Any


def one_device(shape: TransformerShape, batch: Any, micro: Any) -> Layout:
    """Return the layout of a model that is not divided.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    batch, micro : float or array, sample
        Samples of a step, and of those that pass together.

    Returns
    -------
    Layout
    """
    n = shape.layers
    return Layout(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, micro, micro_batches(batch, micro), n, n, n, even=True)


def layout_of(c: Mapping[str, Any], batch: Any, shape: TransformerShape) -> Layout:
    """Divide a model over stages and a batch over micro-batches.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    batch : float or array, sample
        Samples of a step.
    shape : TransformerShape
        The model.

    Returns
    -------
    Layout
    """
    d, t, p, k, v = c["data"], c["tensor"], c["pipeline"], c["context"], c["virtual"]
    own = local_batch(batch, d)
    micro = c["micro_batch"]
    if not all_rows(micro > 0.0):
        micro = where(micro > 0.0, micro + 0.0 * own, ceil(own))
    rounds = padded_micro_batches(micro_batches(own, micro), p, v)
    chunks = p * v
    layers = shape.layers
    odd = ceil(layers / chunks) * chunks > layers
    ends = only(odd, 2.0 * (chunks / chunks)) if c["features"].ends_as_layers else 0.0 * chunks
    middle = stage_slots(chunk_slots(layers, ends, chunks), v)
    # Embedding and output projection take a place each; what is still over is missing on the last stage.
    half = ends / 2.0
    missing = middle * p - layers - ends
    several = p > 1.0
    first = where(several, middle - half, layers + 0.0 * middle)
    last = where(several, middle - half - minimum(missing, middle - half), layers + 0.0 * middle)
    fullest = where(several, where(p > 2.0, middle, maximum(first, last)), layers + 0.0 * middle)
    return Layout(
        d, t, p, k, c["expert"], v, d * t * p * k, micro, rounds, fullest, first, last, missing <= middle * (p - 1.0)
    )


def bubble(schedule: str, layout: Layout, total: Any, slowest: Any, weight: Any) -> Any:
    """Return the time in which the slowest stage waits.

    Parameters
    ----------
    schedule : str
        1f1b, gpipe, zero-bubble-h1 or zero-bubble-h2.
    layout : Layout
        The layout.
    total, slowest : float or array, s
        One micro-batch through all stages, and through the slowest.
    weight : float or array, s
        Gradients of a stage's weights.

    Returns
    -------
    float or array, s
    """
    if schedule.startswith("zero-bubble"):
        return zero_bubble_time(total, slowest, weight, 2.0 if schedule.endswith("h1") else 3.0, layout.pipeline)
    return bubble_time(total, slowest, layout.virtual)


def in_flight_layers(schedule: str, layout: Layout, rank: Any, layers: Any) -> Any:
    """Return the layers whose activations a stage holds at most, counted once for each micro-batch.

    Parameters
    ----------
    schedule : str
        As in :func:`bubble`.
    layout : Layout
        The layout.
    rank : float or array, count
        Place of the stage, from 0.
    layers : float or array, count
        Its layers.

    Returns
    -------
    float or array, count
    """
    if schedule == "gpipe":
        return layout.rounds * layers
    chunks = in_flight_chunks(layout.pipeline, rank, layout.virtual, layout.rounds)
    if schedule == "zero-bubble-h2":
        chunks = minimum(2.0 * chunks - 1.0, layout.rounds)
    return chunks * layers / layout.virtual
