"""From TOML, JSON and YAML to records, strictly, with every fault of a file at once.

Two kinds of number exist. A *fact* (registry files) must be a claim with its source; a
*setting* (scenarios) is the user's own choice and needs only its unit. The records say
which is which (:mod:`mlsysim.records.fields`). Claims are read here and travel beside the
record, which itself holds plain SI floats.

What fits is read straight into its record. What does not fit goes to the converter of
:mod:`~.converting`, which alone says why; most runs need neither it nor its import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from ..documents import Document
from ..errors import ConfigError, Fault, MlsysimError, RegistryError
from ..names import did_you_mean
from ..provenance import Claim, Source, preferred_first
from ..units import parse_quantity
from .plans import Field, plan_of

__all__ = ["read_facts", "read_plain", "read_settings"]

_T = TypeVar("_T")
MOST = 1e30
"""Beyond it, in SI, products of numbers leave what a float can hold."""
_DOCUMENT_KEYS = ("source", "at")
_CLAIM_KINDS = ("stated", "measured", "derived", "estimate")
_CLAIM_NUMBERS = frozenset({"value", "low", "high"})
_CLAIM_KEYS = _CLAIM_NUMBERS | {"source", "at", "means", "kind", "derived", "estimate", "note"}


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
    direct : bool
        Whether to make records on the way; False leaves plain data for the converter.

    Attributes
    ----------
    misfit : bool
        Whether a value stood in the way of making a record; what was read is then of no use.
    """

    def __init__(self, document: Document, *, sourced: bool, sources: Mapping[str, Source], direct: bool) -> None:
        self.document = document
        self.sourced = sourced
        self.sources = sources
        self.direct = direct
        self.misfit = False
        self.faults: list[Fault] = []
        self.claims: dict[str, tuple[Claim, ...]] = {}

    def fault(self, what: str, path: str, remedy: str = "") -> None:
        self.faults.append(Fault(what, where=self.document.place(path), remedy=remedy))

    def table(self, cls: type, raw: Any, path: str, inherited: Mapping[str, str]) -> Any:
        """Return the table with each quantity replaced by its SI value."""
        if not isinstance(raw, dict):
            self.fault(f"expected a table, got {raw!r}", path)
            return raw
        fields, required = plan_of(cls)
        if "source" in raw or "at" in raw:
            inherited = {**inherited, **{k: raw[k] for k in _DOCUMENT_KEYS if isinstance(raw.get(k), str)}}
        result: dict[str, Any] = {}
        for key, value in raw.items():
            field = fields.get(key)
            if field is None:
                if not (self.sourced and key in _DOCUMENT_KEYS):
                    self.fault(f"there is no field {key!r} here", _join(path, key), did_you_mean(key, fields))
            elif type(value) is field.exact:
                result[key] = value
            elif field.unit is not None:
                result[key] = self.quantity(field, field.unit, value, f"{path}.{key}" if path else key, inherited)
            else:
                result[key] = self.value(field, raw, value, f"{path}.{key}" if path else key, inherited)
        if not required <= raw.keys():
            self.missing(fields, raw, path)
        return self.record(cls, result) if self.direct else result

    def missing(self, fields: Mapping[str, Field], raw: Mapping[str, Any], path: str) -> None:
        for name, field in fields.items():
            if field.required and name not in raw:
                self.fault(f"the field {name!r} is missing", _join(path, name), _wanted(field.unit))

    def record(self, cls: type, fields: dict[str, Any]) -> Any:
        if not (self.faults or self.misfit):
            try:
                return cls(**fields)
            except Exception:  # noqa: BLE001 - whatever a record refuses, the converter explains
                self.misfit = True
        return fields

    def chosen(self, field: Field, parent: dict[str, Any], raw: Any, path: str) -> Any:
        """Read a table whose record another key of its parent chooses."""
        by, choices = field.by, field.choices
        name = parent.get(by)
        if not isinstance(name, str) or name not in choices:
            self.fault(f"{by} = {name!r} is not one of the choices", by, "Choose " + ", ".join(choices))
            return raw
        table = self.table(choices[name], raw, path, {})
        if self.direct:
            return table
        defaults = {a.name: _plain_default(a) for a in attrs.fields(choices[name]) if a.default is not attrs.NOTHING}
        return {**defaults, **table} if isinstance(table, dict) else table

    def value(self, field: Field, parent: dict[str, Any], raw: Any, path: str, inherited: Mapping[str, str]) -> Any:
        if field.by:
            return self.chosen(field, parent, raw, path)
        # A text is iterable too: aliases = "h100" must not become five aliases of one letter.
        wanted, inner = field.raw, field.record
        if wanted is not None and not isinstance(raw, wanted):
            self.fault(f"expected {'a table' if wanted is dict else 'a list'}, got {raw!r}", path)
            return raw
        if inner is None:
            return self.plain(field, raw) if self.direct else raw
        if field.container is dict and isinstance(raw, dict):
            return {k: self.table(inner, v, f"{path}.{k}", inherited) for k, v in raw.items()}
        if field.container is tuple and isinstance(raw, list):
            return tuple([self.table(inner, v, f"{path}.{i}", inherited) for i, v in enumerate(raw)])
        return self.table(inner, raw, path, inherited)

    def plain(self, field: Field, raw: Any) -> Any:
        try:
            return field.read(raw)
        except Exception:  # noqa: BLE001 - the converter says what is wrong
            self.misfit = True
            return raw

    def quantity(self, field: Field, unit: str, raw: Any, path: str, inherited: Mapping[str, str]) -> Any:
        try:
            if field.fact and self.sourced:
                claims = self.read_claims(raw, unit, path, inherited)
                self.claims[path] = claims
                value = claims[0].value
            else:
                value = parse_quantity(raw, unit)
        except MlsysimError as error:
            for fault in error.faults:
                self.fault(fault.what, path, fault.remedy)
            return 1.0
        if not field.minimum < value <= MOST:
            self.check_bound(field, value, path, raw)
        if field.whole:
            if value != int(value):
                self.fault(f"{raw!r} is not a whole number", path, f"Give {int(value)} or {int(value) + 1}")
            return int(value)
        return value

    def check_bound(self, field: Field, value: float, path: str, raw: Any) -> None:
        low = field.minimum
        if value < low or (value == low and not field.zero):
            relation = "at least" if field.zero else "more than"
            shown = raw if isinstance(raw, str) else f"{value:g}"  # "-5 h" as it was written, not -18000
            self.fault(f"{shown} is out of range", path, f"It must be {relation} {low:g}")
        elif value > MOST:
            self.fault(f"{value:g} is out of range", path, f"It must be at most {MOST:g}")

    def read_claims(self, raw: Any, unit: str, path: str, inherited: Mapping[str, str]) -> tuple[Claim, ...]:
        if not isinstance(raw, list):
            return (_read_claim(raw, unit, path, inherited),)
        if not raw:
            raise RegistryError("the list of claims is empty", remedy="Add a claim, or remove the field")
        return preferred_first([_read_claim(item, unit, path, inherited) for item in raw], self.sources)


