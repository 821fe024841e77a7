"""A measurement as registry entities: a device, the stack that measured it, its links, and the document."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlsysim.entities import today
from mlsysim.errors import ConfigError
from mlsysim.provenance import MEASURED_HERE

from .probes.readings import Host, Measured, Reading

__all__ = ["check_folder", "check_key", "key_of", "overlay_files", "write_overlay"]

_PACKAGES = ("site-packages", "dist-packages", "mlsysim_registry", "mlsysim_solvers")
_KEY = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_VECTOR = ("fp32", "fp64")
"""Formats that accelerators multiply beside their matrix units."""


def key_of(host: Host) -> str:
    """Return the key under which a measured device stands.

    Parameters
    ----------
    host : Host
        The device.

    Returns
    -------
    str
        Name of the machine, and what measured it where that is not numpy.
    """
    name = re.sub(r"[^a-z0-9]+", "-", host.host.casefold()).strip("-") or "this-machine"
    if host.is_accelerator:
        return f"{name}-{host.device.replace(':', '')}"
    return name if host.backend == "numpy" else f"{name}-{host.backend}"


def _vendor_of(host: Host) -> str:
    """Return what stands as maker: the machine and what measured it, which its stack is assumed for."""
    return f"{host.host} ({host.backend} on {host.device})"


def _text(value: str) -> str:
    """Quote a string for TOML."""
    return json.dumps(value, ensure_ascii=False)


def _seen(reading: Reading) -> str:
    """Say what was timed, and how steadily."""
    what = f"{reading.probe} {reading.precision}".rstrip()
    t = reading.timing
    of = "median" if reading.sustained else "best"
    return (
        f"{what}, {reading.size}: {of} of {len(t.samples)}, median {reading.median:.4g}, spread {100 * t.spread:.1f} %"
    )


class _Claims:
    """Writes claims that name the document of the measurement."""

    def __init__(self, document: str) -> None:
        self.document = document

    def of(self, value: float, unit: str, at: str, *, low: float | None = None, high: float | None = None) -> str:
        ends = f', low = "{low:.4g}", high = "{high:.4g}"' if low is not None and high is not None else ""
        number = f"{value:.4g} {unit}".rstrip()
        return f'{{ value = "{number}", source = "{self.document}", at = {_text(at)}, kind = "measured"{ends} }}'

    def whole(self, value: float, unit: str, at: str) -> str:
        number = f"{value:.0f} {unit}".rstrip()
        return f'{{ value = "{number}", source = "{self.document}", at = {_text(at)}, kind = "measured" }}'

    def rate(self, reading: Reading) -> str:
        return self.of(reading.value, reading.unit, _seen(reading))


def check_key(key: str) -> None:
    """Refuse what cannot be a key.

    Parameters
    ----------
    key : str
        As given.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{key!r} is not a key", where="--key", remedy="Use lower-case letters, digits, hyphens and points"
        )


def overlay_files(found: Measured, key: str) -> dict[str, str]:
    """Return the files of an overlay.

    Parameters
    ----------
    found : Measured
        What was measured.
    key : str
        Key of the device.

    Returns
    -------
    dict of str to str
        Path below the overlay's folder to text: the document, the stack, links, a table of all readings and,
        last, the device.

    Raises
    ------
    ConfigError
        If the key is not one, or what a card needs could not be measured.
    """
    check_key(key)
    missing = [probe for probe in ("copy", "stream", "launch", "gemm") if not found.of(probe)]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} could not be measured: {'; '.join(found.notes)}", where="calibrate device",
            remedy="Free memory of the device, or measure on another",
        )  # fmt: skip
    document = f"measured-{key}"
    claims = _Claims(document)
    stack = f"{found.host.backend}-{key.removesuffix(f'-{found.host.backend}')}"
    files = {f"sources/{document}.toml": _document(found, key)}
    files |= {f"links/{key}-{name}.toml": text for name, text in _links(found, claims).items()}
    files |= {f"stacks/{stack}.toml": _stack(found, claims), f"readings-{key}.csv": _table(found)}
    return {**files, f"devices/{key}.toml": _device(found, claims)}


def _document(found: Measured, key: str) -> str:
    host = found.host
    clock = f", {host.clock / 1e6:.0f} MHz" if host.clock else ""
    said = "; ".join((f"threads: {host.threads}, processors: {host.processors}{clock}", *found.notes))
    return (
        f"title = {_text(f'Measurement of {host.name} by mlsysim calibrate device')}\n"
        f"publisher = {_text(host.host)}\nurl = {_text(MEASURED_HERE + key)}\n"
        f'kind = "benchmark"\ntier = "primary"\nretrieved = "{today().isoformat()}"\n'
        f"edition = {_text(host.software)}\nnote = {_text(said)}\n"
    )


