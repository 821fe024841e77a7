"""Requests batched in flight: how many, how their prompts share passes with decoding, and what follows.

One engine works in passes. Each pass decodes one token of every request that has read its prompt; prompts of
others are read in the same passes (mixed) or in passes between them. All formulas hold for the mean of a steady
state, counted in passes and tokens, so that none knows a time until the passes have one.
"""

from __future__ import annotations

import math
from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import maximum, minimum, only, sqrt

__all__ = [
    "SAME_PASS",
    "admissions",
    "crowded_away",
    "cycle_time",
    "decoding_requests",
    "long_answer",
    "pass_tokens",
    "phase_tokens",
    "prompt_passes",
    "reading_passes",
    "shared_tokens",
    "time_per_token",
    "together_prompts",
]


@formula("1", output="1", variation="1")
def long_answer(output: Any, variation: Any) -> Any:
    """Return the length of the answers among which the average token is decoded.

    Parameters
    ----------
    output : float or array, count
        Mean tokens of an answer.
    variation : float or array, ratio
        Standard deviation over mean.

    Returns
    -------
    float or array, count

    Notes
    -----
    E[O^2] / E[O] = O (1 + c^2). Half of it is what a request in flight holds on average beside its prompt.

    References
    ----------
    Kwon et al. 2023, PagedAttention, arXiv:2309.06180: the cache grows token by token.
    """
    return output * (1.0 + variation * variation)


@formula("1", prompt="1", free="1")
def prompt_passes(prompt: Any, free: Any) -> Any:
    """Return the passes that a prompt takes.

    Parameters
    ----------
    prompt : float or array, count
        Its tokens.
    free : float or array, count
        Prompt tokens that a pass takes at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    max(1, I / F).

    References
    ----------
    Agrawal et al. 2024, Sarathi-Serve, arXiv:2403.02310: prompts are read in chunks.
    """
    return maximum(1.0, prompt / free)


@formula("1", batch="1", steps="1", gap="1", prompt="1", budget="1")
def decoding_requests(batch: Any, steps: Any, gap: Any, prompt: Any, budget: Any) -> Any:
    """Return how many of the requests in flight decode in a pass that has room for prompts beside them.

    Parameters
    ----------
    batch : float or array, count
        Requests in flight.
    steps : float or array, count
        Tokens that a request decodes after its first.
    gap : float or array, count
        Passes between an answer and the next request in its place.
    prompt : float or array, count
        Tokens of a prompt that are read.
    budget : float or array, count
        Tokens of a pass at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    A request spends n = max(1, I / (T - d)) passes on its prompt, S decoding, g absent: d = b S / (S + n + g).
    With n = 1 that is b S / (S + 1 + g), else the smaller root of (S + g) d^2 - ((S + g) T + I + b S) d + b S T = 0.
    No pass takes more than T tokens: d <= T S / (S + I).
    """
    away, wanted = steps + gap, batch * steps
    linear = away * budget + prompt + wanted
    product = (2.0 * budget) * wanted
    chunked = product / (linear + sqrt(linear * linear - 2.0 * away * product))
    return minimum(minimum(wanted / (away + 1.0), chunked), budget * (steps / (steps + prompt)))


@formula("1", batch="1", away="1", prompt="1", free="1")
def reading_passes(batch: Any, away: Any, prompt: Any, free: Any) -> Any:
    """Return the passes from the first that could read a prompt to the one that ends it, behind other prompts.

    Parameters
    ----------
    batch : float or array, count
        Requests in flight.
    away : float or array, count
        Passes of a request that take no part of the room for prompts.
    prompt : float or array, count
        Tokens of a prompt that are read.
    free : float or array, count
        Prompt tokens that a pass takes at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    R + max(1, s) - s, R = s + s (b - 1) (R - s / 2) / (Z + R), Z = away + max(1, s) - s, s = I / F. Of s passes of
    service, who comes finds the others as they are on average, and who is being read half read. A prompt takes a whole
    pass at least.

    References
    ----------
    Schweitzer 1979, approximate mean value analysis of closed networks of queues.
    """
    service = prompt / free
    least = maximum(1.0, service) - service
    idle = away + least
    surplus = service * batch - idle
    half = service * (4.0 * idle - 2.0 * service * (batch - 1.0))
    return 0.5 * (surplus + sqrt(surplus * surplus + half)) + least


@formula("1", away="1", first="1", spread="1", waves="1")
def crowded_away(away: Any, first: Any, spread: Any, waves: Any) -> Any:
    """Return the passes over which the requests of a run come back, while those that began together are still close.

    Parameters
    ----------
    away : float or array, count
        Passes of a request that take no part of the room for prompts.
    first : float or array, count
        Passes that read the prompts of all who began together.
    spread : float or array, count
        Standard deviation of the tokens of an answer.
    waves : float or array, ratio
        Answers that a place in flight gives one after the other in the whole run.

    Returns
    -------
    float or array, count

    Notes
    -----
    1 / Z' = 1 / Z + m max(0, 1 / w - 1 / Z), w = 2 sqrt(pi) sqrt(n^2 / 12 + s^2 W / 2), m = k s / (1 + k s),
    k = 2 sqrt(pi). Phases begin as places in the first line, n passes long, and scatter by s with every answer: halfway
    through the run two of them meet in a pass with the chance 1 / w, the density of their difference at zero. Answers
    of one length keep their order (m = 0), and none comes before its place is free.
    """
    width = SAME_PASS * sqrt(first * first / 12.0 + 0.5 * waves * spread * spread)
    mixed = SAME_PASS * spread / (1.0 + SAME_PASS * spread)
    return 1.0 / (1.0 / away + mixed * maximum(0.0, 1.0 / maximum(1.0, width) - 1.0 / away))


