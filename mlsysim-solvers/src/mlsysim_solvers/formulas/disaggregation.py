"""Prompts read in one pool of workers, answers written in another: how fast either is, and the cache between them."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import maximum, minimum, only, sqrt

from .queue_constants import LEAST

__all__ = [
    "cache_transfer_time",
    "entry_time",
    "exposed_transfer",
    "idle_workers",
    "matching_workers",
    "pool_rate",
    "prompt_stay",
    "prompts_together",
    "residual_wait",
    "stay_of_slower_decode",
    "stay_of_slower_prefill",
]  # fmt: skip


@formula("1/s", workers="1", together="1", time="s")
def pool_rate(workers: Any, together: Any, time: Any) -> Any:
    """Return the most requests that a pool gets through per time.

    Parameters
    ----------
    workers : float or array, count
        Workers.
    together : float or array, count
        Requests that each has at once.
    time : float or array, s
        How long each of them stays.

    Returns
    -------
    float or array, count/s

    Notes
    -----
    X = W n / t.

    References
    ----------
    Little 1961, Operations Research 9(3), doi:10.1287/opre.9.3.383.
    """
    return workers * together / time


@formula("1", workers="1", own="1/s", other="1/s")
def matching_workers(workers: Any, own: Any, other: Any) -> Any:
    """Return how many workers a pool needs to be as fast as the other.

    Parameters
    ----------
    workers : float or array, count
        Workers that it has.
    own, other : float or array, count/s
        Most requests per time of the pool and of the other one.

    Returns
    -------
    float or array, count

    Notes
    -----
    W X_other / X_own (rate matching).

    References
    ----------
    NVIDIA TensorRT-LLM, docs/source/blogs/tech_blog/blog05_Disaggregated_Serving_in_TensorRT-LLM.md, Measurement
    Methodology.
    """
    return workers * other / own


@formula("1", workers="1", rate="1/s", most="1/s")
def idle_workers(workers: Any, rate: Any, most: Any) -> Any:
    """Return how many workers of a pool have nothing to do, on average.

    Parameters
    ----------
    workers : float or array, count
        Workers.
    rate, most : float or array, count/s
        Requests per time, and the most that the pool gets through.

    Returns
    -------
    float or array, count

    Notes
    -----
    W max(0, 1 - X / X_max).
    """
    return workers * maximum(0.0, 1.0 - rate / most)


@formula("1", rate="1/s", alone="s", added="s", most="1")
def prompts_together(rate: Any, alone: Any, added: Any, most: Any) -> Any:
    """Return how many prompts a worker reads in one pass: those that came during the pass before.

    Parameters
    ----------
    rate : float or array, count/s
        Prompts that come to one worker.
    alone, added : float or array, s
        A pass over one prompt, and what each further one adds to it.
    most : float or array, count
        Prompts that it takes at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    n = l (t_1 + (n - 1) a), so n = l (t_1 - a) / (1 - l a), at least 1 and at most what a pass takes.
    """
    first, slack = rate * maximum(0.0 * added, alone - added), 1.0 - rate * added
    # Nobody has more than the most, to which those that are full add up at least.
    return minimum(most, maximum(1.0, first / maximum(slack, LEAST)) + only(first >= most * slack, most))


@formula("s", busy="1", service="s")
def residual_wait(busy: Any, service: Any) -> Any:
    """Return how long a prompt waits for the end of the pass that runs when it comes.

    Parameters
    ----------
    busy : float or array, ratio
        Chance that it finds all workers reading.
    service : float or array, s
        Time of a pass.

    Returns
    -------
    float or array, s

    Notes
    -----
    p S / 2: who comes at random sees half of a pass of one length. Even with places left in it a pass takes nobody in.

    References
    ----------
    Gross and Harris, Fundamentals of Queueing Theory.
    """
    return busy * (0.5 * service)


@formula("s", service="s", spacing="s", customers="1", away="s")
def prompt_stay(service: Any, spacing: Any, customers: Any, away: Any) -> Any:
    """Return the time from a client's request to the end of its prompt, with other clients before it.

    Parameters
    ----------
    service : float or array, s
        The pass that reads it.
    spacing : float or array, s
        Time between two prompts that the busy pool reads.
    customers : float or array, count
        Clients, each with one request.
    away : float or array, s
        Time from the end of its prompt to its next request.

    Returns
    -------
    float or array, s

    Notes
    -----
    R = (S - d) + Q, Q = d + d (N - 1) (Q - d / 2) / (Z + R): several workers are one that takes d for each, and a delay
    S - d behind it; who comes finds the others as they are on average, and who is being read half read
    (Schweitzer). It is S for one client and d N - Z for many, which is the rate 1 / d.

    References
    ----------
    Schweitzer 1979, approximate mean value analysis of closed networks of queues.
    """
    delay = service - spacing
    ahead, gone = spacing * (customers - 1.0), away + delay
    above = ahead - gone
    surplus = spacing + above
    return delay + 0.5 * (surplus + sqrt(surplus * surplus + 2.0 * spacing * (gone - above)))


@formula("s", service="s", spacing="s", customers="1", away="s", stay="s")
def stay_of_slower_prefill(service: Any, spacing: Any, customers: Any, away: Any, stay: Any) -> Any:
    """Return what a prompt stays longer for each part by which its prefill workers are slower.

    Parameters
    ----------
    service, spacing : float or array, s
        The pass that reads it, and the time between two prompts that the busy pool reads.
    customers : float or array, count
        Clients, each with one request.
    away : float or array, s
        Time from the end of its prompt to its next request.
    stay : float or array, s
        As :func:`prompt_stay` says.

    Returns
    -------
    float or array, s

    Notes
    -----
    dR / d ln S with d in proportion to S, of the equation of :func:`prompt_stay`. It is S for one client and d N for
    many: where the workers are always busy, an error of their time is one of the whole round, and the stay is what is
    left of that beside the time away.
    """
    delay = service - spacing
    round_, ahead = away + stay, spacing * (customers - 1.0)
    queued = stay - delay
    slope = ahead * (queued - 0.5 * spacing) / (round_ * round_)
    steep = 1.0 - ahead / round_ + slope
    later = spacing + ahead * (queued - spacing) / round_ - slope * delay
    return delay + later / maximum(steep, spacing / round_)


@formula("s", service="s", spacing="s", customers="1", away="s", stay="s")
def stay_of_slower_decode(service: Any, spacing: Any, customers: Any, away: Any, stay: Any) -> Any:
    """Return what a prompt stays less for each part by which its client is away longer.

    Parameters
    ----------
    service, spacing : float or array, s
        The pass that reads it, and the time between two prompts that the busy pool reads.
    customers : float or array, count
        Clients, each with one request.
    away : float or array, s
        Time from the end of its prompt to its next request.
    stay : float or array, s
        As :func:`prompt_stay` says.

    Returns
    -------
    float or array, s

    Notes
    -----
    -dR / d ln Z, of the equation of :func:`prompt_stay`: nothing for one client, Z for many.
    """
    round_, ahead = away + stay, spacing * (customers - 1.0)
    slope = ahead * (stay - service + 0.5 * spacing) / (round_ * round_)
    return away * slope / maximum(1.0 - ahead / round_ + slope, spacing / round_)


@formula("s", cache="B", rate="B/s", streams="1", latency="s")
def cache_transfer_time(cache: Any, rate: Any, streams: Any, latency: Any) -> Any:
    """Return how long the cache of one prompt takes from worker to worker.

    Parameters
    ----------
    cache : float or array, B
        Keys and values of the prompt in all layers.
    rate : float or array, B/s
        What one device sends or receives.
    streams : float or array, count
        Devices that send parts of it at the same time, each to one that keeps it.
    latency : float or array, s
        Start and hop of a message.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = a + C / (n B).

    References
    ----------
    NVIDIA TensorRT-LLM, docs/source/blogs/tech_blog/blog05_Disaggregated_Serving_in_TensorRT-LLM.md, KV Cache Exchange:
    devices of a worker send in parallel.
    """
    return latency + cache / (streams * rate)


@formula("s", step="s")
def entry_time(step: Any) -> Any:
    """Return how long a request takes from the arrival of its cache to the end of its first pass there.

    Parameters
    ----------
    step : float or array, s
        A pass that decodes.

    Returns
    -------
    float or array, s

    Notes
    -----
    t / 2 + t: on average half of the pass that runs when it comes, and its own.
    """
    return 0.5 * step + step


@formula("s", transfer="s", reading="s", layers="1")
def exposed_transfer(transfer: Any, reading: Any, layers: Any) -> Any:
    """Return what is left of the transfer of a cache that travels layer by layer while the prompt is read.

    Parameters
    ----------
    transfer, reading : float or array, s
        The transfer of the whole cache, and the pass over the prompt.
    layers : float, count
        Layers of the model.

    Returns
    -------
    float or array, s

    Notes
    -----
    max(T / L, T - R (1 - 1 / L)): the last layer has nothing to hide behind.
    """
    return maximum(transfer / layers, transfer - reading * (1.0 - 1.0 / layers))
