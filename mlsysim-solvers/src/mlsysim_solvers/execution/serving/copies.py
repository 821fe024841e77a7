"""One copy of a model on several devices: where its parts lie, and what passes between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, only, sqrt, where
from mlsysim.tracing import named

from ...formulas.serving import stage_share
from ...lowering.expert_parallel import Sharing, shared
from ...lowering.operators import Table
from ...lowering.serving import Generator, normed_by_sums, sharded
from ...lowering.shape import TransformerShape
from ..device.answers import common_answers, log_sd
from ..device.engine import Totals
from ..network.communication import all_gather, message, served_all_reduce
from ..network.topology import Group, Network, group_of, network_of
from .attention_copies import own_requests, shared_layers, sharing_of

__all__ = ["Place", "bound_of", "place_of", "spread_of", "summed", "through", "within_layers"]

Columns = Mapping[str, Any]


class Place(NamedTuple):
    """A model on the devices of one copy.

    Parameters
    ----------
    network : Network
        Links.
    tensor, stages : Group
        Who shares a layer, and who passes it on.
    share : float or array, ratio
        Layers of the fullest stage over all.
    shape : TransformerShape, EncoderDecoderShape or StateShape
        One device's part of every layer.
    sharing : Sharing or None
        Copies of attention and devices with experts of their own; None where there are neither.
    """

    network: Network
    tensor: Group
    stages: Group
    share: Any
    shape: Generator
    sharing: Sharing | None = None


def place_of(c: Columns) -> Place:
    """Put a model on the devices of one copy.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.

    Returns
    -------
    Place
    """
    network, shape = network_of(c), c["shape"]
    tensor = group_of(network, c["tensor"], 1.0 * (c["tensor"] / c["tensor"]))
    sharing = sharing_of(c)
    stages = group_of(network, c["pipeline"], c["tensor"] if sharing is None else sharing.devices)
    if not isinstance(shape, TransformerShape):
        return Place(network, tensor, stages, 1.0, shape)
    own = sharded(shape, c["tensor"]) if sharing is None else shared(shape, sharing)
    return Place(network, tensor, stages, stage_share(shape.layers, c["pipeline"]), own, sharing)


def summed(c: Columns, shape: TransformerShape, table: Table) -> Table:
    """Return a pass with what the kernels that add up over devices do besides, where the stack has such.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    shape : TransformerShape
        The model.
    table : list of Operator
        The pass.

    Returns
    -------
    list of Operator
    """
    if not c["fused_sums"]:
        return table
    return normed_by_sums(table, shape, (c["tensor"] > 1.0) & (c["tensor"] <= c["domain"]))


def within_layers(c: Columns, place: Place, rows: Any, last: Any, own: Any = None) -> Any:
    """Return the time of the collectives of one pass: the sums of its layers, and the logits of the last positions.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    place : Place
        Where the model lies.
    rows : float or array, count
        Tokens of the pass.
    last : float or array, count
        Positions whose successor is wanted.
    own : float or array, count, optional
        Tokens of the busiest copy of attention, where it is copied.

    Returns
    -------
    float or array, s
    """
    shape, width, group = c["shape"], c["activation_width"], place.tensor
    if not isinstance(shape, TransformerShape):
        return 0.0 * rows
    if place.sharing is not None:
        whole = group_of(place.network, place.sharing.devices, 1.0 * (c["tensor"] / c["tensor"]))
        mine = rows if own is None else own
        return shared_layers(c, place.network, group, whole, rows, mine, own_requests(place.sharing, last))
    # Their start is part of a collective's own time: no kernel is counted for them beside it.
    one = served_all_reduce(place.network, group, rows * shape.hidden * width)
    logits = all_gather(place.network, group, last * shape.vocab * width)
    return named(shape.sums * shape.layers * one + logits, "tensor-parallel communication")


def _hop(c: Columns, place: Place, rows: Any) -> Any:
    """Return the message from one stage to the next; each device sends its part."""
    shape = c["shape"]
    if not isinstance(shape, TransformerShape):
        return 0.0 * rows
    sent = message(place.network, place.stages, rows * shape.hidden * c["activation_width"] / c["tensor"])
    return sent + only(c["pipeline"] > 1.0, c["handover"] + 0.0 * sent)


def through(c: Columns, place: Place, work: Any, within: Any, rows: Any) -> tuple[Any, Any]:
    """Return the time of one piece of work through all stages, and through the slowest.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    place : Place
        Where the model lies.
    work, within : float or array, s
        Computation and collectives of the piece, in all stages together.
    rows : float or array, count
        Its tokens.

    Returns
    -------
    whole, slowest : float or array, s
    """
    hop = _hop(c, place, rows)
    return work + within + (c["pipeline"] - 1.0) * hop, (work + within) * place.share + hop


def bound_of(c: Columns, whole: Totals, latency: Any, talk: Any) -> dict[str, Any]:
    """Return utilisation over all devices, and which resource alone would take longest on one of them.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    whole : Totals
        What one device of a copy computes.
    latency, talk : float or array, s
        How long it takes, and communication in it.

    Returns
    -------
    dict of str to number
    """
    stages, copies = c["pipeline"], c["tensor"] * c["data"]
    answers = common_answers(c, whole, latency)
    answers.pop("performance.bound_factor")
    longest = maximum(whole.compute_demand, maximum(whole.memory_demand, whole.overhead))
    longest = longest * ((latency - talk) / whole.time)
    answers["performance.bound"] = where(talk > longest, 3.0 + 0.0 * talk, answers["performance.bound"])
    for name in ("performance.utilisation", "performance.bandwidth_utilisation"):
        answers[name] = answers[name] / stages
    for name in ("performance.flops", "performance.bytes"):
        answers[name] = answers[name] * copies
    return answers


def spread_of(c: Columns, totals: Totals, time: Any, talk: Any) -> Any:
    """Return the spread of a time's logarithm: that of one device's work, and that of communication.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    totals : Totals
        What one device computes.
    time, talk : float or array, s
        The time, and communication in it.

    Returns
    -------
    float or array, natural-log units
    """
    share = talk / time
    quiet = (1.0 - share) * log_sd(c, totals)
    return sqrt(quiet * quiet + share * share * (c["var_talk"] + c["var_link"]))
