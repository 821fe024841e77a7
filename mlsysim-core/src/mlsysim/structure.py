"""From TOML, JSON and YAML to records, strictly, with every fault of a file at once.

Two kinds of number exist. A *fact* (registry files) must be a claim with its source; a
*setting* (scenarios) is the user's own choice and needs only its unit. The records say
which is which (:mod:`mlsysim.records.fields`). Claims are read here and travel beside the
record, which itself holds plain SI floats.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import attrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from .converting import converter
from .documents import Document
from .errors import ConfigError, Fault, MlsysimError, RegistryError
from .names import did_you_mean
from .provenance import Claim, Source, preferred_first
from .units import parse_quantity

__all__ = ["read_facts", "read_settings"]

_T = TypeVar("_T")
_MOST = 1e30
"""Beyond it, in SI, products of numbers leave what a float can hold."""
_CLAIM_KEYS = {"value", "source", "at", "means", "kind", "derived", "estimate", "low", "high", "note"}


class _Reader:
    """Walks one raw table along its record class, turning quantities into SI floats.

    Parameters
    ----------
    document : Document
        The file, for locations.
    sourced : bool
        Whether facts must be claims; False reads a scenario.
    sources : mapping of str to Source
        Known documents, to order several claims on one field.
    """

    def __init__(self, document: Document, *, sourced: bool, sources: Mapping[str, Source]) -> None:
        self.document = document
        self.sourced = sourced
        self.sources = sources
        self.faults: list[Fault] = []
        self.claims: dict[str, tuple[Claim, ...]] = {}

    def fault(self, what: str, path: str, remedy: str = "") -> None:
        self.faults.append(Fault(what, where=self.document.place(path), remedy=remedy))

    def table(self, cls: type, raw: Any, path: str, inherited: Mapping[str, str]) -> Any:
        """Return the table with each quantity replaced by its SI value."""
        if not isinstance(raw, dict):
            self.fault(f"expected a table, got {raw!r}", path)
            return raw
        fields = _fields_of(cls)
        own = {key: raw[key] for key in ("source", "at") if key in raw and key not in fields}
        if not self.sourced:
            own = {}
        if "source" in raw or "at" in raw:
            inherited = {**inherited, **{k: raw[k] for k in ("source", "at") if isinstance(raw.get(k), str)}}
        result: dict[str, Any] = {}
        for key, value in raw.items():
            if key in own:
                continue
            place = f"{path}.{key}" if path else key
            if key not in fields:
                self.fault(f"there is no field {key!r} here", place, did_you_mean(key, fields))
                continue
            result[key] = self.value(fields[key], raw, value, place, inherited)
        for name, field in fields.items():
            if field.required and name not in raw:
                place = f"{path}.{name}" if path else name
                self.fault(f"the field {name!r} is missing", place, _wanted(field.unit))
        return result

    def chosen(self, field: _Field, parent: dict[str, Any], raw: Any, path: str) -> Any:
        """Read a table whose record another key of its parent chooses."""
        by, choices = field.by, field.choices
        name = parent.get(by)
        if not isinstance(name, str) or name not in choices:
            self.fault(f"{by} = {name!r} is not one of the choices", by, "Choose " + ", ".join(choices))
            return raw
        table = self.table(choices[name], raw, path, {})
        defaults = {a.name: _plain_default(a) for a in attrs.fields(choices[name]) if a.default is not attrs.NOTHING}
        return {**defaults, **table} if isinstance(table, dict) else table

    def value(self, field: _Field, parent: dict[str, Any], raw: Any, path: str, inherited: Mapping[str, str]) -> Any:
        if field.unit is not None:
            return self.quantity(field, field.unit, raw, path, inherited)
        if field.by:
            return self.chosen(field, parent, raw, path)
        # A text is iterable too: aliases = "h100" must not become five aliases of one letter.
        wanted, inner = field.raw, field.record
        if wanted is not None and not isinstance(raw, wanted):
            self.fault(f"expected {'a table' if wanted is dict else 'a list'}, got {raw!r}", path)
            return raw
        if inner is None:
            return raw
        if field.container is dict and isinstance(raw, dict):
            return {k: self.table(inner, v, f"{path}.{k}", inherited) for k, v in raw.items()}
        if field.container is tuple and isinstance(raw, list):
            return [self.table(inner, v, f"{path}.{i}", inherited) for i, v in enumerate(raw)]
        return self.table(inner, raw, path, inherited)

    def quantity(self, field: _Field, unit: str, raw: Any, path: str, inherited: Mapping[str, str]) -> Any:
        try:
            if not (self.sourced and field.fact):
                value = parse_quantity(raw, unit)
            else:
                claims = self.read_claims(raw, unit, path, inherited)
                if not claims:
                    raise RegistryError("the list of claims is empty", remedy="Add a claim, or remove the field")
                self.claims[path] = claims
                value = claims[0].value
        except MlsysimError as error:
            for fault in error.faults:
                self.fault(fault.what, path, fault.remedy)
            return 1.0
        if not field.minimum < value <= _MOST:
            self.check_bound(field, value, path, raw)
        if field.whole:
            if value != int(value):
                self.fault(f"{raw!r} is not a whole number", path)
            return int(value)
        return value

    def check_bound(self, field: _Field, value: float, path: str, raw: Any) -> None:
        low = field.minimum
        if value < low or (value == low and not field.zero):
            relation = "at least" if field.zero else "more than"
            shown = raw if isinstance(raw, str) else f"{value:g}"  # "-5 h" as it was written, not -18000
            self.fault(f"{shown} is out of range", path, f"It must be {relation} {low:g}")
        elif value > _MOST:
            self.fault(f"{value:g} is out of range", path, f"It must be at most {_MOST:g}")

    def read_claims(self, raw: Any, unit: str, path: str, inherited: Mapping[str, str]) -> tuple[Claim, ...]:
        items = raw if isinstance(raw, list) else [raw]
        claims = [self.read_claim(item, unit, path, inherited) for item in items]
        return preferred_first(claims, self.sources) if len(claims) > 1 else tuple(claims)

    def read_claim(self, given: Any, unit: str, path: str, inherited: Mapping[str, str]) -> Claim:
        raw: Any = given
        if not isinstance(given, dict):
            if "source" in inherited and "at" in inherited and isinstance(raw, (int, float)):
                name = path.rsplit(".", 1)[-1]
                value = parse_quantity(raw, unit)
                return Claim(path, str(raw), value, unit, source=inherited["source"], at=f"{inherited['at']}: {name}")
            raise RegistryError(
                f"{raw!r} has no source",
                remedy='A number ships with its source: write { value = "...", source = "<id in data/sources>", '
                'at = "page, table" }',
            )
        if not raw.keys() <= _CLAIM_KEYS:
            key = next(key for key in raw if key not in _CLAIM_KEYS)
            raise RegistryError(f"a claim has no key {key!r}", remedy=did_you_mean(key, _CLAIM_KEYS))
        if "value" not in raw:
            raise RegistryError("the claim has no value", remedy='Write value = "..." exactly as printed')
        kind: Any = "estimate" if "estimate" in raw else "derived" if "derived" in raw else raw.get("kind", "stated")
        if kind not in ("stated", "measured", "derived", "estimate"):
            raise RegistryError(f"no claim is of kind {kind!r}", remedy="Use stated or measured")
        for key, item in raw.items():
            if not isinstance(item, str) and key not in ("value", "low", "high"):
                raise RegistryError(f"{key} = {item!r} is not text", remedy="Put it in quotes")
        return Claim(
            field=path,
            as_stated=str(raw["value"]),
            value=parse_quantity(raw.get("means", raw["value"]), unit),
            unit=unit,
            kind=kind,
            source=raw.get("source", "" if kind == "estimate" else inherited.get("source", "")),
            at=raw.get("at", inherited.get("at", "") if "source" not in raw else ""),
            reason=raw.get("estimate", raw.get("derived", "")),
            low=parse_quantity(raw["low"], unit) if "low" in raw else None,
            high=parse_quantity(raw["high"], unit) if "high" in raw else None,
            means=str(raw.get("means", "")),
            note=raw.get("note", ""),
        )


def _plain_default(field: attrs.Attribute[Any]) -> Any:
    """Return a field's default as it would stand in a file; records inside a record are made by a factory."""
    default: Any = field.default
    return converter.unstructure(default.factory()) if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


