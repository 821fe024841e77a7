"""The subcommands of ``mlsysim registry``, one module each."""

from __future__ import annotations

from typing import Any

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Add the commands of this distribution."""
