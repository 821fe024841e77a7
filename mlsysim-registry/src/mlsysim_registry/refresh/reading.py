"""Finding a printed number again in the bytes of a document."""

from __future__ import annotations

import html
import re

__all__ = ["appears", "text_of"]

_HTML = re.compile(rb"<(?:!doctype\s+html|html|body|table)\b", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_SPACES = re.compile(r"[\s\u00a0\u2000-\u200b\u202f\u205f\u3000]+")
_SAME = str.maketrans({"µ": "u", "μ": "u", "×": "x", "²": "2", "³": "3", "\u2212": "-", "\u2010": "-", "\u2011": "-",
                       "\u2013": "-"})  # fmt: skip
_BARE = re.compile(r"[\d.,]+")
_SHORT = 4
_NEAR = 400
_WORD = 4


def text_of(body: bytes, kind: str = "") -> str | None:
    """Return the readable text of a document.

    Parameters
    ----------
    body : bytes
        Its content.
    kind : str
        Media type.

    Returns
    -------
    str or None
        None for a format that holds no plain text, such as PDF or an archive.
    """
    if body[:5] == b"%PDF-" or body[:2] == b"PK" or b"\x00" in body[:1024]:
        return None
    text = body.decode("utf-8", errors="replace")
    if "html" in kind or _HTML.search(body[:4096]):
        text = html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text)))
    return text


def appears(as_stated: str, at: str, text: str) -> bool:
    """Tell whether a number stands in a text as it was copied.

    White space does not count, neither does case. The number must not be part of a longer one. A
    bare number of up to three digits stands anywhere: it counts only near a word of its place.

    Parameters
    ----------
    as_stated : str
        The number as printed.
    at : str
        Its place in the document: page, table, column.
    text : str
        Text of the document.

    Returns
    -------
    bool
    """
    wanted, whole = _squeezed(as_stated), _squeezed(text)
    if not wanted:
        return False
    short = _BARE.fullmatch(wanted) is not None and len(wanted) < _SHORT
    words = [word for word in re.findall(r"[^\W\d_]+", at.translate(_SAME).casefold()) if len(word) >= _WORD]
    for match in re.finditer(rf"(?<![\d.,]){re.escape(wanted)}(?!\d|[.,]\d)", whole):
        around = whole[max(0, match.start() - _NEAR) : match.end() + _NEAR]
        if not short or any(word in around for word in words):
            return True
    return False


def _squeezed(text: str) -> str:
    return _SPACES.sub("", text.translate(_SAME)).casefold()
