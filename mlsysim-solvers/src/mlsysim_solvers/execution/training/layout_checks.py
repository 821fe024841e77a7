"""Layouts that cannot run are refused, each with the nearest legal values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.names import did_you_mean
from mlsysim.numeric import ceil, is_array, maximum, minimum
from mlsysim.records.scenario import Parallelism, Training

from ...lowering.divisors import divisors
from ...lowering.shape import TransformerShape, fewest_kv_heads
from ..device.arrays import divides, shares_heads
from ..network.topology import DIMENSIONS
from .activations import MODULES
from .schedule import Layout

__all__ = ["again_of", "check_layout", "check_lean", "placement_of", "suits"]


def placement_of(text: str) -> tuple[str, ...]:
    """Read the order in which the dimensions of a layout are placed.

    Parameters
    ----------
    text : str
        Names with commas.

    Returns
    -------
    tuple of str

    Raises
    ------
    ConfigError
        If a dimension is missing, unknown or named twice.
    """
    order = tuple(part.strip() for part in text.split(",") if part.strip())
    legal = f"Order {', '.join(DIMENSIONS)}"
    for name in order:
        if name not in DIMENSIONS:
            raise ConfigError(
                f"{name!r} is not a dimension of a layout",
                where="parallelism.placement",
                remedy=did_you_mean(name, DIMENSIONS) or legal,
            )
    if sorted(order) != sorted(DIMENSIONS):
        raise ConfigError(f"{text!r} does not name each dimension once", where="parallelism.placement", remedy=legal)
    return order


def _nearest(value: int, limit: int) -> str:
    """Name the divisors of a number on both sides of a value."""
    legal = divisors(limit)
    below = max((d for d in legal if d <= value), default=1)
    above = min((d for d in legal if d >= value), default=limit)
    return f"Nearest legal values: {below}" + (f" and {above}" if above != below else "")


def _refuse(what: str, key: str, remedy: str) -> None:
    raise ConfigError(what, where=f"parallelism.{key}", remedy=remedy)


def check_layout(layout: Parallelism, shape: TransformerShape, batch: int, sequence: int) -> None:
    """Refuse a layout that does not suit model, batch or sequence.

    Parameters
    ----------
    layout : Parallelism
        The layout.
    shape : TransformerShape
        The model.
    batch : int, sample
        Samples of a step.
    sequence : int, token
        Tokens of a sample.

    Raises
    ------
    ConfigError
        With the nearest legal values.
    """
    if layout.attention > 1:
        _refuse("attention is copied inside a model that is served, and training has no requests", "attention",
                "Leave it out; data copies the whole model")  # fmt: skip
    _check_batch(layout, batch)
    _check_pipeline(layout, shape)
    _check_context(layout, shape, sequence)
    _check_experts(layout, shape)
    _check_shards(layout)


def suits(c: Mapping[str, Any], layout: Layout, batch: Any, sequence: Any) -> Any:
    """Tell which layouts of a sweep suit model and batch: what :func:`check_layout` refuses cannot fit.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.
    layout : Layout
        The layouts.
    batch : float or array, sample
        Samples of a step.
    sequence : float or array, token
        Tokens of a sample.

    Returns
    -------
    bool or array of bool
    """
    shape = c["shape"]
    legal = shares_heads(c, layout.tensor) & (batch >= layout.data)
    legal = legal & divides(1.0, layout.micro) & divides(1.0, layout.virtual)
    legal = legal & (layout.micro <= ceil(batch / layout.data))
    legal = legal & (layout.pipeline * layout.virtual <= shape.layers + 2.0)
    legal = legal & divides(layout.context, sequence)
    legal = legal & ((layout.virtual <= 1.0) | (layout.pipeline > 1.0))
    if c["schedule"] != "1f1b":
        legal = legal & (layout.virtual <= 1.0)
    if shape.recurrence is not None or shape.source is not None:
        legal = legal & (layout.context <= 1.0)
    if shape.source is not None:
        legal = legal & (layout.pipeline <= 1.0)
    if c["context_kind"] == "all-to-all":
        fewest = fewest_kv_heads(shape)
        legal = legal & (layout.context * minimum(layout.tensor, fewest) <= fewest)
    if c["zero"] == 3:
        legal = legal & (layout.pipeline <= 1.0)
    if c["in_backward"]:
        legal = legal & (layout.pipeline <= 1.0) & (layout.micro * layout.data >= batch)
    if is_array(c["shard"]) or c["shard"]:
        legal = legal & ((c["shard"] <= 0.0) | divides(maximum(c["shard"], 1.0), layout.data * layout.context))
    if shape.experts:
        return legal & divides(layout.expert, layout.data * layout.context * layout.tensor)
    return legal & (layout.expert <= 1.0)


def _check_batch(layout: Parallelism, batch: int) -> None:
    if batch < layout.data:
        _refuse(f"a batch of {batch} leaves some of {layout.data} data-parallel ranks without a sample", "data",
                _nearest(layout.data, batch))  # fmt: skip
    own = -(-batch // layout.data)
    if layout.micro_batch > own:
        _refuse(f"a micro-batch of {layout.micro_batch} is more than the {own} samples of a rank", "micro_batch",
                f"At most {own}")  # fmt: skip


def _check_pipeline(layout: Parallelism, shape: TransformerShape) -> None:
    if shape.source is not None and layout.pipeline > 1:
        _refuse("stages of an encoder and of its decoder differ, and are not answered", "pipeline",
                "Set it to 1; data and tensor divide an encoder-decoder")  # fmt: skip
    if layout.virtual > 1 and layout.pipeline == 1:
        _refuse("one stage has nothing to interleave", "virtual", "Set it to 1, or pipeline > 1")
    if layout.pipeline * layout.virtual > shape.layers + 2:
        _refuse(f"{layout.pipeline} stages of {layout.virtual} chunks are more than {shape.layers:g} layers", "virtual",
                f"At most {int(shape.layers // layout.pipeline)}")  # fmt: skip
    if layout.virtual > 1 and layout.schedule != "1f1b":
        _refuse(f"{layout.schedule} does not interleave", "schedule", 'Use "1f1b", or virtual = 1')


def _check_context(layout: Parallelism, shape: TransformerShape, sequence: int) -> None:
    if layout.context > 1 and sequence % layout.context:
        _refuse(f"context = {layout.context} does not divide a sequence of {sequence} tokens", "context",
                _nearest(layout.context, sequence))  # fmt: skip
    if layout.context > 1 and shape.source is not None:
        _refuse("sequences of an encoder-decoder are not divided over devices", "context",
                "Set it to 1; data and tensor divide an encoder-decoder")  # fmt: skip
    if layout.context > 1 and shape.recurrence is not None:
        _refuse(f"context = {layout.context} would divide sequences whose states pass from token to token", "context",
                "Set it to 1; data, tensor, expert and pipeline divide such a model")  # fmt: skip
    fewest = fewest_kv_heads(shape)
    heads = fewest / min(layout.tensor, fewest)
    if layout.context_kind == "all-to-all" and layout.context > heads:
        _refuse(f"all-to-all context = {layout.context} exceeds the key-value heads of a tensor-parallel rank",
                "context", f'At most {heads:g}, or context_kind = "ring"')  # fmt: skip


def _check_experts(layout: Parallelism, shape: TransformerShape) -> None:
    if layout.expert == 1:
        for key in ("exchange", "overlap_expert"):
            if getattr(layout, key) not in ("", None):
                _refuse("experts are not spread over devices, and no tokens go to them", key,
                        "Leave it out, or set expert to 2 or more")  # fmt: skip
        return
    if not shape.experts:
        _refuse("the model has no experts", "expert", "Set it to 1")
    group = layout.data * layout.context * layout.tensor
    if group % layout.expert:
        _refuse(f"expert = {layout.expert} does not divide the {group} devices that share a stage", "expert",
                _nearest(layout.expert, group))  # fmt: skip


def _check_shards(layout: Parallelism) -> None:
    ranks = layout.data * layout.context
    if layout.zero == 3 and layout.pipeline > 1:
        _refuse("fully sharded parameters would be gathered for every micro-batch of every stage", "zero",
                "Use zero = 1 with a pipeline")  # fmt: skip
    if layout.shard and ranks % layout.shard:
        _refuse(f"shard = {layout.shard} does not divide {ranks} data-parallel ranks", "shard",
                _nearest(layout.shard, ranks))  # fmt: skip
    if layout.shard and not layout.zero:
        _refuse(f"shard = {layout.shard} divides nothing: zero is 0", "shard", "Leave it out, or set zero to 1 to 3")
    if layout.sequence and layout.tensor == 1:
        _refuse("sequence parallelism divides over a tensor-parallel group, and there is none", "sequence",
                "Leave it out, or set tensor to 2 or more")  # fmt: skip


def again_of(workload: Training) -> frozenset[str]:
    """Read which parts of a layer selective recomputation does again.

    Parameters
    ----------
    workload : Training
        The job.

    Returns
    -------
    frozenset of str
        Empty where the workload leaves it to the stack.

    Raises
    ------
    ConfigError
        If a part is unknown, or recomputation is not selective.
    """
    where, legal = "workload.recompute_modules", f"Choose among {', '.join(MODULES)}"
    names = [part.strip() for part in workload.recompute_modules.split(",") if part.strip()]
    for name in names:
        if name not in MODULES:
            raise ConfigError(
                f"{name!r} is not a part of a layer that is recomputed alone", where=where,
                remedy=did_you_mean(name, MODULES) or legal,
            )  # fmt: skip
    if names and workload.recompute != "selective":
        raise ConfigError(
            f"parts of a layer are named, and recompute is {workload.recompute!r}", where=where,
            remedy='Set workload.recompute to "selective"',
        )  # fmt: skip
    return frozenset(names)


def _accumulates(job: Training, layout: Parallelism) -> bool:
    """Tell whether a rank adds up the gradients of several micro-batches."""
    several = layout.micro_batch > 0 and layout.micro_batch * layout.data < job.batch
    return layout.pipeline > 1 or several


def check_lean(workload: Training, layout: Parallelism, shape: TransformerShape) -> None:
    """Refuse ways of saving memory that contradict each other or the layout.

    Parameters
    ----------
    workload : Training
        The job.
    layout : Parallelism
        The layout.
    shape : TransformerShape
        The model.

    Raises
    ------
    ConfigError
        With what would be legal.
    """
    job, chosen, most = workload, workload.recompute_layers, -(-int(shape.layers) // layout.pipeline)
    faults = (
        (job.weights and not job.adapter, "weights",
         "only a frozen model keeps its weights in a format of their own", "Set workload.adapter, or leave it out"),
        (job.adapter_modules and not job.adapter, "adapter_modules",
         "there are no adapters to place", "Set workload.adapter, or leave it out"),
        ("latent" in again_of(job) and not shape.latent, "recompute_modules",
         "the model has no latent attention whose projections could be done again", "Leave out latent"),
        (chosen and job.recompute != "full", "recompute_layers",
         f"{chosen} layers are to be recomputed, and recompute is {job.recompute!r}",
         'Set workload.recompute to "full"'),
        (chosen > most, "recompute_layers",
         f"{chosen} layers are to be recomputed, and a stage has {most}", f"At most {most}, or 0 for all"),
        (job.recompute_method and not chosen, "recompute_method",
         "recompute_method counts layers, and none are given", "Set workload.recompute_layers"),
        (job.offload_optimizer > 1.0, "offload_optimizer",
         f"a share of {job.offload_optimizer:g} of the optimizer states is more than all", "Give 0 to 1"),
        (job.optimizer_in_backward and _accumulates(job, layout), "optimizer_in_backward",
         "gradients that are used as soon as they are there cannot be added up over micro-batches",
         "Leave out micro_batch and pipeline, or optimizer_in_backward"),
        (job.offload_layers and not job.offload, "offload_layers",
         f"activations of {job.offload_layers} layers are to wait in host memory, and offload is off",
         "Set workload.offload"),
        (job.offload_layers > most, "offload_layers",
         f"{job.offload_layers} layers are to wait in host memory, and a stage has {most}",
         f"At most {most}, or 0 for all"),
        (job.offload and chosen, "offload",
         "activations wait in host memory, and only some layers are recomputed",
         "Leave out recompute_layers or offload"),
    )  # fmt: skip
    for is_wrong, field, what, remedy in faults:
        if is_wrong:
            raise ConfigError(what, where=f"workload.{field}", remedy=remedy)
