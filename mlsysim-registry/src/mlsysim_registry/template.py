"""Commented templates of data files, generated from the record classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Union

import attrs

from mlsysim.provenance import Source
from mlsysim.records import singular

from .describe import descriptions, fields_of, kind_of, parts

__all__ = ["template"]

_INTRO = """\
# One {one}. The name of this file is its key. Fill in every "...", and delete what is unknown: a missing
# number is better than a guessed one. Lines that begin with #: are optional; remove the #: to use them.
"""
_GRAMMAR = """\
# A number stands with the document that prints it: value exactly as printed, source = a file in sources/
# (without .toml), at = page, table, column. Several documents on one number are a list of such claims.
# When no document was read: { value = "...", estimate = "why", low = "...", high = "..." }.
"""


def template(name: str) -> str:
    """Return the template of a kind.

    Parameters
    ----------
    name : str
        Kind, plural or singular; ``source`` for documents.

    Returns
    -------
    str
        TOML with comments; it passes the schema once every ``...`` is filled in.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    kind, cls = kind_of(name)
    head = _INTRO.format(one="document" if cls is Source else singular(kind))
    if cls is not Source and kind != "scenarios":
        head += _GRAMMAR
    return "\n".join([head, *_table(cls, "", optional=False)]) + "\n"


def _table(cls: type, path: str, *, optional: bool) -> Iterator[str]:
    """Yield the plain keys of a table, then its subtables."""
    about = descriptions(cls)
    mark = "#: " if optional else ""
    later: list[tuple[str, Any, bool]] = []
    said: set[str] = set()
    for name, field in fields_of(cls).items():
        if cls is Source and name in ("id", "sha256"):
            continue
        needed = field.default is attrs.NOTHING
        if "unit" not in field.metadata and _inner(field) not in (None, cls):  # rows of rows stay on one line
            later.append((name, field, optional or not needed))
            continue
        comment = _comment(about.get(name, ""), field)
        if comment and comment not in said:  # one sentence may describe several fields
            yield f"# {comment}"
        said.add(comment)
        yield f"{mark or ('' if needed else '#: ')}{name} = {_placeholder(name, field)}"
    for name, field, lax in later:
        inner, header = _inner(field), f"{path}.{name}" if path else name
        yield ""
        yield f"# {_comment(about.get(name, ''), field)}".rstrip()
        origin = parts(field.type)[0]
        if origin is dict:
            header += ".bf16" if name == "peak" else ".NAME"
        yield ("#: " if lax else "") + (f"[[{header}]]" if origin is tuple else f"[{header}]")
        assert inner is not None
        yield from _table(inner, header, optional=lax)


def _inner(field: attrs.Attribute[Any]) -> type | None:
    """Return the record class inside a field, if there is one."""
    if "choices" in field.metadata:
        first: type = next(iter(field.metadata["choices"].values()))
        return first
    origin, arguments = parts(field.type)
    candidates = (
        (arguments[-1] if origin is dict else arguments[0],) if arguments and origin in (dict, tuple) else (origin,)
    )
    return next((c for c in candidates if isinstance(c, type) and attrs.has(c)), None)


def _comment(text: str, field: attrs.Attribute[Any]) -> str:
    unit = field.metadata.get("unit")
    origin, arguments = parts(field.type)
    extra = f" [{'count or ratio' if unit == '1' else unit}]" if unit else ""
    if origin is Literal:
        extra = " One of: " + ", ".join(str(a) for a in arguments) + "."
    return " ".join((text + extra).split())


def _placeholder(name: str, field: attrs.Attribute[Any]) -> str:
    if field.metadata.get("fact"):
        return '{ value = "...", source = "...", at = "..." }'
    origin, arguments = parts(field.type)
    if "unit" in field.metadata or origin is str:
        return '"..."'
    if origin is Literal:
        return f'"{arguments[0]}"'
    if origin is bool:
        return "true"
    if origin is tuple:
        return "[]" if name == "aliases" or _inner(field) is not None else '["..."]'
    if origin is dict:
        return "{}"
    return "1" if origin in (int, float, Union) else '"..."'
