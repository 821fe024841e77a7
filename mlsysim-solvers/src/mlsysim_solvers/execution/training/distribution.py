"""From a request for many devices to columns: checks, network, layout and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mlsysim.errors import SolverError
from mlsysim.records.model import Model
from mlsysim.records.precision import bytes_per_element, check_precision
from mlsysim.records.scenario import Parallelism, Scenario, Training
from mlsysim.records.stack import Features
from mlsysim.shapes import parameters

from ...formulas import parallel_constants as constants
from ...formulas.constants import ATTENTION_CEILING
from ...formulas.roofline import achieved_share
from ...lowering.shape import TransformerShape, number
from ..device.preparation import prepare_columns
from ..network.links import link_rate, network_columns
from .issuing import issue_columns, scaling_of
from .layout_checks import again_of, check_layout, check_lean, placement_of
from .layout_notes import layout_notes

__all__ = ["distributed_columns"]


def distributed_columns(request: Any) -> dict[str, Any]:
    """Flatten a request for many devices.

    Parameters
    ----------
    request : Request
        Scenario, records (model, device, stack, node, links), claims and settings.

    Returns
    -------
    dict of str to number or object

    Raises
    ------
    ConfigError
        If the layout does not suit model, batch or devices; the message names the nearest legal values.
    SolverError
        If a link is missing or unknown.
    """
    scenario, records = request.scenario, request.records
    if not isinstance(scenario.workload, Training):
        raise SolverError(
            f"the distributed solver answers training, and the scenario is {scenario.kind}",
            where="system.devices", remedy="Set it to 1",
        )  # fmt: skip
    layout, assumed = settled(scenario)
    single = attrs.evolve(scenario.system, devices=1)
    model, longer = _lengthened(records["model"], scenario.workload.sequence)
    columns = prepare_columns(
        attrs.evolve(
            request, scenario=attrs.evolve(scenario, system=single, parallelism=Parallelism()),
            records={**records, "model": model},
        )
    )  # fmt: skip
    assumed = assumed + longer
    columns["features"] = _switched(columns["features"], request.settings, layout)
    shape = columns["shape"]
    if not isinstance(shape, TransformerShape):
        raise SolverError(
            f"{records['model'].name} is a layer list, and the distributed solver answers transformers",
            where="workload.model", remedy="Set system.devices to 1",
        )  # fmt: skip
    check_layout(layout, shape, int(scenario.workload.batch), int(columns["sequence"]))
    check_lean(scenario.workload, layout, shape)
    columns |= _layout_columns(request, layout, columns)
    _adapt(request, columns)
    columns["assumptions"] = (*columns["assumptions"], *assumed, *layout_notes(layout, shape, columns, records))
    return columns


def _switched(features: Features, settings: Mapping[str, float], layout: Parallelism) -> Features:
    """Return what the stack does with what the user of it switched."""
    if layout.exchange:
        features = attrs.evolve(features, merged_exchange=layout.exchange == "merged")
    if layout.overlap_expert is not None:
        features = attrs.evolve(features, overlap_expert=layout.overlap_expert)
    if settings.get("eager") or features.one_by_one:
        features = attrs.evolve(features, fused_elementwise=False)
    if settings.get("overlap_tensor"):
        features = attrs.evolve(features, overlap_tensor=True)
    return features


def _layout_columns(request: Any, layout: Parallelism, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the layout and the workload choose."""
    settings, scenario, records = request.settings, request.scenario, request.records
    found: dict[str, Any] = {
        name: number(getattr(layout, name)) for name in ("data", "tensor", "pipeline", "context", "expert", "virtual")
    }
    features, stage = columns["features"], layout.zero
    if features.sharded_optimizer and stage == 0:
        stage = 1
    workload = scenario.workload
    ceilings = records["stack"].ceilings
    grouped, end = ceilings.grouped, ceilings.step
    return found | {
        "micro_batch": number(layout.micro_batch), "shard": number(layout.shard), "zero": stage,
        "sequence_parallel": layout.sequence, "schedule": layout.schedule, "reshard": layout.reshard,
        "context_kind": layout.context_kind, "placement": placement_of(layout.placement),
        "offload": workload.offload, "offload_layers": number(workload.offload_layers or columns["shape"].layers),
        "host_rate": _host_rate(records, settings),
        "offload_optimizer": number(workload.offload_optimizer), "adapter": number(workload.adapter),
        "recompute_layers": number(workload.recompute_layers or columns["shape"].layers),
        "recompute_method": workload.recompute_method or "block",
        "again": again_of(workload),
        "frozen": workload.adapter > 0, "imbalance": settings.get("imbalance", constants.IMBALANCE),
        "grouped": 1.0 if grouped is None else grouped, "step_end": 0.0 if end is None else end,
        **issue_columns(workload, features, ceilings, columns["shape"]),
        "full_attention": settings.get("full_attention", 0.0),
        "device_spread": settings.get("device_spread", constants.DEVICE_SPREAD),
        "drops": settings.get("dropout", 0.0) > 0.0, "layer_memo": {},
        "eager": settings.get("eager", 0.0) > 0.0 or features.one_by_one,
    }  # fmt: skip


def _host_rate(records: Mapping[str, Any], settings: Mapping[str, float]) -> float:
    """Return the rate of copies to host memory: as set, or of the node's link."""
    link = records.get("host")
    given = settings.get("host_rate", 0.0)
    return given or (constants.HOST_RATE if link is None else link_rate(link, constants.HOST_SHARE))


