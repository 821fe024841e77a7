"""Every recorded calibration run again, each by its own command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from mlsysim.errors import ConfigError, MlsysimError
from mlsysim.plugins import plugins
from mlsysim.records.stack import Calibration

from ..validation.running import in_processes
from .stacks import calibrate_stack
from .writing import write_calibrations

__all__ = ["Recalibrated", "recalibrate"]

_USUAL = 7
"""Words of a recorded command from its key on: the key, and three options with their values."""


@attrs.frozen
class Recalibrated:
    """One stack, fitted again.

    Parameters
    ----------
    key : str
        Key of the stack.
    file : str
        Name of its file.
    text : str
        The file with the new calibrations.
    changed : bool
        Whether it differs from the file that is there.
    lines : tuple of str
        What each fit found.
    failed : str
        Why the stack could not be fitted; nothing is to be written then.
    """

    key: str
    file: str
    text: str
    changed: bool
    lines: tuple[str, ...]
    failed: str = ""


def recalibrate(
    keys: Sequence[str] = (), *, jobs: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[Recalibrated]:
    """Run the recorded commands of stacks again.

    Parameters
    ----------
    keys : sequence of str
        Which stacks; none means all that hold a calibration.
    jobs : int
        Processes; 0 takes one per core.
    progress : callable, optional
        Called with the stacks done and the stacks in all.

    Returns
    -------
    list of Recalibrated

    Raises
    ------
    UnknownNameError
        If there is no such stack.
    """
    registry = plugins().registry
    entries = [registry.get("stacks", key, where="stack") for key in keys] if keys else registry.entries("stacks")
    chosen = [entry.key for entry in entries if entry.record.calibrations]
    found: list[Recalibrated] = []
    for answer in in_processes(_one, chosen, jobs):
        found.append(answer)
        if progress is not None:
            progress(len(found), len(chosen))
    return found


def _one(key: str) -> Recalibrated:
    try:
        return _fitted(key)
    except MlsysimError as error:  # the other stacks go on
        return Recalibrated(key, "", "", changed=False, lines=(), failed=str(error))


def _fitted(key: str) -> Recalibrated:
    entry = plugins().registry.get("stacks", key)
    fits, lines = [], []
    for old in entry.record.calibrations:
        _, _, _, name, *options = shlex.split(old.command)
        if len(options) != _USUAL - 1 or options[::2] != ["--on", "--device", "--precision"]:
            raise ConfigError(f"the recorded command is not understood: {old.command}", where=entry.name)
        new = calibrate_stack(name, options[1], device=options[3], precision=options[5]).calibration
        fits.append(new)
        lines.append(_line(old, new))
    path = Path(entry.path)
    text = write_calibrations(entry, fits)
    return Recalibrated(entry.key, path.name, text, text != path.read_text(encoding="utf-8"), tuple(lines))


def _line(old: Calibration, new: Calibration) -> str:
    names = ("compute", "memory", "overhead", "sigma")
    moved = ", ".join(f"{name} {getattr(old, name):.4g} to {getattr(new, name):.4g}"
                      for name in names if getattr(old, name) != getattr(new, name))  # fmt: skip
    scores = f"{100 * (new.error or 0):.1f} % on {len(new.rows)} rows"
    if new.left_out_error is not None:
        held = 100 * (new.left_out_coverage or 0)
        scores += f", left out {100 * new.left_out_error:.1f} %, intervals hold {held:.0f} %"
    return f"{new.device} {new.precision}: {moved or 'as recorded'}; {scores}"
