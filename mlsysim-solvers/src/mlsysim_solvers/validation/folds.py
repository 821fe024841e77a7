"""Folds of the cross-validation: what is left out together with a row that others alone are to predict."""

from __future__ import annotations

__all__ = ["CHOICES", "Fold", "fold_of"]

CHOICES = ("group", "device", "model", "set")
"""What is left out with a row: its set, model and device together, or all rows of its device, its model or its set."""

Fold = tuple[str, ...]
"""The same for all rows that are left out together."""


def fold_of(by: str, group: str, model: str, device: str) -> Fold:
    """Return what is left out with a row.

    Parameters
    ----------
    by : str
        One of :data:`CHOICES`.
    group : str
        Set of the row.
    model, device : str
        Keys; the kind of a kernel stands for its model.

    Returns
    -------
    tuple of str
        The same for all rows that are left out together.
    """
    parts = {"set": group, "model": model, "device": device}
    return tuple(parts.values()) if by == "group" else (parts[by],)
