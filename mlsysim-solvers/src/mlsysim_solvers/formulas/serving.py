"""A fixed batch of requests, from the first token to the last."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import ceil, minimum, where

from .constants import BUCKETS

__all__ = [
    "bucket_tokens",
    "busy_share",
    "output_rate",
    "pipelined_time",
    "request_latency",
    "sample_rate",
    "stage_share",
]


@formula("1", tokens="1", smallest="1")
def bucket_tokens(tokens: Any, smallest: Any) -> Any:
    """Return the tokens of a prompt with those that fill it up to a length for which a program was compiled.

    Parameters
    ----------
    tokens : float or array, count
        Tokens of the prompt.
    smallest : float, count
        The shortest such length.

    Returns
    -------
    float or array, count

    Notes
    -----
    b 2^k with the smallest k >= 0 for which no token is left out. AWS Neuron documentation, features of NxD
    Inference, automatic bucketing: powers of two between 128 and the longest context.
    """
    length = smallest + 0.0 * tokens
    for _ in range(BUCKETS):
        length = where(length < tokens, 2.0 * length, length)
    return length


@formula("s", prefill="s", step="s", output="1")
def request_latency(prefill: Any, step: Any, output: Any) -> Any:
    """Return the time from prompt to last token.

    Parameters
    ----------
    prefill : float or array, s
        Time to the first token.
    step : float or array, s
        Time of the average decode step.
    output : float or array, count
        Tokens of the answer.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = t_prefill + (O - 1) t_decode

    The prefill yields the first token.
    """
    return prefill + (output - 1.0) * step


@formula("token/s", batch="sample", output="token/sample", latency="s")
def output_rate(batch: Any, output: Any, latency: Any) -> Any:
    """Return output tokens per time.

    Parameters
    ----------
    batch : float or array, sample
        Requests in flight.
    output : float or array, token/sample
        Tokens of each answer.
    latency : float or array, s
        Time from prompt to last token.

    Returns
    -------
    float or array, token/s

    Notes
    -----
    X = b O / t.
    """
    return batch * output / latency


@formula("sample/s", batch="sample", time="s")
def sample_rate(batch: Any, time: Any) -> Any:
    """Return samples per time.

    Parameters
    ----------
    batch : float or array, sample
        Samples per pass or step.
    time : float or array, s
        Time of a pass or step.

    Returns
    -------
    float or array, sample/s

    Notes
    -----
    X = b / t.
    """
    return batch / time


@formula("1", rate="sample/s", throughput="sample/s")
def busy_share(rate: Any, throughput: Any) -> Any:
    """Return the share of time that a device is busy.

    Parameters
    ----------
    rate : float or array, sample/s
        Samples that arrive.
    throughput : float or array, sample/s
        Samples that it can do.

    Returns
    -------
    float or array, ratio
        1 also where samples arrive faster than they are done.

    Notes
    -----
    rho = min(1, lambda / X).
    """
    return minimum(1.0, rate / throughput)


@formula("1", layers="1", stages="1")
def stage_share(layers: Any, stages: Any) -> Any:
    """Return the share of the layers that the fullest stage of a pipeline has.

    Parameters
    ----------
    layers, stages : float or array, count
        Layers of the model and stages.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    ceil(L / p) / L.
    """
    return ceil(layers / stages) / layers


@formula("s", whole="s", slowest="s", pieces="1")
def pipelined_time(whole: Any, slowest: Any, pieces: Any) -> Any:
    """Return how long several pieces of work take through the stages of a pipeline, one behind the other.

    Parameters
    ----------
    whole, slowest : float or array, s
        One piece through all stages, and through the slowest.
    pieces : float or array, count
        How many.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = t_all + (m - 1) t_slowest: a single piece gains nothing from several stages.

    References
    ----------
    Huang et al. 2019, GPipe, arXiv:1811.06965, section 2.3: the bubble of p stages and m pieces.
    """
    return whole + (pieces - 1.0) * slowest