class _Field(NamedTuple):
    """What reading one field of a record needs to know, worked out once for each class."""

    required: bool
    unit: str | None  # None for what is no quantity
    fact: bool
    whole: bool
    minimum: float
    zero: bool
    by: str  # the key beside it that chooses its record, one of the choices
    choices: Mapping[str, type]
    raw: Any  # what raw data must be for a list or a dictionary
    record: type | None
    container: type | None


@lru_cache(maxsize=256)
def _fields_of(cls: type) -> dict[str, _Field]:
    return {field.name: _field(field) for field in attrs.fields(attrs.resolve_types(cls))}


def _field(field: attrs.Attribute[Any]) -> _Field:
    annotation: Any = field.type
    known = field.metadata
    record, container = _record_inside(annotation)
    return _Field(
        required=field.default is attrs.NOTHING,
        unit=known.get("unit"),
        fact=known.get("fact", False),
        whole=annotation is int or int in typing.get_args(annotation),
        minimum=known.get("minimum", 0.0),
        zero=known.get("zero", False),
        by=known.get("by", ""),
        choices=known.get("choices", {}),
        raw={tuple: (list, tuple), dict: dict}.get(typing.get_origin(annotation)),
        record=record,
        container=container,
    )


def _record_inside(annotation: Any) -> tuple[type | None, type | None]:
    """Find the record class in ``X``, ``X | None``, ``dict[str, X]`` or ``tuple[X, ...]``."""
    if attrs.has(annotation):
        return annotation, None
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        records = [a for a in arguments if attrs.has(a)]
        return (records[0], None) if len(records) == 1 else (None, None)
    if origin in (dict, tuple):
        for argument in arguments:
            if attrs.has(argument):
                return argument, origin
    return None, None


