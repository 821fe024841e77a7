"""How long communication holds the links of each tier."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.numeric import only, where

from .topology import Group

__all__ = ["Load", "load_of"]


class Load(NamedTuple):
    """How long the links of each tier are busy.

    Parameters
    ----------
    inner, outer : float or array, s
        Inside domains, and between them.
    """

    inner: Any
    outer: Any

    def beside(self, group: Group) -> Any:
        """Return how long the links of a group's own tier are busy.

        Parameters
        ----------
        group : Group
            The group.

        Returns
        -------
        float or array, s
        """
        far = group.nodes > 1.0
        if type(far) is bool:
            return self.outer if far else self.inner
        return where(far, self.outer, self.inner)

    def plus(self, group: Group, time: Any) -> Load:
        """Return the load with a communication of a group in addition.

        Parameters
        ----------
        group : Group
            The group.
        time : float or array, s
            What its communication takes.

        Returns
        -------
        Load
        """
        far = group.nodes > 1.0
        if type(far) is bool:
            return Load(self.inner, self.outer + time) if far else Load(self.inner + time, self.outer)
        outside = only(far, time)
        return Load(self.inner + (time - outside), self.outer + outside)

    def with_(self, other: Load) -> Load:
        """Return the load with another in addition.

        Parameters
        ----------
        other : Load
            The other.

        Returns
        -------
        Load
        """
        return Load(self.inner + other.inner, self.outer + other.outer)

    def times(self, count: Any) -> Load:
        """Return the load of so many layers.

        Parameters
        ----------
        count : float or array, count
            How many.

        Returns
        -------
        Load
        """
        return Load(count * self.inner, count * self.outer)


def load_of(group: Group, time: Any) -> Load:
    """Return the load of one communication.

    Parameters
    ----------
    group : Group
        Who takes part.
    time : float or array, s
        What it takes.

    Returns
    -------
    Load
    """
    far = group.nodes > 1.0
    outside = only(far, time)
    return Load(time - outside, outside)