def _read_claim(raw: Any, unit: str, path: str, inherited: Mapping[str, str]) -> Claim:
    if not isinstance(raw, dict):
        return _lent_claim(raw, unit, path, inherited)
    if not _CLAIM_KEYS.issuperset(raw):
        key = next(key for key in raw if key not in _CLAIM_KEYS)
        raise RegistryError(f"a claim has no key {key!r}", remedy=did_you_mean(key, _CLAIM_KEYS))
    if "value" not in raw:
        raise RegistryError("the claim has no value", remedy='Write value = "..." exactly as printed')
    kind: Any = "estimate" if "estimate" in raw else "derived" if "derived" in raw else raw.get("kind", "stated")
    if kind not in _CLAIM_KINDS:
        raise RegistryError(f"no claim is of kind {kind!r}", remedy="Use stated or measured")
    for key, item in raw.items():
        if not isinstance(item, str) and key not in _CLAIM_NUMBERS:
            raise RegistryError(f"{key} = {item!r} is not text", remedy="Put it in quotes")
    value: Any = raw["value"]
    get: Any = raw.get
    if "source" in raw:
        source, at = raw["source"], get("at", "")
    else:
        source, at = "" if kind == "estimate" else inherited.get("source", ""), get("at", inherited.get("at", ""))
    # By position: this runs once for each number of the registry, and names cost a fifth more.
    return Claim(
        path,
        str(value),
        parse_quantity(get("means", value), unit),
        unit,
        kind,
        source,
        at,
        get("estimate", get("derived", "")),
        parse_quantity(raw["low"], unit) if "low" in raw else None,
        parse_quantity(raw["high"], unit) if "high" in raw else None,
        get("means", ""),
        get("note", ""),
    )