def _wanted(unit: str | None) -> str:
    return f"Give it in {unit}" if unit and unit != "1" else "Add it"


def _explain(error: BaseException, document: Document, path: str = "") -> list[Fault]:
    """Turn cattrs' nested errors into faults."""
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        found: list[Fault] = []
        groups, rest = error.group_exceptions()
        for inner, note in groups:
            step = note.name if hasattr(note, "name") else note.index
            found += _explain(inner, document, f"{path}.{step}" if path else str(step))
        for inner in rest:
            found += _explain(inner, document, path)
        return found
    if isinstance(error, ForbiddenExtraKeysError):
        known = [a.name for a in attrs.fields(error.cl)]
        return [
            Fault(
                f"there is no field {key!r} here",
                where=document.place(f"{path}.{key}" if path else key),
                remedy=did_you_mean(key, known),
            )
            for key in error.extra_fields
        ]
    if isinstance(error, MlsysimError):
        return [Fault(f.what, where=document.place(path), remedy=f.remedy) for f in error.faults]
    return [Fault(str(error), where=document.place(path))]


def _structure(
    cls: type[_T], document: Document, error: type[MlsysimError], sources: Mapping[str, Source] | None
) -> tuple[_T, dict[str, tuple[Claim, ...]]]:
    reader = _Reader(document, sourced=sources is not None, sources={} if sources is None else sources)
    plain = reader.table(cls, document.data, "", {})
    if reader.faults:
        raise error.from_faults(reader.faults)
    try:
        return converter.structure(plain, cls), reader.claims
    except Exception as problem:  # noqa: BLE001 - cattrs raises many kinds; each becomes a fault
        raise error.from_faults(_explain(problem, document)) from None


def read_facts(
    cls: type[_T], document: Document, sources: Mapping[str, Source] | None = None
) -> tuple[_T, dict[str, tuple[Claim, ...]]]:
    """Read a registry file into its record and the claims on its numbers.

    Parameters
    ----------
    cls : type
        A record class.
    document : Document
        The parsed file.
    sources : mapping of str to Source
        Known documents; they decide which of several claims on a field the record holds.

    Returns
    -------
    record : object
        Instance of ``cls`` with SI floats: the preferred claim of each field.
    claims : dict of str to tuple of Claim
        By field path.

    Raises
    ------
    RegistryError
        With every fault of the file: place, what is wrong, what to do.
    """
    return _structure(cls, document, RegistryError, {} if sources is None else sources)


def read_settings(cls: type[_T], document: Document) -> _T:
    """Read a user's file into its record; numbers need units, not sources.

    Parameters
    ----------
    cls : type
        A record class.
    document : Document
        The parsed file.

    Returns
    -------
    object
        Instance of ``cls``.

    Raises
    ------
    ConfigError
        With every fault of the file.
    """
    return _structure(cls, document, ConfigError, None)[0]
