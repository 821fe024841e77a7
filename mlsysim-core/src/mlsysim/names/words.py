"""Names as words that do not depend on spelling."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["last_part", "squeezed", "words_of"]

_SPLIT = re.compile(r"[^a-z0-9.+]+")
_SPACED_SIZE = re.compile(r"(\d+)\s*g(?:i?b)?\b")
_COUNT = re.compile(r"x\d{1,3}|\d{1,3}x")
_GLUED_COUNT = re.compile(r"^\d{1,3}x(?=[a-z])")
_FAMILY = re.compile(r"([a-z]{3,})v?(\d.*)")
_FAMILIES = frozenset({"rtx", "gtx", "radeon", "arc", "tpu", "gaudi", "trainium", "inferentia", "graviton"})
_VERSION = re.compile(r"v(\d.*)")
_SUFFIX = re.compile(r"(\d{4})(ti|super|s|m|d)")
_BRAND = re.compile(r"\s+(?:cpu\s*@\s*[\d.]+\s*ghz|\d+-core processor)\s*$", re.IGNORECASE)
"""What processors add to the name that they give themselves."""
_MANY = 16384  # names of all entities are split again for every name that is looked up


@lru_cache(maxsize=_MANY)
def squeezed(name: str) -> str:
    """Drop case, spaces and punctuation, but not the points of version numbers.

    Parameters
    ----------
    name : str
        As written.

    Returns
    -------
    str
    """
    return "".join(c for c in name.casefold() if c.isalnum() or c in ".+").strip(".")


@lru_cache(maxsize=_MANY)
def words_of(text: str, kind: str) -> frozenset[str]:
    """Split a name into words that do not depend on spelling.

    Parameters
    ----------
    text : str
        As written.
    kind : str
        Plural kind; sizes of memory and counts are read in names of devices alone.

    Returns
    -------
    frozenset of str
    """
    folded = text.casefold()
    for mark in ("(r)", "(tm)", "®", "™"):
        folded = folded.replace(mark, " ")
    devices = kind == "devices"
    if devices:
        folded = _SPACED_SIZE.sub(r"\1gb", _BRAND.sub("", folded))
    words: set[str] = set()
    for raw in _SPLIT.split(folded.replace("‑", "-")):
        word = raw.strip(".")
        if devices:
            word = "" if _COUNT.fullmatch(word) else _GLUED_COUNT.sub("", word)
        if not word:
            continue
        words.update(_parts(word, devices=devices))
    return frozenset(words)


def _parts(word: str, *, devices: bool) -> tuple[str, ...]:
    """Split a family from its version (``llama3``) and a number from its suffix (``4070ti``)."""
    version = _VERSION.fullmatch(word)
    if version:
        return (version[1],)
    family = _FAMILY.fullmatch(word)
    if family and (not devices or family[1] in _FAMILIES):
        return (family[1], *_parts(family[2], devices=devices))
    suffix = _SUFFIX.fullmatch(word) if devices else None
    if suffix:
        return (suffix[1], {"s": "super", "m": "mobile"}.get(suffix[2], suffix[2]))
    return (word,)


def last_part(name: str) -> str:
    """Return the last part of a path on a hub, and any other name whole.

    Parameters
    ----------
    name : str
        As written; what follows the slash of ViT-L/16 is the size of a patch and names nothing alone.

    Returns
    -------
    str
    """
    owner, _, part = name.rpartition("/")
    return part if owner and not part.strip().isdigit() else name
