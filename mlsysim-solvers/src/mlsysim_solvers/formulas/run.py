"""A whole training run: evaluation, stragglers, and what is left of its time."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import log, maximum, only, sqrt

from .constants import EULER, LOG_4_PI

__all__ = [
    "effective_rate_of_run",
    "evaluation_time",
    "forward_pass_time",
    "goodput",
    "run_log_sd",
    "straggler_slowdown",
]


@formula("s", evaluations="1", samples="sample", batch="sample", forward="s")
def evaluation_time(evaluations: Any, samples: Any, batch: Any, forward: Any) -> Any:
    """Return the time of all evaluations of a run.

    Parameters
    ----------
    evaluations : float or array, count
        How many.
    samples : float or array, sample
        Samples that each of them reads.
    batch : float or array, sample
        Samples of one forward pass over all devices.
    forward : float or array, s
        Time of that pass.

    Returns
    -------
    float or array, s

    Notes
    -----
    n (m / b) t_F.
    """
    return evaluations * (samples / batch) * forward


@formula("s", compute="s", share="1", exchange="s", exchange_share="1", waiting="s", waiting_share="1")
def forward_pass_time(
    compute: Any, share: Any, exchange: Any, exchange_share: Any, waiting: Any, waiting_share: Any
) -> Any:
    """Return the time of a forward pass alone, as the forward part of each term of a step.

    Parameters
    ----------
    compute, exchange, waiting : float or array, s
        Computation, exposed communication and pipeline bubble of a step.
    share, exchange_share, waiting_share : float or array, ratio
        Forward part of each.

    Returns
    -------
    float or array, s

    Notes
    -----
    t_F = f C + g X + h W.
    """
    return compute * share + exchange * exchange_share + waiting * waiting_share


@formula("1", variation="1", devices="1")
def straggler_slowdown(variation: Any, devices: Any) -> Any:
    """Return how much longer the slowest of many devices takes than the mean one.

    Parameters
    ----------
    variation : float or array, ratio
        Standard deviation of a device's step time over its mean.
    devices : float or array, count
        Devices that wait for each other; 1 waits for none.

    Returns
    -------
    float or array, ratio
        1 without variation.

    Notes
    -----
    1 + cv (b - (ln ln n + ln 4 pi) / (2 b) + gamma / b) with b = sqrt(2 ln n).

    The expected maximum of n independent normal variables, by the norming constants of the Gumbel limit; gamma is
    the Euler-Mascheroni constant. Against a simulation it is too large by .18 cv for two devices, .10 cv for eight
    and .03 cv from a thousand on.

    References
    ----------
    Gasull, Jolis, Utzet 2013, On the norming constants for normal maxima, arXiv:1308.5541.
    """
    several = maximum(devices, 2.0)
    b = sqrt(2.0 * log(several))
    most = b + (EULER - 0.5 * (log(log(several)) + LOG_4_PI)) / b
    return 1.0 + variation * only(devices > 1.0, most)


@formula("1", useful="s", wall="s")
def goodput(useful: Any, wall: Any) -> Any:
    """Return the share of a run in which it makes progress that stays.

    Parameters
    ----------
    useful : float or array, s
        Undisturbed steps, each counted once.
    wall : float or array, s
        The whole run: waiting, evaluation, checkpoints, rework and restarts included.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    G = T_useful / T.
    """
    return useful / wall


@formula("1/s", rate="1/s", share="1")
def effective_rate_of_run(rate: Any, share: Any) -> Any:
    """Return the work per time that stays, over the whole of a run.

    Parameters
    ----------
    rate : float or array, 1/s
        Samples or tokens per time while steps run undisturbed.
    share : float or array, ratio
        Goodput.

    Returns
    -------
    float or array, 1/s

    Notes
    -----
    X G.
    """
    return rate * share


@formula(
    "1", steps="1", restarts="1", rework="1", checkpoints="1", var_restart="1", var_mtbf="1", var_storage="1"
)  # fmt: skip
def run_log_sd(
    steps: Any, restarts: Any, rework: Any, checkpoints: Any, var_restart: Any, var_mtbf: Any, var_storage: Any
) -> Any:
    """Return the standard deviation of the logarithm of the time to train.

    Parameters
    ----------
    steps : float or array, natural-log units
        That of the steps, which the whole run follows.
    restarts, rework, checkpoints : float or array, ratio
        Shares of the run.
    var_restart, var_mtbf, var_storage : float, squared natural-log units
        Variance of the restart time, of the time between failures and of the storage's rate.

    Returns
    -------
    float or array, natural-log units

    Notes
    -----
    s^2 = s_steps^2 + (r s_R)^2 + ((r + w) s_M)^2 + (c s_B)^2: each input by the share of the terms that it scales.
    """
    failing = restarts + rework
    lost = restarts * restarts * var_restart + failing * failing * var_mtbf
    return sqrt(steps * steps + lost + checkpoints * checkpoints * var_storage)