def _lent_claim(raw: Any, unit: str, path: str, inherited: Mapping[str, str]) -> Claim:
    """Read a plain number, which takes the document of its table."""
    if "source" in inherited and "at" in inherited and isinstance(raw, (int, float)):
        value = parse_quantity(raw, unit)
        at = f"{inherited['at']}: {path[path.rfind('.') + 1 :]}"
        return Claim(path, str(raw), value, unit, "stated", inherited["source"], at)
    raise RegistryError(
        f"{raw!r} has no source",
        remedy='A number ships with its source: write { value = "...", source = "<id in data/sources>", '
        'at = "page, table" }',
    )


def _plain_default(field: attrs.Attribute[Any]) -> Any:
    """Return a field's default as it would stand in a file; records inside a record are made by a factory."""
    from .converting import converter

    default: Any = field.default
    return converter.unstructure(default.factory()) if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _wanted(unit: str | None) -> str:
    if unit in ("token", "sample"):
        return f"Give a number of {unit}s"
    return f"Give it in {unit}" if unit and unit != "1" else "Add it"


def _explain(error: BaseException, document: Document, path: str = "") -> list[Fault]:
    """Turn cattrs' nested errors into faults."""
    from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

    if isinstance(error, (ClassValidationError, IterableValidationError)):
        found: list[Fault] = []
        groups, rest = error.group_exceptions()
        for inner, note in groups:
            step = note.name if hasattr(note, "name") else note.index
            found += _explain(inner, document, _join(path, str(step)))
        for inner in rest:
            found += _explain(inner, document, path)
        return found
    if isinstance(error, ForbiddenExtraKeysError):
        known = [a.name for a in attrs.fields(error.cl)]
        return [
            Fault(
                f"there is no field {key!r} here",
                where=document.place(_join(path, key)),
                remedy=did_you_mean(key, known),
            )
            for key in error.extra_fields
        ]
    if isinstance(error, MlsysimError):
        return [fault.at(document.place(path)) for fault in error.faults]
    if isinstance(error, KeyError):
        return [Fault("it is missing", where=document.place(path))]
    return [Fault(str(error), where=document.place(path))]


def _structure(
    cls: type[_T], document: Document, error: type[MlsysimError], sources: Mapping[str, Source] | None
) -> tuple[_T, dict[str, tuple[Claim, ...]]]:
    known = {} if sources is None else sources
    reader = _Reader(document, sourced=sources is not None, sources=known, direct=True)
    record = reader.table(cls, document.data, "", {})
    if reader.faults:
        raise error.from_faults(reader.faults)
    if not reader.misfit:
        return record, reader.claims
    reader = _Reader(document, sourced=sources is not None, sources=known, direct=False)
    plain = reader.table(cls, document.data, "", {})
    try:
        return _converted(plain, cls), reader.claims
    except Exception as problem:  # noqa: BLE001 - cattrs raises many kinds; each becomes a fault
        raise error.from_faults(_explain(problem, document)) from None


def _converted(plain: Any, cls: type[_T]) -> _T:
    from .converting import converter

    return converter.structure(plain, cls)


def read_plain(cls: type[_T], data: Any) -> _T:
    """Read plain data in SI back into their record.

    Parameters
    ----------
    cls : type
        A record class.
    data : dict of str to object
        One value for each field; anything else is refused.

    Returns
    -------
    object
        Instance of ``cls``.

    Raises
    ------
    ConfigError
        With everything that does not fit.
    """
    kind: Any = cls
    try:
        fields = plan_of(kind).fields
        return cls(**{name: fields[name].read(value) for name, value in data.items()})
    except Exception:  # noqa: BLE001 - what does not fit, or holds records, is the converter's
        try:
            return _converted(data, cls)
        except Exception as problem:  # noqa: BLE001 - cattrs raises many kinds; each becomes a fault
            raise ConfigError.from_faults(_explain(problem, Document("", {}))) from None


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
