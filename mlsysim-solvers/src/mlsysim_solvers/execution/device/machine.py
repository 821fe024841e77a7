"""A device under a stack, as the rates at which it works."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import is_array

from .quantisation import TileMenu

__all__ = ["Machine", "is_plain", "varies"]


class Machine(NamedTuple):
    """A device under a stack, as rates.

    Parameters
    ----------
    matrix_rate, attention_rate, vector_rate : float or array, FLOP/s
        Effective arithmetic rates by engine.
    bandwidth : float or array, B/s
        Effective memory bandwidth.
    overhead : float or array, s
        Time per kernel that nothing hides.
    processors : float, count
        Units that each run one output tile at a time.
    menu : TileMenu
        Tiles of the matrix-product library.
    flop_per_mac : float, FLOP
        Work of one multiply-accumulate.
    weight_slowness : float or array, ratio, or None
        Memory bandwidth over that of the storage from which weights are read in place; None when they
        lie in memory.
    special_rate : float, 1/s, or None
        Exponentials per time, or results per time of a processor that has no units for them; None where nobody knows
        the units.
    asynchronous : bool
        Whether the host's time per kernel overlaps with the device's, so that the longer of both counts.
    windows : TileMenu, or None
        Tiles of convolutions that gather windows; None takes those of products.
    launch : float or array, s, or None
        Time in which the host launches one kernel, ahead of the device, which waits for it where it is faster; None
        where the time per kernel says it all.
    brief : bool
        Whether only times are asked for, and neither what they consist of nor the work done in them.
    """

    matrix_rate: Any
    attention_rate: Any
    vector_rate: Any
    bandwidth: Any
    overhead: Any
    processors: Any
    menu: TileMenu
    flop_per_mac: Any
    weight_slowness: Any = None
    special_rate: Any = None
    asynchronous: bool = False
    windows: TileMenu | None = None
    launch: Any = None
    brief: bool = False


def is_plain(machine: Machine) -> bool:
    """Tell whether all that a device does to a time are floats.

    Parameters
    ----------
    machine : Machine
        The rates.

    Returns
    -------
    bool
    """
    matrix_rate, attention, vector, bandwidth, _, processors, menu, _, slowness, special_rate, *_ = machine
    if not type(matrix_rate) is type(attention) is type(vector) is type(bandwidth) is type(processors) is float:
        return False
    return type(menu.lone) is type(menu.macs) is float and type(slowness) in _FLOAT and type(special_rate) in _FLOAT


_FLOAT = frozenset({float, type(None)})


def varies(machine: Machine) -> bool:
    """Tell whether the rates of products are those of many machines, which all wait alike for weights.

    Parameters
    ----------
    machine : Machine
        The rates.

    Returns
    -------
    bool
    """
    rate, bandwidth = machine.matrix_rate, machine.bandwidth
    if type(rate) is type(bandwidth) is float:
        return False
    return machine.weight_slowness is None and (is_array(rate) or is_array(bandwidth))
