"""``mlsysim doctor``: whether this installation is whole."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import MlsysimError
from .parser import Commands, add_command
from .printing import print_json

__all__ = ["add"]

_OURS = ("mlsysim-core", "mlsysim-registry", "mlsysim-solvers")
_NEEDED = ("attrs", "cattrs", "numpy", "pint", "pluggy", "pyyaml", "rtoml", "shtab", "tomli")
_OPTIONAL = ("matplotlib",)


class Finding(NamedTuple):
    """One thing that was looked at.

    Parameters
    ----------
    what : str
        What it is.
    state : str
        ``ok``, ``note`` or ``fault``.
    detail : str
        Version, reason, remedy.
    """

    what: str
    state: str
    detail: str


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(commands, "doctor", "check this installation", _run, "mlsysim doctor\nmlsysim doctor --json")
    parser.add_argument("--json", action="store_true", help="plain data")


def _run(args: argparse.Namespace) -> int:
    """Look at everything that can be wrong with an installation; 2 where something is."""
    found = [*_python(), *_distributions(), *_shadows(), *_plugins(), *_registry()]
    healthy = all(finding.state != "fault" for finding in found)
    if args.json:
        print_json({"healthy": healthy, "findings": [finding._asdict() for finding in found]})
        return 0 if healthy else 2
    from ..renderers.style import Style

    style = Style.of(sys.stdout)
    colours = {"ok": "green", "note": "yellow", "fault": "red"}
    width = max(len(finding.what) for finding in found)
    for finding in found:
        mark = style.paint(finding.state.ljust(5), "bold", colours[finding.state])
        lines = style.wrap(finding.detail, " " * (width + 9)) if finding.detail else [""]
        print(f"{mark}  {finding.what.ljust(width)}  {lines[0].strip()}".rstrip())
        print("".join(f"{line}\n" for line in lines[1:]), end="")
    print("\n" + ("This installation is healthy." if healthy else "Something is wrong: see the lines marked fault."))
    return 0 if healthy else 2


def _python() -> Iterator[Finding]:
    from platform import python_implementation, python_version

    state = "ok" if sys.version_info >= (3, 10) else "fault"
    yield Finding("Python", state, f"{python_version()} ({python_implementation()}, {sys.executable})")


def _distributions() -> Iterator[Finding]:
    from importlib import metadata

    for name in (*_OURS, *_NEEDED, *_OPTIONAL):
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            if name in _OPTIONAL:
                yield Finding(name, "note", 'not installed; needed for --plot: pip install "mlsysim-core[plot]"')
            else:
                yield Finding(name, "fault", f"not installed: pip install {name}")


def _shadows() -> Iterator[Finding]:
    """Ask the check that does not import mlsysim whether another project of that name is in the way."""
    from importlib import import_module, metadata

    try:
        found = list(import_module("mlsysim_registry.doctor").findings())
    except ImportError:  # the registry is not installed: look for the other distribution only
        try:
            version = metadata.version("mlsysim")
        except metadata.PackageNotFoundError:
            found = []
        else:
            found = [f"the distribution mlsysim {version} is another project: pip uninstall mlsysim"]
    for text in found:
        yield Finding("import mlsysim", "fault", text)
    if not found:
        yield Finding("import mlsysim", "ok", "finds this project")


def _plugins() -> Iterator[Finding]:
    from ..plugins import plugins

    for info in plugins().infos:
        name = f"plugin {info.name}"
        if info.status == "ok":
            yield Finding(name, "ok", f"{len(info.solvers)} solvers, {len(info.packages)} data packages")
        else:
            yield Finding(name, "fault", f"{info.reason} (from {info.distribution} {info.version})".strip())


def _registry() -> Iterator[Finding]:
    """Read every entry; a fault that many of them meet, such as a folder that is none, is told once."""
    from ..plugins import plugins

    registry = plugins().registry
    read, told = 0, set[str]()
    try:
        names = [(kind, key) for kind in registry.kinds() for key in registry.keys(kind)]
    except MlsysimError as error:
        yield Finding("registry", "fault", str(error))
        return
    for kind, key in names:
        try:
            registry.get(kind, key)
            read += 1
        except MlsysimError as error:
            if (text := str(error)) not in told:
                told.add(text)
                yield Finding(f"{kind}/{key}", "fault", text)
    if read or not told:
        kinds = len(registry.kinds())
        yield Finding(
            "registry", "ok" if read else "fault", f"{read} entries of {kinds} kinds" if read else "no entries"
        )
