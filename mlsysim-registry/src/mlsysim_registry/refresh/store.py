"""Where a user's own data stand, and how they are written: whole, by one process at a time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from mlsysim.errors import RegistryError

__all__ = [
    "POINTER",
    "VERIFIED",
    "any_refreshed",
    "any_verified",
    "check_overlay",
    "data_folder",
    "locked",
    "overlay_folder",
    "replace",
]

POINTER = "current.toml"
"""File of :func:`overlay_folder` that names the generation in force."""

VERIFIED = "verified.json"
"""File of :func:`data_folder` that holds what ``mlsysim verify`` found."""

_LOCK_SECONDS = 10.0


def data_folder() -> Path:
    """Return the folder of this user's data.

    Returns
    -------
    Path
        ``MLSYSIM_DATA_DIR`` when set, else where the platform keeps a user's data.
    """
    folder = os.environ.get("MLSYSIM_DATA_DIR")
    if folder:
        return Path(folder)
    # The same as platformdirs.user_data_path("mlsysim", appauthor=False), whose import every evaluation would pay.
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Application Support")
    else:
        base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "mlsysim"


def overlay_folder() -> Path:
    """Return the folder of the refreshed numbers.

    Returns
    -------
    Path
        ``MLSYSIM_OVERLAY`` when set, else ``overlay`` in :func:`data_folder`.
    """
    folder = os.environ.get("MLSYSIM_OVERLAY")
    return Path(folder) if folder else data_folder() / "overlay"


def any_refreshed() -> bool:
    """Say whether this user ever refreshed a number: most did not, and need not pay for reading the overlay.

    Returns
    -------
    bool
        True also for a pointer that is damaged, so that it is read and refused.

    Raises
    ------
    RegistryError
        As :func:`check_overlay` does.
    """
    return os.path.lexists(_pointer(*map(os.environ.get, _PLACES)))


_HOMES = {"win32": ("LOCALAPPDATA", "USERPROFILE"), "darwin": ("HOME",)}
_PLACES = ("MLSYSIM_OVERLAY", "MLSYSIM_DATA_DIR", *_HOMES.get(sys.platform, ("XDG_DATA_HOME", "HOME")))
"""The settings that :func:`overlay_folder` reads on this platform, and no more: each costs a microsecond."""


@lru_cache(maxsize=4)
def _pointer(*_places: str | None) -> str:
    """Path of the pointer for these settings: asked once for each entity, so it is not put together anew."""
    folder = overlay_folder()
    check_overlay(folder)
    return str(folder / POINTER)


def check_overlay(folder: Path) -> None:
    """Refuse a place that can never hold refreshed numbers, which otherwise would be ignored without a word.

    Parameters
    ----------
    folder : Path
        As :func:`overlay_folder` returns it; one that does not exist yet is good.

    Raises
    ------
    RegistryError
        If it is no folder, cannot be read, or holds cards of a user's own instead of refreshed numbers.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RegistryError(f"the folder of refreshed numbers cannot be read: {why}", where=_named(folder),
                            remedy="Name a folder, or unset it") from None  # fmt: skip
    from mlsysim.records import KINDS

    if POINTER not in names and {*KINDS, "sources"}.intersection(names):
        raise RegistryError("this folder holds cards, not refreshed numbers", where=_named(folder),
                            remedy="Name it in MLSYSIM_DATA instead")  # fmt: skip


def _named(folder: Path) -> str:
    return f"MLSYSIM_OVERLAY={folder}" if os.environ.get("MLSYSIM_OVERLAY") else str(folder)


def any_verified() -> bool:
    """Say whether this user ever verified a document.

    Returns
    -------
    bool
    """
    return (data_folder() / VERIFIED).exists()


def replace(path: Path, content: bytes) -> None:
    """Write a file whole: a reader sees the old content or the new one, whatever happens between.

    Parameters
    ----------
    path : Path
        The file; a link in its place is replaced, not followed.
    content : bytes
        New content.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    import tempfile

    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process write at a time; a lock left behind by a killed one is taken over.

    Parameters
    ----------
    path : Path
        The file that is about to change; the lock stands beside it.

    Yields
    ------
    None
    """
    lock = path.with_suffix(".lock")
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            mine = os.fstat(descriptor).st_ino
            os.close(descriptor)
            break
        except FileExistsError:
            if time.monotonic() > until:
                lock.unlink(missing_ok=True)
            time.sleep(0.02)
    try:
        yield
    finally:
        with suppress(OSError):  # somebody who waited too long may have taken it over: then it is theirs
            if lock.stat().st_ino == mine:
                lock.unlink()
