"""Reading tables of measurements: which of the four shapes it is, and what each row says."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from mlsysim.errors import ConfigError
from mlsysim.names import suggest
from mlsysim.plugins import plugins
from mlsysim.records.measurement import METRICS, Measurement, Metric

from .cells import READ, cleaned, figure_of
from .metrics import read_metric
from .publications import SERVERS, publication_of
from .spellings import counted

__all__ = [
    "SHAPES", "UNREADABLE", "outside_rows", "packaged_rows", "packaged_tables", "read_rows", "read_table", "shape_of",
    "unread_columns",
]  # fmt: skip

UNREADABLE = "(unreadable)"
"""Under which a row's configuration says why it cannot be read."""

_MOST = 1e9
"""More devices than that are a mistake."""

_NO_METRIC = Metric("time", "s")
"""Stands where a row names no known metric; such a row is refused before it is used."""

SHAPES: dict[str, frozenset[str]] = {
    "training": frozenset(
        {"id", "model", "seq_len", "global_batch", "accelerator", "n_accelerators", "metric", "value"}
    ),
    "inference": frozenset({"id", "model", "accelerator", "n_accelerators", "scenario", "metric", "value"}),
    "serving_silicon": frozenset({"id", "backend", "model_path", "system", "isl", "osl", "silicon_ttft_ms"}),
    "kernels": frozenset({"id", "kind", "accelerator", "shape_or_size", "metric", "value"}),
}
"""Columns that give a table away, by its name."""

_CITATION = frozenset({
    "id", "source_title", "source_url", "source_ref", "metric", "value", "evidence", "document", "model",
    "accelerator", "n_accelerators", "framework",
})  # fmt: skip


_OUTSIDE = "measurements/outside"
"""Folder of the tables that no fit reads; of intervals only what unknown publications add comes from them."""


def packaged_tables(folder: str = "measurements") -> dict[str, Path]:
    """Return the tables that the installed data packages offer.

    Parameters
    ----------
    folder : str
        Where they lie in the package.

    Returns
    -------
    dict of str to Path
        Name of the table to its file; a package offers them by a method ``tables(kind)``.
    """
    found: dict[str, Path] = {}
    for source in plugins().sources:
        offer: Callable[[str], Mapping[str, Path]] | None = getattr(source, "tables", None)
        if offer is not None:
            found.update(offer(folder))
    return found


def packaged_rows() -> list[Measurement]:
    """Read all packaged measurements.

    Returns
    -------
    list of Measurement
        Table by table, in the order of :data:`SHAPES`.
    """
    return _rows_of(packaged_tables())


def outside_rows() -> list[Measurement]:
    """Read the packaged measurements on which no constant is fitted.

    Returns
    -------
    list of Measurement
        From sources that no row of :func:`packaged_rows` cites; constants, scatter and spreads come from those alone,
        and from these how far publications stray that were never compared.
    """
    return _rows_of(packaged_tables(_OUTSIDE))


def _rows_of(tables: Mapping[str, Path]) -> list[Measurement]:
    return [row for name in SHAPES if name in tables for row in read_table(tables[name])]


def shape_of(columns: frozenset[str], name: str) -> str:
    """Tell which shape a table has.

    Parameters
    ----------
    columns : frozenset of str
        Its header.
    name : str
        What messages call it.

    Returns
    -------
    str
        A key of :data:`SHAPES`.

    Raises
    ------
    ConfigError
        If it is none of them; the message names the columns that are missing from the nearest.
    """
    for shape, needed in SHAPES.items():
        if needed <= columns:
            return shape
    nearest = min(SHAPES, key=lambda shape: len(SHAPES[shape] - columns))
    missing = sorted(SHAPES[nearest] - columns)
    spare = columns - SHAPES[nearest]
    close = {known: found[0] for known in missing if (found := suggest(known, spare, limit=1))}
    alike = " and ".join(f"{found!r} to {known!r}" for known, found in close.items())
    raise ConfigError(
        f"its header is none of the four tables of measurements; nearest is {nearest}, which also has "
        f"{', '.join(missing)}",
        where=f"{name}:1",
        remedy=f"Rename {alike}" if alike else f"It has {', '.join(sorted(columns)[:12])}; rename or add columns",
    )


