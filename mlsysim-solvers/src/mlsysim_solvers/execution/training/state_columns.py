"""What a training job keeps of every parameter and of every activation, on one device or many, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.records.model import Model
from mlsysim.records.precision import bytes_per_element, check_precision
from mlsysim.records.scenario import Parallelism, Training
from mlsysim.shapes import mlp_layers, parameters

from ...lowering.shape import number
from .layout_checks import again_of

__all__ = ["state_columns"]


def state_columns(workload: Training, layout: Parallelism, model: Model, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what :func:`mlsysim_solvers.execution.training.state.held` asks for.

    Parameters
    ----------
    workload : Training
        The job.
    layout : Parallelism
        How it is divided.
    model : Model
        A transformer.
    columns : mapping of str to number or object
        Of one device, with the features of its stack.

    Returns
    -------
    dict of str to number or object
        Numbers in SI; what the stack keeps wide or narrow replaces the widths of the formats.
    """
    layers, stage, frozen = columns["shape"].layers, layout.zero, workload.adapter > 0
    if columns["features"].sharded_optimizer and stage == 0:
        stage = 1
    found = {
        "zero": stage, "shard": number(layout.shard), "reshard": layout.reshard, "schedule": layout.schedule,
        "sequence_parallel": layout.sequence,
        "offload": workload.offload, "offload_layers": number(workload.offload_layers or layers),
        "offload_optimizer": number(workload.offload_optimizer), "in_backward": workload.optimizer_in_backward,
        "recompute_layers": number(workload.recompute_layers or layers),
        "recompute_method": workload.recompute_method or "block", "again": again_of(workload),
        "adapter": number(workload.adapter), "frozen": frozen,
        "adapts_mlp": workload.adapter_modules == "all",
        "narrow": bool(columns["operand_width"] < columns["activation_width"]),
        **_parameters(model), **_widths(columns, workload, frozen=frozen),
    }  # fmt: skip
    return found | _unpacked(columns, found)


def _parameters(model: Model) -> dict[str, Any]:
    found = parameters(model)
    # The layers of an encoder count with those of the decoder that reads it.
    stack = model.transformer or (model.pair and model.pair.decoder)
    assert stack
    mixture = stack.mixture
    experts = 0.0
    if mixture is not None:
        matrices = 3.0 if stack.gated else 2.0
        experts = (mlp_layers(stack) - mixture.dense_layers) * mixture.experts * matrices
        experts = experts * (mixture.latent or stack.hidden) * mixture.ffn
    total = number(found.total)
    ends = number(found.embedding + found.head)
    head = number(found.head) or number(found.embedding)
    return {
        "layer_parameters": (total - ends - experts) / number(stack.layers),
        "expert_parameters": experts / number(stack.layers),
        "first_parameters": number(found.embedding), "last_parameters": head, "tied": not found.head,
    }  # fmt: skip


def _widths(columns: Mapping[str, Any], workload: Training, *, frozen: bool) -> dict[str, Any]:
    """Bytes of stored parameters, gradients and states, as the stack keeps them."""
    features = columns["features"]
    half, full = columns["weight_width"], columns["full_width"]
    # Without a master copy in 32 bits, the one copy that is kept is in 16.
    wide = features.wide_weights and columns["master_width"] > half
    # Sums of gradients lose too much in bf16: what is added in kernels of its own is added, and exchanged, in 32 bits.
    summed = features.adds_gradients and workload.precision == "bf16"
    found = {
        # A frozen model has no updates that 16 bits would lose.
        "stored_width": full if wide and not frozen else half,
        "gradient_width": full if features.wide_gradients or wide or summed else columns["gradient_width"],
        "sent_width": full if features.wide_reduction or summed else half,
        "gathered_width": half,
    }
    if frozen and features.narrow_storage:
        # Frozen weights are only read by the products.
        found["stored_width"] = columns["operand_width"]
    if wide:
        found["master_width"] = 0.0
        found["weight_passes"] = 2.0
        found["optimizer_width"] = full
    else:
        found["optimizer_width"] = half
    if workload.weights:
        # Frozen weights lie, and are gathered, as they are stored.
        width = bytes_per_element(check_precision(workload.weights, where="workload.weights"))
        found |= {"stored_width": width, "gathered_width": width}
    return found | {"ends_width": max(found["stored_width"], half)}


def _unpacked(columns: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a pass moves to unpack a frozen layer: nothing where products read weights as they are stored."""
    stored, operand = found["stored_width"], columns["operand_width"]
    each = stored + operand if found["frozen"] and stored < operand else 0.0
    return {"unpacked": each * (found["layer_parameters"] + found["expert_parameters"])}
