"""How an evaluation is written: the contract of a renderer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .evaluation import SystemEvaluation

__all__ = ["Renderer"]


@attrs.frozen
class Renderer:
    """One output format.

    Parameters
    ----------
    name : str
        Value of ``--format``.
    render : callable
        Takes a :class:`SystemEvaluation`, returns text.
    help : str
        What it is for.
    """

    name: str
    render: Callable[[SystemEvaluation], str]
    help: str = ""
