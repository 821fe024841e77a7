"""Counts in configurations of models."""

from __future__ import annotations

from typing import Any

from mlsysim.errors import RegistryError

__all__ = ["whole"]


def whole(value: Any, where: str, name: str) -> int:
    """Accept a count.

    Parameters
    ----------
    value : object
        What a configuration says.
    where, name : str
        Configuration and field, for messages.

    Returns
    -------
    int, count

    Raises
    ------
    RegistryError
        If it is no whole number of at least zero.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RegistryError(f"{value!r} is not a count", where=f"{where}: {name}")
    return value
