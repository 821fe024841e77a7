"""What the host adds to passes: launches where no graph is replayed, and turns between compiled programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.records.device import Device
from mlsysim.records.stack import Stack

from ...formulas.constants import OVERHEAD_LOG_SD
from ...lowering.shape import number
from .ceilings import claimed_variance, scatter_of

__all__ = ["compiled_columns", "eager_variance", "launch_columns"]


def launch_columns(device: Device, stack: Stack, kind: str, *, eager: bool = False) -> dict[str, Any]:
    """Return the time in which the host launches a kernel, where no graph is replayed, as a column.

    Parameters
    ----------
    device : Device
        The device.
    stack : Stack
        The stack.
    kind : str
        Kind of the scenario; the host's part in training stands apart.
    eager : bool
        Whether a stack that replays graphs is told not to.

    Returns
    -------
    dict of str to float
        Empty where the time per kernel says it all.
    """
    launch = stack.ceilings.launch
    if launch is None or (stack.features.graphs and not eager) or kind == "training":
        return {}
    return {"kernel_launch": launch if device.host is None else launch / device.host}


def eager_variance(claims: Mapping[tuple[str, str], Any], stack: Stack) -> float:
    """Return what is uncertain in the time of a launch, where a stack that replays graphs is told not to.

    Parameters
    ----------
    claims : mapping of (role, field) to Standing
        How well each number is supported.
    stack : Stack
        The stack: its constants were fitted on replayed steps, so that they do not tell.

    Returns
    -------
    float
    """
    return scatter_of(stack) ** 2 * claimed_variance(claims, "stack", "ceilings.launch", OVERHEAD_LOG_SD)


def compiled_columns(stack: Stack, kind: str) -> dict[str, Any]:
    """Return what programs that are compiled for fixed lengths add to passes, as columns.

    Parameters
    ----------
    stack : Stack
        The stack.
    kind : str
        Kind of the scenario.

    Returns
    -------
    dict of str to float
        ``bucket`` (token), the shortest length that was compiled, and ``turn`` (s), for which the device waits for the
        host between two programs; empty where there are none.
    """
    bucket, turn = stack.features.bucket, stack.ceilings.turn
    columns = {"bucket": number(bucket)} if bucket and kind == "serving" else {}
    return columns if turn is None or kind == "training" else columns | {"turn": turn}
