"""Models that people ask for and no shape expresses: known by name, so that the refusal says why."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import attrs

from mlsysim.documents import load_document

__all__ = ["Family", "unexpressed_families"]

_FILE = Path(__file__).with_name("unexpressed.toml")
_PUNCTUATION = re.compile(r"[^a-z0-9.]+")


@attrs.frozen
class Family:
    """Models of one architecture.

    Parameters
    ----------
    names : tuple of str
        Beginnings of their names, lower case, words joined by hyphens.
    why : str
        What of them no shape expresses.
    """

    names: tuple[str, ...]
    why: str

    def covers(self, name: str) -> bool:
        """Tell whether a name, or path on a hub, is that of a model of the family.

        Parameters
        ----------
        name : str
            As written.

        Returns
        -------
        bool
        """
        short = _PUNCTUATION.sub("-", name.rsplit("/", 1)[-1].casefold()).strip("-").removeprefix("nvidia-")
        return any(short == one or short.startswith(f"{one}-") for one in self.names)


@lru_cache(maxsize=1)
def unexpressed_families() -> tuple[Family, ...]:
    """Return the families that are known by name and not expressed.

    Returns
    -------
    tuple of Family
    """
    return tuple(Family(tuple(one["names"]), str(one["why"])) for one in load_document(_FILE).data["families"])
