"""``mlsysim completion``: a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse

from ..errors import ConfigError
from .parser import Commands, add_command

__all__ = ["add"]

_SHELLS = ("bash", "zsh", "tcsh")
_EXAMPLES = """
mlsysim completion bash > ~/.local/share/bash-completion/completions/mlsysim
mlsysim completion zsh > ~/.zfunc/_mlsysim
"""


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(commands, "completion", "print a completion script for a shell", _run, _EXAMPLES)
    parser.add_argument("shell", choices=_SHELLS, help="the shell")


def _run(args: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise ConfigError("the package shtab is not installed", remedy="pip install shtab") from None
    from . import build_parser

    print(shtab.complete(build_parser(), shell=args.shell))
    return 0
