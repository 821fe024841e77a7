"""Where the parallel groups of a layout sit on the network."""

from __future__ import annotations

from typing import NamedTuple

from mlsysim.numeric import where

from ..network.topology import Group, Network, group_of, strides
from .schedule import Layout

__all__ = ["Near", "Wire", "wires_of"]


class Near(NamedTuple):
    """Groups that exchange within a layer.

    Parameters
    ----------
    network : Network
        The network.
    tensor, context, expert : Group
        By kind of parallelism.
    """

    network: Network
    tensor: Group
    context: Group
    expert: Group


class Wire(NamedTuple):
    """Groups that exchange between layers.

    Parameters
    ----------
    network : Network
        The network.
    replica, pipeline : Group
        All devices that hold the same part of the model, and the stages.
    """

    network: Network
    replica: Group
    pipeline: Group


def wires_of(network: Network, layout: Layout, placement: tuple[str, ...]) -> tuple[Near, Wire]:
    """Place the groups of a layout.

    Parameters
    ----------
    network : Network
        The network.
    layout : Layout
        The layout.
    placement : tuple of str
        Dimensions from the nearest devices to the farthest.

    Returns
    -------
    Near, Wire
        Groups that exchange within a layer, and between layers. Experts spread over the devices next to each other,
        tensor-parallel ranks included.
    """
    stride = strides(
        placement,
        {"tensor": layout.tensor, "context": layout.context, "data": layout.data, "pipeline": layout.pipeline},
    )
    apart = placement.index("data") - placement.index("context")
    own = stride["context" if apart > 0 else "data"]
    if apart > 1:
        # Without context parallelism, what lies between the two dimensions lies between replicas too.
        own = where(layout.context > 1.0, own, stride["data"])
    near = Near(
        network, group_of(network, layout.tensor, stride["tensor"]),
        group_of(network, layout.context, stride["context"]), group_of(network, layout.expert, 1.0),
    )  # fmt: skip
    return near, Wire(
        network, group_of(network, layout.data * layout.context, own),
        group_of(network, layout.pipeline, stride["pipeline"]),
    )  # fmt: skip
