"""What the operating system says about the processor and its memory."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from mlsysim.errors import ConfigError

__all__ = ["allowed_memory", "cache_size", "clock", "cores", "memory", "processor", "resident", "threads_asked"]

_THREADS = {
    "openblas": ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
    "mkl": ("MKL_NUM_THREADS", "OMP_NUM_THREADS"),
    "blis": ("BLIS_NUM_THREADS", "OMP_NUM_THREADS"),
    "accelerate": ("VECLIB_MAXIMUM_THREADS",),
}
"""Variables that each library of linear algebra asks for its threads, the first that is set counting."""

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_CGROUP = Path("/sys/fs/cgroup")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def cores() -> int:
    """Return the cores that this process may use.

    Returns
    -------
    int, count
        At most the time that a container grants.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    found = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota, _, period = _text(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        found = min(found, max(1, round(int(quota) / int(period))))
    return found


def threads_asked(library: str) -> int:
    """Return the threads that the environment grants a library of linear algebra.

    Parameters
    ----------
    library : str
        Its name, for example ``scipy-openblas``; an unknown one asks ``OMP_NUM_THREADS``.

    Returns
    -------
    int, count
        All cores where nothing is set.
    """
    names = next((names for known, names in _THREADS.items() if known in library.casefold()), ("OMP_NUM_THREADS",))
    given = [int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()]
    return max(1, min(cores(), given[0])) if given else cores()


def memory() -> float:
    """Return the physical memory.

    Returns
    -------
    float, B

    Raises
    ------
    ConfigError
        If the system does not tell.
    """
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        raise ConfigError("the size of the memory cannot be read on this system", where="calibrate device") from None


def allowed_memory() -> float | None:
    """Return what a container may use of the memory.

    Returns
    -------
    float or None, B
        None without a limit.
    """
    limit = _text(_CGROUP / "memory.max")
    return float(limit) if limit.isdigit() else None


def resident() -> float | None:
    """Return the memory of this process.

    Returns
    -------
    float or None, B
        None where the system does not tell.
    """
    fields = _text(Path("/proc/self/statm")).split()
    return float(int(fields[1]) * os.sysconf("SC_PAGE_SIZE")) if len(fields) > 1 else None


def processor() -> str:
    """Return the name of the processor.

    Returns
    -------
    str
    """
    found = re.search(r"model name\s*:\s*(.+)", _text(Path("/proc/cpuinfo")))
    return found[1].strip() if found else platform.processor() or platform.machine()


def clock() -> float | None:
    """Return the clock of the first core as the system reports it now.

    Returns
    -------
    float or None, Hz
        None where it does not tell.
    """
    found = re.search(r"cpu MHz\s*:\s*([\d.]+)", _text(Path("/proc/cpuinfo")))
    return float(found[1]) * 1e6 if found else None


def cache_size() -> float | None:
    """Return the last-level cache.

    Returns
    -------
    float or None, B
        None where the system does not tell.
    """
    units = {"K": 2.0**10, "M": 2.0**20, "G": 2.0**30}
    sizes = []
    for folder in _CACHES.glob("index*"):
        found = re.fullmatch(r"(\d+)([KMG])", _text(folder / "size"))
        if found:
            sizes.append(float(found[1]) * units[found[2]])
    return max(sizes, default=None)
