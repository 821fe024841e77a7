"""One canonical form of a data file, with every comment kept.

Tables follow the order of the record, keys the order of its fields, and the keys of a claim one
fixed order. A comment stays with the key or the table that it stands before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import attrs
import tomlkit
from tomlkit.container import Container
from tomlkit.items import AoT, Array, Comment, InlineTable, Item, Key, Null, String, Table, Whitespace

from mlsysim.documents import parse_text
from mlsysim.errors import RegistryError
from mlsysim.provenance import Source
from mlsysim.records import KINDS

from .describe import fields_of, parts

__all__ = ["canonical"]

_CLAIM = ("value", "means", "source", "at", "kind", "derived", "estimate", "low", "high", "note")
_WIDTH = 120
_LAST = 1_000


@attrs.define
class _Section:
    """One table of the file.

    Parameters
    ----------
    path : tuple of (str or int)
        Keys down to it, with positions inside arrays of tables.
    header : str
        As written; empty for the top of the file.
    comments : list of str
        Before the header.
    tail : str
        Comment behind the header.
    keys : list
        Comments before, name, value and comment behind each key.
    """

    path: tuple[str | int, ...]
    header: str
    comments: list[str] = attrs.field(factory=list)
    tail: str = ""
    keys: list[tuple[list[str], str, Item, str]] = attrs.field(factory=list)


def canonical(text: str, kind: str, name: str = "") -> str:
    """Return the canonical form of a file.

    Parameters
    ----------
    text : str
        TOML.
    kind : str
        Plural kind, or ``sources``: it fixes the order.
    name : str
        Name of the file, for messages.

    Returns
    -------
    str
        The same data and the same comments.

    Raises
    ------
    RegistryError
        If the text is no TOML, or uses a form that cannot be rewritten without loss.
    """
    try:
        before = parse_text(text, ".toml", name)
        document = tomlkit.parse(text)
    except Exception as error:  # noqa: BLE001 - two parsers, many errors: all of them mean that this is no TOML
        raise RegistryError.from_faults(_faults(error, name)) from None
    top = _Section((), "")
    sections, rest = [top], list[str]()
    _walk(document.body, top, sections, rest)
    cls: type = Source if kind == "sources" else KINDS[kind]
    ordered = [top, *sorted(sections[1:], key=lambda section: _rank(cls, section.path))]
    new = _write(ordered, rest, cls)
    if parse_text(new, ".toml", name) != before or _comments(new) != _comments(text):
        raise RegistryError("cannot be put in order without loss", where=name,
                            remedy="Use [table] headers and plain keys; put comments on their own lines")  # fmt: skip
    return new


def _faults(error: Exception, name: str) -> Any:
    return getattr(error, "faults", None) or RegistryError(str(error), where=name).faults


def _comments(text: str) -> list[str]:
    """Collect the comments outside of strings, sorted."""
    found: list[str] = []

    def visit(items: Sequence[tuple[Key | None, Item]]) -> None:
        for _, item in items:
            if isinstance(item, (Whitespace, Null)):
                continue
            if item.trivia.comment:
                found.append(item.trivia.comment.strip())
            if isinstance(item, (Table, InlineTable)):
                visit(item.value.body)
            elif isinstance(item, AoT):
                for table in item.body:
                    found.extend([table.trivia.comment.strip()] if table.trivia.comment else [])
                    visit(table.value.body)
            elif isinstance(item, Array):
                found.extend(g.comment.as_string().strip() for g in item._value if g.comment)

    visit(tomlkit.parse(text).body)
    return sorted(found)


# --- reading --------------------------------------------------------------------------------------


def _walk(
    body: Sequence[tuple[Key | None, Item]], section: _Section, sections: list[_Section], pending: list[str]
) -> None:
    """Collect keys and tables in file order; comments wait for whatever comes next."""
    for key, item in body:
        if isinstance(item, Comment):
            pending.append(item.as_string().strip())
        elif key is None or isinstance(item, (Whitespace, Null)):
            if not section.path and not section.keys and len(sections) == 1:
                section.comments += pending  # a heading of the file, set apart by an empty line
                pending.clear()
        elif isinstance(item, AoT):
            for position, table in enumerate(item.body):
                _enter(table, (*section.path, key.key, position), "[[{}]]", sections, pending)
        elif isinstance(item, Table):
            _enter(item, (*section.path, key.key), "[{}]", sections, pending)
        else:
            section.keys.append((list(pending), key.as_string().strip(), item, item.trivia.comment.strip()))
            pending.clear()


def _enter(table: Table, path: tuple[str | int, ...], form: str, sections: list[_Section], pending: list[str]) -> None:
    header = form.format(".".join(tomlkit.key([str(p)]).as_string() for p in path if isinstance(p, str)))
    section = _Section(path, "" if table.is_super_table() else header)
    if not table.is_super_table():
        section.comments, section.tail = [line for line in pending if line], table.trivia.comment.strip()
        pending.clear()
    sections.append(section)
    body: Container = table.value
    _walk(body.body, section, sections, pending)


# --- order ----------------------------------------------------------------------------------------


def _rank(cls: type | None, path: tuple[str | int, ...]) -> tuple[int, ...]:
    """Return the position of a table among the fields of its records."""
    ranks: list[int] = []
    for step in path:
        if isinstance(step, int):
            ranks.append(step)
        elif cls is None:
            ranks.append(0)  # the keys of a dictionary keep their order
        else:
            names = list(fields_of(cls))
            ranks.append(names.index(step) if step in names else _LAST)
            cls = _inside(cls, step)
    return tuple(ranks)


def _inside(cls: type, name: str) -> type | None:
    """Return the record class inside a field, unless a dictionary stands between."""
    field = fields_of(cls).get(name)
    if field is None:
        return None
    origin, arguments = parts(field.type)
    found = arguments[0] if origin is tuple and arguments else origin
    return found if isinstance(found, type) and attrs.has(found) else None


def _record_at(cls: type, path: tuple[str | int, ...]) -> type | None:
    """Return the record class of a table, also below a dictionary."""
    found: type | None = cls
    steps = [step for step in path if isinstance(step, str)]
    while steps and found is not None:
        name = steps.pop(0)
        field = fields_of(found).get(name)
        origin, arguments = parts(field.type) if field is not None else (None, ())
        if origin is dict:
            steps = steps[1:]
            found = arguments[1] if attrs.has(arguments[1]) else None
        else:
            found = _inside(found, name)
    return found


# --- writing --------------------------------------------------------------------------------------


def _write(sections: Sequence[_Section], rest: list[str], cls: type) -> str:
    blocks = []
    for section in sections:
        if not section.header and section.path and not section.keys:
            continue
        lines = [*section.comments, *([""] if section.comments and not section.path else [])]
        if section.header:
            lines.append(_with_tail(section.header, section.tail))
        record = _record_at(cls, section.path)
        order = {name: i for i, name in enumerate(_key_order(record, top=not section.path))}
        for before, name, item, tail in sorted(section.keys, key=lambda entry: order.get(entry[1], _LAST)):
            lines += before
            lines.append(_with_tail(f"{name} = {_value(item)}", tail))
        blocks.append("\n".join(lines).strip("\n"))
    blocks = [block for block in blocks if block]
    left = [line for line in rest if line]
    return "\n\n".join([*blocks, *(["\n".join(left)] if left else [])]) + "\n"


def _key_order(record: type | None, *, top: bool) -> list[str]:
    """Order the keys of a table: its document, names, numbers, then options and lists."""
    fields = fields_of(record) if record else {}
    groups: list[list[str]] = [[] if top else ["source", "at"], [], [], []]
    for name, field in fields.items():
        origin, arguments = parts(field.type)
        needed = field.default is attrs.NOTHING or top or name == "kind"
        text = origin is str or (origin is tuple and arguments[0] is str) or (origin is Literal and not top)
        named = needed and (text or (origin is Literal and field.default is attrs.NOTHING))
        groups[2 if "unit" in field.metadata else 1 if named else 3].append(name)
    return [name for group in groups for name in group]


def _with_tail(line: str, tail: str) -> str:
    return f"{line}  {tail}" if tail else line


def _value(item: Item) -> str:
    """Write one value; what holds comments or several lines of text stays as it is."""
    if isinstance(item, InlineTable):
        return _inline(item)
    if isinstance(item, Array):
        if any(group.comment for group in item._value):
            return item.as_string().strip()
        values = [_nested(_value(value)) for value in item]
        line = f"[{', '.join(values)}]"
        tables = any(isinstance(value, InlineTable) for value in item)
        return "[\n" + "".join(f"    {value},\n" for value in values) + "]" if values and (
            tables or len(line) > _WIDTH) else line  # fmt: skip
    if isinstance(item, String) and "\n" not in item.as_string():
        return _quoted(str(item))
    return item.as_string().strip()


def _nested(text: str) -> str:
    """Indent a value of several lines, such as a block of layers; text and comments keep their lines."""
    kept = any(mark in text for mark in ("#", '"""', "'''"))
    return text if kept else text.replace("\n", "\n    ")


def _inline(table: InlineTable) -> str:
    order = {name: i for i, name in enumerate(_CLAIM)}
    claim = "value" in table
    pairs: Iterator[tuple[str, Item]] = ((key.as_string().strip(), item) for key, item in table.value.body
                                         if key is not None)  # fmt: skip
    listed = sorted(pairs, key=lambda pair: order.get(pair[0], _LAST)) if claim else list(pairs)
    inside = ", ".join(f"{name} = {_value(item)}" for name, item in listed)
    return f"{{ {inside} }}" if inside else "{}"


def _quoted(text: str) -> str:
    """Write text in double quotes; single ones only where they save escapes."""
    if ('"' in text or "\\" in text) and "'" not in text and text.isprintable():
        return f"'{text}'"
    return str(tomlkit.string(text).as_string())
