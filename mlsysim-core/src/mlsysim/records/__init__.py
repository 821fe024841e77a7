"""The records of all five layers: frozen, slotted, SI floats, no arrays.

A kind is what a user names (``devices/h100-sxm``); :data:`KINDS` maps each to its record.
"""

from __future__ import annotations

from .dataset import Dataset
from .device import Compute, Device, Die, Memory, Peak, Port, Power
from .infrastructure import Cluster, Fabric, Fleet, Link, Node, Rack, Switch
from .model import (
    EncoderDecoder,
    FullHeads,
    Latent,
    Layer,
    Mixture,
    Model,
    Network,
    Part,
    StateLayers,
    StateSpace,
    Transformer,
)
from .parallelism import Parallelism, Pool, Pools
from .scenario import Inference, Place, Run, Scenario, Serving, System, Traffic, Training, Workload
from .scheduler import Scheduler
from .stack import Calibration, Ceilings, Features, Recipe, Stack, Tile
from .supply import Battery, Grid, Price, Site

__all__ = [
    "KINDS", "Battery", "Calibration", "Ceilings", "Cluster", "Compute", "Dataset", "Device", "Die",
    "EncoderDecoder", "Fabric", "Features", "Fleet", "FullHeads", "Grid", "Inference", "Latent", "Layer", "Link",
    "Memory", "Mixture", "Model", "Network", "Node", "Parallelism", "Part", "Peak", "Place", "Pool", "Pools", "Port",
    "Power", "Price", "Rack", "Recipe", "Run", "Scenario", "Scheduler", "Serving", "Site", "Stack", "StateLayers",
    "StateSpace", "Switch", "System", "Tile", "Traffic", "Training", "Transformer", "Workload", "singular",
]  # fmt: skip

KINDS: dict[str, type] = {
    "devices": Device, "links": Link, "switches": Switch, "nodes": Node, "racks": Rack, "fabrics": Fabric,
    "clusters": Cluster, "fleets": Fleet, "grids": Grid, "sites": Site, "prices": Price, "batteries": Battery,
    "models": Model, "datasets": Dataset, "stacks": Stack, "scenarios": Scenario,
}  # fmt: skip
"""Kinds of registry entities, by folder name."""


def singular(kind: str) -> str:
    """Return the name of one entity of a kind.

    Parameters
    ----------
    kind : str
        A key of :data:`KINDS`.

    Returns
    -------
    str
        For example ``"battery"`` for ``"batteries"``.
    """
    if kind.endswith("ies"):
        return kind[:-3] + "y"
    return kind[:-2] if kind.endswith("ches") else kind[:-1]
