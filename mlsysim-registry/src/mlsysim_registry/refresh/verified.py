"""What this user's machine has verified: kept apart from the package, which is read-only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import attrs

from mlsysim.errors import MlsysimError, RegistryError
from mlsysim.provenance import Source
from mlsysim.structure import read_plain

from .store import VERIFIED, data_folder, locked, replace

__all__ = ["Verified", "apply", "load", "record", "verified_file"]

_MAX_BYTES = 4_000_000


@attrs.frozen
class Verified:
    """The result of reading one document again.

    Parameters
    ----------
    url : str
        Address that was read.
    sha256 : str
        Hash of its bytes.
    date : str
        ISO date.
    found, missing : tuple of str
        Numbers as ``kind/key field``, found again or not.
    """

    url: str
    sha256: str
    date: str
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def verified_file() -> Path:
    """Return the file that holds what was verified.

    Returns
    -------
    Path
        In ``MLSYSIM_DATA_DIR`` when set, else where the platform keeps a user's data.
    """
    return data_folder() / VERIFIED


def load() -> dict[str, Verified]:
    """Read what was verified; a damaged file counts as empty, since it can be made again.

    Returns
    -------
    dict of str to Verified
        By id of the document.
    """
    try:
        raw = verified_file().read_bytes()
        data = json.loads(raw) if len(raw) <= _MAX_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    found: dict[str, Verified] = {}
    for key, row in data.items() if isinstance(data, dict) else ():
        with suppress(MlsysimError):
            found[key] = read_plain(Verified, row)
    return found


def apply(key: str, source: Source, known: Mapping[str, Verified]) -> Source:
    """Add the hash to a document all of whose numbers were found again.

    Parameters
    ----------
    key : str
        Id of the document.
    source : Source
        Its packaged description.
    known : mapping of str to Verified
        What was verified.

    Returns
    -------
    Source
    """
    seen = known.get(key)
    if seen is None or seen.missing or not seen.found or seen.url != source.url:
        return source
    return attrs.evolve(source, sha256=seen.sha256)


def record(key: str, verified: Verified) -> None:
    """Store a result; the file is replaced whole, never written in place.

    Parameters
    ----------
    key : str
        Id of the document.
    verified : Verified
        The result.

    Raises
    ------
    RegistryError
        If it cannot be written, or another process holds it for too long.
    """
    path = verified_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            data = {**load(), key: verified}
            text = json.dumps({k: attrs.asdict(v) for k, v in sorted(data.items())}, indent=1)
            replace(path, text.encode())
    except OSError as error:
        raise RegistryError(f"cannot be written: {error.strerror}", where=str(path)) from None
