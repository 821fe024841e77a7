"""Requests that arrive at random: the prompts that share a pass, what they wait for, and how they hold up decoding.

An engine reads all prompts that came during a pass in the next one, as far as that has room, so that more arrivals make
larger passes before they make a line. Whoever decodes meanwhile waits for them.
"""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import ceil, maximum, minimum, only, sqrt, where

from .queue_constants import LEAST

__all__ = [
    "broken_passes",
    "delayed_token",
    "gathered",
    "mixed_token",
    "residual_quantile",
    "residual_wait",
    "roomy",
]


@formula("1", more="1", room="1")
def roomy(more: Any, room: Any) -> Any:
    """Return how many others a pass reads beside a prompt, of those that come.

    Parameters
    ----------
    more : float or array, count
        How many there would be if a pass had room for any.
    room : float or array, count
        For how many it has room.

    Returns
    -------
    float or array, count

    Notes
    -----
    m r / sqrt(m^2 + r^2): below both, since now and then more come than there is room for, and then fewer.
    """
    return more * room / sqrt(more * more + room * room + LEAST)


@formula("1", fixed="1", each="1", room="1")
def gathered(fixed: Any, each: Any, room: Any) -> Any:
    """Return the prompts that a pass reads which follows another that reads.

    Parameters
    ----------
    fixed : float or array, count
        Prompts that come during the part of a pass that does not depend on how many it reads.
    each : float or array, count
        Prompts that come while one is read.
    room : float or array, count
        Prompts that a pass has room for beside the first.

    Returns
    -------
    float or array, count

    Notes
    -----
    With x = a + g k prompts coming during a pass that reads k, a pass that reads any reads x / (1 - e^-x), which is
    x / 2 + sqrt(1 + x^2 / 4) within 4 %: (1 - g) k^2 - a k = 1. No root is left from g = 1 on, where passes are full.
    """
    left = maximum(LEAST, 1.0 - each)
    free = (fixed + sqrt(fixed * fixed + 4.0 * left)) / (2.0 * left)
    return 1.0 + roomy(maximum(0.0, free - 1.0), room)


@formula("1", passes="1", variation="1")
def broken_passes(passes: Any, variation: Any) -> Any:
    """Return by how many passes the reading of a prompt exceeds its share of full ones.

    Parameters
    ----------
    passes : float or array, count
        Prompt over the room of a pass, at least 1.
    variation : float or array, ratio
        Standard deviation of prompts over their mean.

    Returns
    -------
    float or array, count

    Notes
    -----
    ceil(n) - n, and 1/2 where lengths scatter: the last part of a prompt ends within a pass. None if n = 1.
    """
    last = where(variation > 0.0, 0.5 + 0.0 * passes, ceil(passes) - passes)
    return only(passes > 1.0, last)


@formula("s", load="1", busy="1", reading="s", plain="s", variation="1")
def residual_wait(load: Any, busy: Any, reading: Any, plain: Any, variation: Any) -> Any:
    """Return how long the pass still takes that runs when a request arrives, on average.

    Parameters
    ----------
    load : float or array, ratio
        Share of the time in which prompts are read.
    busy : float or array, ratio
        Share of the time in which any pass runs.
    reading : float or array, s
        What the prompts take that are read together.
    plain : float or array, s
        A pass that only decodes.
    variation : float or array, ratio
        Standard deviation of prompts over their mean.

    Returns
    -------
    float or array, s

    Notes
    -----
    rho t_1 (1 + c^2) / 2 + (u - rho) t_0 / 2: half of what runs, and more of what is longer, in which more arrive.

    References
    ----------
    Gross and Harris, Fundamentals of Queueing Theory: the residual time of service.
    """
    return 0.5 * (load * (reading * (1.0 + variation * variation)) + maximum(0.0, busy - load) * plain)


@formula("s", load="1", busy="1", reading="s", plain="s", exceeded="1")
def residual_quantile(load: Any, busy: Any, reading: Any, plain: Any, exceeded: Any) -> Any:
    """Return what the pass still takes, at least, that runs when one of so large a share of requests arrives.

    Parameters
    ----------
    load : float or array, ratio
        Share of the time in which prompts are read.
    busy : float or array, ratio
        Share of the time in which any pass runs.
    reading : float or array, s
        What the prompts take that are read together.
    plain : float or array, s
        A pass that only decodes.
    exceeded : float or array, ratio
        Share of requests for which it takes longer.

    Returns
    -------
    float or array, s

    Notes
    -----
    max(t_1 (1 - q / rho), t_0 (1 - q / u)), not below 0: who arrives sees any moment of a pass alike.
    """
    read = reading * maximum(0.0, 1.0 - exceeded / maximum(LEAST, load))
    return maximum(read, plain * maximum(0.0, 1.0 - exceeded / maximum(LEAST, busy)))


@formula("s", plain="s", reading="s", load="1", first="s", steps="1")
def mixed_token(plain: Any, reading: Any, load: Any, first: Any, steps: Any) -> Any:
    """Return the time between two tokens where prompts of others are read in the passes that decode.

    Parameters
    ----------
    plain, reading : float or array, s
        A pass that only decodes, and one that reads prompts beside it.
    load : float or array, ratio
        Time by which reading lengthens passes, over all time.
    first : float or array, s
        From the arrival of a request to its first token.
    steps : float or array, count
        Tokens that a request decodes after its first.

    Returns
    -------
    float or array, s

    Notes
    -----
    With D = S u: D = S t_0 + rho (D + t_f (1 - u / t_1)), at most S t_1. While a request decodes, prompts are read that
    come meanwhile, and those that came while it was read itself and stand behind it; what still stands there when it
    ends is that of the average pass.
    """
    behind = load * first / maximum(1.0, steps)
    return minimum((plain + behind) / (1.0 - load + behind / reading), maximum(plain, reading))


@formula("s", plain="s", load="1", first="s", steps="1")
def delayed_token(plain: Any, load: Any, first: Any, steps: Any) -> Any:
    """Return the time between two tokens where nobody decodes while prompts are read.

    Parameters
    ----------
    plain : float or array, s
        A pass that decodes.
    load : float or array, ratio
        Share of the time in which prompts are read.
    first : float or array, s
        From the arrival of a request to its first token.
    steps : float or array, count
        Tokens that a request decodes after its first.

    Returns
    -------
    float or array, s

    Notes
    -----
    With D = S u: D = S t_0 + rho (D + t_f). Who came while a request was read is read before it decodes.
    """
    return (plain + load * first / maximum(1.0, steps)) / (1.0 - load)
