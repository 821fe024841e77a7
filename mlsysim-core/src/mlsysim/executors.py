"""Where the chunks of a sweep run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

__all__ = ["ExecutorSpec"]


@attrs.frozen
class ExecutorSpec:
    """A place where chunks run.

    Parameters
    ----------
    name : str
        What ``sweep(executor=...)`` takes.
    map : callable
        ``map(function, chunks) -> iterator of results``, in order.
    help : str
        What it is good for.
    """

    name: str
    map: Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
    help: str = ""
