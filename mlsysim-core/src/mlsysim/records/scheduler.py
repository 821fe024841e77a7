"""Layer D: how a software stack batches requests that come and go."""

from __future__ import annotations

import attrs

from .fields import fact, setting

__all__ = ["Scheduler"]


@attrs.frozen
class Scheduler:
    """How a stack batches requests in flight, by the memory of the device: its documented defaults.

    Parameters
    ----------
    memory : float, B
        Least memory of a device that they hold for.
    except_for : tuple of str
        Keys of devices that they do not hold for.
    requests : float, sample
        Most requests in flight.
    tokens : float, token
        Most tokens of one pass: prompts' and those that are decoded.
    share : float, ratio
        Share of the memory left beside the weights that the cache takes; None where the stack's share of all memory
        counts.
    beside : float, B
        Memory that is left free for activations and graphs, whatever the device has; None where the stack's share of
        all memory counts.
    mixed : bool
        Whether prompts are read in the passes that decode; else decoding stops while prompts are read.
    chunked : bool
        Whether a prompt may be read in parts; else a pass reads as many whole prompts as fit.
    overlap : bool
        Whether a pass is put together while the one before it runs, so that who comes meanwhile misses both.
    intake : float, s
        What the server's front end takes for a request, one after the other: connection, parsing, hand-over, and the
        end of its answer. None where requests come from the program itself.
    intake_token : float, s/token
        The same for each token of a prompt: its text is received and tokenised.
    answer_token : float, s/token
        What the front end takes for each message that carries a token of an answer, one after the other: its text is
        found, packed and sent. None where it is not counted.
    delivery : float, s
        What a token takes from the engine to the client that waits for it: its text is found, sent and received.
    step_request : float, s
        Host time for each request of a pass between that pass and the next, in which the device waits: its token is
        looked at and noted, and its part of the next pass put together. It counts where passes do not ``overlap``.
        None where it is not counted.
    replayed : float, token
        Tokens up to which a pass that reads prompts replays a graph too; the host launches the kernels of longer ones.
        None where it launches those of all.
    reserves : bool
        Whether a request is admitted only when its whole answer has room in the cache; else the cache fills up
        token by token.
    divided : bool
        Whether ``requests`` and ``tokens`` are those of all copies of attention together; else each has as many.
    name : str
        Which engine of the stack it is, where a scenario asks for one (``workload.scheduler``); empty for the usual.
    launch : float, s
        Host time per kernel of a pass over prompts; None where the stack's counts.
    sampling : float, B
        What the choice of a token moves through memory per entry of the vocabulary, beside what the product that yields
        logits writes: copies in 32 bits, penalties, the search for the best. None where it is not counted.
    sorting : float, B
        The same where tokens are drawn by top-p or top-k, and the server sorts all entries for that; None where it is
        not known.
    place : float, B
        Memory set aside for each of ``requests``, taken or not, per entry of the vocabulary: logits, and what sampling
        works on. None where requests bring their own as they come.
    place_token : float, B/token
        The same per token that a request may have.
    """

    requests: float = fact("sample", tolerance=0.0)
    tokens: float = fact("token", tolerance=0.0)
    memory: float = setting("B", default=0.0, zero=True)
    except_for: tuple[str, ...] = ()
    share: float | None = fact("1", default=None, tolerance=0.0)
    beside: float | None = fact("B", default=None, tolerance=0.0)
    mixed: bool = True
    chunked: bool = True
    overlap: bool = False
    intake: float | None = fact("s", default=None, tolerance=0.0)
    intake_token: float | None = fact("s/token", default=None, tolerance=0.0)
    answer_token: float | None = fact("s/token", default=None, tolerance=0.0)
    delivery: float | None = fact("s", default=None, tolerance=0.0)
    step_request: float | None = fact("s", default=None, tolerance=0.0)
    replayed: float | None = fact("token", default=None, tolerance=0.0)
    reserves: bool = False
    divided: bool = False
    name: str = ""
    launch: float | None = fact("s", default=None, tolerance=0.0)
    sampling: float | None = fact("B", default=None, tolerance=0.0)
    sorting: float | None = fact("B", default=None, tolerance=0.0)
    place: float | None = fact("B", default=None, tolerance=0.0)
    place_token: float | None = fact("B/token", default=None, tolerance=0.0)
