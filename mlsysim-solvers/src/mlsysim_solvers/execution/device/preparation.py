"""From a request to columns: checks, formats, memory, and what is assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlsysim.errors import ConfigError, SolverError
from mlsysim.records.device import Device
from mlsysim.records.model import Model
from mlsysim.records.precision import bytes_per_element, check_precision
from mlsysim.records.scenario import Inference, Scenario, Serving, Training
from mlsysim.records.stack import Stack

from ...formulas import constants
from ...formulas.attention import array_share
from ...formulas.gemm import delivered_rate
from ...formulas.memory import kept_share, weight_bytes
from ...formulas.power import work_per_clock
from ...formulas.tile_constants import HEAD_STEP, TILE_DELIVERY
from ...lowering.network import NetworkShape
from ...lowering.shape import TransformerShape, number, over_layers, transformer_shape
from .architectures import (
    check_denoising,
    denoising_columns,
    generator_shape,
    once_parts,
    serving_columns,
    shape_notes,
    shape_of_layers,
)
from .ceiling_notes import ceiling_notes, lone_notes
from .ceilings import cache_ratio, ceiling_columns, spread_columns
from .few_tiles import few_tiles
from .formats import cache_format, format_columns, head_columns, wide_attention
from .labels import usable_of
from .launching import compiled_columns, eager_variance, launch_columns
from .narrow import block_columns, stored_columns, unpacked_columns
from .quantisation import tiles_of
from .remembering import same_tuples

__all__ = ["prepare_columns"]

Workload = Serving | Training | Inference
"""Workloads of a fixed batch."""

_FORMS = {Serving: "serving", Training: "training", Inference: "inference"}


def prepare_columns(request: Any) -> dict[str, Any]:
    """Flatten a request.

    Parameters
    ----------
    request : Request
        Scenario, records (model, device, stack), claims and settings.

    Returns
    -------
    dict of str to number or object
        Columns in SI, and under other names what never varies.

    Raises
    ------
    ConfigError
        If the workload does not suit the model, the device or the stack.
    SolverError
        If it needs more than one device, or a number that nobody knows.
    """
    scenario, records = request.scenario, request.records
    model, device, stack = records["model"], records["device"], records["stack"]
    workload, settings, kind = scenario.workload, request.settings, _FORMS[type(scenario.workload)]
    _check_single(scenario)
    if kind not in stack.serves:
        raise ConfigError(
            f"{stack.name} does not run {kind} scenarios", where="system.stack",
            remedy=f"It runs {', '.join(stack.serves)}; choose another stack",
        )  # fmt: skip
    live = stack.features.drops_dead_channels
    shape = _shape(model, workload, beyond=bool(settings.get("beyond_context")), live=live)
    parts = once_parts(model, workload)
    precision = check_precision(workload.precision, where="workload.precision")
    key = scenario.system.device
    columns = ceiling_columns(device, stack, key, precision, settings)
    eager = bool(settings.get("eager")) and stack.features.graphs and kind == "serving"
    columns |= launch_columns(device, stack, kind, eager=eager) | compiled_columns(stack, kind)
    columns |= spread_columns(request.claims, device, stack, key, precision)
    if eager:
        columns["var_overhead"] += eager_variance(request.claims, stack)
    if isinstance(shape, TransformerShape) and shape.recurrence is not None:
        columns["scatter"] += constants.RECURRENT_LOG_SD**2
    columns |= format_columns(workload, stack, shape, precision, model.blocks)
    columns |= wide_attention(settings, shape, columns) | _stored_narrow(stack, columns)
    columns |= head_columns(stack, model, workload, columns)
    columns |= block_columns(columns) | unpacked_columns(device, precision, workload, columns)
    columns |= stored_columns(device, stack, columns) | _memory(device, stack)
    columns |= few_tiles(device, precision, columns) | _in_order(device, precision, columns)
    columns |= _kept(stack, shape, columns) | _contexts(device, stack, shape, columns)
    columns |= _workload(workload, shape) | _accumulating(scenario)
    engine, features = device.peak_of(precision).engine, stack.features
    columns["winograd"] = features.winograd and engine == "vector" and columns["operand_width"] == constants.FULL_WIDTH
    first = settings.get("channels_first") or precision in features.channels_first
    columns["transposes"] = engine == "matrix" and bool(first)
    if stack.features.activations:
        columns["activation_width"] = bytes_per_element(stack.features.activations)
    if stack.pass_tokens is not None:
        columns["pass_tokens"] = number(stack.pass_tokens)
    columns |= {
        "attention_ceiling": _attention_ceiling(settings, stack, key, kind),
        "reread_ratio": _setting(settings, "kv_reread_ratio", 0.0) or cache_ratio(device, stack),
        "prefill_tokens": _setting(settings, "prefill_tokens", constants.PREFILL_TOKENS),
        "dropout": _setting(settings, "dropout", 0.0), "chunked_loss": bool(settings.get("chunked_loss")),
        "kind": kind, "shape": shape, "features": stack.features, "fused_updates": bool(settings.get("fused_updates")),
        "tiles": tiles_of(stack, engine),
        "assumptions": (*_notes(request, columns, key, precision, settings), *shape_notes(workload, shape, parts)),
    }  # fmt: skip
    if parts:
        columns["parts"] = parts
    padded = stack.features.fused_attention and "lone_area" in columns
    columns["head_step"] = HEAD_STEP if padded else 1.0
    if isinstance(shape, TransformerShape):
        # Heads narrower than a systolic array leave a part of it idle, those between the widths of kernels are padded.
        side = columns["head_step"] if device.compute.array is None else number(device.compute.array)
        filled = over_layers(shape, lambda one: array_share(one.head_dim, one.v_dim, side))
        columns["attention_ceiling"] = columns["attention_ceiling"] * filled
    if isinstance(shape, NetworkShape):
        columns |= _window_tiles(device, precision, columns)
    return same_tuples(columns)


def _stored_narrow(stack: Stack, columns: Mapping[str, Any]) -> dict[str, bool]:
    """Return what is done to weights, or to what meets them, that are stored in fewer bits than are multiplied."""
    features, stored = stack.features, columns["weight_width"] < columns["operand_width"]
    expands = features.expands_weights or features.unpacks_weights
    found = {"unpacks": features.unpacks_weights, "narrows": features.narrows_inputs, "expands": expands}
    return {name: able and stored for name, able in found.items()}


def _setting(settings: Mapping[str, float], name: str, default: float) -> Any:
    return number(settings.get(name, default))


def _attention_ceiling(settings: Mapping[str, float], stack: Stack, device: str, kind: str) -> Any:
    """Return the share of the peak that fused attention reaches: in training as measured, unless told otherwise."""
    found = _setting(settings, "attention_ceiling", constants.ATTENTION_CEILING)
    if not 0.0 < found <= 1.0:
        raise ConfigError(
            f"attention_ceiling = {found:g} is not a share of the peak", where="settings.attention_ceiling",
            remedy="Give more than 0 and at most 1",
        )  # fmt: skip
    if kind != "training" or found != constants.ATTENTION_CEILING:
        return found
    return next((rate.share for rate in stack.attention if device in (rate.device, *rate.others)), found)


def _check_single(scenario: Scenario) -> None:
    p = scenario.parallelism
    degrees = {"data": p.data, "tensor": p.tensor, "pipeline": p.pipeline, "context": p.context, "expert": p.expert}
    wide = [f"{name} = {degree}" for name, degree in degrees.items() if degree > 1]
    if scenario.system.devices > 1 or wide:
        where = "system.devices" if scenario.system.devices > 1 else "parallelism"
        what = f"{scenario.system.devices} devices" if scenario.system.devices > 1 else ", ".join(wide)
        raise SolverError(
            f"the single-node solver answers for one device, and the scenario asks for {what}",
            where=where, remedy="Set it to 1, or install a solver for several devices",
        )  # fmt: skip


def _layer_list(model: Model, workload: Workload, *, live: bool) -> Any:
    """Return the shape of a layer list, or say why this workload cannot run on it."""
    if model.network is None:
        raise ConfigError(f"the model {model.name} has no shape", where="workload.model")
    _check_image(model, workload)
    if isinstance(workload, Training) and workload.recompute != "none":
        raise ConfigError(
            f"recompute = {workload.recompute!r} is for transformers, and {model.name} is a layer list",
            where="workload.recompute", remedy='Set it to "none"',
        )  # fmt: skip
    return shape_of_layers(model.network, live=live)


def _shape(model: Model, workload: Workload, *, beyond: bool, live: bool) -> Any:
    """Return the shape of the model, or say why this workload cannot run on it."""
    check_denoising(model, workload)
    special = generator_shape(model, workload)
    if special is not None:
        return special
    if model.transformer is None:
        return _layer_list(model, workload, live=live)
    shape = transformer_shape(model, model.transformer)
    if shape.patches:
        _check_image(model, workload)
    elif isinstance(workload, Serving):
        _check_generates(model, shape)
        _check_context(model, shape, workload.input + workload.output, "workload.input", beyond=beyond)
    else:
        if not workload.sequence:
            raise ConfigError(
                f"{model.name} reads tokens, and the workload gives no sequence length",
                where="workload.sequence", remedy=f"Give 1 to {shape.context:g} tokens",
            )  # fmt: skip
        _check_context(model, shape, workload.sequence, "workload.sequence", beyond=beyond)
        if isinstance(workload, Training) and workload.tokens and workload.samples:
            raise ConfigError(
                "both tokens and samples of the run are given", where="workload.samples", remedy="Give one of them"
            )
    return shape


def _check_image(model: Model, workload: Workload) -> None:
    if isinstance(workload, Serving):
        raise ConfigError(
            f"{model.name} generates no text",
            where="workload.model", remedy='Use kind = "inference"',
        )  # fmt: skip
    if workload.sequence:
        raise ConfigError(
            f"{model.name} reads no tokens, and the workload gives a sequence of {workload.sequence} tokens",
            where="workload.sequence", remedy="Leave it out",
        )  # fmt: skip
    if isinstance(workload, Training) and workload.tokens:
        raise ConfigError(
            f"{model.name} reads no tokens, and the run is given in tokens",
            where="workload.tokens", remedy="Give samples instead",
        )  # fmt: skip


def _check_generates(model: Model, shape: TransformerShape) -> None:
    if not (shape.causal and shape.head):
        raise ConfigError(
            f"{model.name} is an encoder and generates no text",
            where="workload.model", remedy='Use kind = "inference"',
        )  # fmt: skip


def _check_context(model: Model, shape: TransformerShape, length: float, where: str, *, beyond: bool) -> None:
    if length > shape.context and not beyond:
        raise ConfigError(
            f"{length:,.0f} tokens are more than {model.name} reads",
            where=where, remedy=f"Its context is {shape.context:,.0f} tokens",
        )  # fmt: skip


def _window_tiles(device: Device, precision: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tiles of convolutions that gather windows: as fast as the last-level cache delivers their operands."""
    processors, clock, peak = device.compute.processors, device.compute.clock, device.peak_of(precision)
    if processors is None or clock is None or peak.engine != "matrix":
        return {}
    work = work_per_clock(columns["peak"], clock) / processors
    width, delivery, flop_per_mac = columns["operand_width"], TILE_DELIVERY, constants.FLOP_PER_MAC
    return {"window_tiles": tuple(
        (m, n, min(rate, delivered_rate(m, n, width, work, delivery, flop_per_mac))) for m, n, rate in columns["tiles"]
    )}  # fmt: skip


