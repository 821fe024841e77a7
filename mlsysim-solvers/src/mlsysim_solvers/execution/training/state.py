"""Memory of one device of a distributed training run, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import floor, is_array, maximum, minimum, only, sqrt, where
from mlsysim.tracing import Traced, named

from ...formulas import parallel_constants as constants
from ...formulas.memory import logits_bytes, workspace_bytes
from ...formulas.recomputation import recomputed_share
from ...lowering.shape import over_layers, widest
from ..device.arrays import any_row
from .activations import Kept, kept_by_layer, waiting
from .schedule import Layout, in_flight_layers

__all__ = [
    "Held", "Owned", "adapter_parameters", "expert_ranks", "held", "memory_log_sd", "share_of", "stage_parameters",
]  # fmt: skip


_NOTHING = 1e-15
"""Share of a device's memory that counts as nothing."""


class Held(NamedTuple):
    """What the fullest device holds.

    Parameters
    ----------
    weights, gradients, optimizer, activations, logits, gathered, reserve : float or array, B
        By use.
    required : float or array, B
        All of it.
    """

    weights: Any
    gradients: Any
    optimizer: Any
    activations: Any
    logits: Any
    gathered: Any
    reserve: Any
    required: Any


class Owned(NamedTuple):
    """Parameters of one device.

    Parameters
    ----------
    dense, experts : float or array, count
        Outside and inside experts, which other devices hold.
    """

    dense: Any
    experts: Any = 0.0


def stage_parameters(c: Mapping[str, Any], layout: Layout, layers: Any, end: Any) -> Owned:
    """Return the parameters of one device.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.
    layers : float or array, count
        Layers of its stage.
    end : float or array, count
        Parameters of embedding or output projection on that stage.

    Returns
    -------
    Owned
    """
    dense = (layers * c["layer_parameters"] + end) / layout.tensor
    if not c["shape"].experts:
        return Owned(dense)
    spread = where(layout.expert > 1.0, layout.expert, layout.tensor)
    return Owned(dense, layers * c["expert_parameters"] / spread)


def _ranks_of(c: Mapping[str, Any], layout: Layout) -> Any:
    """Return the devices over which a stage's state is divided."""
    every = layout.data * layout.context
    return where(c["shard"] > 0.0, c["shard"], every) if is_array(c["shard"]) or c["shard"] else every


def expert_ranks(layout: Layout, ranks: Any) -> Any:
    """Return the devices that hold the same experts.

    Parameters
    ----------
    layout : Layout
        The layout.
    ranks : float or array, count
        Devices that hold the same dense parameters.

    Returns
    -------
    float or array, count
    """
    return maximum(ranks * where(layout.expert > 1.0, layout.tensor, 1.0) / layout.expert, 1.0)


def share_of(c: Mapping[str, Any], layout: Layout, own: Owned) -> Any:
    """Return what is left of a device's parameters where those that hold the same divide them.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.
    own : Owned
        Of the device.

    Returns
    -------
    float or array, count
    """
    ranks = _ranks_of(c, layout)
    share = own.dense / ranks
    return share + own.experts / expert_ranks(layout, ranks) if c["shape"].experts else share


def _state(c: Mapping[str, Any], layout: Layout, own: Owned) -> tuple[Any, Any, Any]:
    """Bytes of weights, gradients and optimizer states."""
    zero = c["zero"]
    # What waits in host memory for the end of the step takes no device memory.
    here = named(1.0 - c["offload_optimizer"], "share in device memory")
    states = (c["master_width"] + c["states"] * c["state_width"]) * here
    whole = named(own.dense + own.experts if c["shape"].experts else own.dense, "parameters of the device")
    share = named(share_of(c, layout, own), "parameters of its share") if zero >= 1 else whole
    weights, gradients = share if zero >= 3 else whole, share if zero >= 2 else whole
    optimizer = share if zero >= 1 else whole
    return weights * c["stored_width"], gradients * c["gradient_width"], optimizer * states


