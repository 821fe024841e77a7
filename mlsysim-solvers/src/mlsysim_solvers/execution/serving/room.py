"""How many requests a server has room for: what holds them against memory, and the most that are in flight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mlsysim.errors import ConfigError
from mlsysim.numeric import maximum, minimum, only, sqrt
from mlsysim.tracing import named

from ...formulas.batching import long_answer
from ...formulas.memory import place_bytes
from ...lowering.serving import stage
from ...lowering.shape import TransformerShape
from ..device.answers import axis
from ..device.arrays import level
from ..device.cases import feasibility, fixed_bytes, room_of, weights_of
from ..device.memory import Demand
from ..device.sequences import generation_demand, within_context
from .attention_copies import own_places
from .ending import copies_of
from .passes import Engine, engine_of
from .shared_layout import legal_degrees
from .traffic import ARRIVALS

__all__ = ["Room", "completed", "room", "spread_of_places"]

Columns = Mapping[str, Any]


class Room(NamedTuple):
    """How many requests a server takes.

    Parameters
    ----------
    hold : callable
        From requests in flight to the outputs of feasibility.
    slots : float or array, count
        Most requests in flight on all copies.
    held : float or array, count
        Those that memory holds, whatever else limits them.
    """

    hold: Callable[[Any], dict[str, Any]]
    slots: Any
    held: Any


def completed(columns: Columns) -> dict[str, Any]:
    """Add what follows from columns that may vary, and refuse arrivals of two kinds.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.

    Returns
    -------
    dict of str to number or object

    Raises
    ------
    ConfigError
        If a sweep varies arrivals of another kind than the scenario's.
    """
    c = dict(columns)
    for name in ARRIVALS:
        if name in c and c["arrivals"] != name:
            given = "is offline" if c["arrivals"] == "offline" else f"gives a {c['arrivals']}"
            raise ConfigError(
                f"{name} varies, and the scenario {given}", where=f"workload.{name}",
                remedy=f"Give the scenario its {name} first, for example --{name}",
            )  # fmt: skip
    c["long_output"] = long_answer(axis(c, "output"), c["output_variation"])
    if "place" in c:
        longest = axis(c, "input") + axis(c, "output")
        places = place_bytes(own_places(c), c["shape"].vocab, c["place"], longest, c["place_token"])
        c["reserve"] = c["reserve"] + named(places, "places of requests")
    if "beside" in c:
        c["utilisation"] = maximum(0.0, 1.0 - c["beside"] / c["capacity"])
    # All of the device's memory but what the stack leaves free, or what it leaves free beside the weights.
    if "cache_share" in c:
        fixed = fixed_bytes(c, weights_of(c, *_shard(c, engine_of(c)))) / c["capacity"]
        # Weights that do not fit leave the device as large as it is.
        c["utilisation"] = minimum(1.0, fixed + c["cache_share"] * maximum(0.0, 1.0 - fixed))
    return c


def _shard(c: Columns, engine: Engine) -> tuple[Any, Any]:
    """Return what the fullest device of a copy holds, and its share of the layers."""
    place = engine.place
    if place is None:
        return c["shape"], 1.0
    if not isinstance(place.shape, TransformerShape):
        return place.shape, 1.0
    return stage(place.shape, place.share), place.share


def _caches(c: Columns) -> Any:
    """Return how many caches there are: copies of the model, times copies of attention in each."""
    return copies_of(c) * c.get("attention", 1.0)


def room(c: Columns, engine: Engine) -> Room:
    """Return what holds a number of requests against memory, and the most that may be in flight.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns, completed.
    engine : Engine
        What runs the passes of a copy.

    Returns
    -------
    Room
    """
    shape, share = _shard(c, engine)
    weights = weights_of(c, shape, share)
    memory = room_of(c, weights)
    # A request that grows holds half of its answer on average; a reserving stack sets the whole aside.
    grown = c["long_output"] if c["reserves"] else 0.5 * c["long_output"]
    input_, copies = axis(c, "input"), _caches(c)
    largest = generation_demand(shape, memory, 1.0 * (grown / grown), input_, grown).largest
    # Where the stack's limit binds, and not memory, lengths change it in no row.
    slots = level(maximum(1.0, minimum(largest, own_places(c)))) * copies

    def hold(flying: Any) -> dict[str, Any]:
        demand = generation_demand(shape, memory, maximum(1.0, flying / copies), input_, grown)
        demand = Demand(demand.required, largest * copies)
        within = within_context(c["shape"], input_, axis(c, "output")) & legal_degrees(c)
        return feasibility(c, demand, weights, within=within)

    return Room(hold, slots, maximum(1.0, largest) * copies)


def spread_of_places(c: Columns, engine: Engine, slots: Any) -> Any:
    """Return how unsure the places are that memory leaves to requests: what is left of it is less sure than all of it.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns, completed.
    engine : Engine
        What runs the passes of a copy.
    slots : float or array, count
        Most requests in flight on all copies.

    Returns
    -------
    float or array, natural-log units
    """
    free = c["capacity"] * c["utilisation"] - fixed_bytes(c, weights_of(c, *_shard(c, engine)))
    unsure = c["reserve"] * sqrt(c["var_reserve"]) / maximum(free, c["reserve"])
    return only(slots < own_places(c) * _caches(c), unsure)