def _kept(stack: Stack, shape: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the share of weights that stay in memory, where the others are read from storage at each pass."""
    if not stack.features.keeps_weights or "weight_bandwidth" not in columns:
        return {}
    weights = weight_bytes(shape.parameters, columns["weight_width"])
    room = columns["capacity"] * columns["utilisation"] - columns["reserve"]
    return {"kept_weights": kept_share(room, weights)}


def _contexts(device: Device, stack: Stack, shape: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts into which a spatial processor divides a network: as memory for weights and control allow."""
    if not stack.features.spatial:
        return {}
    weights = float(shape.parameters * columns["weight_width"])
    room = float(columns["capacity"] * columns["utilisation"] - columns["reserve"])
    parts = math.ceil(weights / room) if room > 0.0 else 1
    if isinstance(shape, NetworkShape) and device.compute.processors is not None:
        clusters = float(device.compute.processors)
        parts = max(parts, math.ceil(shape.operations / (constants.SPATIAL_OPERATIONS * clusters)))
    return {"contexts": float(max(parts, 1))}


def _in_order(device: Device, precision: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the work that takes as long as one result on a microcontroller, whose core does one thing at a time."""
    if device.tier != "tiny" or device.peak_of(precision).engine == "matrix":
        return {}
    wide = columns["operand_width"] >= columns["full_width"]
    macs = constants.RESULT_MACS_WIDE if wide else constants.RESULT_MACS
    return {"result_work": macs * columns["flop_per_mac"]}


def _memory(device: Device, stack: Stack) -> dict[str, Any]:
    storage = device.storage
    columns: dict[str, Any] = {
        "capacity": usable_of(device),
        "utilisation": number(stack.utilisation),
    }
    if device.cache is not None and device.tier != "tiny":
        columns["cache"] = device.cache.capacity
    if stack.features.in_place_weights and storage is not None:
        if storage.bandwidth is None:
            raise SolverError(
                f"{stack.name} reads weights from the storage of {device.name}, whose bandwidth is not known",
                where="system.device", remedy="Add storage.bandwidth with its source to the registry",
            )  # fmt: skip
        columns |= {"storage": storage.capacity, "weight_bandwidth": storage.bandwidth}
    return columns


def _workload(workload: Workload, shape: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {"batch": number(workload.batch)}
    if isinstance(workload, Serving):
        return columns | serving_columns(workload, shape)
    text = isinstance(shape, TransformerShape)
    # An image has as many tokens as patches, and the class token.
    images = text and bool(shape.patches)
    columns["sequence"] = shape.patches + 1.0 if images else number(workload.sequence)
    columns["is_text"] = text and not images
    if isinstance(workload, Inference):
        return columns | ({"rate": number(workload.rate)} if workload.rate else {}) | denoising_columns(workload)
    columns["recompute"] = workload.recompute
    columns["evaluates"] = workload.run.evaluation_samples > 0
    # The amount of a run is a column only where there is one, so that compute() never asks an array for its truth.
    return columns | {
        name: number(amount) for name, amount in (("tokens", workload.tokens), ("samples", workload.samples)) if amount
    }


def _accumulating(scenario: Scenario) -> dict[str, Any]:
    """Return the samples of a micro-batch, where training adds up the gradients of several."""
    micro, workload = scenario.parallelism.micro_batch, scenario.workload
    if not micro or not isinstance(workload, Training):
        return {}
    if micro > workload.batch:
        raise ConfigError(
            f"a micro-batch of {micro} is more than the {workload.batch} samples of a step",
            where="parallelism.micro_batch", remedy=f"At most {workload.batch}",
        )  # fmt: skip
    return {"micro_batch": number(micro)}


def _notes(
    request: Any, columns: Mapping[str, Any], key: str, precision: str, settings: Mapping[str, float]
) -> list[str]:  # fmt: skip
    device, stack, workload = request.records["device"], request.records["stack"], request.scenario.workload
    notes = ceiling_notes(request.claims, device, stack, key, precision, settings)
    notes += lone_notes(_FORMS[type(workload)], columns)
    if isinstance(workload, Serving) and not workload.kv_cache and bytes_per_element(precision) < constants.HALF_WIDTH:
        notes.append(f"key-value cache in {cache_format(workload, stack)} (set workload.kv_cache)")
    if isinstance(workload, Training):
        if workload.recompute == "selective" and stack.features.fused_attention:
            notes.append("selective recomputation changes nothing: the stack's fused attention keeps no scores")
        if workload.optimizer == "sgd":
            notes.append("SGD keeps one momentum per parameter")
        if stack.features.one_copy and workload.master and bytes_per_element(precision) < constants.FULL_WIDTH:
            notes.append(f"no weights in {workload.master} beside those in 16 bits: the stack keeps one copy")
    slow = constants.PUBLICATION_LOG_SDS["training" if isinstance(workload, Training) else "inference"][1]
    notes.append(
        "intervals are those of runs like the ones that constants were fitted on; published runs that nobody had "
        f"compared before took up to {math.exp(constants.INTERVAL_QUANTILE * slow):.1f} times as long"
    )
    return notes
