"""One layer of many layouts: time, communication and memory from a table of the few combinations that differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.numeric import is_array

from ..lowering.parallel import Division
from .exchange import Exchange, layer_exchange, near_of
from .layers import Layer, Setup, combinations, is_common, layer_times, rates_of, table_of
from .schedule import Layout
from .state import Kept, kept_by_layer
from .topology import network_of

__all__ = ["pieces_of"]

_NEAR = ("tensor", "context")
"""Dimensions that must be the nearest for a layer's communication to depend on few numbers."""


def pieces_of(c: Mapping[str, Any], layout: Layout, setup: Setup, sequence: Any) -> tuple[Layer, Exchange, Kept]:
    """Return times, exposed communication and activations of one layer for one micro-batch.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        One layout or many.
    setup : Setup
        What is common to all.
    sequence : float or array, count
        Tokens of a sample.

    Returns
    -------
    Layer, Exchange, Kept
    """
    division = Division(layout.tensor, layout.context, layout.expert, c["sequence_parallel"], c["grouped"])
    varied = any(map(is_array, (*division[:3], layout.micro)))
    if varied and is_common(setup, division, sequence) and not rates_of(setup) and _is_shared(c):
        return _from_table(c, layout, setup, division, sequence)
    layer = layer_times(setup, division, layout.micro, sequence, c["layer_memo"])
    return (layer, *_around(c, layout, layer, sequence))


def _around(c: Mapping[str, Any], layout: Layout, layer: Layer, sequence: Any) -> tuple[Exchange, Kept]:
    near = near_of(network_of(c), layout, c["placement"])
    rows = layout.micro * sequence / layout.context
    return layer_exchange(c, near, layout, layer, rows), kept_by_layer(c, layout)


def _is_shared(c: Mapping[str, Any]) -> bool:
    """Whether nothing but the layout varies of what a layer's communication and memory depend on."""
    if c["placement"][:2] != _NEAR:
        return False
    return not any(is_array(c[name]) for name in _DEPENDS if name in c)


_DEPENDS = (
    "domain", "inner_rate", "outer_rate", "reduced_rate", "torus_links", "torus_dimensions", "inner_occupancy",
    "outer_occupancy", "imbalance", "dropout", "mask_width", "full_width", "activation_width", "operand_width",
    *(f"{way}_{part}" for way in ("short", "long") for part in ("base", "inner_step", "outer_step", "share")),
)  # fmt: skip


def _from_table(
    c: Mapping[str, Any], layout: Layout, setup: Setup, division: Division, sequence: Any
) -> tuple[Layer, Exchange, Kept]:
    import numpy as np

    distinct, codes = combinations(division, layout.micro)
    table = table_of(setup, division, distinct, sequence, c["layer_memo"])
    t, k, e, b = np.array(distinct).T
    small = layout._replace(tensor=t, context=k, expert=e, micro=b, data=1.0, pipeline=1.0)
    talk, kept = _around(c, small, table, sequence)
    shape = t.shape
    return (
        Layer._make(column.take(codes) for column in table),
        Exchange._make(np.broadcast_to(column, shape).take(codes) for column in talk),
        Kept._make(np.broadcast_to(column, shape).take(codes) for column in kept),
    )
