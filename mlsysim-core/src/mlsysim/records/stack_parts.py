"""Parts of a stack: tiles, rates of attention, and what its measurements leave out."""

from __future__ import annotations

from typing import Literal

import attrs

from .fields import fact, setting

__all__ = ["AttentionRate", "Recipe", "Tile", "Unstated"]


@attrs.frozen
class Tile:
    """One output tile of the matrix-product library.

    Parameters
    ----------
    m, n : float, count
        Rows and columns.
    rate : float, ratio
        Rate relative to the best tile of the menu.
    """

    m: float = fact("1", tolerance=0.0)
    n: float = fact("1", tolerance=0.0)
    rate: float = fact("1", tolerance=0.1)


@attrs.frozen
class AttentionRate:
    """How close the stack's fused attention comes to the peak of one device.

    Parameters
    ----------
    device : str
        Key of the device.
    share : float, ratio
        Rate of long sequences over the dense peak in 16 bits.
    others : tuple of str
        Keys of devices with the same chip at the same clock, which reach as much.
    """

    device: str
    share: float = fact("1", tolerance=0.2)
    others: tuple[str, ...] = ()


@attrs.frozen
class Recipe:
    """What the scripts behind published measurements set for a model on a device, where a row does not state it.

    Parameters
    ----------
    models, devices : tuple of str
        Keys for which it holds; empty means all.
    software : tuple of str
        What the published name of the software holds, for example ``NeMo 25.11``; empty means any.
    cells : str
        Published settings with which it goes, with commas, for example ``ep=32, precision=MX``: each begins so.
    expert : int
        Degree of expert parallelism that is set; 0 says nothing.
    exchange, overlap_expert, recompute, recompute_modules, graphs, adapter_modules, master : str
        What is set: names as in a scenario; ``overlap_expert`` is yes or no, ``master`` none or nothing,
        and empty says nothing.
    reason : str
        Where that stands.
    log_sd : float, natural-log units
        How much it may move a prediction.
    """

    reason: str
    models: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    cells: str = ""
    exchange: Literal["", "all-to-all", "merged"] = ""
    overlap_expert: Literal["", "yes", "no"] = ""
    recompute: Literal["", "full"] = ""
    recompute_modules: str = ""
    graphs: str = ""
    adapter_modules: Literal["", "attention", "all"] = ""
    master: Literal["", "none"] = ""
    expert: int = setting("1", default=0, zero=True)
    log_sd: float = setting("1", default=0.02, zero=True)


@attrs.frozen
class Unstated:
    """What to assume, visibly, where a published measurement does not state a setting.

    Parameters
    ----------
    name, value : str
        Which one, for example ``batch``, and what is assumed for it.
    reason : str
        Why.
    log_sd : float, natural-log units
        How much it may move a prediction.
    """

    name: str
    value: str
    reason: str
    log_sd: float = setting("1", default=0.05, zero=True)
