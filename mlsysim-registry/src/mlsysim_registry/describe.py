"""What the docstrings of the records say about each field: for templates and schemas."""

from __future__ import annotations

import re
from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

import attrs

from mlsysim.errors import UnknownNameError
from mlsysim.names import did_you_mean
from mlsysim.provenance import Source
from mlsysim.records import KINDS, singular

__all__ = ["descriptions", "fields_of", "kind_of", "parts"]


@lru_cache(maxsize=64)
def descriptions(cls: type) -> dict[str, str]:
    """Read the Parameters section of a numpydoc docstring.

    Parameters
    ----------
    cls : type
        A record class.

    Returns
    -------
    dict of str to str
        Field to its description on one line.
    """
    import inspect

    text = inspect.getdoc(cls) or ""
    section = text.partition("Parameters\n----------\n")[2]
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if re.match(r"\S", line):
            if " : " not in line:
                break
            names = [name.strip() for name in line.split(" : ")[0].split(",")]
        else:
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return {name: sentence.replace("``", "'") for name, sentence in found.items()}


def fields_of(cls: type) -> dict[str, attrs.Attribute[Any]]:
    """Return the fields of a record with their types resolved.

    Parameters
    ----------
    cls : type
        A record class.

    Returns
    -------
    dict of str to attrs.Attribute
    """
    return attrs.fields_dict(attrs.resolve_types(cls))


def kind_of(name: str) -> tuple[str, type]:
    """Find a kind by its plural or singular; documents are a kind too.

    Parameters
    ----------
    name : str
        ``device``, ``devices``, ``source`` ...

    Returns
    -------
    kind : str
        Plural kind, or ``sources``.
    record : type
        Its record class.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    known = {**KINDS, "sources": Source}
    for kind, cls in known.items():
        if name.casefold() in (kind, singular(kind)):
            return kind, cls
    raise UnknownNameError(f"there is no kind {name!r}", remedy=did_you_mean(name, [singular(k) for k in known]))


def parts(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Take an annotation apart, leaving out ``None``.

    Parameters
    ----------
    annotation : object
        A resolved annotation.

    Returns
    -------
    origin : object
        Union, dict, tuple, Literal ... or the annotation itself.
    arguments : tuple
        Its arguments.
    """
    if get_origin(annotation) in (Union, UnionType):
        rest = tuple(a for a in get_args(annotation) if a is not type(None))
        return parts(rest[0]) if len(rest) == 1 else (Union, rest)
    return get_origin(annotation) or annotation, get_args(annotation)
