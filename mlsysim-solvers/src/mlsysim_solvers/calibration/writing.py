"""A stack's file with its calibrations, byte for byte reproducible."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from mlsysim.entities import Entry
from mlsysim.records.stack import Calibration

__all__ = ["calibration_text", "write_stack"]

_MARK = "\n[[calibrations]]\n"
_BLOCK = re.compile(r"^(?=\[)", re.MULTILINE)


_NUMBERS = {
    "sigma": "", "compute": "", "memory": "", "overhead": " s", "reserve": " B", "error": "", "left_out_error": "",
    "left_out_sd": "", "left_out_coverage": "",
}  # fmt: skip
_WIDTH = 120


def _rows(ids: tuple[str, ...]) -> list[str]:
    """Write ids in one line where they fit, else one a line."""
    line = "rows = [" + ", ".join(f'"{row}"' for row in ids) + "]"
    if len(line) <= _WIDTH:
        return [line]
    return ["rows = [", *(f'    "{row}",' for row in ids), "]"]


def _number(value: float) -> str:
    return repr(float(value))


def calibration_text(found: Calibration) -> str:
    """Write one calibration.

    Parameters
    ----------
    found : Calibration
        The calibration.

    Returns
    -------
    str
        A TOML table of the array ``calibrations``.
    """
    lines = [f'device = "{found.device}"', f'precision = "{found.precision}"', *_rows(found.rows)]
    lines += [f'command = "{found.command}"', f'version = "{found.version}"', f'date = "{found.date}"']
    for name, unit in _NUMBERS.items():
        value = getattr(found, name)
        if value is not None:
            lines.append(f'{name} = "{_number(value)}{unit}"')
    covariance = ", ".join("[" + ", ".join(map(_number, row)) + "]" for row in found.covariance)
    lines.append(f"covariance = [{covariance}]")
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
    blocks = _BLOCK.split(Path(entry.path).read_text(encoding="utf-8"))
    others = [block.rstrip("\n") for block in blocks if not block.startswith("[[calibrations]]")]
    place = next((i for i, block in enumerate(others) if block.startswith("[[unstated]]")), len(others))
    kept: dict[tuple[str, str], Calibration] = {(c.device, c.precision): c for c in entry.record.calibrations}
    old = kept.get((new.device, new.precision))
    kept[new.device, new.precision] = old if old is not None and _same(old, new) else new
    fitted = [calibration_text(kept[key]).strip("\n") for key in sorted(kept)]
    return "\n\n".join([*others[:place], *fitted, *others[place:]]) + "\n"
