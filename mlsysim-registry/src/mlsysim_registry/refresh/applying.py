"""Writing a plan into this user's overlay, and taking it back."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs

from mlsysim.errors import ConfigError, RegistryError
from mlsysim.provenance import Source

from .generations import Generation, Number, current, generation_file, read_generation
from .planning import Plan
from .reviewing import Row
from .store import POINTER, check_overlay, locked, overlay_folder, replace

__all__ = ["apply_plan", "chosen", "rollback"]

_KEPT = 10
_HEAD = "# Written by `mlsysim registry refresh apply`; `mlsysim registry refresh rollback` takes it back.\n"


def chosen(plan: Plan, accept: Collection[str]) -> tuple[Row, ...]:
    """Return the rows that may be written.

    Parameters
    ----------
    plan : Plan
        The plan.
    accept : collection of str
        Entities (``kind/key``) whose jump a person has looked at.

    Returns
    -------
    tuple of Row
        Changes and new entities; blocked ones only when a jump is all that blocks them.

    Raises
    ------
    ConfigError
        If an accepted entity is not blocked, or for more than a jump.
    """
    for entity in accept:
        rows = [row for row in plan.rows if row.entity == entity and row.status == "blocked"]
        if not rows:
            raise ConfigError(f"the plan blocks no number of {entity!r}", where="--accept")
        if not all(row.overrulable for row in rows):
            why = "; ".join(flag for row in rows for flag in row.flags)
            raise ConfigError(f"{entity} cannot be accepted: {why}", where="--accept",
                              remedy="Only a jump can be; repair the source or correct the data file")  # fmt: skip
    return tuple(r for r in plan.rows if r.status in ("change", "new") or (r.overrulable and r.entity in accept))


def apply_plan(plan: Plan, rows: Collection[Row]) -> str:
    """Write rows of a plan as a new generation.

    Parameters
    ----------
    plan : Plan
        The plan, as :func:`~.planning.load` returns it.
    rows : collection of Row
        Rows of it to write.

    Returns
    -------
    str
        Name of the generation now in force.

    Raises
    ------
    RegistryError
        If somebody else has written meanwhile, the folder holds something else, or it cannot be written.
    """
    folder = overlay_folder()
    check_overlay(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / POINTER):
            before = current()
            if before.sha256 != plan.generation:
                raise RegistryError("the data have changed since the plan was made", where=str(folder),
                                    remedy="Make a new plan")  # fmt: skip
            after = _merged(before, plan, rows, _next_name(folder))
            content = _text(after).encode()
            replace(generation_file(after.name, folder), content)
            _point(folder, after.name, hashlib.sha256(content).hexdigest())
            _prune(folder, after)
    except OSError as error:
        raise RegistryError(f"cannot be written: {error.strerror}", where=str(folder)) from None
    return after.name


def rollback() -> str:
    """Put the generation before the present one in force again.

    Returns
    -------
    str
        Its name; empty when the packaged data now stand alone.

    Raises
    ------
    RegistryError
        If nothing was refreshed, the folder holds something else, or it cannot be written.
    """
    folder = overlay_folder()
    check_overlay(folder)
    if not (folder / POINTER).is_symlink() and not (folder / POINTER).exists():
        raise RegistryError("there is nothing to take back", where=str(folder))
    try:
        with locked(folder / POINTER):
            try:
                before = current()
                kept = bool(before.previous) and read_generation(before.previous, before.previous_sha256, folder)
            except RegistryError:
                kept, before = False, Generation()  # damaged: the packaged data alone are safe
            if not kept:
                (folder / POINTER).unlink(missing_ok=True)
                return ""
            _point(folder, before.previous, before.previous_sha256)
            return before.previous
    except OSError as error:
        raise RegistryError(f"cannot be written: {error.strerror}", where=str(folder)) from None


def _merged(before: Generation, plan: Plan, rows: Collection[Row], name: str) -> Generation:
    numbers = {(number.entity, number.field): number for number in before.numbers}
    for row in rows:
        new = row.number()
        known = numbers.get((row.entity, row.field))
        if known is not None and known.text:  # an entity that stands here alone keeps its text
            new = attrs.evolve(new, text=known.text)
        numbers[row.entity, row.field] = new
    documents: Mapping[str, Source] = {**before.sources, **plan.documents}
    used = {number.source: documents[number.source] for number in numbers.values()}
    return Generation(name, "", plan.made, before.name, before.sha256, tuple(numbers.values()), used)


def _text(generation: Generation) -> str:
    import tomlkit

    def row(item: Number | Source) -> dict[str, Any]:
        data = {key: list(value) if isinstance(value, tuple) else value for key, value in attrs.asdict(item).items()}
        return {key: value for key, value in data.items() if value and key != "id"} | (
            {"retrieved": item.retrieved} if isinstance(item, Source) else {}
        )

    head = {"format": 1, "applied": generation.applied, "previous": generation.previous,
            "previous_sha256": generation.previous_sha256}  # fmt: skip
    tables = {
        "sources": {key: row(source) for key, source in sorted(generation.sources.items())},
        "numbers": [row(number) for number in sorted(generation.numbers, key=lambda n: (n.entity, n.field))],
    }
    return _HEAD + tomlkit.dumps({**head, **tables})


def _point(folder: Path, name: str, sha256: str) -> None:
    replace(folder / POINTER, f'generation = "{name}"\nsha256 = "{sha256}"\n'.encode())


def _next_name(folder: Path) -> str:
    taken = [int(path.stem) for path in folder.glob("[0-9]*.toml") if path.stem.isdigit()]
    return f"{max(taken, default=0) + 1:06d}"


def _prune(folder: Path, generation: Generation) -> None:
    """Keep the generations that rolling back can still reach; what is left of a broken run goes too."""
    kept = {generation.name}
    step = generation
    while step.previous and len(kept) < _KEPT:
        kept.add(step.previous)
        try:
            step = read_generation(step.previous, step.previous_sha256, folder)
        except RegistryError:
            break
    for path in folder.glob("[0-9]*.toml"):
        if path.stem.isdigit() and path.stem not in kept:
            path.unlink(missing_ok=True)
