"""Copies of attention that share experts: who has most to do in a pass, and what they say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.numeric import minimum, where
from mlsysim.tracing import named

from ...formulas.expert_parallel import busiest_load, dispatched_bytes
from ...formulas.mixture import reached_groups
from ...lowering.expert_parallel import Sharing
from ..device.answers import axis
from ..device.cases import is_once
from ..network.communication import all_gather, all_to_all, served_all_reduce
from ..network.topology import Group, Network

__all__ = ["own_places", "own_prompts", "own_requests", "own_tokens", "shared_layers", "sharing_of"]

Columns = Mapping[str, Any]


def sharing_of(c: Columns) -> Sharing | None:
    """Return how the devices of a copy share its layers.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.

    Returns
    -------
    Sharing or None
        None where attention is not copied and experts are divided by columns like everything else.
    """
    attention, expert = c.get("attention", 1.0), c.get("expert", 1.0)
    return None if is_once(attention) and is_once(expert) else Sharing(attention, c["tensor"], expert)


def own_places(c: Columns) -> Any:
    """Return how many requests one copy of attention takes at most.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.

    Returns
    -------
    float or array, count
        Some stacks divide their limit over the copies.
    """
    return _own(c, "max_batch", 0)


def own_tokens(c: Columns) -> Any:
    """Return how many tokens a pass of one copy of attention has at most.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.

    Returns
    -------
    float or array, count
        Some stacks divide their limit over the copies.
    """
    return _own(c, "max_tokens", 1)


def _own(c: Columns, name: str, place: int) -> Any:
    limit = axis(c, name)
    return limit / c["attention"] if "attention" in c and c["divided"][place] else limit


def own_requests(sharing: Sharing | None, requests: Any) -> Any:
    """Return the requests that the busiest copy of attention decodes for.

    Parameters
    ----------
    sharing : Sharing or None
        Who shares what.
    requests : float or array, count
        Those of all copies.

    Returns
    -------
    float or array, count
        Requests are dealt out evenly, one by one.
    """
    return requests if sharing is None else busiest_load(requests, sharing.attention, 1.0, 1.0)


def own_prompts(c: Columns, sharing: Sharing | None, tokens: Any) -> Any:
    """Return the prompt tokens that the busiest copy of attention reads.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    sharing : Sharing or None
        Who shares what.
    tokens : float or array, count
        Those of all copies.

    Returns
    -------
    float or array, count
        Whole prompts, as far as a pass takes them.
    """
    if sharing is None:
        return tokens
    prompt = minimum(c["input"] * (1.0 - c["cached"]), own_tokens(c))
    return busiest_load(tokens, sharing.attention, prompt, c["rank_imbalance"])


def shared_layers(c: Columns, network: Network, tensor: Group, whole: Group, rows: Any, own: Any, last: Any) -> Any:
    """Return the time of the collectives of one pass.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    network : Network
        Links.
    tensor, whole : Group
        The devices of one copy of attention, and all that share a layer.
    rows, own : float or array, count
        Tokens of the pass, and those of the busiest copy of attention.
    last : float or array, count
        Its positions whose successor is wanted.

    Returns
    -------
    float or array, s
    """
    shape, width = c["shape"], c["activation_width"]
    near = served_all_reduce(network, tensor, own * shape.hidden * width)
    logits = all_gather(network, tensor, last * shape.vocab * width)
    far = _exchange(c, network, tensor, whole, rows, own)
    alone = where(c["attention"] > 1.0, far, near)
    apart = shape.expert_layers or shape.dense_layers
    return named(
        shape.layers * near + (shape.layers - apart) * near + apart * alone + logits, "communication within layers"
    )


def _exchange(c: Columns, network: Network, tensor: Group, whole: Group, rows: Any, own: Any) -> Any:
    """Return how long it takes to bring the tokens of all copies of attention to the experts and back.

    Where whole experts are spread each token goes to those that it needs, or all go to all if that is faster; where
    experts are divided by columns every device needs every token.
    """
    shape, wide, narrow = c["shape"], c["activation_width"], c["operand_width"]
    vector = rows * shape.expert_hidden
    gathered = all_gather(network, whole, vector * narrow) + all_gather(network, whole, vector * wide)
    # The devices of one copy of attention hold the same tokens: each sends its part, and they are put together again.
    again = all_gather(network, tensor, own * shape.hidden * wide)
    if not shape.experts:
        return gathered + again
    expert = c["expert"]
    groups = reached_groups(expert, shape.experts, shape.active)
    copies, part = groups * (whole.size / expert), own / tensor.size
    out = all_to_all(network, whole, dispatched_bytes(part, copies, shape.expert_hidden, narrow))
    back = all_to_all(network, whole, dispatched_bytes(part, copies, shape.expert_hidden, wide))
    return where(expert > 1.0, minimum(out + back, gathered), gathered) + again
