"""Shares as people read them."""

from __future__ import annotations

__all__ = ["percent"]


def percent(value: float | None, *, signed: bool = False) -> str:
    """Write a share.

    Parameters
    ----------
    value : float or None
        The share.
    signed : bool
        Whether a plus sign is written.

    Returns
    -------
    str
        Per cent; a dash for None.
    """
    if value is None:
        return "-"
    return f"{100.0 * value:+.1f} %" if signed else f"{100.0 * value:.1f} %"
