"""Running with chosen plugins only, and without a network."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import plugins as _plugins
from .. import units as _units
from ..plugins import Plugins, load_plugins

__all__ = ["given_plugins", "no_sockets"]


class _Given:
    """Stands in for an entry point whose object is at hand."""

    distribution = version = ""

    def __init__(self, name: str, plugin: Any) -> None:
        self.name = name
        self.value = name
        self._plugin = plugin

    def load(self) -> Any:
        return self._plugin


def _name_of(plugin: Any) -> str:
    name = getattr(plugin, "__name__", None) or type(plugin).__name__
    return str(name).rsplit(".", 1)[-1]


@contextmanager
def given_plugins(*plugins: Any, entry_points: Iterable[Any] = ()) -> Iterator[Plugins]:
    """Use these plugins, and none of the installed ones, while the context lasts.

    Parameters
    ----------
    *plugins : object
        Modules or instances that implement hooks.
    entry_points : iterable of EntryPoint
        Further plugins to load as installed ones are: broken ones are listed, not raised.

    Yields
    ------
    Plugins
        What ``mlsysim.plugins.plugins()`` returns meanwhile.
    """
    points: list[Any] = [*(_Given(_name_of(plugin), plugin) for plugin in plugins), *entry_points]
    extra, before = list(_units._extra), _plugins.load_plugins
    try:
        loaded = load_plugins(points)
        _plugins.load_plugins = lambda *_: loaded
        _plugins.plugins.cache_clear()
        yield loaded
    finally:
        _plugins.load_plugins = before
        _plugins.plugins.cache_clear()
        _units._extra[:] = extra
        _units._forget()


@contextmanager
def no_sockets() -> Iterator[None]:
    """Refuse every network connection while the context lasts.

    Sockets between processes of one machine (AF_UNIX) stay allowed.

    Yields
    ------
    None

    Raises
    ------
    AssertionError
        From inside the context, by whatever tries to connect or to resolve a host name.
    """
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def refused(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise AssertionError(f"a connection to {address!r} was attempted")
        connect(self, address)

    def unresolved(host: Any, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"the address of {host!r} was looked up")

    socket.socket.connect = refused  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = unresolved
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.getaddrinfo = resolve