def read_rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """Read a table as text.

    Parameters
    ----------
    path : Path
        A CSV file, UTF-8; cells are separated by commas, semicolons or tabs, whichever its first line has most of.

    Returns
    -------
    columns : tuple of str
        The header, in lower case without surrounding blanks.
    rows : list of (int, dict of str to str)
        Line, and cells without surrounding blanks and without line breaks; blank lines are left out. What is wrong
        with a line as such stands under :data:`UNREADABLE`.

    Raises
    ------
    ConfigError
        If the file cannot be read, or is no table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next((line for line in file if line.strip()), "")
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count))
            # A line break inside quotes is a blank like any other.
            rows = ((reader.line_num, [" ".join(cell.split()) for cell in cells]) for cells in reader)
            lines = [(line, cells) for line, cells in rows if any(cells)]
    except OSError as problem:
        raise ConfigError(
            f"cannot be read: {problem.strerror or problem}", where=str(path), remedy="Check the path"
        ) from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise ConfigError(
            f"is not a CSV table in UTF-8: {problem}", where=str(path), remedy="Save it as CSV in UTF-8"
        ) from None
    if not lines:
        raise ConfigError("the table is empty", where=str(path), remedy="Its first line must name the columns")
    columns = tuple(name.casefold() for name in lines[0][1])
    twice = sorted(name for name, times in Counter(columns).items() if name and times > 1)
    if twice:
        raise ConfigError(
            f"the header names {', '.join(twice)} twice", where=f"{path}:{lines[0][0]}", remedy="Rename one of them"
        )
    return columns, [(line, _cells(columns, cells)) for line, cells in lines[1:]]


def _cells(columns: tuple[str, ...], cells: list[str]) -> dict[str, str]:
    row = dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False))
    row.pop("", None)
    if any(cells[len(columns) :]):
        row[UNREADABLE] = "the row has more cells than the header; cells that hold a comma stand in double quotes"
    return row


def read_table(path: Path) -> list[Measurement]:
    """Read a table of measurements.

    Parameters
    ----------
    path : Path
        A CSV file of one of the four shapes; columns beyond those are kept as configuration.

    Returns
    -------
    list of Measurement
        A row of a server gives two: time to first token, and time per output token. Rows whose evidence
        is ``memory`` were never checked and are left out. A row with a figure that is no number, or a metric that
        is not known, says so under :data:`UNREADABLE` in its configuration; its figure is then not a number.

    Raises
    ------
    ConfigError
        If the table cannot be read, has none of the shapes, or no row.
    """
    columns, rows = read_rows(path)
    shape = shape_of(frozenset(columns), str(path))
    found: list[Measurement] = []
    seen: dict[str, int] = {}
    for line, printed in rows:
        row = cleaned(printed)
        if row["id"] and seen.setdefault(row["id"], line) != line:
            row.setdefault(UNREADABLE, f"the id {row['id']!r} stands in line {seen[row['id']]} already")
        if row.get("evidence") != "memory":
            where = f"{path.name}:{line}"
            found += _serving(row, where) if shape == "serving_silicon" else [_figure(row, shape, where)]
    if not found:
        raise ConfigError("the table has no rows", where=str(path), remedy="Add measurements below its header")
    return found


def unread_columns(path: Path) -> list[str]:
    """Name the columns of a table that the packaged tables of its shape do not have: nothing is known to read them.

    Parameters
    ----------
    path : Path
        A file that :func:`read_table` reads.

    Returns
    -------
    list of str
        Each with the columns that it may have been meant for.
    """
    columns, _ = read_rows(path)
    shape = shape_of(frozenset(columns), str(path))
    packaged = packaged_tables().get(shape)
    known = {*SHAPES[shape], *_CITATION, *(read_rows(packaged)[0] if packaged is not None else columns)}
    unread = [name for name in columns if name and name not in known]
    near = {name: " or ".join(suggest(name, known)) for name in unread}
    return [f"{name} (did you mean {near[name]}?)" if near[name] else name for name in unread]


_SOCKETS = re.compile(r"CPU: (\d+)x (.+)")
"""Processors that do without an accelerator, counted in their name."""


def _number(text: str) -> float:
    """Read a figure; what is no positive number comes back as no number."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value > 0.0 else math.nan


