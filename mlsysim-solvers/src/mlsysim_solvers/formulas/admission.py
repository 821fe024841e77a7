"""What stands between a request and its prompt being read: the front end, waits on purpose, and others in order."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import exp, floor, log, maximum, minimum

from .batching import SAME_PASS
from .queue_constants import BEFORE, LEAST, TURNS

__all__ = [
    "admission_wait",
    "first_decoding",
    "first_passes",
    "first_wave",
    "front_time",
    "gathered_prompts",
    "intake_time",
    "late_answer",
    "lockstep_passes",
    "unsure_places",
    "whole_prompts",
]


@formula("1", prompt="1", free="1")
def whole_prompts(prompt: Any, free: Any) -> Any:
    """Return the prompt tokens that a pass takes where no prompt is read in parts.

    Parameters
    ----------
    prompt : float or array, count
        Tokens of a prompt.
    free : float or array, count
        Prompt tokens that a pass has room for.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(F, I max(1, floor(F / I))): as many whole prompts as fit.
    """
    return minimum(free, prompt * maximum(1.0, floor(free / prompt)))


@formula("1", arrivals="1", hold="1", interval="1")
def admission_wait(arrivals: Any, hold: Any, interval: Any) -> Any:
    """Return the passes for which a new request is left waiting on purpose.

    Parameters
    ----------
    arrivals : float or array, count
        Requests that come in a pass.
    hold : float or array, count
        Passes for which the first is held back.
    interval : float or array, count
        Passes between two looks at what has come.

    Returns
    -------
    float or array, count

    Notes
    -----
    H (1 + a H / 2) / (1 + a H) + (N - 1) / 2: the first waits for H passes and the a H that come meanwhile for half of
    them; who comes between two looks waits for half of the passes between them, of which one is waited for anyway.
    """
    held = arrivals * hold
    return hold * (1.0 + 0.5 * held) / (1.0 + held) + 0.5 * maximum(0.0, interval - 1.0)


@formula("1", arrivals="1", hold="1", interval="1")
def gathered_prompts(arrivals: Any, hold: Any, interval: Any) -> Any:
    """Return the prompts that such a wait brings together.

    Parameters
    ----------
    arrivals : float or array, count
        Requests that come in a pass.
    hold : float or array, count
        Passes for which the first is held back.
    interval : float or array, count
        Passes between two looks at what has come.

    Returns
    -------
    float or array, count

    Notes
    -----
    max(1 + a H, a N).
    """
    return maximum(1.0 + arrivals * hold, arrivals * interval)


@formula("s", prompt="1", request="s", each="s")
def intake_time(prompt: Any, request: Any, each: Any) -> Any:
    """Return what the front end of a server takes for a request, before the engine sees it.

    Parameters
    ----------
    prompt : float or array, count
        Tokens of a prompt.
    request, each : float or array, s
        Time for a request with its answer, and for each token of its prompt.

    Returns
    -------
    float or array, s

    Notes
    -----
    h = e r + i I: the share e of its own time is for taking a request in, the rest for ending its answer.
    """
    return BEFORE * request + each * prompt


@formula("s", intake="s", request="s", output="token", each="s/token")
def front_time(intake: Any, request: Any, output: Any, each: Any) -> Any:
    """Return what the front end of a server takes for a request and its whole answer.

    Parameters
    ----------
    intake : float or array, s
        What it takes before the engine sees the request.
    request : float or array, s
        Time for a request with its answer, whatever their lengths.
    output : float or array, token
        Tokens of the answer.
    each : float or array, s/token
        What it takes for the message with a token.

    Returns
    -------
    float or array, s

    Notes
    -----
    h + (1 - e) r + a O. One process does that for one request after the other, so that no more than its inverse are
    answered.
    """
    return intake + (1.0 - BEFORE) * request + each * output


@formula("s", held="s", intake="s", front="s")
def late_answer(held: Any, intake: Any, front: Any) -> Any:
    """Return how much longer an answer takes from its first token to its last behind a front end that is too slow.

    Parameters
    ----------
    held : float or array, s
        How much longer than in the engine a request takes altogether.
    intake, front : float or array, s
        What the front end takes for a request before the engine sees it, and with its answer.

    Returns
    -------
    float or array, s

    Notes
    -----
    e (f - h) / 2 f: messages wait for requests and for one another. Of the time that they take, half passes before the
    first token, since the line that an answer meets is shorter when it begins than when it ends. The half was chosen
    beside zero and a floor per token, with residuals of servers in view.
    """
    return 0.5 * held * (front - intake) / front


@formula("1", late="1", groups="1", spread="1")
def lockstep_passes(late: Any, groups: Any, spread: Any) -> Any:
    """Return the passes with prompts of others that a request waits for because all of them come one after the other.

    Parameters
    ----------
    late : float or array, count
        Passes that end while a request is on its way to the engine, each of them with answers to others.
    groups : float or array, count
        Groups of prompts that are read one after the other.
    spread : float or array, count
        Standard deviation of the passes that an answer takes.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(l, (n - 1) / 2) / (1 + 2 sqrt(pi) s): answers of one length end in the order in which their prompts were read,
    so that prompts come as fast as they are read, and the line that was there before the first stays to the last. Half
    of all others are before the average one at most.
    """
    return minimum(late, 0.5 * (groups - 1.0)) / (1.0 + SAME_PASS * spread)


@formula("1", batch="1", prompt="1", budget="1")
def first_decoding(batch: Any, prompt: Any, budget: Any) -> Any:
    """Return how many of the requests that all come at once decode in the average pass that reads the others.

    Parameters
    ----------
    batch : float or array, count
        Requests that begin together.
    prompt : float or array, count
        Tokens of a prompt.
    budget : float or array, count
        Tokens of a pass at most.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(b (1 - 1 / n) / 2, T / 2), n = max(1, b I / T) passes: none in the first, all but the last prompts in the last.
    A pass that decodes for d has room for T - d tokens of prompts.

    References
    ----------
    Agrawal et al. 2024, Sarathi-Serve, arXiv:2403.02310: decodes take part of the tokens of a pass first.
    """
    return minimum(0.5 * batch * (1.0 - 1.0 / maximum(1.0, batch * prompt / budget)), 0.5 * budget)


@formula("1", batch="1", prompt="1", tokens="1", cut="1")
def first_passes(batch: Any, prompt: Any, tokens: Any, cut: Any) -> Any:
    """Return the pass that ends the average prompt of requests that all come at once, counted from the first.

    Parameters
    ----------
    batch : float or array, count
        Requests that begin together.
    prompt, tokens : float or array, count
        Tokens of a prompt, and of one of the passes that read them all.
    cut : float or array, ratio
        1 where a prompt may be read in parts, 0 where passes read whole ones.

    Returns
    -------
    float or array, count

    Notes
    -----
    max(1, (b r + c r + min(1, (b + 1) |1 - c r|)) / 2), r = I / T: prompts end all through b r passes, each with its
    pass. Whole prompts end with theirs; those that are cut end at r, 2 r, 3 r passes, each rounded up: half a pass
    later on average, unless there are so few that all end just before a pass does.
    """
    share = prompt / tokens
    part = cut * share
    rounded = minimum(1.0, (batch + 1.0) * maximum(part - 1.0, 1.0 - part))
    return maximum(1.0, 0.5 * (batch * share + part + rounded))


@formula("s", batch="1", prompt="1", tokens="1", passes="1", reading="s", alone="s", held="s", intake="s")
def first_wave(
    batch: Any, prompt: Any, tokens: Any, passes: Any, reading: Any, alone: Any, held: Any, intake: Any
) -> Any:
    """Return the mean time to first token of requests that all come at once to an idle engine.

    Parameters
    ----------
    batch : float or array, count
        Requests that begin together.
    prompt, tokens : float or array, count
        Tokens of a prompt, and of one of the passes that read them all.
    passes : float or array, count
        Passes to the end of the average prompt.
    reading, alone : float or array, s
        Such a pass, and one that reads a single prompt.
    held : float or array, s
        For how long an engine that has begun does not look at what has come.
    intake : float or array, s
        What the front end takes for a request.

    Returns
    -------
    float or array, s

    Notes
    -----
    k b h + max(t p + (1 - 1 / b) (d + max(0, t_1 - t min(1, I / T))), (1 - k) h (b - 1) / 2 + t min(1, I / T)) +
    (1 - k) h: the front end does the share k of its work for all in turns before it hands anyone over, and the rest for
    one after the other. The first prompt is read alone while the others come in, and they wait for what its pass takes
    beyond its part of a full one, unless they are handed over more slowly than they are read. One request alone takes h
    and its own pass.
    """
    own = reading * minimum(1.0, prompt / tokens)
    others = (1.0 - 1.0 / batch) * (held + maximum(0.0 * own, alone - own))
    turns, line = TURNS * intake, (1.0 - TURNS) * intake
    return batch * turns + maximum(passes * reading + others, 0.5 * (batch - 1.0) * line + own) + line


@formula("1", asked="1", slots="1", spread="1", residence="s", first="s")
def unsure_places(asked: Any, slots: Any, spread: Any, residence: Any, first: Any) -> Any:
    """Return how much less sure the time to first token is because the places in memory are not sure.

    Parameters
    ----------
    asked, slots : float or array, count
        Clients, and requests that the memory holds.
    spread : float or array, natural-log units
        Standard deviation of the logarithm of the latter.
    residence, first : float or array, s
        From a request's admission to its last token, and the mean time to first token.

    Returns
    -------
    float or array, natural-log units

    Notes
    -----
    ln(1 + E / t), E = s R max(1, a / n) e^(-z^2 / 2), z = max(0, ln(n / a) / s): who finds no place waits for
    R (a / n - 1), which n moves by R a / n; where all have a place, as far as fewer of them are likely.
    """
    short = maximum(0.0, log(slots / asked)) / maximum(spread, LEAST)
    # Beyond twelve standard deviations nothing is likely, and squares stay small.
    near = exp(-0.5 * minimum(short, 12.0) * minimum(short, 12.0))
    return log(1.0 + spread * residence * maximum(1.0, asked / slots) * near / first)
