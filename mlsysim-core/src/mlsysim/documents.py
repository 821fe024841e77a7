"""Text files as data: parse TOML, JSON or YAML, and find the line of a key when something is wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from .errors import ConfigError, MlsysimError

if TYPE_CHECKING:
    from importlib.abc import Traversable

__all__ = ["Document", "find_line", "load_document", "parse_text", "read_file"]

SUFFIXES = (".toml", ".json", ".yaml", ".yml")
MAX_BYTES = 4_000_000
MAX_VALUES = 200_000
_CHUNK = 1 << 16


@attrs.frozen
class Document:
    """A parsed file that remembers its text.

    Parameters
    ----------
    name : str
        What messages call it: usually its path.
    data : dict
        The parsed content.
    text : str
        The text it was parsed from; empty for data made in Python.
    """

    name: str
    data: dict[str, Any]
    text: str = ""

    def place(self, path: str) -> str:
        """Say where a key stands.

        Parameters
        ----------
        path : str
            Dotted path of the key.

        Returns
        -------
        str
            ``file:line: key`` when the line can be found.
        """
        line = find_line(self.text, path) if self.text else 0
        head = f"{self.name}:{line}" if line else self.name
        return f"{head}: {path}" if head and path else head or path


def find_line(text: str, path: str) -> int:
    """Find the line of a key, or of the nearest table around it.

    Parameters
    ----------
    text : str
        TOML, JSON or YAML text.
    path : str
        Dotted path; numbers are positions in a list.

    Returns
    -------
    int
        From 1; 0 when nothing was found.
    """
    keys = [part for part in path.split(".") if part]
    for depth in range(len(keys), 0, -1):
        found = _toml_line(text, keys[:depth]) or _nested_line(text, keys[:depth])
        if found:
            return found
    return 0


def _toml_line(text: str, keys: list[str]) -> int:
    """Find ``keys`` in TOML: under a ``[table]``, or as a table header itself."""
    header: list[str] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        table = re.match(r"\s*(\[\[?)\s*([^\]=]+?)\s*\]\]?\s*(?:#.*)?$", line)
        if table:
            header = [part.strip().strip("\"'") for part in table[2].split(".")]
            if table[1] == "[[":
                counts[table[2]] = counts.get(table[2], -1) + 1
                header.append(str(counts[table[2]]))
            if header == keys:
                return number
        else:
            key = re.match(r"""\s*["']?([A-Za-z0-9_.\-]+?)["']?\s*=""", line)
            if key and [*header, *key[1].split(".")] == keys:
                return number
    return 0


def _nested_line(text: str, keys: list[str]) -> int:
    """Find ``keys`` one after the other in JSON or YAML."""
    wanted = [key for key in keys if not key.isdigit()]
    reached, found = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        for match in re.finditer(r"""["']?([A-Za-z0-9_.\-]+)["']?\s*:""", line):
            if reached < len(wanted) and match[1] == wanted[reached]:
                reached, found = reached + 1, number
    return found if reached == len(wanted) else 0


def parse_text(text: str, suffix: str, name: str) -> dict[str, Any]:
    """Parse TOML, JSON or YAML.

    Parameters
    ----------
    text : str
        The content.
    suffix : str
        ``.toml``, ``.json``, ``.yaml`` or ``.yml``.
    name : str
        Name for messages.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        When the text does not parse, or is no table; the place is file:line.
    """
    try:
        data = _PARSERS[suffix](text)
    except RecursionError:
        raise ConfigError("the file is nested too deeply", where=name) from None
    except Exception as error:  # noqa: BLE001 - whatever a parser raises on hostile text is the text's fault
        line = getattr(error, "lineno", 0) or getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        what = str(getattr(error, "problem", None) or getattr(error, "msg", None) or error)
        where = f"{name}:{line}" if line else name
        repairs = (said for mark, said in _REPAIRS if mark in what)
        remedy = next(repairs, "") if suffix == ".toml" else "Mend it there, or just before"
        raise ConfigError(f"not valid {suffix[1:].upper()}: {what}", where=where, remedy=remedy) from None
    if not isinstance(data, dict):
        raise ConfigError("the file holds no table at its top", where=name, remedy="Write key = value pairs")
    return data


def _parse_toml(text: str) -> Any:
    import rtoml

    try:
        return rtoml.loads(text)
    except rtoml.TomlParsingError:
        # Six times slower, but it says on which line a fault is.
        import tomli

        return tomli.loads(text)


def _parse_json(text: str) -> Any:
    import json

    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice in one table, of which JSON would keep the last without a word."""
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return table


def _parse_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader, which would keep the last of two equal keys without a word."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                    what = f"the key {key.value!r} stands twice"
                    raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
                seen.add((key.tag, getattr(key, "value", None) if isinstance(key, yaml.ScalarNode) else id(key)))
            return super().construct_mapping(node, deep)

    data = yaml.load(text, Loader)  # noqa: S506 - it is a safe loader
    pending, seen = [data], 0
    while pending:
        value = pending.pop()
        seen += 1
        if seen > MAX_VALUES:
            raise ValueError(f"its aliases write out to more than {MAX_VALUES:,} values")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise ValueError(f"the key {key!r} is not text; put it in quotes")  # noqa: TRY004 - told as a fault of the file
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return data


_UNREADABLE = (
    (FileNotFoundError, "Check the path and the present folder"),
    (IsADirectoryError, "Name a file in it"),
    (PermissionError, "Let yourself read it, or name another file"),
)
_REPAIRS = (
    ("Illegal character '\\n'", "Close the quote: a text ends on its line"),
    ("Cannot overwrite", "A key stands once in a table"),
    ("Cannot declare", "A table stands once in a file"),
    ("Invalid value", 'Texts stand in quotes, and so do numbers with units: "80 GB"'),
)
"""What the parser of TOML says, and what to do about it."""

_PARSERS = {".toml": _parse_toml, ".json": _parse_json, ".yaml": _parse_yaml, ".yml": _parse_yaml}


def read_file(path: str) -> bytes:
    """Read a file whole, at a third of what the buffers of ``open`` cost a small one.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    bytes

    Raises
    ------
    OSError
        When it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        parts: list[bytes] = []
        while part := os.read(descriptor, _CHUNK):
            parts.append(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def load_document(path: str | Path | Traversable, *, error: type[MlsysimError] = ConfigError) -> Document:
    """Read and parse a file.

    Parameters
    ----------
    path : str, Path or Traversable
        A ``.toml``, ``.json``, ``.yaml`` or ``.yml`` file.
    error : type
        Error class to raise.

    Returns
    -------
    Document

    Raises
    ------
    MlsysimError
        When the file is missing, unreadable, too large, no text, or does not parse.
    """
    name = str(path)
    file = os.path.basename(path.rstrip("/")) if isinstance(path, str) else path.name  # noqa: PTH119 - in a tenth of the time
    stem, dot, ending = file.rpartition(".")
    suffix = (dot + ending).lower() if stem else ""
    if suffix not in SUFFIXES:
        raise error(f"{suffix or 'no suffix'} is not a format I read", where=name, remedy="Use .toml, .json or .yaml")
    try:
        raw = read_file(name) if isinstance(path, (str, Path)) else path.read_bytes()
    except OSError as problem:
        remedy = next((said for kind, said in _UNREADABLE if isinstance(problem, kind)), "")
        raise error(f"cannot be read: {problem.strerror or problem}", where=name, remedy=remedy) from None
    if len(raw) > MAX_BYTES:
        raise error(f"the file has {len(raw):,} bytes", where=name, remedy=f"The limit is {MAX_BYTES:,}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"not UTF-8 text (byte {problem.start})", where=name, remedy="Save it as UTF-8") from None
    try:
        return Document(name, parse_text(text, suffix, name), text)
    except ConfigError as problem:
        raise error.from_faults(problem.faults) from None