def _adapt(request: Any, columns: dict[str, Any]) -> None:
    """Add what model, network and stack say, and what holds for many devices instead of one."""
    scenario, records = request.scenario, request.records
    share = attention_share(records["stack"], scenario.system.device)
    if share is not None and request.settings.get("attention_ceiling", ATTENTION_CEILING) == ATTENTION_CEILING:
        columns["attention_ceiling"] = share
    columns["narrow"] = bool(columns["operand_width"] < columns["activation_width"])
    columns["scaling"] = scaling_of(
        scenario.workload, columns["features"], operand=columns["operand_width"], narrow=columns["narrow"]
    )
    if columns["narrow"] and columns["scaling"] == "block":
        columns["achieved"] = columns["achieved"] * constants.BLOCK_SHARE
    columns |= _parameters(records["model"])
    columns |= network_columns(records, scenario, number(scenario.system.devices), request.settings)
    if columns["processors"] < constants.FEWEST_PROCESSORS:
        # A few systolic arrays are no processors with special-function units each.
        columns.pop("special_rate", None)
    columns |= _wide_columns(columns, columns["features"], scenario.workload.precision)
    stored = scenario.workload.weights
    if stored:
        # Frozen weights lie, and are gathered, as they are stored.
        width = bytes_per_element(check_precision(stored, where="workload.weights"))
        columns |= {"stored_width": width, "gathered_width": width}
    columns |= _plain(records["device"], columns)


def attention_share(stack: Any, device: str) -> Any:
    """Return how close the stack's attention comes to the peak of a device.

    Parameters
    ----------
    stack : Stack
        The stack.
    device : str
        Key of the device.

    Returns
    -------
    float or None
        None where nobody measured.
    """
    for rate in stack.attention:
        if rate.device == device:
            return rate.share
    return None


def _lengthened(model: Model, sequence: int) -> tuple[Model, list[str]]:
    """Let training read more than the published model does: the longest sequence is its own choice."""
    transformer = model.transformer
    if transformer is None or sequence <= transformer.context:
        return model, []
    note = (
        f"{model.name} is trained on {sequence} tokens at once, more than the {transformer.context:g} that it was "
        "published with"
    )
    return attrs.evolve(model, transformer=attrs.evolve(transformer, context=sequence)), [note]


def settled(scenario: Scenario) -> tuple[Parallelism, list[str]]:
    """Return the layout of a scenario.

    Parameters
    ----------
    scenario : Scenario
        The scenario.

    Returns
    -------
    layout : Parallelism
    assumed : list of str
        What is assumed where the scenario gives none.
    """
    layout, devices = scenario.parallelism, scenario.system.devices
    if layout == Parallelism() and devices > 1:
        return attrs.evolve(layout, data=int(devices), zero=3), [
            f"layout: fully sharded data parallelism over {devices} devices (set [parallelism])"
        ]
    return layout, []


def _parameters(model: Model) -> dict[str, Any]:
    found = parameters(model)
    assert model.transformer is not None
    mixture = model.transformer.mixture
    experts = 0.0
    if mixture is not None:
        matrices = 3.0 if model.transformer.gated else 2.0
        experts = (model.transformer.layers - mixture.dense_layers) * mixture.experts * matrices
        experts = experts * model.transformer.hidden * mixture.ffn
    total = number(found.total)
    ends = number(found.embedding + found.head)
    head = number(found.head) or number(found.embedding)
    return {
        "layer_parameters": (total - ends - experts) / number(model.transformer.layers),
        "expert_parameters": experts / number(model.transformer.layers),
        "first_parameters": number(found.embedding), "last_parameters": head, "tied": not found.head,
    }  # fmt: skip


def _wide_columns(columns: Mapping[str, Any], features: Any, precision: str) -> dict[str, Any]:
    """Bytes of stored parameters, gradients and states, as the stack keeps them."""
    half, full = columns["weight_width"], columns["full_width"]
    # Without a master copy in 32 bits, the one copy that is kept is in 16.
    wide = features.wide_weights and columns["master_width"] > half
    # Sums of gradients lose too much in bf16: what is added in kernels of its own is added, and exchanged, in 32 bits.
    summed = features.adds_gradients and precision == "bf16"
    found = {
        "stored_width": full if wide else half,
        "gradient_width": full if features.wide_gradients or wide or summed else columns["gradient_width"],
        "sent_width": full if features.wide_reduction or summed else half,
        "gathered_width": half,
    }
    if columns["frozen"] and features.narrow_storage:
        # Frozen weights are only read by the products.
        found["stored_width"] = columns["operand_width"]
    if wide:
        found["master_width"] = 0.0
        found["weight_passes"] = 2.0
        found["optimizer_width"] = full
    else:
        found["optimizer_width"] = half
    return found


def _plain(device: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Rates of what stays in 16 bits where layers run in fewer."""
    if columns["operand_width"] >= columns["activation_width"]:
        return {}
    peak = device.compute.peak.get("bf16") or device.compute.peak.get("fp16")
    if peak is None or peak.dense is None:
        return {}
    return {
        "plain_peak": peak.dense,
        "achieved_plain": 1.0 if peak.achieved is None else achieved_share(peak.achieved, peak.dense),
    }
