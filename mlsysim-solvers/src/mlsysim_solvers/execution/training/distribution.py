"""From a request for many devices to columns: checks, network, layout and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mlsysim.errors import SolverError
from mlsysim.records.model import Model
from mlsysim.records.scenario import Parallelism, Scenario, Training
from mlsysim.records.stack import Features

from ...formulas import parallel_constants as constants
from ...formulas.roofline import achieved_share
from ...lowering.shape import TransformerShape, number
from ..device.preparation import prepare_columns
from ..network.links import link_rate, network_columns
from .issuing import issue_columns, scaling_of
from .layout_checks import check_layout, check_lean, placement_of
from .layout_notes import layout_notes
from .state_columns import state_columns

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
    columns |= state_columns(scenario.workload, layout, records["model"], columns)
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
    if settings.get("unfused_attention"):
        features = attrs.evolve(features, fused_attention=False)
    if settings.get("overlap_tensor"):
        features = attrs.evolve(features, overlap_tensor=True)
    return features


def _layout_columns(request: Any, layout: Parallelism, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the layout and the workload choose."""
    settings, scenario, records = request.settings, request.scenario, request.records
    found: dict[str, Any] = {
        name: number(getattr(layout, name)) for name in ("data", "tensor", "pipeline", "context", "expert", "virtual")
    }
    workload, features = scenario.workload, columns["features"]
    ceilings = records["stack"].ceilings
    grouped, end = ceilings.grouped, ceilings.step
    return found | {
        "micro_batch": number(layout.micro_batch),
        "context_kind": layout.context_kind, "placement": placement_of(layout.placement),
        "host_rate": _host_rate(records, settings), "imbalance": settings.get("imbalance", constants.IMBALANCE),
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
    columns["scaling"] = scaling_of(
        scenario.workload, columns["features"], operand=columns["operand_width"], narrow=columns["narrow"]
    )
    if columns["narrow"] and columns["scaling"] == "block":
        columns["achieved"] = columns["achieved"] * constants.BLOCK_SHARE
    columns |= network_columns(records, scenario, number(scenario.system.devices), request.settings)
    if columns["processors"] < constants.FEWEST_PROCESSORS:
        # A few systolic arrays are no processors with special-function units each.
        columns.pop("special_rate", None)
    columns |= _plain(records["device"], columns)


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
    if layout.degrees == 1 and devices > 1:
        zero = layout.zero or 3
        kind = "fully sharded data parallelism" if zero == 3 else f"data parallelism with ZeRO stage {zero}"
        said = f"layout: {kind} over {devices} devices (set [parallelism])"
        return attrs.evolve(layout, data=int(devices), zero=zero), [said]
    return layout, []


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
