"""``mlsysim list``: what the registry holds."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ..errors import UnknownNameError
from ..names import did_you_mean
from ..records.fields import value_at
from .fields import count, shown
from .parser import Commands, add_command
from .printing import print_json, table

if TYPE_CHECKING:
    from ..entities import Entry

__all__ = ["add"]

_EXAMPLES = """
mlsysim list
mlsysim list devices
mlsysim list models --match llama
mlsysim list prices --json
"""

COLUMNS: dict[str, tuple[str, ...]] = {
    "devices": ("tier", "memory.capacity", "memory.bandwidth", "peak", "power.tdp"),
    "models": ("lab", "parameters", "active", "shape", "transformer.context"),
    "links": ("bandwidth", "latency"),
    "switches": ("link", "ports", "power"),
    "nodes": ("device", "devices", "inner", "outer", "power"),
    "racks": ("node", "nodes", "power"),
    "fabrics": ("topology", "link", "oversubscription"),
    "clusters": ("node", "nodes", "fabric", "site"),
    "fleets": ("clusters",),
    "grids": ("carbon", "water", "year", "boundary"),
    "sites": ("pue", "wue", "grid", "year"),
    "prices": ("provider", "device", "devices", "term", "rate", "amount", "date"),
    "batteries": ("charge", "voltage"),
    "stacks": ("version", "serves"),
    "scenarios": ("kind", "workload.model", "system.device"),
}
"""Facts beside key and name, by kind."""

_PEAKS = ("bf16", "fp16", "int8", "fp32")


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(commands, "list", "list what the registry holds, by kind", _run, _EXAMPLES)
    parser.add_argument("kind", nargs="?", metavar="KIND", help="devices, models, scenarios ...; without it: all kinds")
    parser.add_argument("--match", metavar="TEXT", help="only entries whose key, name or alias contains this")
    parser.add_argument("--json", action="store_true", help="plain data; numbers in SI")


def _run(args: argparse.Namespace) -> int:
    """Print a table; 2 where nothing matches."""
    from ..plugins import plugins

    registry = plugins().registry
    if args.kind is None:
        return _kinds(args)
    try:
        kind = registry.kind(args.kind)
    except UnknownNameError as error:
        raise UnknownNameError(error.what, where="KIND", remedy=error.remedy) from None
    left_out: list[str] = []
    entries = [entry for entry in registry.readable(kind, left_out=left_out) if _matches(entry, args.match)]
    if left_out and len(left_out) == len(registry.keys(kind)):
        registry.get(kind, left_out[0].partition("/")[2])  # what all of them meet is told once, as it is
    for name in left_out:
        print(f"left out: {name}, whose file is at fault (mlsysim show {name})", file=sys.stderr)
    if args.json:
        print_json([_plain(entry) for entry in entries])
        return 0
    if not entries:
        hint = did_you_mean(args.match, registry.keys(kind)) if args.match else "pip install mlsysim-registry"
        print(
            f"no {kind} {'match ' + repr(args.match) if args.match else 'are installed'}. {hint}".rstrip(". "),
            file=sys.stderr,
        )
        return 2
    from ..renderers.style import Style

    columns = _columns(kind, entries)
    head = ["key", "name", *(column.rpartition(".")[2] for column in columns)]
    rows = [
        [entry.key, str(value_at(entry.record, "name")), *(_cell(entry.record, c) for c in columns)]
        for entry in entries
    ]
    numeric = [i + 2 for i, c in enumerate(columns) if any(r[i + 2][:1].isdigit() for r in rows) and c != "date"]
    print("\n".join(table(head, rows, Style.of(sys.stdout), right=numeric)))
    return 0


def _kinds(args: argparse.Namespace) -> int:
    from ..plugins import plugins
    from ..renderers.style import Style

    registry = plugins().registry
    counts = {kind: len(registry.keys(kind)) for kind in registry.kinds()}
    if args.json:
        print_json(counts)
        return 0
    if not counts:
        print("no data package is installed: pip install mlsysim-registry", file=sys.stderr)
        return 2
    rows = [[kind, str(number)] for kind, number in counts.items()]
    print("\n".join(table(["kind", "entries"], rows, Style.of(sys.stdout), right=[1])))
    print("\nmlsysim list KIND lists one; mlsysim show KIND/KEY shows an entry with its sources")
    return 0


def _matches(entry: Entry, text: str | None) -> bool:
    if text is None:
        return True
    names = (entry.key, str(value_at(entry.record, "name")), *(value_at(entry.record, "aliases") or ()))
    return any(text.casefold() in name.casefold() for name in names)


def _columns(kind: str, entries: list[Entry]) -> list[str]:
    """Return the columns that say something about at least one entry."""
    return [c for c in COLUMNS.get(kind, ()) if any(_cell(entry.record, c) != "-" for entry in entries)]


def _cell(record: Any, column: str) -> str:
    if column == "peak":
        return _peak(record)
    if column == "shape":
        return _shape(record)
    if column in ("parameters", "active"):
        return count(value_at(record, column))
    return shown(record, column)


def _peak(device: Any) -> str:
    peaks = device.compute.peak
    for name in (*_PEAKS, *peaks):
        if name in peaks and peaks[name].dense is not None:
            return f"{shown(peaks[name], 'dense')} {name}"
    return "-"


def _shape(model: Any) -> str:
    if model.pair is not None:
        return "encoder-decoder"
    if model.state_space is not None:
        return "state space"
    if model.transformer is None:
        return "diffusion" if model.network is not None and model.network.denoiser else "network"
    what = "decoder" if model.transformer.causal else "vision" if model.transformer.patch else "encoder"
    what += ", states" if model.transformer.states else ""
    return what + (", experts" if model.transformer.mixture else "")


def _plain(entry: Entry) -> dict[str, Any]:
    facts = {
        column: value_at(entry.record, column)
        for column in COLUMNS.get(entry.kind, ())
        if column not in ("peak", "shape")
    }
    return {"key": entry.key, "name": value_at(entry.record, "name"), "package": entry.package, **facts}
