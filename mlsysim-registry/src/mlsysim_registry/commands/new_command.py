"""``mlsysim registry new``: a commented template for one more entity."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mlsysim.errors import ConfigError

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = commands.add_parser(
        "new", help="write a commented template to fill in",
        description="Write a commented template. Without KEY it is printed; with KEY it becomes a file.",
    )  # fmt: skip
    parser.add_argument("kind", metavar="KIND", help="device, model, link, price ... or source")
    parser.add_argument("key", nargs="?", metavar="KEY", help="name of the entity: becomes the name of the file")
    parser.add_argument("--maker", metavar="NAME", default="", help="folder inside the kind, for example nvidia")
    parser.add_argument("--folder", metavar="DIR", default="data", help="folder that holds the kinds (default: data)")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Print or write the template."""
    from ..checks.files import KEY
    from ..describe import kind_of
    from ..template import template

    kind, _ = kind_of(args.kind)
    text = template(kind)
    if args.key is None:
        print(text, end="")
        return 0
    for where, name in (("KEY", args.key), ("--maker", args.maker)):
        if name and not KEY.fullmatch(name):
            raise ConfigError(f"{name!r} is not allowed as a file name", where=where,
                              remedy="Use lower case, digits, dots and hyphens")  # fmt: skip
    path = Path(args.folder) / kind / args.maker / f"{args.key}.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError("the file exists already", where=str(path), remedy="Choose another key or edit it") from None
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(path)) from None
    print(f"{path}\nFill in every ..., remove what is unknown, then: mlsysim registry check {path}")
    return 0
