"""Layouts that cannot run are refused, each with the nearest legal values."""

from __future__ import annotations

from mlsysim.errors import ConfigError
from mlsysim.names import did_you_mean
from mlsysim.records.scenario import Parallelism

from ..lowering.shape import TransformerShape
from .topology import DIMENSIONS

__all__ = ["check_layout", "placement_of"]


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
                f"{name!r} is no dimension of a layout",
                where="parallelism.placement",
                remedy=did_you_mean(name, DIMENSIONS) or legal,
            )
    if sorted(order) != sorted(DIMENSIONS):
        raise ConfigError(f"{text!r} does not name each dimension once", where="parallelism.placement", remedy=legal)
    return order


def _nearest(value: int, limit: int) -> str:
    """Name the divisors of a number on both sides of a value."""
    legal = [d for d in range(1, limit + 1) if limit % d == 0]
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
    _check_batch(layout, batch)
    _check_pipeline(layout, shape)
    _check_context(layout, shape, sequence)
    _check_experts(layout, shape)
    _check_shards(layout)


def _check_batch(layout: Parallelism, batch: int) -> None:
    if batch < layout.data:
        _refuse(f"a batch of {batch} leaves some of {layout.data} data-parallel ranks without a sample", "data",
                _nearest(layout.data, batch))  # fmt: skip
    own = -(-batch // layout.data)
    if layout.micro_batch > own:
        _refuse(f"a micro-batch of {layout.micro_batch} is more than the {own} samples of a rank", "micro_batch",
                f"At most {own}")  # fmt: skip


def _check_pipeline(layout: Parallelism, shape: TransformerShape) -> None:
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
    heads = shape.kv_heads / min(layout.tensor, shape.kv_heads)
    if layout.context_kind == "all-to-all" and layout.context > heads:
        _refuse(f"all-to-all context = {layout.context} exceeds the key-value heads of a tensor-parallel rank",
                "context", f'At most {heads:g}, or context_kind = "ring"')  # fmt: skip


def _check_experts(layout: Parallelism, shape: TransformerShape) -> None:
    if layout.expert == 1:
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