@formula("1", batch="1", turns="1", steps="1", prompt="1", budget="1")
def admissions(batch: Any, turns: Any, steps: Any, prompt: Any, budget: Any) -> Any:
    """Return the requests that are admitted, and answered, in the average pass.

    Parameters
    ----------
    batch : float or array, count
        Requests in flight.
    turns : float or array, count
        Passes from one request to the next in its place.
    steps : float or array, count
        Tokens that a request decodes after its first.
    prompt, budget : float or array, count
        Tokens of a prompt that are read, and of a pass at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(b / n, T / (I + S)): Little's law in passes, and the tokens of a pass.

    References
    ----------
    Little 1961, Operations Research 9(3), doi:10.1287/opre.9.3.383.
    """
    return minimum(batch / turns, budget / (prompt + steps))


@formula("1", most="1", spread="1")
def together_prompts(most: Any, spread: Any) -> Any:
    """Return the prompts that one pass reads together because their requests began, and so end, together.

    Parameters
    ----------
    most : float or array, count
        Prompts that a pass has room for.
    spread : float or array, count
        Standard deviation of the passes that an answer takes.

    Returns
    -------
    float or array, count

    Notes
    -----
    1 + (k - 1) / (1 + 2 sqrt(pi) s): two answers whose lengths scatter by s end in the same pass with the chance
    1 / (2 sqrt(pi) s), the density of their difference at zero; answers of one length always do.
    """
    return 1.0 + (maximum(1.0, most) - 1.0) / (1.0 + SAME_PASS * spread)


SAME_PASS = 2.0 * math.sqrt(math.pi)
"""2 sqrt(pi): the inverse density at zero of a difference of two normal numbers of standard deviation 1."""


@formula("1", others="1", together="1", prompt="1", free="1")
def pass_tokens(others: Any, together: Any, prompt: Any, free: Any) -> Any:
    """Return the prompt tokens of a pass that reads any.

    Parameters
    ----------
    others : float or array, count
        Requests that are admitted in the average pass, without the one that is looked at.
    together : float or array, count
        Requests that come together.
    prompt : float or array, count
        Tokens of a prompt.
    free : float or array, count
        Prompt tokens that a pass takes at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(F, k I (x / 2 + sqrt(1 + x^2 / 4))), x = a / k. Groups of k come at random, x of them in a pass, and none with
    the chance e^-x, so that a pass that reads has x / (1 - e^-x) of them: the root stays within 4 % of that.
    """
    groups = 0.5 * others / together
    return minimum(free, together * prompt * (groups + sqrt(1.0 + groups * groups)))


@formula("1", admitted="1", together="1", prompt="1", free="1")
def phase_tokens(admitted: Any, together: Any, prompt: Any, free: Any) -> Any:
    """Return the prompt tokens of a pass that only reads, between two passes that decode.

    Parameters
    ----------
    admitted : float or array, count
        Requests that are admitted between two passes that decode.
    together : float or array, count
        Requests that come together.
    prompt : float or array, count
        Tokens of a prompt.
    free : float or array, count
        Prompt tokens that a pass takes at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(F, I max(a, k)): one group, or all that came since the last pass that decodes.
    """
    return minimum(free, prompt * maximum(admitted, together))


@formula("1", own="1", others="1", free="1")
def shared_tokens(own: Any, others: Any, free: Any) -> Any:
    """Return the prompt tokens of the pass that ends a request's own prompt.

    Parameters
    ----------
    own : float or array, count
        Tokens of its own prompt and of those that came with it.
    others : float or array, count
        Prompt tokens that arrive in the average pass from others.
    free : float or array, count
        Prompt tokens that a pass takes at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(F, k I + u): who comes at random finds the average beside itself.
    """
    return minimum(free, own + others)


@formula("s", plain="s", reading="s", plain_share="1", reading_share="1")
def cycle_time(plain: Any, reading: Any, plain_share: Any, reading_share: Any) -> Any:
    """Return the time from one decoded token to the next, over all passes between them.

    Parameters
    ----------
    plain, reading : float or array, s
        A pass that only decodes, and one that reads prompts.
    plain_share, reading_share : float or array, ratio
        How many of either there are.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = p t_0 + f t_1; p = 1 - f where prompts are read in passes that decode too, 1 where they have their own.

    References
    ----------
    Yu et al. 2022, Orca, OSDI: iteration-level scheduling.
    """
    return plain_share * plain + reading_share * reading


@formula("s", residence="s", first="s", steps="1")
def time_per_token(residence: Any, first: Any, steps: Any) -> Any:
    """Return the mean time between two tokens of an answer.

    Parameters
    ----------
    residence : float or array, s
        From the admission of a request to its last token.
    first : float or array, s
        From its admission to its first token.
    steps : float or array, count
        Tokens after the first.

    Returns
    -------
    float or array, s

    Notes
    -----
    (t - t_first) / S; 0 where an answer has one token.
    """
    return only(steps > 0.0, (residence - first) / maximum(1.0, steps))
