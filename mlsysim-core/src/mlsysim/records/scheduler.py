"""Layer D: how a software stack batches requests that come and go."""

from __future__ import annotations

import attrs

from .fields import fact, setting

__all__ = ["Scheduler"]


@attrs.frozen
class Scheduler:
    """How a stack batches requests in flight, by the memory of the device: its documented defaults.

    Parameters
    ----------
    memory : float, B
        Least memory of a device that they hold for.
    except_for : tuple of str
        Keys of devices that they do not hold for.
    requests : float, sample
        Most requests in flight.
    tokens : float, token
        Most tokens of one pass: prompts' and those that are decoded.
    share : float, ratio
        Share of the memory left beside the weights that the cache takes; None where the stack's share of all memory
        counts.
    mixed : bool
        Whether prompts are read in the passes that decode; else decoding stops while prompts are read.
    reserves : bool
        Whether a request is admitted only when its whole answer has room in the cache; else the cache fills up
        token by token.
    divided : bool
        Whether ``requests`` and ``tokens`` are those of all copies of attention together; else each has as many.
    """

    requests: float = fact("sample", tolerance=0.0)
    tokens: float = fact("token", tolerance=0.0)
    memory: float = setting("B", default=0.0, zero=True)
    except_for: tuple[str, ...] = ()
    share: float | None = fact("1", default=None, tolerance=0.0)
    mixed: bool = True
    reserves: bool = False
    divided: bool = False
