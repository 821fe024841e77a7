"""What sweeps over arrays share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mlsysim.numeric import ceil, is_array

__all__ = ["all_rows", "any_row", "divides", "keep_memory", "level", "shares_heads"]

_ROOM = 31 * 2**20 // 8
"""Numbers in the block that is freed; the GNU C library learns from blocks of up to 32 MiB."""


@lru_cache(maxsize=1)
def keep_memory() -> None:
    """Let the C library keep freed memory for the next array instead of returning it to the system.

    A chunk of a sweep frees all its arrays at its end, and by default their pages go back, so that the next chunk
    has to be given every page anew, which can take half of its time. The GNU C library keeps twice as much as the
    largest block that it ever got from the system and was given back; this gives one back whose pages nobody has
    touched. Other libraries take no notice.

    References
    ----------
    mallopt(3), Linux man-pages: dynamic mmap threshold.
    """
    import numpy as np

    np.empty(_ROOM)


def all_rows(condition: Any) -> bool:
    """Tell whether a condition holds in every row.

    Parameters
    ----------
    condition : bool or array of bool
        The condition.

    Returns
    -------
    bool
    """
    return condition if type(condition) is bool else bool(condition.all())


def any_row(condition: Any) -> bool:
    """Tell whether a condition holds in some row.

    Parameters
    ----------
    condition : bool or array of bool
        The condition.

    Returns
    -------
    bool
    """
    return condition if type(condition) is bool else bool(condition.any())


def level(number: Any) -> Any:
    """Return a number that is the same in every row as that number, so that what follows from it is worked out once.

    Parameters
    ----------
    number : float or array, any unit
        The number.

    Returns
    -------
    float or array, same unit
    """
    if is_array(number) and number.size and (number == number[0]).all():
        return number.item(0)
    return number


def divides(part: Any, whole: Any) -> Any:
    """Tell whether one count divides another.

    Parameters
    ----------
    part, whole : float or array, count
        Whole numbers.

    Returns
    -------
    bool or array of bool
    """
    return ceil(whole / part) * part == whole


def shares_heads(c: Mapping[str, Any], tensor: Any) -> Any:
    """Tell whether a tensor-parallel group can share the attention heads of a model.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    tensor : float or array, count
        Tensor-parallel degree.

    Returns
    -------
    bool or array of bool
        True for any degree under a stack that pads heads.
    """
    shape = c["shape"]
    others = getattr(shape, "full_heads", None)
    shared = divides(tensor, shape.heads)
    if others is not None:
        shared = shared & divides(tensor, others.heads)
    return shared | c["features"].pads_heads