def _device(found: Measured, claims: _Claims) -> str:
    host = found.host
    count = host.processors if host.is_accelerator else host.threads
    parts = "multiprocessors" if host.is_accelerator else "threads" if count > 1 else "thread"
    text = (
        f"name = {_text(f'{host.name}, {count} {parts}, {host.backend}')}\nvendor = {_text(_vendor_of(host))}\n"
        f'tier = "workstation"\nnote = "Peaks are the best rates that were measured, not those of a data sheet."\n'
        f"\n[compute]\nprocessors = {claims.whole(count, '', parts)}\n"
    )
    if host.clock:
        text += f"clock = {claims.whole(host.clock / 1e6, 'MHz', 'clock that the system reports')}\n"
    for precision in found.precisions:
        engine = "matrix" if host.is_accelerator and precision not in _VECTOR else "vector"
        claim = claims.rate(found.best(precision))
        text += f'\n[compute.peak.{precision}]\ndense = {claim}\nachieved = {claim}\nengine = "{engine}"\n'
    copied = claims.rate(found.of("copy")[0])
    text += (
        f'\n[memory]\nkind = "{"device memory" if host.is_accelerator else "RAM"}"\n'
        f"capacity = {claims.whole(host.memory, 'B', 'memory of the device')}\n"
        f"bandwidth = {copied}\nachieved = {copied}\n"
    )
    if host.usable is not None and host.usable < host.memory:
        text += f"usable = {claims.whole(host.usable, 'B', 'limit of the container')}\n"
    if host.cache:
        where = claims.whole(host.cache, "B", "last-level cache that the system reports")
        text += f'\n[cache]\nkind = "last level"\ncapacity = {where}\n'
    return text


def _stack(found: Measured, claims: _Claims) -> str:
    host = found.host
    torch = host.backend == "torch"
    flags = ["fused_attention = true"] if torch else ["staged_softmax = true", "gathers_windows = true"]
    if host.is_accelerator:
        flags.append("asynchronous = true")
    vendor = _vendor_of(host)
    assumed = ", ".join(_text(f"{kind}/{vendor}") for kind in ("inference", "serving", "training"))
    launch = found.of("launch")[0]
    reserve = claims.whole(host.reserve, "B", "memory that was taken before the measurement")
    return (
        f"name = {_text(f'{host.backend} on {host.name}')}\nversion = {_text(host.version)}\n"
        f'serves = ["inference", "serving", "training"]\nassumed_for = [{assumed}]\n'
        f"\n[features]\n{chr(10).join(flags)}\n\n[ceilings]\ncompute = {_compute_ceiling(found, claims)}\n"
        f"memory = {_memory_ceiling(found, claims)}\n"
        f"overhead = {claims.of(launch.value, 's', _seen(launch))}\nreserve = {reserve}\n"
    )


def _compute_ceiling(found: Measured, claims: _Claims) -> str:
    """Relate the middle shape of the usual format to the best one."""
    usual = found.precisions[0]
    low, middle = found.shares(usual)
    at = f"median over {len(found.of('gemm', usual))} products in {usual}, over the best of them"
    return claims.of(middle, "", at, low=low, high=1.0)


def _memory_ceiling(found: Measured, claims: _Claims) -> str:
    """Relate the decode step to the copy: weights are most of what memory-bound operators of models read.

    The range reaches to what element-wise operators reach.
    """
    rates = {name: reading.value for name in ("decode", "stream") for reading in found.of(name)[:1]}
    shares = {name: min(1.0, rate / found.bandwidth) for name, rate in rates.items()}
    name, share = next(iter(shares.items()))
    what = {"decode": "decode step", "stream": "sum of two buffers"}[name]
    return claims.of(share, "", f"{what} over the copy", low=min(shares.values()), high=max(shares.values()))


def _links(found: Measured, claims: _Claims) -> dict[str, str]:
    """Return links by what lies at their other end; a link is as fast as its slower direction."""
    ends: dict[str, list[Reading]] = {}
    for reading in found.of("link"):
        other = "host" if "host" in reading.size else reading.size.rpartition(" ")[2].replace(":", "")
        ends.setdefault(other, []).append(reading)
    texts = {}
    for other, readings in ends.items():
        slower = min(readings, key=lambda reading: reading.value)
        name = f"{found.host.name}, {found.host.device} to {other}, measured"
        claim = claims.rate(slower)
        texts[other] = f"name = {_text(name)}\nbandwidth = {claim}\nachieved = {claim}\n"
    return texts


def _table(found: Measured) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("probe", "precision", "size", "unit", "best", "median", "spread", "samples", "note"))
    for r in found.readings:
        t = r.timing
        rows.writerow((r.probe, r.precision, r.size, r.unit, f"{r.value:.4g}", f"{r.median:.4g}", f"{t.spread:.3f}",
                       len(t.samples), r.note))  # fmt: skip
    return out.getvalue()


def check_folder(out: str) -> Path:
    """Return the folder of an overlay, if it may be written.

    Parameters
    ----------
    out : str
        As given; empty takes ``mlsysim-machine`` in the present one.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    ConfigError
        If it lies in an installed package, or cannot be written.
    """
    import mlsysim

    folder = Path(out or "mlsysim-machine").expanduser().resolve()
    core = Path(str(mlsysim.__file__)).resolve().parent
    if any(part in _PACKAGES for part in folder.parts) or core in (folder, *folder.parents):
        raise ConfigError(
            f"{folder} belongs to an installed package", where="--out", remedy="Choose a folder of your own"
        )
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        raise ConfigError(f"{standing} cannot be written", where="--out", remedy="Choose a folder of your own")
    return folder


def write_overlay(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of an overlay, each whole or not at all.

    Parameters
    ----------
    folder : Path
        Folder of the overlay.
    files : mapping of str to str
        As :func:`overlay_files` returned them.

    Raises
    ------
    ConfigError
        If one cannot be written, or would replace what was not measured.
    """
    for name in files:
        path = folder / name
        if path.suffix == ".toml" and path.exists() and "measured" not in path.read_text(encoding="utf-8"):
            raise ConfigError(
                f"{path} exists and is not a measurement", where="--key", remedy="Give the device another key"
            )
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
    except OSError as problem:
        raise ConfigError(f"cannot be written: {problem.strerror or problem}", where=str(folder)) from None


def _replace(path: Path, text: str) -> None:
    """Write beside and rename: a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
