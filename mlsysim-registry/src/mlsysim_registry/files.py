"""Listing the files of a data package without reading them."""

from __future__ import annotations

import os

__all__ = ["toml_files"]


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
