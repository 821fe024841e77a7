"""Parts of a stack: tiles, rates of attention, and what its measurements leave out."""

from __future__ import annotations

import attrs

from .fields import fact, setting

__all__ = ["AttentionRate", "Tile", "Unstated"]


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
    """

    device: str
    share: float = fact("1", tolerance=0.2)


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