def held(c: Mapping[str, Any], layout: Layout, kept: Kept | None = None) -> tuple[Held, Any]:
    """Return what the fullest device holds.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.
    kept : Kept, optional
        Activations of one layer, where they are known already.

    Returns
    -------
    fullest : Held
    micro : float or array, sample
        Largest micro-batch that would fit.
    """
    kept = kept_by_layer(c, layout) if kept is None else kept
    one = layout.pipeline == 1.0
    embed, tail = c["first_parameters"], c["last_parameters"]
    both = embed + (0.0 if c["tied"] else tail)
    none, several = 0.0 * layout.data, layout.pipeline > 2.0
    stages = [
        (0.0, layout.first, where(one, both + none, embed + none), one),
        (layout.pipeline - 1.0, layout.last, where(one, both + none, tail + none), True),
    ]
    if one is True:
        # The first stage is the last.
        stages.pop()
    fuller = several & (layout.middle > layout.first)
    if any_row(fuller):
        # With as many layers the first stage holds more than the second: it has more in flight, and the embedding.
        stages.append((where(several, 1.0 + none, none), where(several, layout.middle, layout.first), none, False))
    fullest: Held | None = None
    largest: Any = None
    for rank, layers, end, ends in stages:
        found, fits = _stage(c, layout, kept, rank, layers, end, ends)
        largest = fits if largest is None else where(fits < largest, fits, largest)
        fullest = found if fullest is None else _fuller(found, fullest)
    assert fullest is not None
    if isinstance(fullest.required, Traced):
        for value, use in zip(fullest, _USES, strict=False):
            named(value, use)
    return fullest, maximum(largest, 0.0 * largest)


_USES = (
    "weights", "gradients", "optimizer states", "activations", "logits", "gathered parameters",
    "reserve of the runtime",
)  # fmt: skip
"""What an explanation calls the parts of :class:`Held`; the last field is all of it."""


def memory_log_sd(c: Mapping[str, Any], fullest: Held) -> Any:
    """Return the spread of the memory's logarithm: model state is certain, the rest is up to the allocator.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    fullest : Held
        What the fullest device holds.

    Returns
    -------
    float or array, natural-log units
    """
    passing = fullest.activations + fullest.logits + fullest.gathered
    loose = passing / fullest.required * constants.ACTIVATION_LOG_SD
    kept = fullest.reserve / fullest.required
    return sqrt(kept * kept * c["var_reserve"] + loose * loose)


def _fuller(one: Held, other: Held) -> Held:
    """Return what holds more, row by row."""
    more = one.required > other.required
    if type(more) is bool:
        return one if more else other
    return Held._make(where(more, a, b) for a, b in zip(one, other, strict=True))


def _stage(
    c: Mapping[str, Any], layout: Layout, kept: Kept, rank: Any, layers: Any, end: Any, ends: Any
) -> tuple[Held, Any]:
    """Return what one stage holds, and the largest micro-batch that would fit."""
    shape = c["shape"]
    own = stage_parameters(c, layout, layers, end)
    weights, gradients, optimizer = _state(c, layout, own)
    if c["frozen"]:
        weights = weights + _wide_ends(c, layout, end)
        _, gradients, optimizer = _state(c, layout, Owned(adapter_parameters(c, layout, layers)))
    elif c["in_backward"]:
        most = maximum(_widest(c, layout), maximum(c["first_parameters"], c["last_parameters"]) / layout.tensor)
        gradients = minimum(gradients, most * c["gradient_width"])
    flight = in_flight_layers(c["schedule"], layout, rank, layers)
    if c["offload"]:
        # Of the layers that wait in host memory one is on its way there or back, and one computes.
        away = recomputed_share(layers, c["offload_layers"]) * flight
        flight = flight - away + minimum(away, 2.0)
    waits, live = waiting(c, kept, flight, layers)
    rows = layout.micro * c["sequence"] / layout.context
    width = _logit_width(c)
    vocabulary = shape.vocab if shape.head and not c["chunked_loss"] else 0.0
    logits = where(ends, 1.0, 0.0) * logits_bytes(rows / layout.tensor, vocabulary, width)
    gathered, ends_once = _gathered(c, layout, own.dense)
    reserve = c["reserve"] + 0.0 * live
    state = named(weights + gradients + optimizer, "parameters, gradients and optimizer states") + reserve
    free = c["capacity"] * c["utilisation"] - state
    if not c["features"].planned_memory:
        gathered = gathered + ends_once
        largest = _whole(c, free - gathered, waits + live + logits, layout)
    else:
        # The loss and the layers are phases of one plan: what only one of them needs shares memory with the other.
        layer, loss = (
            _whole(c, free - gathered, waits + live, layout),
            _whole(c, free - ends_once, waits + logits, layout),
        )
        largest = minimum(layer, loss)
        late = logits + ends_once > live + gathered
        live, logits = where(late, 0.0 * live, live), only(late, logits)
        gathered = where(late, ends_once, gathered)
    activations, updates = waits + live, _updates(c, optimizer)
    if any_row(updates > 0.0):
        # Updates begin when all that the passes needed is gone.
        passing = (activations, logits, gathered)
        late = updates > activations + logits + gathered
        activations, logits, gathered = (where(late, 0.0 * part, part) for part in passing)
        optimizer = named(optimizer, "states between steps") + only(late, updates)
        state = named(weights + gradients + optimizer, "parameters, gradients and optimizer states") + reserve
        largest = where(updates > free, 0.0 * largest, largest)
    required = state + activations + logits + gathered
    return Held(weights, gradients, optimizer, activations, logits, gathered, reserve, required), largest


