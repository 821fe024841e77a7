"""Reading tables of measurements: which of the four shapes it is, and what each row says."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mlsysim.errors import ConfigError
from mlsysim.names import did_you_mean
from mlsysim.plugins import plugins
from mlsysim.records.measurement import METRICS, Measurement, Metric

__all__ = ["SHAPES", "packaged_tables", "read_rows", "read_table", "shape_of"]

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


def packaged_tables() -> dict[str, Path]:
    """Return the tables that the installed data packages offer.

    Returns
    -------
    dict of str to Path
        Name of the table to its file; a package offers them by a method ``tables(kind)``.
    """
    found: dict[str, Path] = {}
    for source in plugins().sources:
        offer: Callable[[str], Mapping[str, Path]] | None = getattr(source, "tables", None)
        if offer is not None:
            found.update(offer("measurements"))
    return found


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
    missing = ", ".join(sorted(SHAPES[nearest] - columns))
    hint = did_you_mean(missing.split(", ", maxsplit=1)[0], columns)
    raise ConfigError(
        f"its header is none of the four tables of measurements; nearest is {nearest}, which also has {missing}",
        where=f"{name}:1",
        remedy=hint or f"Give it the columns of {', '.join(SHAPES)}",
    )


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a table as text.

    Parameters
    ----------
    path : Path
        A CSV file, UTF-8.

    Yields
    ------
    line : int
    row : dict of str to str
        Cells without surrounding blanks.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a row has more cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames:
                raise ConfigError("the table is empty", where=str(path), remedy="Its first line must name the columns")
            for row in reader:
                if None in row:
                    raise ConfigError(
                        "the row has more cells than the header",
                        where=f"{path}:{reader.line_num}",
                        remedy="Put cells that hold a comma in double quotes",
                    )
                yield reader.line_num, {key: (cell or "").strip() for key, cell in row.items()}
    except OSError as problem:
        raise ConfigError(f"cannot be read: {problem.strerror or problem}", where=str(path)) from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise ConfigError(f"is no CSV table in UTF-8: {problem}", where=str(path)) from None


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
        is ``memory`` were never checked and are left out.

    Raises
    ------
    ConfigError
        If the table has none of the shapes, or a figure is no number.
    """
    found: list[Measurement] = []
    shape = ""
    for line, row in read_rows(path):
        shape = shape or shape_of(frozenset(row), str(path))
        if row.get("evidence") != "memory":
            found += _serving(row, path, line) if shape == "serving_silicon" else [_figure(row, shape, path, line)]
    return found


def _number(text: str, column: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value <= 0.0:
        raise ConfigError(
            f"{column} = {text!r} is no positive number", where=f"{path}:{line}", remedy="Write digits, without a unit"
        )
    return value


def _metric(row: Mapping[str, str], path: Path, line: int) -> Metric:
    name = row["metric"]
    if name not in METRICS:
        raise ConfigError(f"no metric is called {name!r}", where=f"{path}:{line}", remedy=did_you_mean(name, METRICS))
    return METRICS[name]


def _figure(row: Mapping[str, str], shape: str, path: Path, line: int) -> Measurement:
    devices = row.get("n_accelerators", "")
    kind = row.get("scenario") or row.get("kind") or "training"
    return Measurement(
        id=row["id"],
        table=shape,  # type: ignore[arg-type]
        kind=kind,
        name=row["metric"],
        metric=_metric(row, path, line),
        value=_number(row["value"], "value", path, line),
        model=row.get("model", ""),
        device=row["accelerator"],
        devices=int(devices) if devices.isdigit() else 0,
        software=row.get("framework", ""),
        source=row.get("document") or row.get("source_url", ""),
        at=row.get("source_ref", ""),
        evidence=row.get("evidence", ""),
        set=row["id"].rsplit("-", 1)[0],
        configuration={key: cell for key, cell in row.items() if cell and key not in _CITATION},
    )


def _serving(row: Mapping[str, str], path: Path, line: int) -> list[Measurement]:
    """Split a row of a server into its two figures."""
    sizes = (row.get(name, "") for name in ("tp_size", "pp_size", "attention_dp_size"))
    devices = 1
    for size in sizes:
        devices *= int(size) if size.isdigit() else 1
    software = f"{row['backend']} {row.get('backend_version', '')}".strip()
    found = []
    for name in ("ttft_ms", "tpot_ms"):
        text = row.get(f"silicon_{name}", "")
        if text:
            found.append(
                Measurement(
                    id=f"{row['id']}:{name[:4]}",
                    table="serving_silicon",
                    kind=name[:4],
                    name=name,
                    metric=METRICS[name],
                    value=_number(text, f"silicon_{name}", path, line),
                    model=row["model_path"],
                    device=row["system"],
                    devices=devices,
                    software=software,
                    source=row.get("document", ""),
                    at=f"row {row['id']}",
                    evidence="source",
                    set=f"silicon_{row['backend']}",
                    configuration={k: cell for k, cell in row.items() if cell and k not in _CITATION},
                )
            )
    return found
