"""One device of a copy whose attention is copied, whose experts lie on devices of their own, or both."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..formulas.elementwise import stream_bytes
from ..formulas.expert_parallel import busiest_experts, busiest_share
from ..formulas.mixture import distinct_experts, rows_per_expert
from .attention import Abilities
from .operators import Formats, Operator, Table, gemm, stream
from .serving import sharded
from .shape import TransformerShape

__all__ = ["Sharing", "shared", "spread"]


class Sharing(NamedTuple):
    """How the devices of one copy of a model, or of one of its stages, share the layers.

    Parameters
    ----------
    attention : float or array, count
        Copies of attention.
    tensor : float or array, count
        Devices of each of them.
    expert : float or array, count
        Groups over which whole experts are spread.
    """

    attention: Any
    tensor: Any
    expert: Any

    @property
    def devices(self) -> Any:
        """Devices that share a layer."""
        return self.attention * self.tensor

    @property
    def columns(self) -> Any:
        """Devices that divide each expert by columns."""
        return self.attention * self.tensor / self.expert


def shared(shape: TransformerShape, sharing: Sharing) -> TransformerShape:
    """Return the part of every layer that one device holds.

    Parameters
    ----------
    shape : TransformerShape
        The model.
    sharing : Sharing
        Who shares what.

    Returns
    -------
    TransformerShape
        Attention, cache, vocabulary, shared experts and the dense layers of a mixture divided by ``tensor``, and copied
        for each copy of attention; routed experts, or the MLP of a model without them, divided over all devices.

    References
    ----------
    NVIDIA TensorRT-LLM, tensorrt_llm/_torch/models/modeling_deepseekv3.py, _compute_mlp_tp_size and
    _compute_shared_expert_tp_size: with attention data parallelism dense layers and shared experts are not divided.
    vLLM, docs/serving/data_parallel_deployment.md: expert layers form a group of data x tensor devices.
    """
    own = sharded(shape, sharing.tensor)
    wide = shape.expert_layers * shape.experts * (shape.matrices + 1.0) * shape.expert_hidden * shape.expert_ffn
    if not shape.expert_layers:
        wide = shape.dense_layers * (shape.matrices + 1.0) * shape.hidden * shape.ffn
    held = own.parameters - wide / sharing.tensor + wide / sharing.devices
    if shape.expert_layers:
        return own._replace(parameters=held, expert_ffn=shape.expert_ffn / sharing.columns)
    return own._replace(parameters=held, ffn=shape.ffn / sharing.devices)


def spread(
    table: Table, shape: TransformerShape, formats: Formats, abilities: Abilities, sharing: Sharing, tokens: Any
) -> Table:
    """Let a table of one copy of attention meet the tokens of all copies in what they share.

    Parameters
    ----------
    table : list of Operator
        A pass over the tokens of the busiest copy of attention, with the shape of one device.
    shape : TransformerShape
        The device's part of each layer, from :func:`shared`.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    sharing : Sharing
        Who shares what.
    tokens : float or array, count
        Tokens of the pass of all copies.

    Returns
    -------
    list of Operator
        Experts of the busiest device; of a model without experts the part of the MLP.
    """
    fused = abilities.fused_elementwise
    if shape.expert_layers:
        new = _experts(shape, formats, sharing, tokens, fused=fused)
    else:
        new = _mlp(shape, formats, tokens, fused=fused)
    return [_like(row, new[row.name]) if row.name in new else row for row in table]


def _like(old: Operator, new: Operator) -> Operator:
    return new._replace(kernels=old.kernels)


def _experts(
    shape: TransformerShape, formats: Formats, sharing: Sharing, tokens: Any, *, fused: bool
) -> dict[str, Operator]:
    count, width, hidden, active = shape.expert_layers, shape.expert_ffn, shape.expert_hidden, shape.active
    reached = distinct_experts(shape.experts, active, tokens)
    each = rows_per_expert(tokens, active, reached)
    local = busiest_experts(reached, shape.experts, sharing.expert)
    each = each * busiest_share(shape.experts, sharing.expert)
    up = shape.matrices * width
    # A device moves the tokens that are routed to its experts, not all.
    moved, here = (4.0 * active + 2.0) * hidden + 2.0 * shape.experts, tokens / sharing.expert
    rows = [
        gemm("experts up", count, each, up, hidden, formats, local, out=width if fused else up, kind="grouped_gemm"),
        gemm("experts down", count, each, hidden, width, formats, local, kind="grouped_gemm"),
        stream("routing and permutation", count, stream_bytes(here, moved, formats.activation)),
        stream("experts activation", count, stream_bytes(here, active * (up + width), formats.activation)),
    ]
    return {row.name: row for row in rows}


def _mlp(shape: TransformerShape, formats: Formats, tokens: Any, *, fused: bool) -> dict[str, Operator]:
    count, width, hidden = shape.dense_layers, shape.ffn, shape.hidden
    up = shape.matrices * width
    rows = [
        gemm("MLP up", count, tokens, up, hidden, formats, out=width if fused else up),
        gemm("MLP down", count, tokens, hidden, width, formats),
        stream("activation", count, stream_bytes(tokens, up + width, formats.activation)),
    ]
    return {row.name: row for row in rows}
