"""The whole numbers that divide another: legal degrees of a layout."""

from __future__ import annotations

__all__ = ["divisors"]

_SEARCHED = 10**5
"""So many small numbers are tried: all divisors of numbers up to its square are found."""


def divisors(number: int) -> list[int]:
    """Return the whole numbers that divide another: all of them, up to where a search takes too long.

    Parameters
    ----------
    number : int
        Positive.

    Returns
    -------
    list of int
        In order.
    """
    small = [d for d in range(1, min(int(number**0.5), _SEARCHED) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})
