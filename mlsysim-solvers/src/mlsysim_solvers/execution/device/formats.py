"""Bytes per element: of weights, operands, activations, caches and optimizer states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.records.model import Model
from mlsysim.records.precision import bytes_per_element, check_precision
from mlsysim.records.scenario import Inference, Serving, Training
from mlsysim.records.stack import Stack

from ...formulas import constants
from ...lowering.network import NetworkShape
from ...lowering.shape import TransformerShape, number

__all__ = ["cache_format", "format_columns", "head_columns", "wide_attention"]


def format_columns(
    workload: Serving | Training | Inference, stack: Stack, shape: Any, precision: str, blocks: Any = None
) -> dict[str, Any]:
    """Return bytes per element.

    Parameters
    ----------
    workload : Serving, Training or Inference
        What runs.
    stack : Stack
        What runs it.
    shape : TransformerShape or NetworkShape
        The model.
    precision : str
        Format of the arithmetic.
    blocks : float, count, optional
        Elements that share a scale in the model's own version in 8 bits.

    Returns
    -------
    dict of str to number
        Widths in B, and the kernels that form operands.

    Notes
    -----
    Transformers keep activations in at least 16 bits between operators, also where products run in
    fewer; layer lists keep them in whole bytes of the chosen format. Training in fewer than 16 bits
    keeps weights and gradients in 16.
    """
    own = bytes_per_element(precision)
    half, full = constants.HALF_WIDTH, constants.FULL_WIDTH
    text = not isinstance(shape, NetworkShape)
    columns: dict[str, Any] = {
        "weight_width": own, "operand_width": own, "kv_width": own, "activation_width": max(own, half if text else 1.0),
        "full_width": full, "mask_width": constants.MASK_WIDTH, "flop_per_mac": constants.FLOP_PER_MAC,
    }  # fmt: skip
    if isinstance(workload, Serving):
        kept = workload.weights or precision
        columns["weight_width"] = _width(kept, "workload.weights")
        columns["kv_width"] = _width(cache_format(workload, stack), "workload.kv_cache")
        columns |= _quantised(kept, precision, shape, columns["activation_width"], blocks)
        if isinstance(shape, TransformerShape) and shape.expert_layers:
            columns["grouped_share"] = number(stack.ceilings.grouped or constants.GROUPED_SHARE)
    elif isinstance(workload, Training):
        columns["weight_width"] = columns["activation_width"] = columns["gradient_width"] = stored = max(own, half)
        master = _width(workload.master, "workload.master") if workload.master else 0.0
        if stack.features.one_copy:
            master = 0.0
        columns["master_width"] = master if master > stored else 0.0
        columns["weight_passes"] = 1.0 if master > stored else 2.0
        columns["states"] = constants.OPTIMIZER_STATES[workload.optimizer]
        eight_bit = workload.optimizer == "adam8bit"
        columns["state_width"] = constants.ADAM_8BIT_STATE if eight_bit else max(master, stored)
    return columns


def cache_format(workload: Serving, stack: Stack) -> str:
    """Return the format of the key-value cache.

    Parameters
    ----------
    workload : Serving
        What is served.
    stack : Stack
        What serves it.

    Returns
    -------
    str
        As asked for, else 16 bits where the stack keeps them, else that of the arithmetic, but no narrower than
        8 bits: caches in 4 bits have to be asked for.
    """
    own = workload.precision
    if not workload.kv_cache and stack.features.wide_cache and bytes_per_element(own) < constants.HALF_WIDTH:
        return "bf16"
    if workload.kv_cache or bytes_per_element(own) >= 1.0:
        return workload.kv_cache or own
    return "int8" if own.startswith("int") else "fp8"


def head_columns(stack: Stack, model: Model, workload: object, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the format of embedding and output projection where the stack leaves them in 16 bits.

    Parameters
    ----------
    stack : Stack
        What runs the model.
    model : Model
        The model.
    workload : Serving, Training or Inference
        What runs.
    columns : mapping of str to number
        As :func:`format_columns` returned.

    Returns
    -------
    dict of str to number
        Their width in B, and how many of them there are; nothing where they have the format of the weights.
    """
    text, wide = model.transformer, constants.HALF_WIDTH
    narrow = columns["weight_width"] < wide and stack.features.wide_head and isinstance(workload, Serving)
    if not narrow or text is None or not text.vocab:
        return {}
    return {"head_width": wide, "head_copies": 1.0 if text.tied else 2.0}


def wide_attention(settings: Mapping[str, float], shape: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the format of the weights around attention where a checkpoint of few bits leaves them as they were.

    Parameters
    ----------
    settings : mapping of str to float
        What the solver was told: ``wide_attention``.
    shape : TransformerShape or NetworkShape
        The model.
    columns : mapping of str to number
        As :func:`format_columns` returned.

    Returns
    -------
    dict of str to number
        Their width in B; nothing where the others are as wide, or attention is wide anyway. What attention writes needs
        no other format then.

    References
    ----------
    meta-llama/llama-models, models/llama3/quantization/loader.py at 7798f83a, convert_to_fp8_quantized_model: of all
    layers but the first and the last, w1, w2 and w3 of feed_forward. Those two layers count like the others here.
    """
    activation, told = columns["activation_width"], bool(settings.get("wide_attention"))
    if not told or not isinstance(shape, TransformerShape) or columns["weight_width"] >= activation:
        return {}
    if "outer_width" in columns:
        return {}
    casts = columns.get("block_casts", 0.0)
    return {"outer_width": activation, "block_casts": max(0.0, casts - constants.LONE_CASTS)}


def _quantised(weights: str, precision: str, shape: Any, activation: float, blocks: Any) -> dict[str, Any]:
    """Return what a mixture in few bits keeps in the format of its activations, and the kernels that form operands.

    All but the experts stays wide where a mixture is in blocks of 4 bits. Dense models in 8 bits have scales that are
    known beforehand, which norms and activation functions apply, unless their lab publishes them in blocks as mixtures
    are, whose scales follow from the operands.
    """
    if not isinstance(shape, TransformerShape):
        return {}
    narrow = bytes_per_element(precision) < activation
    found: dict[str, Any] = {"narrow_products": narrow}
    blocked, casts = precision in constants.BLOCKED, constants.BLOCKED_CASTS
    if shape.expert_layers and weights in constants.BLOCKED:
        return found | {"outer_width": activation, "block_casts": constants.LONE_CASTS * blocked}
    if (shape.expert_layers or blocks is not None) and narrow and weights in constants.QUANTISED:
        # Compressed queries are an operand more.
        formed = casts + float(shape.q_rank > 0.0)
        return found | {"block_casts": formed, "scale_block": constants.SCALE_BLOCK if blocks is None else blocks}
    return found | {"block_casts": casts if blocked else constants.LONE_CASTS * narrow}


def _width(name: str, where: str) -> float:
    return bytes_per_element(check_precision(name, where=where))
