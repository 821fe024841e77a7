"""What this distribution gives to mlsysim, through the same hooks as any other plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsysim.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsysim.entities import Entry, RegistrySource
    from mlsysim.refreshing import Refresher

__all__ = [
    "mlsysim_register_commands",
    "mlsysim_register_refreshers",
    "mlsysim_register_sources",
    "mlsysim_resolve",
]

USER_DATA = "MLSYSIM_DATA"
"""Environment variable that names the user's own folders, as ``PATH`` names its."""


@hookimpl
def mlsysim_register_sources() -> Iterable[RegistrySource]:
    """Offer the packaged data, the folders of the user's own that ``MLSYSIM_DATA`` names, and refreshed entities.

    Returns
    -------
    list of RegistrySource
    """
    import os

    from .catalog import Catalog, packaged
    from .refresh.store import overlay_folder

    own = dict.fromkeys(os.path.normpath(part) for part in os.environ.get(USER_DATA, "").split(os.pathsep) if part)
    found: list[RegistrySource] = [packaged()]
    found += [Catalog(f"user data in {folder}", folder, shared=packaged().sources, named_by=USER_DATA)
              for folder in own]  # fmt: skip
    if overlay_folder().exists():
        from .refresh.layering import Refreshed

        found.append(Refreshed(tuple(found)))
    return found


@hookimpl
def mlsysim_register_refreshers() -> Iterable[Refresher]:
    """Offer the live sources of this distribution.

    Returns
    -------
    list of Refresher
    """
    from .refresh.sources import built_in

    return built_in()


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
