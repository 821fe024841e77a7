"""How an evaluation is written: the contract of a renderer, and finding one by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from ..evaluation import SystemEvaluation

__all__ = ["Renderer", "find_renderer"]


@attrs.frozen
class Renderer:
    """One output format.

    Parameters
    ----------
    name : str
        Value of ``--format``.
    render : callable
        Takes a :class:`SystemEvaluation`, returns text.
    """

    name: str
    render: Callable[[SystemEvaluation], str]


def find_renderer(name: str) -> Renderer:
    """Return a renderer by name, the built-in ones first.

    Parameters
    ----------
    name : str
        Value of ``--format``.

    Returns
    -------
    Renderer

    Raises
    ------
    UnknownNameError
        If neither the core nor a plugin offers it.
    """
    from ..errors import UnknownNameError
    from ..names import did_you_mean
    from ..plugins import plugins
    from .builtin import BUILT_IN

    known: dict[str, Renderer] = {**plugins().renderers, **BUILT_IN}
    if name in known:
        return known[name]
    remedy = did_you_mean(name, known) + plugins().broken_hint()
    raise UnknownNameError(f"there is no format {name!r}", where="--format", remedy=remedy)
