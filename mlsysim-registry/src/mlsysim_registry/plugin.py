"""What this distribution gives to mlsysim, through the same hooks as any other plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsysim.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsysim.entities import Entry

    from .catalog import Catalog

__all__ = ["mlsysim_register_commands", "mlsysim_register_sources", "mlsysim_resolve"]


@hookimpl
def mlsysim_register_sources() -> Iterable[Catalog]:
    """Offer the packaged data.

    Returns
    -------
    list of Catalog
    """
    from .catalog import packaged

    return [packaged()]


@hookimpl
def mlsysim_register_commands(commands: Any) -> None:
    """Add ``mlsysim registry ...`` and ``mlsysim verify``.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add them.
    """
    from .commands import add_commands

    add_commands(commands)


@hookimpl
def mlsysim_resolve(kind: str, key: str) -> Entry | None:
    """Find a model on a hub, or in a ``config.json`` on disk.

    Parameters
    ----------
    kind : str
        Plural kind.
    key : str
        What the user wrote.

    Returns
    -------
    Entry or None
    """
    if kind != "models":
        return None
    from .hub import resolve_model

    return resolve_model(key)
