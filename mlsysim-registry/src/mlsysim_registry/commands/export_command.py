"""``mlsysim registry export``: one row per number, with its source."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mlsysim.cli.parser import add_command
from mlsysim.errors import ConfigError

if TYPE_CHECKING:
    from mlsysim.entities import Entry

    from ..provenance_map import FieldProvenance

__all__ = ["COLUMNS", "add", "rows"]

COLUMNS = ("kind", "key", "aliases", "field", "condition", "value_si", "unit", "as_stated", "level", "status",
           "source_title", "source_url", "locator", "retrieved")  # fmt: skip

_SI_UNITS = {"b": "B", "kgCO2e/kWh": "kg/J", "L/kWh": "m^3/J", "USD/h": "USD/s", "Ah": "A s"}
"""What a value in SI is counted in, for units that are no SI units themselves."""
_CONDITIONS = ("region", "term", "date", "year", "boundary", "average", "version")


def add(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = add_command(commands, "export", "write one row per number with its source", _run)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="kinds to export; all by default")
    parser.add_argument("--format", choices=("csv", "json", "parquet"), default="csv", help="output format")
    parser.add_argument("--output", metavar="FILE", help="file to write; standard output by default")


def _run(args: argparse.Namespace) -> int:
    """Write the rows."""
    found = list(rows(args.kinds))
    try:
        if args.format == "parquet":
            _parquet(found, args.output)
        elif args.output:
            with open(args.output, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - as the user typed it
                _text(found, args.format, file)
        else:
            _text(found, args.format, sys.stdout)
    except BrokenPipeError:  # the reader of the pipe went away: nothing to report
        raise
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(args.output)) from None
    return 0


def rows(kinds: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield one row for each number.

    Parameters
    ----------
    kinds : sequence of str
        Kinds to export; all by default.

    Yields
    ------
    dict
        With the keys of :data:`COLUMNS`.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    from ..provenance_map import ProvenanceMap

    known = ProvenanceMap.of()
    for kind in kinds or (None,):
        for entry in known.entries(kind):
            for field in entry.claims:
                yield _row(entry, known[entry.name, field])


def _row(entry: Entry, item: FieldProvenance) -> dict[str, Any]:
    from mlsysim.units import dimension_text, parse_unit

    claim, source = item.chosen, item.source
    unit = parse_unit(claim.unit)
    si = claim.unit if unit.factor == 1 else _SI_UNITS.get(claim.unit) or dimension_text(unit.dimension)
    values = (
        entry.kind, entry.key, ";".join(getattr(entry.record, "aliases", ())), item.field,
        _condition(entry, item.field), claim.value, si, claim.as_stated, item.level.label, item.status,
        source.title if source else "", source.url if source else "", claim.at or claim.reason,
        source.retrieved if source else "",
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _condition(entry: Entry, field: str) -> str:
    """Say under which condition the number holds: number format, region, date, year."""
    parts = field.split(".")
    if parts[:2] == ["compute", "peak"]:
        peak = entry.record.compute.peak[parts[2]]
        found = [f"precision={parts[2]}", f"engine={peak.engine}"]
        return ";".join([*found, f"accumulate={peak.accumulate}"] if peak.accumulate else found)
    named = [(name, getattr(entry.record, name, "")) for name in _CONDITIONS]
    return ";".join(f"{name}={value}" for name, value in named if value)


def _text(found: Sequence[dict[str, Any]], form: str, file: Any) -> None:
    if form == "json":
        import json

        json.dump(found, file, indent=1, ensure_ascii=False)
        file.write("\n")
        return
    import csv

    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)


def _parquet(found: Sequence[dict[str, Any]], output: str | None) -> None:
    if not output:
        raise ConfigError("parquet is not text", where="--output", remedy="Name a file: --output numbers.parquet")
    try:
        import pyarrow as pa  # type: ignore[import-not-found,unused-ignore]
        import pyarrow.parquet as pq  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ConfigError("parquet needs pyarrow, which is not installed", where="--format",
                          remedy="pip install pyarrow, or use --format csv") from None  # fmt: skip
    pq.write_table(pa.table({name: [row[name] for row in found] for name in COLUMNS}), output)
