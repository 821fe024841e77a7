"""Listing the files of a data package, and the names in them, without reading their numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["folder_of_kind", "names_in", "toml_files"]

_TABLE = re.compile(r"^\s*\[", re.MULTILINE)


def toml_files(folder: str) -> dict[str, list[str]]:
    """List the TOML files under a folder, at any depth.

    Parameters
    ----------
    folder : str
        Folder to walk; it may be missing.

    Returns
    -------
    dict of str to list of str
        File name without its suffix, to the paths that have it (more than one is a fault of the package).
        Hidden files and folders are left out.
    """
    found: dict[str, list[str]] = {}
    pending = [folder]
    while pending:
        try:
            entries = sorted(os.scandir(pending.pop()), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif entry.name.endswith(".toml"):
                found.setdefault(entry.name[: -len(".toml")], []).append(entry.path)
    return {key: sorted(paths) for key, paths in found.items()}


def folder_of_kind(name: str) -> Path:
    """Find the folder of a kind, or of documents, in which a file stands.

    Parameters
    ----------
    name : str
        The file, as the user named it.

    Returns
    -------
    Path
        For example ``.../data/devices``.

    Raises
    ------
    ConfigError
        If it does not exist, or stands in none.
    """
    from mlsysim.errors import ConfigError
    from mlsysim.records import KINDS

    for parent in Path(name).resolve().parents:
        if parent.name in KINDS or parent.name == "sources":
            return parent
    if not Path(name).exists():
        raise ConfigError("there is no such file", where=name, remedy="Check the path and the present folder")
    raise ConfigError("the file stands in no folder of a kind", where=name,
                      remedy="Put it at devices/<vendor>/<key>.toml, models/<lab>/<key>.toml ...")  # fmt: skip


def names_in(path: str) -> tuple[str, list[str]]:
    """Read the name and the aliases of a file, parsing no more than what stands before its first table.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    name : str
        Empty where the file has none, or cannot be read.
    aliases : list of str
        What people type instead.
    """
    from mlsysim.documents import parse_text, read_file
    from mlsysim.errors import MlsysimError

    try:
        text = read_file(path).decode("utf-8")
        table = _TABLE.search(text)
        try:
            data = parse_text(text[: table.start()] if table else text, ".toml", path)
        except MlsysimError:
            data = parse_text(text, ".toml", path)
    except (OSError, UnicodeDecodeError, MlsysimError):
        return "", []
    title, listed = data.get("name"), data.get("aliases")
    aliases = [name for name in listed if isinstance(name, str) and name] if isinstance(listed, list) else []
    return title if isinstance(title, str) else "", aliases
