"""``mlsysim registry refresh``: read live sources, look at the differences, write them, take them back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mlsysim.errors import ConfigError

__all__ = ["add"]

_BLOCKED = 3
_PLAN = (
    "Read the sources and show what would change. Exit code 0: no change; 2: changes pending; 3: some are blocked; "
    "4: a source failed, the others were read."
)
_EXAMPLES = """\
examples:
  mlsysim registry refresh sources                      what can be read, and which keys are set?
  mlsysim registry refresh plan --out plan.json         what has changed? (opens connections, writes the plan alone)
  mlsysim registry refresh apply plan.json              write exactly this plan
  mlsysim registry refresh rollback                     take the last one back
"""


def add(commands: Any) -> None:
    """Add the command.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add it.
    """
    parser = commands.add_parser(
        "refresh", help="refresh prices and carbon from live sources (plan opens connections)",
        description="Read live sources, compare, and keep what you apply in a folder of your own; the packaged data "
        "are never written.", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", dest="refresh_command", required=True,
                                  action=type(commands), parser_class=type(parser))  # fmt: skip
    one = inner.add_parser("plan", help="read the sources and show what would change", description=_PLAN)
    one.add_argument("--source", action="append", metavar="NAME", help="only this source; may be repeated")
    one.add_argument("--out", metavar="FILE", help="file to write the plan to")
    one.add_argument("--json", action="store_true", help="print the plan itself, as --out writes it")
    one.set_defaults(run=_plan)
    two = inner.add_parser("apply", help="write a plan", description="Write a plan into the folder of refreshed "
                           "numbers. Exit code 3: blocked numbers were left out.")  # fmt: skip
    two.add_argument("plan", metavar="PLAN", help="file that `refresh plan --out` wrote")
    two.add_argument("--accept", action="append", default=[], metavar="ENTITY",
                     help="write a number of this entity although it jumps; may be repeated")  # fmt: skip
    two.set_defaults(run=_apply)
    inner.add_parser("rollback", help="take the last apply back").set_defaults(run=_rollback)
    four = inner.add_parser("sources", help="list live sources, their licences and keys")
    four.add_argument("--json", action="store_true", help="plain data")
    four.set_defaults(run=_sources)


def _plan(args: argparse.Namespace) -> int:
    """Read the sources and show what would change; the plan says the exit code."""
    import attrs

    from mlsysim import registry
    from mlsysim.entities import today
    from mlsysim.names import did_you_mean

    from ..refresh import planning, reporting, running

    known, broken = running.installed()
    for name in args.source or ():
        if name not in known:
            hint = "".join(f". Plugin {plugin} is broken: {why}" for plugin, why in broken.items())
            remedy = did_you_mean(name, known) + hint
            raise ConfigError(f"there is no live source {name!r}", where="--source", remedy=remedy)
    outcomes = [running.run(known[name]) for name in dict.fromkeys(args.source or sorted(known))]
    if args.source:  # asked for by name, so leaving it out is a failure
        outcomes = [attrs.evolve(o, problem=o.problem or o.skipped, skipped="") for o in outcomes]
    outcomes += [running.Outcome(f"plugin {name}", problem=why) for name, why in broken.items() if not args.source]
    made = planning.make(outcomes, known, registry(), today().isoformat())
    print(planning.dump(made) if args.json else "\n".join(reporting.lines(made)))
    if args.out:
        try:
            Path(args.out).write_text(planning.dump(made), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror}", where=args.out) from None
    elif not args.json and any(made.counts[name] for name in ("change", "new", "blocked")):
        print("nothing was written; --out plan.json keeps the plan for `mlsysim registry refresh apply`")
    return made.exit_code


def _apply(args: argparse.Namespace) -> int:
    """Write a plan; 3 where blocked numbers were left out."""
    from mlsysim import registry

    from ..refresh import applying, planning
    from ..refresh.store import overlay_folder

    made = planning.load(Path(args.plan), registry())
    rows = applying.chosen(made, args.accept)
    left_out = [row for row in made.rows if row.status == "blocked" and row not in rows]
    if rows:
        name = applying.apply_plan(made, rows)
        print(f"{len(rows)} numbers written as generation {name} in {overlay_folder()}")
    else:
        print("nothing to write")
    for row in left_out:
        print(f"left out: {row.entity} {row.field} = {row.new}: {'; '.join(row.flags)}")
    return _BLOCKED if left_out else 0


def _rollback(args: argparse.Namespace) -> int:  # noqa: ARG001 - the signature of a command
    """Take the last apply back."""
    from ..refresh import applying

    name = applying.rollback()
    print(f"generation {name} is in force again" if name else "the packaged data stand alone again")
    return 0


def _sources(args: argparse.Namespace) -> int:
    """List live sources; 4 where a plugin offers a broken one."""
    from mlsysim.cli.printing import print_json

    from ..refresh import reporting, running

    known, broken = running.installed()
    if args.json:
        print_json({"sources": reporting.source_rows(known), "broken": dict(broken)})
        return 4 if broken else 0
    print("\n".join(reporting.source_lines(known)))
    for name, why in broken.items():
        print(f"broken: plugin {name}: {why}")
    return 4 if broken else 0
