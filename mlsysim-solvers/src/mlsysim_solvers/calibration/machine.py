"""Measuring the machine that this runs on: how fast it copies, multiplies, attends and starts kernels."""

from __future__ import annotations

import os
import sys

from mlsysim.errors import ConfigError

from .machine_card import check_folder, check_key, key_of, overlay_files, write_overlay
from .probes.backend import Backend, choose_backend
from .probes.plan import run_probes
from .probes.readings import Measured, Reading

__all__ = ["calibrate_device"]

_LEAST, _MOST = 0.1, 3600.0
_UNSTEADY = 0.1
"""Spread of a reading from which on it is pointed out."""


def calibrate_device(
    out: str, *, seconds: float = 20.0, backend: str = "auto", device: str = "", key: str = "", ranks: int = 0
) -> int:
    """Measure this machine and write an overlay, never into an installed package.

    Parameters
    ----------
    out : str
        Folder; empty takes ``mlsysim-machine`` in the present one.
    seconds : float, s
        About how long to measure.
    backend : str
        ``auto``, ``numpy`` or ``torch``.
    device : str
        ``cpu``, ``cuda`` or ``cuda:n``; empty lets the backend choose.
    key : str
        Key of the device; empty makes one of the machine's name.
    ranks : int, count
        Processes of an all-reduce; 0 for none.

    Returns
    -------
    int
        0.

    Raises
    ------
    ConfigError
        If backend or device cannot be had, the folder lies in an installed package, or it cannot be written.
    """
    from mlsysim.cli.printing import Progress

    from .probes.collective import check_ranks

    if not _LEAST <= seconds <= _MOST:
        raise ConfigError(
            f"{seconds:g} s is not a time to measure in", where="--seconds", remedy=f"Give {_LEAST:g} to {_MOST:g}"
        )
    folder = check_folder(out)
    chosen, said = choose_backend(backend, device)
    if key:
        check_key(key)
    if ranks:
        check_ranks(chosen, ranks)
    with Progress() as progress:
        found = _with_ranks(chosen, run_probes(chosen, seconds, progress=progress), ranks)
    own = key or key_of(found.host)
    files = overlay_files(found, own)
    write_overlay(folder, files)
    _report(found)
    for note in (*said, *_disturbances(), *found.notes):
        print(f"note: {note}", file=sys.stderr)
    place = out or folder.name
    print(f"wrote {', '.join(files)} in {place}", file=sys.stderr)
    print(f"\nuse it:  MLSYSIM_DATA={place} mlsysim eval resnet-50 --on {own} --precision {found.precisions[0]}")
    return 0


def _with_ranks(chosen: Backend, found: Measured, ranks: int) -> Measured:
    if not ranks:
        return found
    import attrs

    from .probes.collective import all_reduce_readings

    return attrs.evolve(found, readings=(*found.readings, *all_reduce_readings(chosen, ranks)))


def _disturbances() -> tuple[str, ...]:
    """Say that other programs compete for the processor."""
    try:
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
    except (AttributeError, OSError):
        return ()
    return (f"the load of the machine is {load:.1f} on {cores} cores: other programs may disturb",) * (load > cores)


def _report(found: Measured) -> None:
    host = found.host
    threads = f"{host.threads} thread{'s' if host.threads > 1 else ''}"
    print(f"{host.name}, {host.processors} processors, {threads}, {host.software}, {host.device}")
    for reading in found.readings:
        print(_line(reading))


def _line(reading: Reading) -> str:
    from mlsysim.units import format_quantity

    what = f"{reading.probe} {reading.precision}".rstrip()
    value, spread = format_quantity(reading.value, reading.unit), f"+- {100 * reading.timing.spread:.0f} %"
    said = "  ".join(filter(None, ("unsteady" * (reading.timing.spread > _UNSTEADY), reading.note)))
    return f"  {what:16s} {reading.size:34s} {value:>14s}  {spread:>8s}  {said}".rstrip()
