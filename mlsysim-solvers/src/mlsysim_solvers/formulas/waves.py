"""Runs of finitely many requests: how they end, and what full memory makes of those that begin together.

Lengths that scatter are taken as gamma numbers of the same mean and deviation: all alike at a deviation of 0, and an
exponential law, as that of what people ask chat models, at one of 1.
"""

from __future__ import annotations

import math
from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import exp, log, maximum, minimum, sqrt

__all__ = [
    "crowded_passes", "empty_passes", "kept_together", "largest_deviation", "longest_answer", "pass_at_rest",
]  # fmt: skip


@formula("1", output="1", spread="1", waves="1")
def kept_together(output: Any, spread: Any, waves: Any) -> Any:
    """Return how far requests that began together still end together after so many waves.

    Parameters
    ----------
    output, spread : float or array, count
        Mean and standard deviation of the tokens of an answer.
    waves : float or array, ratio
        Answers that a place in flight has given one after the other.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    exp(-2 pi^2 w (s / O)^2): the first harmonic of the places' phases, which scatter by s sqrt(w) tokens of O. Answers
    of one length stay together.
    """
    apart = spread / output
    return exp(-2.0 * math.pi * math.pi * waves * apart * apart)


@formula("1", count="1")
def largest_deviation(count: Any) -> Any:
    """Return how many standard deviations the largest of so many normal numbers is above their mean, on average.

    Parameters
    ----------
    count : float or array, count
        How many; 1 at least.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    sqrt(2 ln(1 + (n - 1) / 5)): from 1 to 10,000 within 0.1 of the expectation.

    References
    ----------
    Gasull, Jolis, Utzet 2013, On the norming constants for normal maxima, arXiv:1308.5541.
    """
    return sqrt(2.0 * log(1.0 + (count - 1.0) / BEYOND))


@formula("1", output="1", variation="1", count="1")
def longest_answer(output: Any, variation: Any, count: Any) -> Any:
    """Return the length of the longest of so many answers.

    Parameters
    ----------
    output : float or array, count
        Mean tokens of an answer.
    variation : float or array, ratio
        Standard deviation over mean.
    count : float or array, count
        Answers; 1 at least.

    Returns
    -------
    float or array, count

    Notes
    -----
    O max(1, 1 - c^2 / 9 + c z / 3)^3, z that of the largest of n normal numbers: the cube root of a gamma number is
    nearly normal.

    References
    ----------
    Wilson and Hilferty 1931, The distribution of chi-square, PNAS 17(12), doi:10.1073/pnas.17.12.684.
    """
    root = maximum(1.0, 1.0 - variation * variation / CUBED + variation * largest_deviation(count) / CUBE_ROOT)
    return output * root * root * root


@formula("1", output="1", variation="1", waves="1", places="1")
def empty_passes(output: Any, variation: Any, waves: Any, places: Any) -> Any:
    """Return for how many passes the average place is empty while a run of finitely many requests ends.

    Parameters
    ----------
    output : float or array, count
        Mean tokens of an answer.
    variation : float or array, ratio
        Standard deviation over mean.
    waves : float or array, ratio
        Requests of the run over those in flight; 1 at least.
    places : float or array, count
        Requests in flight.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(w L(c / sqrt(w), b) - w O, L(c, b h) - h O), h = min(1, (1 + c^2) / 2), L the longest of so many answers. The
    first counts places that have given w answers each, the second what answers of random age have left when no
    request waits any more: h of an answer on average, the longest of which is as long as that of b h fresh ones.

    References
    ----------
    Cox 1962, Renewal Theory, section 5.2: the mean of what is left at a random time is (1 + c^2) / 2 of the mean.
    """
    left = minimum(1.0, 0.5 * (1.0 + variation * variation))
    summed = waves * (longest_answer(output, variation / sqrt(waves), places) - output)
    return minimum(summed, longest_answer(output, variation, maximum(1.0, places * left)) - left * output)


@formula("s", full="s", few="s", share="1")
def pass_at_rest(full: Any, few: Any, share: Any) -> Any:
    """Return what a pass takes beside what it takes for each request: weights, launches.

    Parameters
    ----------
    full, few : float or array, s
        A pass over all places, and over a share of them.
    share : float or array, ratio
        That share, below 1.

    Returns
    -------
    float or array, s

    Notes
    -----
    (t_f - s t) / (1 - s): where the line through both meets no requests.
    """
    return maximum(0.0 * full, few - share * full) / (1.0 - share)


@formula("1", prompt="1", output="1", room="1")
def crowded_passes(prompt: Any, output: Any, room: Any) -> Any:
    """Return by how many passes requests that began together outlast an answer, where memory does not hold them whole.

    Parameters
    ----------
    prompt, output : float or array, count
        Tokens of a prompt and of an answer.
    room : float or array, count
        Tokens for which memory has room, for each request.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(O / 2, max(0, I + O - R)): all of them grow until memory is full; those that have to leave it have I + O - R
    left, which they write when the others are done. Where not even half an answer has room for all, they begin at
    different times, and end at random.
    """
    return minimum(0.5 * output, maximum(0.0, prompt + output - room))


BEYOND = 5.0
"""Numbers of which one more stands for a largest that is further out, with which the square root of logarithms, that of
the limit, is within 0.1 of the expectation for few numbers too: found by a simulation of up to 10,000."""

CUBE_ROOT, CUBED = 3.0, 9.0
"""Wilson and Hilferty: the cube root of a gamma number of mean 1 has the mean 1 - c^2 / 9 and the deviation c / 3."""
