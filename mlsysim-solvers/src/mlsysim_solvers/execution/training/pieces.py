"""One layer and one micro-batch: its time, what it exchanges, and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.numeric import maximum

from ...lowering.parallel import Division
from .activations import Kept, kept_by_layer
from .exchange import Exchange, layer_exchange
from .issuing import issued_pass
from .layers import Layer, Setup, layer_times
from .schedule import Layout
from .wires import Near

__all__ = ["pieces_of"]


def pieces_of(
    c: Mapping[str, Any], layout: Layout, setup: Setup, near: Near, sequence: Any
) -> tuple[Layer, Exchange, Kept]:
    """Return times, exposed communication and activations of one layer for one micro-batch.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        One layout or many.
    setup : Setup
        What is common to all.
    near : Near
        Groups that exchange within a layer.
    sequence : float or array, count
        Tokens of a sample.

    Returns
    -------
    Layer, Exchange, Kept
    """
    division = Division(layout.tensor, layout.context, layout.expert, c["sequence_parallel"], c["grouped"])
    layer = _issued(c, layout, layer_times(setup, division, layout.micro, sequence, c["layer_memo"]))
    rows = layout.micro * sequence / layout.context
    if setup.shape.source is not None:
        # Cross-attention is summed up, too, and the layers of the encoder as its own are.
        read = setup.shape.encoders * layout.micro * setup.shape.source.tokens
        rows = rows * ((setup.shape.sums + 1.0) / setup.shape.sums) + read
    return layer, layer_exchange(c, near, layout, layer, rows), kept_by_layer(c, layout)


def _issued(c: Mapping[str, Any], layout: Layout, layer: Layer) -> Layer:
    """Let a device that is faster than the host that issues its kernels wait for it, pass by pass."""
    host = issued_pass(c, c["shape"], layout.expert)
    if type(host) is float and host == 0.0:
        return layer
    weights = layer.weights if c["frozen"] else maximum(layer.weights, host)
    # A forward pass that is done again is issued again; of parts of one nobody knows their share of the host's time.
    again = maximum(layer.again, host) if c["recompute"] == "full" else layer.again
    return layer._replace(
        forward=maximum(layer.forward, host), inputs=maximum(layer.inputs, host), weights=weights, again=again
    )
