"""Training steps and runs."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["active_share", "issue_time", "run_steps", "run_time", "training_token_rate"]


@formula("1", amount="1", per_step="1")
def run_steps(amount: Any, per_step: Any) -> Any:
    """Return the steps of a run.

    Parameters
    ----------
    amount : float, count
        Tokens or samples of the run.
    per_step : float or array, count
        Tokens or samples per step.

    Returns
    -------
    float or array, count

    Notes
    -----
    n = D / d.
    """
    return amount / per_step


@formula("s", steps="1", step="s")
def run_time(steps: Any, step: Any) -> Any:
    """Return the time of a run without interruptions.

    Parameters
    ----------
    steps : float or array, count
        Steps.
    step : float or array, s
        Time of one step.

    Returns
    -------
    float or array, s

    Notes
    -----
    T = n t.
    """
    return steps * step


@formula("token/s", batch="sample", sequence="token/sample", step="s")
def training_token_rate(batch: Any, sequence: Any, step: Any) -> Any:
    """Return trained tokens per time.

    Parameters
    ----------
    batch : float or array, sample
        Sequences per step.
    sequence : float or array, token/sample
        Tokens per sequence.
    step : float or array, s
        Time of one step.

    Returns
    -------
    float or array, token/s

    Notes
    -----
    X = b s / t.
    """
    return batch * sequence / step


@formula("1", active="s", step="s")
def active_share(active: Any, step: Any) -> Any:
    """Return the share of a step in which a device computes.

    Parameters
    ----------
    active : float or array, s
        Computation, recomputation and the optimizer.
    step : float or array, s
        Time of the step; what is left waits for messages or for other devices.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    a = t_active / t.

    References
    ----------
    arXiv:2508.14318, abstract: phases of computation need much more power than phases of communication.
    """
    return active / step


@formula("s", host="s", products="1", experts="1", each="s")
def issue_time(host: Any, products: Any, experts: Any, each: Any) -> Any:
    """Return how long the host takes to issue one pass of one layer.

    Parameters
    ----------
    host : float or array, s
        What every layer has: norms, attention, projections, router.
    products : float, count
        Products of one expert.
    experts : float or array, count
        Experts of a layer that lie on the device; of all layers on average.
    each : float or array, s
        To issue one product of one expert, with the quantisation of what it reads.

    Returns
    -------
    float or array, s

    Notes
    -----
    t_h + p E t_e: a loop over experts issues kernels of its own for each, however few rows it has. The device waits for
    the host where it is faster: a pass takes the longer of both.

    References
    ----------
    NVIDIA Megatron-LM, megatron/core/transformer/moe/experts.py, TEGroupedMLP: the numbers of tokens are copied to the
    host, which splits the input by expert.
    """
    return host + products * experts * each