def _logit_width(c: Mapping[str, Any]) -> Any:
    """Return the bytes of a logit and of what is alive beside it while the loss is differentiated."""
    features = c["features"]
    if features.fused_loss:
        # The loss goes through the vocabulary piece by piece.
        return c["activation_width"]
    return c["full_width"] * (constants.LOSS_COPIES if features.copied_loss else constants.COMPILED_LOSS_COPIES)


def _updates(c: Mapping[str, Any], optimizer: Any) -> Any:
    """Return what an optimizer writes beside its states before it changes a parameter: denominators of all of them."""
    if not c["features"].listed_updates or c["fused_updates"] or c["in_backward"]:
        return 0.0
    # States narrower than weights are those of a kernel of its own, and one state alone has no denominator.
    listed = (c["states"] > 1.0) & (c["state_width"] >= c["stored_width"])
    each = c["state_width"] / (c["master_width"] + c["states"] * c["state_width"])
    return named(only(listed, optimizer * each), "denominators of all parameters")


def _whole(c: Mapping[str, Any], free: Any, taken: Any, layout: Layout) -> Any:
    """Return how many samples of a micro-batch fit, each of which takes its share of what all take."""
    # A stage without layers keeps nothing of them, and bounds nothing.
    return floor(free / maximum(taken / layout.micro, _NOTHING * c["capacity"]))


def _wide_ends(c: Mapping[str, Any], layout: Layout, end: Any) -> Any:
    """Return what embedding and output projection of a frozen model take beyond the format of the layers' weights."""
    share = _ranks_of(c, layout) if c["zero"] >= 3 else 1.0
    more = end / layout.tensor / share * (c["ends_width"] - c["stored_width"])
    return named(more, "16 bits of embedding and output projection")


def _experts(c: Mapping[str, Any], layout: Layout) -> Any:
    """Return the parameters of a layer's experts that lie on one device."""
    return c["expert_parameters"] / where(layout.expert > 1.0, layout.expert, layout.tensor)


def _widest(c: Mapping[str, Any], layout: Layout) -> Any:
    """Return the parameters of the largest weight of a layer; experts lie together in one."""
    s = c["shape"]
    wide = maximum(s.ffn if s.dense_layers else 0.0, widest(s, lambda one: one.projected))
    if s.recurrence is not None:
        wide = maximum(wide, s.recurrence.widest)
    return maximum(s.hidden * wide / layout.tensor, _experts(c, layout) / (s.matrices + 1.0))


def _gathered(c: Mapping[str, Any], layout: Layout, dense: Any) -> tuple[Any, Any]:
    """Return the parameters that fully sharded training gathers for layers, and for both ends of the model."""
    none = 0.0 * dense
    if c["zero"] != 3:
        return none, none
    first, last = c["first_parameters"] / layout.tensor, 0.0 if c["tied"] else c["last_parameters"] / layout.tensor
    both = c["gathered_width"] + c["sent_width"]
    if c["features"].planned_memory:
        each = _widest(c, layout)
        ends = maximum(first, last) * both
    else:
        # Experts that no other device holds are used where they lie, unless they have to be cast first.
        moved = (expert_ranks(layout, _ranks_of(c, layout)) > 1.0) | (c["stored_width"] > c["gathered_width"])
        each = c["layer_parameters"] / (1.0 + c["shape"].encoders) / layout.tensor + only(moved, _experts(c, layout))
        # The ends are stored and gathered in 16 bits where frozen layers have fewer.
        ends = (first + last) * c["weight_width"]
    gathered = constants.LIVE_LAYERS * workspace_bytes(1.0, each, both) + none
    if not c["reshard"]:
        gathered = gathered + dense * c["gathered_width"]
    return gathered, ends + none


def adapter_parameters(c: Mapping[str, Any], layout: Layout, layers: Any) -> Any:
    """Return the trained parameters of low-rank adapters on the projections of one stage.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.
    layers : float or array, count
        Layers of the stage.

    Returns
    -------
    float or array, count
    """
    s = c["shape"]
    # Queries, keys and values, and the input of the output projection.
    sides = 2.0 * s.hidden + over_layers(s, lambda one: one.projected + one.heads * one.v_dim)
    sides = sides * (s.attention_layers / s.layers)
    if c["adapts_mlp"]:
        shared = s.expert_layers * (s.hidden + s.shared_ffn) if s.shared_ffn else 0.0
        sides = sides + (s.matrices + 1.0) * (s.dense_layers * (s.hidden + s.ffn) + shared) / s.layers
    return layers * c["adapter"] * sides / layout.tensor
