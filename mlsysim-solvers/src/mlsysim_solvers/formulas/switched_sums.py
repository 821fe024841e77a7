"""All-reduces that switches add up: how much passes their buffers at once, and how long that takes to fill."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import minimum, where

__all__ = ["narrowed_pass", "switched_time", "widest_pass"]


@formula("B", members="1", channels="1", chunk="B")
def widest_pass(members: Any, channels: Any, chunk: Any) -> Any:
    """Return the most that passes the buffers of the switches at once.

    Parameters
    ----------
    members, channels : float or array, count
        Members of the group, each of which has a part added up, and channels side by side.
    chunk : float, B
        What one channel sends for one member at once.

    Returns
    -------
    float or array, B

    Notes
    -----
    W = n c s.

    References
    ----------
    NVIDIA/nccl, src/enqueue.cc at 5067397c, calcCollChunking: concurrentOps * chunkSize.
    """
    return members * channels * chunk


@formula("B", volume="B", wide="B", passes="1")
def narrowed_pass(volume: Any, wide: Any, passes: Any) -> Any:
    """Return what passes at once where a vector has to take so many passes.

    Parameters
    ----------
    volume, wide : float or array, B
        The vector, and what would pass at once.
    passes : float, count
        Fewest passes at that.

    Returns
    -------
    float or array, B

    Notes
    -----
    W / 2 where V < N W, else W.

    References
    ----------
    NVIDIA/nccl, src/enqueue.cc at 5067397c, calcCollChunking: the chunk of NVLS is halved three times.
    """
    return where(volume < passes * wide, 0.5 * wide, wide)


@formula("s", volume="B", size="1", wide="B", rate="B/s", start="s", ahead="1")
def switched_time(volume: Any, size: Any, wide: Any, rate: Any, start: Any, ahead: Any) -> Any:
    """Return the time of an all-reduce that the switches add up, pass by pass.

    Parameters
    ----------
    volume, wide : float or array, B
        The vector, and what passes at once.
    size : float or array, count
        Members.
    rate : float or array, B/s
        Bus rate.
    start : float, s
        Latency.
    ahead : float, count
        Stages that each pass takes before the last one.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = t_0 + 2 (n - 1)/n (V + h min(V, W)) / B: while one pass is gathered the next one is added up and the one after
    it scattered, so that the pipeline fills for h passes.

    References
    ----------
    NVIDIA/nccl, src/device/all_reduce.h at 5067397c, NCCL_ALGO_NVLS: warps that scatter, reduce and gather.
    """
    return start + 2.0 * ((size - 1.0) / size) * (volume + ahead * minimum(volume, wide)) / rate
