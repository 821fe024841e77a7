"""The command line: one module per command, each with ``add(commands)``.

A user's mistake becomes a message and an exit code, never a traceback: 2 bad input, 3 does
not fit, 4 a declared constraint is violated.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .parser import Parser

__all__ = ["build_parser", "main"]

COMMANDS = ("eval", "explain", "sweep", "show", "list", "solvers", "plugins", "doctor", "completion")
"""Built-in commands in the order of the help page; each is a module ``<name>_command``."""

_ALONE = ("eval", "explain", "sweep", "show", "list", "solvers")
"""Those that never look at the other commands, which then need not be put together."""

_COLLECT_RARELY = 100_000
_MACHINE = frozenset(getattr(errno, name, 0) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "EACCES"))
"""What a full disk, a quota, a broken device or a missing permission says."""
_INTERRUPTED, _PIPE_CLOSED, _BUG = 130, 141, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        0 good, 1 a fault of the program or of a plugin, 2 bad input, 3 does not fit or cannot work, 4 a
        constraint is violated, 130 interrupted, 141 the reader of the pipe went away.
    """
    given = sys.argv[1:] if argv is None else argv
    if argv is None:
        import gc

        gc.set_threshold(_COLLECT_RARELY)  # a short process: collecting while it imports takes a tenth of its time
    words = [word for word in given if word != "--traceback"]
    if words[:1] == ["--version"]:
        from .. import __version__

        print(f"mlsysim {__version__}")
        return 0
    from .printing import prepare_streams

    prepare_streams()
    try:
        code = _run(words)
        sys.stdout.flush()
    except SystemExit as request:  # argparse leaves so after --help
        return request.code if isinstance(request.code, int) else 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except Exception as error:
        if "--traceback" in given and not isinstance(error, BrokenPipeError):
            raise
        code = _say(error)
        if code != _PIPE_CLOSED and _wants_json(words):
            from .printing import print_json

            print_json({"exit_code": code, "errors": _plain(error)})
    return code


def _wants_json(words: Sequence[str]) -> bool:
    """Whether standard output is read by a program: then it is JSON also where nothing is answered."""
    return "--json" in words or "--format=json" in words or ("--format", "json") in pairwise(words)


def _plain(error: Exception) -> list[dict[str, str]]:
    from ..errors import MlsysimError

    if isinstance(error, MlsysimError):
        return [{"where": fault.where, "what": fault.what, "remedy": fault.remedy} for fault in error.faults]
    return [{"where": "", "what": f"{type(error).__name__}: {error}", "remedy": ""}]


def _run(words: Sequence[str]) -> int:
    parser = build_parser([word for word in words[:1] if word in _ALONE])
    if not words:
        parser.print_help()
        return 0
    args = parser.read(words)
    from ..errors import MlsysimError

    try:
        return int(args.run(args))
    except MlsysimError as error:
        if not hasattr(args, "scenario"):
            raise
        from .asking import with_options

        raise with_options(error, args) from None


def _say(error: Exception) -> int:
    """Print what went wrong, and return the exit code."""
    from ..errors import MlsysimError
    from .printing import print_bug, print_error

    if isinstance(error, BrokenPipeError):
        return _close_pipe()
    if isinstance(error, MlsysimError):
        print_error(error)
        return error.exit_code
    if isinstance(error, MemoryError):
        print_error(MlsysimError(f"not enough memory: {error}".removesuffix(": "), remedy="Ask for fewer rows"))
        return MlsysimError.exit_code
    if isinstance(error, OSError) and error.errno in _MACHINE:
        _close_pipe()
        remedy = "The machine, not the input, is in the way"
        print_error(MlsysimError(str(error.strerror), where=str(error.filename or ""), remedy=remedy))
        return MlsysimError.exit_code
    print_bug(error)
    return _BUG


def build_parser(only: Sequence[str] = ()) -> Parser:
    """Put the commands together, those of plugins last.

    Parameters
    ----------
    only : sequence of str
        Built-in commands that are enough; all commands when empty.

    Returns
    -------
    Parser
    """
    from importlib import import_module

    from ..plugins import plugins
    from .parser import add_plugin_commands, make_parser

    parser, commands = make_parser()
    for name in only or COMMANDS:
        import_module(f".{name}_command", __name__).add(commands)
    if not only:
        add_plugin_commands(commands, plugins())
    return parser


def _close_pipe() -> int:
    """Point standard output away from the closed pipe, so that Python's own exit stays silent."""
    import os
    from contextlib import suppress

    with suppress(OSError, ValueError):  # standard output may be no file: then there is nothing to silence
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _PIPE_CLOSED
