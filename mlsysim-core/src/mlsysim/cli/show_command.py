"""``mlsysim show``: one entity, each number with its badge and its source."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, UnknownNameError
from ..names import did_you_mean
from ..renderers.style import badge_colour
from .fields import given, plain_fields, shown
from .parser import Commands, add_command
from .printing import print_json

if TYPE_CHECKING:
    from ..entities import Entry
    from ..provenance import Claim, Standing
    from ..renderers.style import Style

__all__ = ["add"]

_EXAMPLES = """
mlsysim show devices/h100-sxm
mlsysim show h100-sxm --field memory
mlsysim show llama-3.1-8b --format json
mlsysim show scenarios/smart-doorbell --format toml > mine.toml
"""


def add(commands: Commands) -> None:
    """Add the command.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    """
    parser = add_command(
        commands, "show", "show an entry of the registry: each number with its source", _run, _EXAMPLES
    )
    parser.add_argument(
        "name", metavar="KIND/KEY", help="for example devices/h100-sxm; the key alone when only one has it"
    )
    parser.add_argument("--field", metavar="PATH", help="only this field, or the fields of this part")
    parser.add_argument("--format", choices=("text", "json", "toml"), default="text",
                        help="text (default), json, or the card itself as toml")  # fmt: skip


def _run(args: argparse.Namespace) -> int:
    """Print one entity."""
    entry = _find(args.name)
    if args.format == "toml":
        if args.field:
            raise ConfigError("a card is printed whole", where="--field", remedy="Use --format text or json")
        print(_card(entry), end="")
        return 0
    paths = _chosen(entry, args.field)
    if args.format == "json":
        print_json(_plain(entry, paths))
        return 0
    from ..renderers.style import Style

    print("\n".join(_lines(entry, paths, Style.of(sys.stdout), whole=not args.field)))
    return 0


def _find(name: str) -> Entry:
    from ..plugins import plugins

    registry = plugins().registry
    kind, slash, key = name.partition("/")
    if slash and ":" not in kind:
        return registry.get(kind, key, where="KIND/KEY")
    found = registry.find(name)
    if len(found) == 1:
        return registry.get(found[0][0], found[0][1])
    if found:
        names = " or ".join(f"{kind}/{key}" for kind, key in found)
        raise ConfigError(f"{name!r} could be {names}", where="KIND/KEY", remedy="Write the kind too")
    if name in registry.kinds():
        raise ConfigError(f"{name} is a kind", where="KIND/KEY", remedy=f"`mlsysim list {name}` shows its entries")
    known = {key: kind for kind in registry.kinds() for key in registry.keys(kind)}
    remedy = did_you_mean(name, known, listing="mlsysim list") + plugins().broken_hint()
    raise UnknownNameError(f"nothing is called {name!r}", where="KIND/KEY", remedy=remedy)


def _card(entry: Entry) -> str:
    from pathlib import Path

    try:
        return Path(entry.path).read_text(encoding="utf-8")
    except OSError:
        raise ConfigError(f"{entry.name} has no card", where="--format", remedy="Use text or json") from None


def _chosen(entry: Entry, field: str | None) -> list[str]:
    """Return the paths to show: disputed and stale numbers first, then estimates, then the rest."""
    every = [path for path, _ in plain_fields(entry.record) if path in entry.claims or given(entry.record, path)]
    if field is not None:
        every = [path for path in every if path == field or path.startswith(f"{field}.") or path.endswith(f".{field}")]
        if not every:
            known = {path for path, _ in plain_fields(entry.record)}
            parts = {path.rpartition(".")[0] for path in known} - {""}
            raise ConfigError(
                f"{entry.name} has no field {field!r} with a value",
                where="--field",
                remedy=did_you_mean(field, known | parts) or f"`mlsysim show {entry.name}` shows all of them",
            )
    return sorted(every, key=lambda path: _urgency(entry.standing(path)))


def _urgency(standing: Standing | None) -> int:
    if standing is None:
        return 3
    if standing.disputed or standing.stale:
        return 0
    return 1 if standing.level.label == "estimate" else 2


def _lines(entry: Entry, paths: list[str], style: Style, *, whole: bool) -> Iterator[str]:
    name = getattr(entry.record, "name", entry.key)
    yield f"{style.paint(name, 'bold')}  {entry.name}"
    if entry.package:
        yield style.paint(f"{entry.package}: {entry.path}", "dim")
    plain = [path for path in paths if path not in entry.claims and path != "name"]
    sourced = [path for path in paths if path in entry.claims]
    outer = [path for path in plain if "." not in path] if sourced and whole else plain
    yield from _facts(entry, outer, style)
    for path in sourced:
        yield ""
        yield from _number(entry, path, style)
    yield from _documents(entry, sourced, style)
    yield from _facts(entry, [path for path in plain if path not in outer], style)


def _documents(entry: Entry, paths: list[str], style: Style) -> Iterator[str]:
    """Write where the cited documents are found, in the order of their first citation."""
    cited = dict.fromkeys(claim.source for path in paths for claim in entry.claims[path] if claim.source)
    found = [entry.sources[key] for key in cited if key in entry.sources]
    if found:
        yield ""
        yield style.paint("  documents", "bold")
    for source in found:
        yield from style.wrap(source.title, "   ", " " * 7)
        yield style.paint(f"       {source.url}", "dim")


def _facts(entry: Entry, paths: list[str], style: Style) -> Iterator[str]:
    """Write the fields that need no source: names, kinds, keys of other entries."""
    width = max(map(len, paths), default=0)
    if paths:
        yield ""
    for path in paths:
        yield from style.wrap(shown(entry.record, path), f"  {path.ljust(width)}  ", " " * (width + 4))


def _number(entry: Entry, path: str, style: Style) -> Iterator[str]:
    standing = entry.standing(path)
    if standing is None:
        return
    head = f"{style.paint(path, 'bold')} = {shown(entry.record, path)}"
    badge = style.paint(f"[{standing.badge}]", badge_colour(standing.badge))
    yield f"  {head}  {badge} {style.paint(standing.why, 'dim')}"
    claims = entry.claims[path]
    for claim in claims:
        mark = "*" if claim is standing.chosen and len(claims) > 1 else " "
        yield from style.wrap(_claim(entry, claim), f"   {mark} ", " " * 7)


def _claim(entry: Entry, claim: Claim) -> str:
    parts = [f'"{claim.as_stated}"']
    if claim.means:
        parts.append(f"meaning {claim.means}")
    if claim.kind != "stated":
        parts.append(f"{claim.kind}: {claim.reason}" if claim.reason else claim.kind)
    if claim.low is not None and claim.high is not None:
        from ..units import format_quantity

        parts.append(f"between {format_quantity(claim.low, claim.unit)} and {format_quantity(claim.high, claim.unit)}")
    source = entry.sources.get(claim.source)
    if source is not None:
        parts += [source.title, source.publisher, claim.at, f"read {source.retrieved}"]
    if claim.note:
        parts.append(f"({claim.note})")
    return ", ".join(part for part in parts if part)


def _plain(entry: Entry, paths: list[str]) -> dict[str, Any]:
    import attrs

    from ..renderers.plain import standing_data
    from ..structure.converting import to_plain

    sources = {claim.source for path in paths for claim in entry.claims.get(path, ()) if claim.source}
    numbers = {}
    for path in paths:
        standing = entry.standing(path)
        if standing is not None:
            claims = [attrs.asdict(claim) | {"chosen": claim is standing.chosen} for claim in entry.claims[path]]
            numbers[path] = {**standing_data(standing), "claims": claims}
    return {
        "kind": entry.kind, "key": entry.key, "package": entry.package, "path": entry.path,
        "record": to_plain(entry.record), "numbers": numbers,
        "sources": {key: attrs.asdict(entry.sources[key]) for key in sorted(sources) if key in entry.sources},
    }  # fmt: skip