def _count(text: str) -> int:
    """Read a count, also one that a spreadsheet wrote as 8.0; anything else comes back as 0."""
    value = _number(text)
    return int(value) if value < _MOST and value == int(value) else 0


_PUBLISHED = ("source_title", "source_url", "document")


@lru_cache(maxsize=1)
def _published_sets() -> Mapping[str, frozenset[str]]:
    """Return what the rows of each packaged set cite."""
    found: dict[str, set[str]] = {}
    for shape, path in (*packaged_tables().items(), *packaged_tables(_OUTSIDE).items()):
        for _, row in read_rows(path)[1] if shape in SHAPES and shape != "serving_silicon" else ():
            found.setdefault(_prefix(row["id"]), set()).update(row.get(name, "") for name in _PUBLISHED)
    return {name: frozenset(cited - {""}) for name, cited in found.items()}


def _prefix(id_: str) -> str:
    return id_.rsplit("-", 1)[0]


def _set_of(row: Mapping[str, str]) -> str:
    """Return the set of a row: rules of a packaged set hold for rows that cite what it cites, not for like ids."""
    own = _prefix(row["id"])
    sets = _published_sets()
    cited = {row.get(name, "") for name in _PUBLISHED}
    like = [name for name in sets if own.startswith(name) or (own and name.startswith(own))]
    return own if not like or any(cited & sets[name] for name in like) else f"own {own}"


def _figure(row: Mapping[str, str], shape: str, where: str) -> Measurement:
    devices, accelerator = row.get("n_accelerators", ""), row["accelerator"]
    sockets = _SOCKETS.fullmatch(accelerator)
    if sockets and not devices:
        devices, accelerator = sockets.groups()
    kind = row["scenario"] if "scenario" in row else row.get("kind") or "training"
    read = read_metric(row["metric"], row["value"], shape, row.get("notes", ""))
    fault = row.get(UNREADABLE, "") or read.fault
    if devices and not _count(devices):
        fault = fault or f"n_accelerators = {devices!r} is not a count"
    number, differs = counted(accelerator, _count(devices))
    fault = fault or differs
    configuration = {key: cell for key, cell in row.items() if cell and key not in _CITATION}
    told = "; ".join(filter(None, (row.get(READ, ""), read.told)))
    if told:
        configuration[READ] = told
    return Measurement(
        id=row["id"] or where,
        table=shape,  # type: ignore[arg-type]
        kind=kind,
        name=read.name or row["metric"],
        metric=METRICS.get(read.name, _NO_METRIC),
        value=read.value,
        model=row.get("model", ""),
        device=accelerator,
        devices=number,
        software=row.get("framework", ""),
        source=row.get("document") or row.get("source_url", ""),
        at=row.get("source_ref", ""),
        evidence=row.get("evidence", ""),
        set=_set_of(row),
        publication=publication_of(row.get("source_url", "") or row.get("document", "")),
        configuration=configuration | ({UNREADABLE: f"{where}: {fault.strip()}"} if fault else {}),
    )


def _serving(row: Mapping[str, str], where: str) -> list[Measurement]:
    """Split a row of a server into its two figures."""
    sizes = (row.get(name, "") for name in ("tp_size", "pp_size", "attention_dp_size"))
    devices = 1
    for size in sizes:
        devices *= int(size) if size.isdigit() else 1
    software = f"{row['backend']} {row.get('backend_version', '')}".strip()
    found = []
    for name in ("ttft_ms", "tpot_ms"):
        text = row.get(f"silicon_{name}", "")
        if not text and not row.get(UNREADABLE):
            continue
        value, wrong = figure_of(text, METRICS[name].unit)
        fault = row.get(UNREADABLE) or (f"silicon_{name}: {wrong}" if wrong else "")
        configuration = {k: cell for k, cell in row.items() if cell and k not in _CITATION}
        found.append(
            Measurement(
                id=f"{row['id'] or where}:{name[:4]}",
                table="serving_silicon",
                kind=name[:4],
                name=name,
                metric=METRICS[name],
                value=value,
                model=row["model_path"],
                device=row["system"],
                devices=devices,
                software=software,
                source=row.get("document", ""),
                at=f"row {row['id']}",
                evidence="source",
                set=f"silicon_{row['backend']}",
                publication=SERVERS,
                configuration=configuration | ({UNREADABLE: f"{where}: {fault}"} if fault else {}),
            )
        )
    return found
