"""Measuring the machine that this runs on: how fast it copies, multiplies and starts kernels."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np

from mlsysim.entities import today
from mlsysim.errors import ConfigError

__all__ = ["Measured", "calibrate_device", "measure", "overlay_files"]

_SIZES = (64, 128, 256, 512, 1024, 2048)
_COPY_BYTES = 256 * 2**20
_TINY_CALLS = 2000
_LEAST = 3


@attrs.frozen
class Measured:
    """What was measured.

    Parameters
    ----------
    name : str
        Processor.
    processors : int, count
        Cores that this process may use.
    memory : float, B
        Physical memory.
    bandwidth : float, B/s
        Best rate of a copy, bytes read plus bytes written.
    products : dict of str to dict of int to float, FLOP/s
        Rate of a square matrix product by format and side.
    launch : float, s
        Time of an operation on one element.
    library : str
        What did the work.
    """

    name: str
    processors: int
    memory: float
    bandwidth: float
    products: dict[str, dict[int, float]]
    launch: float
    library: str

    def best(self, precision: str) -> float:
        """Return the best rate of matrix products in a format.

        Parameters
        ----------
        precision : str
            Key of ``products``.

        Returns
        -------
        float, FLOP/s
        """
        return max(self.products[precision].values())


def _fastest(action: Callable[[], object], budget: float) -> float:
    """Return the least time of a repeated action: disturbances only ever add."""
    action()
    times: list[float] = []
    end = time.perf_counter() + budget
    while len(times) < _LEAST or time.perf_counter() < end:
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(seconds: float = 20.0, *, progress: Callable[[int, int], None] | None = None) -> Measured:
    """Measure this machine with numpy.

    Parameters
    ----------
    seconds : float, s
        About how long to measure.
    progress : callable, optional
        Called with the steps done and the steps in all.

    Returns
    -------
    Measured
    """
    formats = {"fp32": np.float32, "fp64": np.float64}
    steps = 2 + len(formats) * len(_SIZES)
    share = seconds / steps
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    source = np.ones(_COPY_BYTES // 8)
    target = np.empty_like(source)
    bandwidth = 2.0 * _COPY_BYTES / _fastest(lambda: np.copyto(target, source), share)
    step()
    one = np.zeros(1)

    def tiny() -> None:
        for _ in range(_TINY_CALLS):
            np.add(one, one, out=one)

    launch = _fastest(tiny, share) / _TINY_CALLS
    step()
    products: dict[str, dict[int, float]] = {}
    for precision, dtype in formats.items():
        rates = products.setdefault(precision, {})
        for side in _SIZES:
            left, right = np.full((side, side), 0.5, dtype), np.full((side, side), 0.25, dtype)
            out = np.empty_like(left)
            rates[side] = 2.0 * side**3 / _fastest(lambda a=left, b=right, c=out: np.matmul(a, b, out=c), share)  # type: ignore[misc]
            step()
    return Measured(_processor(), _cores(), _memory(), bandwidth, products, launch, f"numpy {np.__version__}")


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        raise ConfigError("the size of the memory cannot be read on this system", where="calibrate device") from None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        found = re.search(r"model name\s*:\s*(.+)", text)
        if found:
            return found[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def overlay_files(found: Measured, key: str) -> dict[str, str]:
    """Return the files of an overlay: the device, the stack that measured it, and the measurement as document.

    Parameters
    ----------
    found : Measured
        What was measured.
    key : str
        Key of the device.

    Returns
    -------
    dict of str to str
        Path below the overlay's folder to text.
    """
    document = f"measured-{key}"

    def claim(value: float, unit: str, at: str) -> str:
        return f'{{ value = "{value:.4g} {unit}", source = "{document}", at = "{at}", kind = "measured" }}'

    peaks = ""
    for precision in found.products:
        best = claim(found.best(precision), "FLOP/s", f"best square matrix product, {precision}")
        peaks += f'\n[compute.peak.{precision}]\ndense = {best}\nachieved = {best}\nengine = "vector"\n'
    copied = claim(found.bandwidth, "B/s", "copy of 256 MiB")
    device = (
        f'name = "{found.name}, {found.processors} cores"\nvendor = "this machine"\ntier = "workstation"\n'
        'note = "Peaks are the best rates that were measured, not those of a data sheet."\n'
        f'\n[compute]\nprocessors = {{ value = {found.processors}, source = "{document}", at = "usable cores" }}'
        f"\n{peaks}"
        f'\n[memory]\nkind = "RAM"\ncapacity = {claim(found.memory, "B", "physical memory")}\n'
        f"bandwidth = {copied}\nachieved = {copied}\n"
    )
    host = 'estimate = "one process of Python", '
    stack = (
        f'name = "numpy on {found.name}"\nversion = "{found.library.split()[-1]}"\nserves = ["inference", "training"]\n'
        f'\n[features]\n\n[ceilings]\ncompute = {{ value = "0.9", {host}low = "0.6", high = "1" }}\n'
        f'memory = {{ value = "0.8", {host}low = "0.5", high = "1" }}\n'
        f"overhead = {claim(found.launch, 's', 'operation on one element')}\n"
        f'reserve = {{ value = "0.1 GB", {host}low = "0.03 GB", high = "0.5 GB" }}\n'
    )
    source = (
        f'title = "Measurement of {found.name} by mlsysim calibrate device"\npublisher = "this machine"\n'
        f'url = "urn:mlsysim:measured:{key}"\nkind = "benchmark"\ntier = "primary"\n'
        f'retrieved = "{today().isoformat()}"\n'
        f'edition = "{found.library}"\n'
    )
    return {f"devices/{key}.toml": device, f"stacks/numpy-{key}.toml": stack, f"sources/{document}.toml": source}


def calibrate_device(out: str, *, seconds: float = 20.0) -> int:
    """Measure this machine and write an overlay, never into an installed package.

    Parameters
    ----------
    out : str
        Folder; empty takes ``mlsysim-machine`` in the present one.
    seconds : float, s
        About how long to measure.

    Returns
    -------
    int
        0.

    Raises
    ------
    ConfigError
        If the folder lies in an installed package or cannot be written.
    """
    from mlsysim.cli.printing import Progress
    from mlsysim.units import format_quantity

    if not 0.1 <= seconds <= 3600.0:
        raise ConfigError(f"{seconds:g} s is no time to measure in", where="--seconds", remedy="Give 0.1 to 3600")
    folder = Path(out or "mlsysim-machine").resolve()
    if any(part in ("site-packages", "dist-packages", "mlsysim_registry", "mlsysim_solvers") for part in folder.parts):
        raise ConfigError(
            f"{folder} belongs to an installed package", where="--out", remedy="Choose a folder of your own"
        )
    progress = Progress()
    found = measure(seconds, progress=progress)
    progress.close()
    key = re.sub(r"[^a-z0-9]+", "-", platform.node().casefold()).strip("-") or "this-machine"
    files = overlay_files(found, key)
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"cannot be written: {problem.strerror or problem}", where=str(folder)) from None
    print(f"{found.name}, {found.processors} cores, {found.library}")
    print(f"  copy               {format_quantity(found.bandwidth, 'B/s')}")
    for precision, rates in found.products.items():
        shown = "  ".join(f"{side}: {format_quantity(rate, 'FLOP/s')}" for side, rate in rates.items())
        print(f"  products in {precision}   {shown}")
    print(f"  one operation      {format_quantity(found.launch, 's')}")
    print(f"wrote {', '.join(files)} in {folder}", file=sys.stderr)
    print(f"  use it with MLSYSIM_DATA={folder}")
    return 0
