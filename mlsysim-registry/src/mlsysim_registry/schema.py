"""JSON Schema of the data files, generated from the record classes."""

from __future__ import annotations

from typing import Any, Literal, Union

import attrs

from mlsysim.provenance import Source
from mlsysim.records import KINDS, Layer

from .describe import descriptions, fields_of, kind_of, parts

__all__ = ["all_schemas", "schema_of"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string"}
_NUMBER = {"type": ["string", "number"]}

_CLAIM: dict[str, Any] = {
    "type": "object",
    "description": "One number as one document prints it, or an estimate with its reason and range.",
    "properties": {
        "value": {**_NUMBER, "description": "Exactly as printed, with its unit"},
        "means": {**_NUMBER, "description": "What a loosely printed value means"},
        "source": {**_TEXT, "description": "Name of a file in sources/, without .toml"},
        "at": {**_TEXT, "description": "Place in the document: page, table, column"},
        "kind": {"enum": ["stated", "measured"]},
        "derived": {**_TEXT, "description": "How it was computed from other printed numbers"},
        "estimate": {**_TEXT, "description": "Why this figure, when no document was read"},
        "low": _NUMBER,
        "high": _NUMBER,
        "note": {**_TEXT, "description": "Remark for the reader"},
    },
    "required": ["value"],
    "dependentRequired": {"estimate": ["low", "high"]},
    "additionalProperties": False,
}


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the files of a kind.

    Parameters
    ----------
    name : str
        Kind, plural or singular; ``source`` for documents.

    Returns
    -------
    dict

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    kind, cls = kind_of(name)
    body = _table(cls)
    if cls is Source:
        del body["properties"]["id"]
        body["required"].remove("id")
    defs = {"claim": _CLAIM, **({"Layer": _table(Layer)} if kind == "models" else {})}
    return {"$schema": _DIALECT, "title": f"mlsysim {kind}", **body, "$defs": defs}


def all_schemas() -> dict[str, Any]:
    """Return the schemas of all kinds.

    Returns
    -------
    dict of str to dict
        By plural kind.
    """
    return {kind: schema_of(kind) for kind in (*KINDS, "sources")}


def _table(cls: type) -> dict[str, Any]:
    """Describe one record; ``source`` and ``at`` may stand in every table and serve the numbers inside."""
    about = descriptions(cls)
    properties: dict[str, Any] = {}
    for name, field in fields_of(cls).items():
        properties[name] = {**_field(field), **({"description": about[name]} if name in about else {})}
    facts = any(field.metadata.get("fact") for field in fields_of(cls).values())
    if facts:
        properties.setdefault("source", {**_TEXT, "description": "Document of the plain numbers in this table"})
        properties.setdefault("at", {**_TEXT, "description": "Place of this table in the document"})
    required = [name for name, field in fields_of(cls).items() if field.default is attrs.NOTHING]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _field(field: attrs.Attribute[Any]) -> dict[str, Any]:
    if "unit" in field.metadata:
        unit = field.metadata["unit"]
        if not field.metadata["fact"]:
            return {**_NUMBER, "$comment": f"unit {unit}"}
        claims = {"type": "array", "items": {"$ref": "#/$defs/claim"}, "minItems": 1}
        return {"anyOf": [{"$ref": "#/$defs/claim"}, claims, {"type": "number"}], "$comment": f"unit {unit}"}
    if "choices" in field.metadata:
        return {"anyOf": [_table(choice) for choice in field.metadata["choices"].values()]}
    return _type(field.type)


def _type(annotation: Any) -> dict[str, Any]:
    origin, arguments = parts(annotation)
    simple: dict[Any, dict[str, Any]] = {
        str: _TEXT, bool: {"type": "boolean"}, int: {"type": "integer"}, float: {"type": "number"}, object: {},
    }  # fmt: skip
    if origin in simple:
        return dict(simple[origin])
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is Union:
        return {"anyOf": [_type(argument) for argument in arguments]}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1])}
    if origin is tuple:
        fixed = Ellipsis not in arguments
        size = {"minItems": len(arguments), "maxItems": len(arguments)} if fixed else {}
        return {"type": "array", "items": _type(arguments[0]), **size}
    # A block of layers holds layers again: its definition is named instead of repeated.
    return {"$ref": "#/$defs/Layer"} if origin is Layer else _table(origin)
