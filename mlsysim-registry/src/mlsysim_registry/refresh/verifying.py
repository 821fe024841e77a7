"""Read documents again and look for the numbers that were copied from them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from mlsysim.entities import today
from mlsysim.errors import RegistryError

from ..web import get
from .reading import appears, text_of
from .verified import Verified

if TYPE_CHECKING:
    from mlsysim.entities import Registry
    from mlsysim.provenance import Claim, Source

__all__ = ["citations", "verify"]

MAX_BYTES = 20_000_000
_OK = 200
_BLOB = re.compile(r"https://github\.com/([^/]+/[^/]+)/blob/(.+)")


def citations(registry: Registry) -> dict[str, list[tuple[str, Claim]]]:
    """Collect what each document is cited for.

    Parameters
    ----------
    registry : Registry
        All data.

    Returns
    -------
    dict of str to list of (str, Claim)
        By id of the document: ``kind/key field`` and the claim. Derived values and estimates stand in
        no document as they are, so they are left out.
    """
    found: dict[str, list[tuple[str, Claim]]] = {}
    for entry in (entry for kind in registry.kinds() for entry in registry.readable(kind)):
        for field, claim in ((field, claim) for field, claims in entry.claims.items() for claim in claims):
            if claim.source and claim.kind in ("stated", "measured"):
                found.setdefault(claim.source, []).append((f"{entry.name} {field}", claim))
    return found


def verify(source: Source, cited: list[tuple[str, Claim]], *, public: bool = True) -> Verified:
    """Read a document again and look for each number that it is cited for.

    Parameters
    ----------
    source : Source
        The document.
    cited : list of (str, Claim)
        What it is cited for.
    public : bool
        Refuse addresses of this machine and of private networks.

    Returns
    -------
    Verified

    Raises
    ------
    RegistryError
        If the document cannot be read, or holds no plain text.
    """
    answer = get(_address(source.url), limit=MAX_BYTES, public=public)
    if answer.status != _OK:
        raise RegistryError(f"{answer.url} answers with status {answer.status}")
    text = text_of(answer.body, answer.kind)
    if text is None:
        raise RegistryError("holds no plain text (a PDF or an archive)", where=source.url,
                            remedy="Compare it by eye")  # fmt: skip
    found = {name: appears(claim.as_stated, claim.at, text) for name, claim in cited}
    return Verified(
        url=source.url,
        sha256=hashlib.sha256(answer.body).hexdigest(),
        date=today().isoformat(),
        found=tuple(name for name, there in found.items() if there),
        missing=tuple(name for name, there in found.items() if not there),
    )


def _address(url: str) -> str:
    """Return where the text of a document stands: a page that shows a file is not the file."""
    match = _BLOB.fullmatch(url)
    return f"https://raw.githubusercontent.com/{match[1]}/{match[2]}" if match else url
