"""Checkpoints and failures of a long run."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import exp, sqrt, where

from .constants import SERIES_BELOW

__all__ = [
    "checkpoint_bytes",
    "checkpoint_write_time",
    "daly_interval",
    "failures_per_interval",
    "job_mtbf",
    "restart_loss",
    "rework_per_interval",
]


def _beyond_linear(y: Any) -> Any:
    """Return exp(y) - 1 - y, by its series where the difference would lose the digits of a small y."""
    series = 1.0 + 0.0 * y
    for order in range(10, 2, -1):
        series = 1.0 + y / order * series
    return where(y < SERIES_BELOW, 0.5 * y * y * series, exp(y) - 1.0 - y)


@formula("B", parameters="1", weight="B", master="B", states="1", state="B")
def checkpoint_bytes(parameters: Any, weight: Any, master: Any, states: Any, state: Any) -> Any:
    """Return what a checkpoint of the whole job holds: weights, master weights and optimizer states, once each.

    Parameters
    ----------
    parameters : float or array, count
        Trained parameters of the model.
    weight, master, state : float, B
        Bytes per parameter of a weight, of its master copy and of one optimizer state.
    states : float, count
        Optimizer states per parameter.

    Returns
    -------
    float or array, B

    Notes
    -----
    S = N (w + m + k s): gradients are not kept.
    """
    return parameters * (weight + master + states * state)


@formula("s", size="B", rate="B/s")
def checkpoint_write_time(size: Any, rate: Any) -> Any:
    """Return the time to write a checkpoint to storage.

    Parameters
    ----------
    size : float or array, B
        Checkpoint of the whole job.
    rate : float or array, B/s
        Sustained write rate of the storage for all devices together.

    Returns
    -------
    float or array, s

    Notes
    -----
    w = S / B.
    """
    return size / rate


@formula("s", device="s", devices="1")
def job_mtbf(device: Any, devices: Any) -> Any:
    """Return the mean time between failures of a job that any failing device stops.

    Parameters
    ----------
    device : float or array, s
        Device time between failures.
    devices : float or array, count
        Devices of the job.

    Returns
    -------
    float or array, s

    Notes
    -----
    M = M_1 / n: independent failures at constant rates, whose rates add.

    References
    ----------
    Kokolis et al. 2024, Revisiting Reliability in Large-Scale Machine Learning Research Clusters,
    arXiv:2410.21680.
    """
    return device / devices


@formula("s", blocked="s", mtbf="s")
def daly_interval(blocked: Any, mtbf: Any) -> Any:
    """Return the higher-order optimum of the time between checkpoints.

    Parameters
    ----------
    blocked : float or array, s
        Time for which training stands still for a checkpoint.
    mtbf : float or array, s
        Mean time between failures of the job.

    Returns
    -------
    float or array, s

    Notes
    -----
    tau = sqrt(2 d M) (1 + sqrt(d / 2M) / 3 + (d / 2M) / 9) - d for d < 2 M, else M.

    References
    ----------
    Daly 2006, A higher order estimate of the optimum checkpoint interval for restart dumps, FGCS 22(3),
    doi:10.1016/j.future.2004.11.016.
    """
    part = blocked / (2.0 * mtbf)
    found = sqrt(2.0 * blocked * mtbf) * (1.0 + sqrt(part) / 3.0 + part / 9.0) - blocked
    return where(part < 1.0, found, mtbf + 0.0 * blocked)


@formula("1", length="s", mtbf="s")
def failures_per_interval(length: Any, mtbf: Any) -> Any:
    """Return how often an interval of work fails before it is once done without a failure.

    Parameters
    ----------
    length : float or array, s
        Work between two checkpoints and the checkpoint itself.
    mtbf : float or array, s
        Mean time between failures of the job.

    Returns
    -------
    float or array, count

    Notes
    -----
    F = exp(x / M) - 1: attempts are independent, and one succeeds with probability exp(-x / M).

    References
    ----------
    Daly 2006, A higher order estimate of the optimum checkpoint interval for restart dumps, FGCS 22(3),
    doi:10.1016/j.future.2004.11.016.
    """
    return length / mtbf + _beyond_linear(length / mtbf)


@formula("s", length="s", mtbf="s", failures="1", lag="s")
def rework_per_interval(length: Any, mtbf: Any, failures: Any, lag: Any) -> Any:
    """Return the time that failures make a job spend on work which is then lost, per interval.

    Parameters
    ----------
    length : float or array, s
        Work between two checkpoints and the checkpoint itself.
    mtbf : float or array, s
        Mean time between failures of the job.
    failures : float or array, count
        Failures per interval.
    lag : float or array, s
        How long after its moment a checkpoint becomes durable, while training goes on.

    Returns
    -------
    float or array, s

    Notes
    -----
    M (exp(x / M) - 1 - x / M) + F lag, which tends to F (x / 2 + lag): half an interval for each failure.

    References
    ----------
    Daly 2006, A higher order estimate of the optimum checkpoint interval for restart dumps, FGCS 22(3),
    doi:10.1016/j.future.2004.11.016.
    """
    return mtbf * _beyond_linear(length / mtbf) + failures * lag


@formula("s", failures="1", restart="s")
def restart_loss(failures: Any, restart: Any) -> Any:
    """Return the time that a job stands still after failures.

    Parameters
    ----------
    failures : float or array, count
        Failures.
    restart : float or array, s
        From a failure until the job trains again: detection, replacement, start and loading.

    Returns
    -------
    float or array, s

    Notes
    -----
    F R.
    """
    return failures * restart
