"""pytest fixtures for plugins: import them in a ``conftest.py``.

from mlsysim.testing.fixtures import isolated_plugins, no_network  # noqa: F401
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ..plugins import Plugins
from .isolation import given_plugins, no_sockets

__all__ = ["isolated_plugins", "no_network"]


@pytest.fixture
def isolated_plugins() -> Iterator[Callable[..., Plugins]]:
    """Load given plugins instead of the installed ones, for one test.

    Yields
    ------
    callable
        ``isolated_plugins(*plugins, entry_points=())`` as :func:`mlsysim.testing.given_plugins`.
    """
    with ExitStack() as stack:

        def use(*plugins: Any, entry_points: Any = ()) -> Plugins:
            return stack.enter_context(given_plugins(*plugins, entry_points=entry_points))

        yield use


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Fail every test that opens a network connection.

    Yields
    ------
    None
    """
    with no_sockets():
        yield
