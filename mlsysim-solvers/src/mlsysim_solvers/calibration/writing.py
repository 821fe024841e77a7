"""A stack's file with its calibrations, byte for byte reproducible."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import attrs

from mlsysim.entities import Entry
from mlsysim.records.stack import Calibration

__all__ = ["write_calibrations", "write_scatter", "write_stack"]

_MARK = "\n[[calibrations]]\n"
_BLOCK = re.compile(r"^(?=\[)", re.MULTILINE)
_SCATTER = re.compile(r"^scatter = .*\n", re.MULTILINE)


_NUMBERS = {
    "sigma": "", "compute": "", "memory": "", "overhead": " s", "reserve": " B", "error": "", "left_out_error": "",
    "left_out_sd": "", "left_out_coverage": "",
}  # fmt: skip
_WIDTH = 120


def _list(name: str, ids: tuple[str, ...]) -> list[str]:
    """Write ids in one line where they fit, else one a line: the canonical form of registry files."""
    line = "[" + ", ".join(f'"{one}"' for one in ids) + "]"
    if len(line) <= _WIDTH:
        return [f"{name} = {line}"]
    return [f"{name} = [", *(f'    "{one}",' for one in ids), "]"]


def _number(value: float) -> str:
    return repr(float(value))


def _calibration_text(found: Calibration) -> str:
    """Write one calibration."""
    lines = [f'device = "{found.device}"', f'precision = "{found.precision}"']
    lines += _list("rows", found.rows)
    lines += [f'command = "{found.command}"', f'version = "{found.version}"', f'date = "{found.date}"']
    for name, unit in _NUMBERS.items():
        value = getattr(found, name)
        if value is not None:
            lines.append(f'{name} = "{_number(value)}{unit}"')
    covariance = ", ".join("[" + ", ".join(map(_number, row)) + "]" for row in found.covariance)
    lines.append(f"covariance = [{covariance}]")
    if found.spread:
        lines.append(f"spread = [{', '.join(map(_number, found.spread))}]")
    if found.devices:
        lines += _list("devices", found.devices)
    return _MARK + "\n".join(lines) + "\n"


def _same(first: Calibration, second: Calibration) -> bool:
    return attrs.evolve(first, date="", version="") == attrs.evolve(second, date="", version="")


def write_stack(entry: Entry, new: Calibration) -> str:
    """Return the text of a stack's file with one calibration replaced or added.

    Parameters
    ----------
    entry : Entry
        The stack.
    new : Calibration
        The calibration; where it repeats what stands there, date and version stay.

    Returns
    -------
    str
    """
    others = [c for c in entry.record.calibrations if (c.device, c.precision) != (new.device, new.precision)]
    return write_calibrations(entry, [*others, new])


def write_calibrations(entry: Entry, all_: Sequence[Calibration]) -> str:
    """Return the text of a stack's file with these calibrations and no others.

    Parameters
    ----------
    entry : Entry
        The stack.
    all_ : sequence of Calibration
        At most one for each device and format; where one repeats what stands there, date and version stay.

    Returns
    -------
    str
    """
    blocks = _BLOCK.split(Path(entry.path).read_text(encoding="utf-8"))
    others = [block.rstrip("\n") for block in blocks if not block.startswith("[[calibrations]]")]
    place = next((i for i, block in enumerate(others) if block.startswith("[[unstated]]")), len(others))
    before = {(c.device, c.precision): c for c in entry.record.calibrations}
    kept: dict[tuple[str, str], Calibration] = {}
    for new in all_:
        old = before.get((new.device, new.precision))
        kept[new.device, new.precision] = old if old is not None and _same(old, new) else new
    fitted = [_calibration_text(kept[key]).strip("\n") for key in sorted(kept)]
    return "\n\n".join([*others[:place], *fitted, *others[place:]]) + "\n"


def write_scatter(entry: Entry, scatter: float | None) -> str:
    """Return the text of a stack's file with how far its measurements stray.

    Parameters
    ----------
    entry : Entry
        The stack.
    scatter : float or None, ratio
        The factor; None where the stack was compared with nothing.

    Returns
    -------
    str
    """
    head, *blocks = _BLOCK.split(Path(entry.path).read_text(encoding="utf-8"))
    head = _SCATTER.sub("", head)
    if scatter is not None:  # before the list that ends the head: the canonical form of registry files
        head = head.replace("\nserves = ", f'\nscatter = "{scatter:.3g}"\nserves = ', 1)
    return "".join([head, *blocks])
