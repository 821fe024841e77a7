"""Memory of one device of a distributed training run, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import floor, maximum, where

from ..formulas import parallel_constants as constants
from ..formulas.memory import logits_bytes, workspace_bytes
from .memory import Widths, transformer_activations
from .schedule import Layout, in_flight_layers

__all__ = ["Held", "held", "stage_parameters"]


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
    t = layout.tensor
    dense = (layers * c["layer_parameters"] + end) / t
    experts = layers * c["expert_parameters"] / where(layout.expert > 1.0, layout.expert, t)
    return dense, experts


def _state(c: Mapping[str, Any], layout: Layout, dense: Any, experts: Any) -> tuple[Any, Any, Any]:
    """Bytes of weights, gradients and optimizer states."""
    zero = c["zero"]
    ranks = where(c["shard"] > 0.0, c["shard"] + 0.0 * layout.data, layout.data * layout.context)
    own = maximum(ranks * where(layout.expert > 1.0, layout.tensor, 1.0 * (layout.tensor / layout.tensor)) / layout.expert, 1.0 * (ranks / ranks))
    states = c["master_width"] + c["states"] * c["state_width"]
    parts = []
    for stage, width in ((3, c["stored_width"]), (2, c["gradient_width"]), (1, states)):
        d, e = (ranks, own) if zero >= stage else (1.0, 1.0)
        parts.append(width * (dense / d + experts / e))
    return parts[0], parts[1], parts[2]


def _activations(c: Mapping[str, Any], layout: Layout, rank: Any, layers: Any, batch: Any) -> Any:
    shape, features, sequence = c["shape"], c["features"], c["sequence"]
    widths = Widths(c["activation_width"], c["mask_width"], c["full_width"])
    t, k = layout.tensor, layout.context
    shards = t if c["sequence_parallel"] else 1.0 * (t / t)
    kept: dict[str, Any] = {
        "fused_attention": features.fused_attention, "dropout": c["dropout"], "tensor": t, "sequence_shards": shards,
    }  # fmt: skip
    flight = in_flight_layers(c["schedule"], layout, rank, layers)
    recompute, rows = c["recompute"], batch / k * sequence
    if recompute == "full":
        # Each layer keeps its input; while one is done again, everything that it would keep is alive.
        kept_inputs = transformer_activations(shape, widths, batch / k, sequence, "full", layers=flight, **kept) / shards
        return kept_inputs + _layers_kept(c, rows, batch / k, 1.0, kept)
    if recompute == "selective" and features.selective == "products":
        own = shape.hidden * 2.0 + 0.5 * _products(c)
        return flight * workspace_bytes(rows / t, own, c["activation_width"]) + _layers_kept(c, rows, batch / k, 1.0, kept)
    return _layers_kept(c, rows, batch / k, flight, kept, "selective" if recompute == "selective" else "none")


def _products(c: Mapping[str, Any]) -> Any:
    """Elements per token that the matrix products of a layer write."""
    s = c["shape"]
    mlp = s.dense_layers * s.ffn + s.expert_layers * (s.active * s.expert_ffn + s.shared_ffn)
    return s.heads * s.head_dim + 2.0 * s.kv_heads * s.head_dim + 2.0 * s.hidden + s.matrices * mlp / s.layers


def _layers_kept(
    c: Mapping[str, Any], rows: Any, batch: Any, layers: Any, kept: Mapping[str, Any], recompute: str = "none"
) -> Any:
    """Return what some layers keep whose passes are not done again."""
    shape, features = c["shape"], c["features"]
    widths = Widths(c["activation_width"], c["mask_width"], c["full_width"])
    whole = transformer_activations(shape, widths, batch, c["sequence"], recompute, layers=layers, **kept)
    s = shape
    mlp = (s.dense_layers * s.ffn + s.expert_layers * (s.active * s.expert_ffn + s.shared_ffn)) / s.layers
    less: Any = 0.0
    narrow = features.narrow_storage and c["narrow"]
    saved = c["activation_width"] - c["operand_width"] if narrow else 0.0
    if c["frozen"]:
        # Frozen weights have no gradients: inputs of the MLP's products are not needed again.
        dropped = workspace_bytes(rows, s.hidden / kept["sequence_shards"] + mlp / kept["tensor"], c["activation_width"])
        less = dropped + saved * rows * (s.hidden / kept["sequence_shards"] + s.matrices * mlp / kept["tensor"])
    elif narrow:
        own = s.norm_passes * s.hidden / kept["sequence_shards"] + (s.matrices + 1.0) * mlp / kept["tensor"]
        less = workspace_bytes(rows, own, saved)
    return whole - layers * less


def held(c: Mapping[str, Any], layout: Layout) -> tuple[Held, Any]:
    """Return what the fullest device holds.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.

    Returns
    -------
    fullest : Held
    micro : float or array, sample
        Largest micro-batch that would fit.
    """
    one = layout.pipeline == 1.0
    embed, tail = c["first_parameters"], c["last_parameters"]
    both = embed + (0.0 if c["tied"] else tail)
    stages = (
        (0.0, layout.first, where(one, both + 0.0 * layout.data, embed + 0.0 * layout.data), one),
        (layout.pipeline - 1.0, layout.last, where(one, both + 0.0 * layout.data, tail + 0.0 * layout.data), True),
        (where(layout.pipeline > 2.0, 1.0, 0.0) + 0.0 * layout.data, where(layout.pipeline > 2.0, layout.middle, layout.first), 0.0 * layout.data, False),
    )  # fmt: skip
    fullest: Held | None = None
    largest: Any = None
    usable = c["capacity"] * c["utilisation"]
    for rank, layers, end, ends in stages:
        found, each = _stage(c, layout, rank, layers, end, ends)
        fits = floor((usable - (found.required - each * layout.micro)) / each)
        largest = fits if largest is None else where(fits < largest, fits, largest)
        if fullest is None:
            fullest = found
        else:
            worse = found.required > fullest.required
            fullest = Held._make(where(worse, a, b) for a, b in zip(found, fullest, strict=True))
    assert fullest is not None
    return fullest, maximum(largest, 0.0 * largest)


def _stage(c: Mapping[str, Any], layout: Layout, rank: Any, layers: Any, end: Any, ends: Any) -> tuple[Held, Any]:
    """Return what one stage holds, and how much of it each sample of a micro-batch takes."""
    shape = c["shape"]
    dense, experts = stage_parameters(c, layout, layers, end)
    if c["frozen"]:
        own = adapter_parameters(c, layout, layers)
        weights, _, _ = _state(c, layout, dense, experts)
        _, gradients, optimizer = _state(c, layout, own, 0.0 * own)
    else:
        weights, gradients, optimizer = _state(c, layout, dense, experts)
    activations = _activations(c, layout, rank, layers, layout.micro)
    rows = layout.micro * c["sequence"] / layout.context
    # Logits and their gradient are alive together, unless the loss goes through the vocabulary piece by piece.
    width = c["activation_width"] if c["features"].fused_loss else 2.0 * c["full_width"]
    logits = where(ends, 1.0, 0.0) * logits_bytes(rows / layout.tensor, shape.vocab if shape.head else 0.0, width)
    gathered: Any = 0.0 * activations
    if c["zero"] == 3:
        each = (c["layer_parameters"] / layout.tensor + c["expert_parameters"] / where(layout.expert > 1.0, layout.expert, layout.tensor))
        gathered = constants.LIVE_LAYERS * workspace_bytes(1.0, each, c["gathered_width"] + c["sent_width"])
        ends_once = (c["first_parameters"] + (0.0 if c["tied"] else c["last_parameters"])) / layout.tensor
        gathered = gathered + ends_once * c["gathered_width"]
        if not c["reshard"]:
            gathered = gathered + dense * c["gathered_width"]
    reserve = c["reserve"] + 0.0 * activations
    required = weights + gradients + optimizer + activations + logits + gathered + reserve
    return Held(weights, gradients, optimizer, activations, logits, gathered, reserve, required), (activations + logits) / layout.micro


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
