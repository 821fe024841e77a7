"""Memory of one device of a distributed training run, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import floor, is_array, maximum, minimum, where

from ..formulas import parallel_constants as constants
from ..formulas.memory import logits_bytes, workspace_bytes
from .memory import Widths, transformer_activations
from .schedule import Layout, in_flight_layers

__all__ = ["Held", "Kept", "expert_ranks", "held", "kept_by_layer", "ranks_of", "stage_parameters"]


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


def stage_parameters(c: Mapping[str, Any], layout: Layout, layers: Any, end: Any) -> tuple[Any, Any]:
    """Return the parameters of one device, outside and inside experts.

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
    dense, experts : float or array, count
    """
    dense = (layers * c["layer_parameters"] + end) / layout.tensor
    if not c["shape"].experts:
        return dense, 0.0
    return dense, layers * c["expert_parameters"] / where(layout.expert > 1.0, layout.expert, layout.tensor)


def ranks_of(c: Mapping[str, Any], layout: Layout) -> Any:
    """Return the devices over which a stage's state is divided.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.

    Returns
    -------
    float or array, count
    """
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


def _state(c: Mapping[str, Any], layout: Layout, dense: Any, experts: Any) -> tuple[Any, Any, Any]:
    """Bytes of weights, gradients and optimizer states."""
    zero, ranks = c["zero"], ranks_of(c, layout)
    states = c["master_width"] + c["states"] * c["state_width"]
    whole, share = dense, dense / ranks
    if c["shape"].experts:
        whole, share = dense + experts, share + experts / expert_ranks(layout, ranks)
    weights, gradients, optimizer = (share if zero >= stage else whole for stage in (3, 2, 1))
    return weights * c["stored_width"], gradients * c["gradient_width"], optimizer * states


class Kept(NamedTuple):
    """Activations of one micro-batch on one device.

    Parameters
    ----------
    each : float or array, B
        What every layer in flight keeps.
    live : float or array, B
        What the layer that is done again keeps meanwhile.
    """

    each: Any
    live: Any


def kept_by_layer(c: Mapping[str, Any], layout: Layout) -> Kept:
    """Return the activations of one layer.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        Degrees and micro-batch.

    Returns
    -------
    Kept
    """
    shape, features, sequence = c["shape"], c["features"], c["sequence"]
    widths = Widths(c["activation_width"], c["mask_width"], c["full_width"])
    t, batch = layout.tensor, layout.micro / layout.context
    shards = t if c["sequence_parallel"] else 1.0
    kept: dict[str, Any] = {
        "fused_attention": features.fused_attention, "dropout": c["dropout"], "tensor": t, "sequence_shards": shards,
    }  # fmt: skip
    recompute, rows = c["recompute"], batch * sequence
    products = recompute == "selective" and features.selective == "products"
    if recompute != "full" and not products:
        return Kept(_layers_kept(c, rows, batch, kept, recompute), 0.0 * rows)
    live = _layers_kept(c, rows, batch, kept, "none")
    if products:
        return Kept(workspace_bytes(rows / t, shape.hidden * 2.0 + 0.5 * _products(c), c["activation_width"]), live)
    # Each layer keeps its input; while one is done again, everything that it would keep is alive.
    return Kept(transformer_activations(shape, widths, batch, sequence, "full", layers=1.0, **kept) / shards, live)


def _products(c: Mapping[str, Any]) -> Any:
    """Elements per token that the matrix products of a layer write."""
    s = c["shape"]
    mlp = s.dense_layers * s.ffn + s.expert_layers * (s.active * s.expert_ffn + s.shared_ffn)
    return s.heads * s.head_dim + 2.0 * s.kv_heads * s.head_dim + 2.0 * s.hidden + s.matrices * mlp / s.layers


def _layers_kept(c: Mapping[str, Any], rows: Any, batch: Any, kept: Mapping[str, Any], recompute: str) -> Any:
    """Return what a layer keeps whose passes are not done again."""
    shape, features = c["shape"], c["features"]
    widths = Widths(c["activation_width"], c["mask_width"], c["full_width"])
    whole = transformer_activations(shape, widths, batch, c["sequence"], recompute, layers=1.0, **kept)
    s = shape
    mlp = (s.dense_layers * s.ffn + s.expert_layers * (s.active * s.expert_ffn + s.shared_ffn)) / s.layers
    less: Any = 0.0
    narrow = features.narrow_storage and c["narrow"]
    saved = c["activation_width"] - c["operand_width"] if narrow else 0.0
    if c["frozen"]:
        # Frozen weights have no gradients: inputs of the MLP's products are not needed again.
        dropped = workspace_bytes(
            rows, s.hidden / kept["sequence_shards"] + mlp / kept["tensor"], c["activation_width"]
        )
        less = dropped + saved * rows * (s.hidden / kept["sequence_shards"] + s.matrices * mlp / kept["tensor"])
    elif narrow:
        own = s.norm_passes * s.hidden / kept["sequence_shards"] + (s.matrices + 1.0) * mlp / kept["tensor"]
        less = workspace_bytes(rows, own, saved)
    return whole - less


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
    fuller = several & (layout.middle > layout.first)
    if fuller.any() if is_array(fuller) else fuller:
        # With as many layers the first stage holds more than the second: it has more in flight, and the embedding.
        stages.append((where(several, 1.0 + none, none), where(several, layout.middle, layout.first), none, False))
    fullest: Held | None = None
    largest: Any = None
    usable = c["capacity"] * c["utilisation"]
    for rank, layers, end, ends in stages:
        found, each = _stage(c, layout, kept, rank, layers, end, ends)
        fits = floor((usable - (found.required - each * layout.micro)) / each)
        largest = fits if largest is None else where(fits < largest, fits, largest)
        if fullest is None:
            fullest = found
        else:
            worse = found.required > fullest.required
            fullest = Held._make(where(worse, a, b) for a, b in zip(found, fullest, strict=True))
    assert fullest is not None
    return fullest, maximum(largest, 0.0 * largest)


def _stage(
    c: Mapping[str, Any], layout: Layout, kept: Kept, rank: Any, layers: Any, end: Any, ends: Any
) -> tuple[Held, Any]:
    """Return what one stage holds, and how much of it each sample of a micro-batch takes."""
    shape = c["shape"]
    dense, experts = stage_parameters(c, layout, layers, end)
    if c["frozen"]:
        own = adapter_parameters(c, layout, layers)
        weights, _, _ = _state(c, layout, dense, experts)
        _, gradients, optimizer = _state(c, layout, own, 0.0 * own)
    else:
        weights, gradients, optimizer = _state(c, layout, dense, experts)
    flight = in_flight_layers(c["schedule"], layout, rank, layers)
    if c["offload"]:
        # One layer is on its way to host memory or back, and one computes.
        flight = minimum(flight, 2.0)
    activations = flight * kept.each + kept.live
    rows = layout.micro * c["sequence"] / layout.context
    # Logits and their gradient are alive together, unless the loss goes through the vocabulary piece by piece.
    width = c["activation_width"] if c["features"].fused_loss else 2.0 * c["full_width"]
    logits = where(ends, 1.0, 0.0) * logits_bytes(rows / layout.tensor, shape.vocab if shape.head else 0.0, width)
    gathered: Any = 0.0 * activations
    if c["zero"] == 3:
        each = c["layer_parameters"] / layout.tensor + c["expert_parameters"] / where(
            layout.expert > 1.0, layout.expert, layout.tensor
        )
        gathered = constants.LIVE_LAYERS * workspace_bytes(1.0, each, c["gathered_width"] + c["sent_width"])
        ends_once = (c["first_parameters"] + (0.0 if c["tied"] else c["last_parameters"])) / layout.tensor
        gathered = gathered + ends_once * c["gathered_width"]
        if not c["reshard"]:
            gathered = gathered + dense * c["gathered_width"]
    reserve = c["reserve"] + 0.0 * activations
    required = weights + gradients + optimizer + activations + logits + gathered + reserve
    return Held(weights, gradients, optimizer, activations, logits, gathered, reserve, required), (
        activations + logits
    ) / layout.micro


def adapter_parameters(c: Mapping[str, Any], layout: Layout, layers: Any) -> Any:
    """Return the trained parameters of low-rank adapters on the attention projections of one stage.

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
    sides = 2.0 * s.hidden + 2.0 * s.heads * s.head_dim + 2.0 * s.kv_heads * s.head_dim
    return layers * c["adapter"] * sides / layout.tensor
