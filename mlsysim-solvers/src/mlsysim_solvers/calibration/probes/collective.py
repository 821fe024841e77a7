"""All-reduce over several processes, by size: over the links of CUDA devices, or the loopback interface.

Each process runs this module as a program and writes what it timed; they find one another through a file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mlsysim.errors import ConfigError

from .backend import Backend
from .readings import Reading
from .timing import summarise

__all__ = ["SIZES", "all_reduce_readings", "bus_bytes", "check_ranks"]

SIZES = tuple(2**power for power in (10, 14, 16, 18, 20, 22, 24, 26))
"""Bytes per process, from 1 KiB to 64 MiB."""

_LARGE = (2**28, 2**30)
"""Bytes beside them over the links of devices, which are not filled by less."""

_WARM, _SAMPLES = 3, 12
_LIMIT = 300.0


def bus_bytes(size: float, ranks: int) -> float:
    """Return the bytes that each process sends, at least, to add up a buffer.

    Parameters
    ----------
    size : float, B
        Buffer of each process.
    ranks : int, count
        Processes.

    Returns
    -------
    float, B

    Notes
    -----
    2 (n - 1) / n Q: every process sends what it lacks of the sum of its part, and of the others' parts.

    References
    ----------
    Patarasuk, Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations.
    """
    return 2.0 * (ranks - 1) / ranks * size


def check_ranks(backend: Backend, ranks: int) -> None:
    """Refuse an all-reduce that cannot be done.

    Parameters
    ----------
    backend : Backend
        What runs it.
    ranks : int, count
        Processes.

    Raises
    ------
    ConfigError
        If the backend cannot, it would move nothing, or the devices are fewer.
    """
    if backend.name != "torch":
        raise ConfigError("an all-reduce needs PyTorch", where="--ranks", remedy="Use --backend torch")
    if ranks < 2:
        raise ConfigError(f"an all-reduce over {ranks} processes moves nothing", where="--ranks", remedy="Give 2")
    if backend.most_ranks is not None and ranks > backend.most_ranks:
        raise ConfigError(
            f"PyTorch sees {backend.most_ranks} CUDA devices", where="--ranks", remedy="Give at most as many processes"
        )


def all_reduce_readings(backend: Backend, ranks: int) -> tuple[Reading, ...]:
    """Time all-reduce in processes of their own.

    Parameters
    ----------
    backend : Backend
        PyTorch on the processor (gloo over the loopback interface), or on CUDA (NCCL).
    ranks : int, count
        Processes; on CUDA at most the devices there are.

    Returns
    -------
    tuple of Reading
        Bus bandwidth by size.

    Raises
    ------
    ConfigError
        If it cannot be done.
    """
    check_ranks(backend, ranks)
    library = "gloo" if backend.device == "cpu" else "nccl"
    with tempfile.TemporaryDirectory() as folder:
        workers = [_start(folder, library, ranks, rank) for rank in range(ranks)]
        try:
            failed = _failure(workers)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        if failed is not None:
            said = (Path(folder) / f"{failed}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise ConfigError(
                f"the all-reduce failed: {said[-1] if said else f'no answer within {_LIMIT:g} s'}", where="--ranks",
                remedy="Leave --ranks out",
            )  # fmt: skip
        timed = json.loads((Path(folder) / "times.json").read_text(encoding="utf-8"))
    what = "loopback interface of the host" if library == "gloo" else "links of the devices"
    return tuple(
        Reading("allreduce", "fp32", f"{size} B, {ranks} processes", "B/s", bus_bytes(size, ranks), summarise(samples),
                f"bus bandwidth with {library} over the {what}")
        for size, samples in zip(_sizes(library), timed, strict=True)
    )  # fmt: skip


def _sizes(library: str) -> tuple[int, ...]:
    return SIZES + _LARGE if library == "nccl" else SIZES


def _start(folder: str, library: str, ranks: int, rank: int) -> subprocess.Popen[bytes]:
    """Start one process; what it complains about goes into a file."""
    command = [sys.executable, "-m", __name__, folder, library, str(ranks), str(rank)]
    with (Path(folder) / f"{rank}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - this very program


def _failure(workers: list[subprocess.Popen[bytes]]) -> int | None:
    """Wait for all processes; return the first that fails, or that has not answered in time."""
    end = time.monotonic() + _LIMIT
    while True:
        codes = [worker.poll() for worker in workers]
        wrong = next((rank for rank, code in enumerate(codes) if code), None)
        if wrong is not None or None not in codes:
            return wrong
        if time.monotonic() > end:
            return codes.index(None)
        time.sleep(0.05)


def _work(folder: str, library: str, ranks: int, rank: int) -> None:
    """Be one of the processes; the first writes the times."""
    import importlib

    torch: Any = importlib.import_module("torch")
    group: Any = importlib.import_module("torch.distributed")
    device = f"cuda:{rank}" if library == "nccl" else "cpu"
    if library == "nccl":
        torch.cuda.set_device(device)
    group.init_process_group(library, init_method=f"file://{folder}/meeting", world_size=ranks, rank=rank)
    timed = []
    for size in _sizes(library):
        buffer = torch.ones(size // 4, device=device)
        samples = []
        for turn in range(_WARM + _SAMPLES):
            group.barrier()
            start = time.perf_counter()
            group.all_reduce(buffer)
            if library == "nccl":
                torch.cuda.synchronize(device)
            if turn >= _WARM:
                samples.append(time.perf_counter() - start)
        timed.append(samples)
    if rank == 0:
        (Path(folder) / "times.json").write_text(json.dumps(timed), encoding="utf-8")
    group.destroy_process_group()


if __name__ == "__main__":
    _work(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
