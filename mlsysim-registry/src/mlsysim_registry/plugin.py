"""What this distribution gives to mlsysim, through the same hooks as any other plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsysim.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .catalog import Catalog

__all__ = ["mlsysim_register_commands", "mlsysim_register_sources"]


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
