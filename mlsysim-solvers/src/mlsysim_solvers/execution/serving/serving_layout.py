"""From a request to serve a model on several devices to columns: layout, network and what is assumed."""

from __future__ import annotations

from typing import Any

import attrs

from mlsysim.errors import ConfigError
from mlsysim.records.scenario import Parallelism, Scenario, Traffic
from mlsysim.records.stack import Stack

from ...lowering.divisors import divisors
from ...lowering.shape import TransformerShape, fewest_kv_heads, number
from ..device.cases import weights_of
from ..device.preparation import prepare_columns
from ..network.links import network_columns
from .shared_layout import refuse_shared, shared_columns, shared_notes

__all__ = ["serving_columns"]

_TRAINING = {
    "context": 1, "virtual": 1, "zero": 0, "shard": 0, "sequence": False, "exchange": "", "overlap_expert": None,
}  # fmt: skip
"""Parts of a layout that this solver does not answer for, and the values that leave them out."""


def serving_columns(request: Any, *, in_flight: bool = False) -> dict[str, Any]:
    """Flatten a request to generate text, or to answer samples, on several devices.

    Parameters
    ----------
    request : Request
        Scenario, records (model, device, stack, node, links), claims and settings.
    in_flight : bool
        Whether requests come and go; only then attention may be copied, and whole experts spread over devices.

    Returns
    -------
    dict of str to number or object

    Raises
    ------
    ConfigError
        If the layout does not suit model, batch or devices; the message names legal values.
    SolverError
        If nothing says how the devices are joined.
    """
    scenario, records = request.scenario, request.records
    single = attrs.evolve(scenario.system, devices=1)
    columns = prepare_columns(
        attrs.evolve(request, scenario=attrs.evolve(scenario, system=single, parallelism=Parallelism()))
    )
    shape = columns["shape"]
    if columns["kind"] == "inference":
        return columns | _copies(scenario, columns)
    columns |= network_columns(records, scenario, number(scenario.system.devices))
    layout, assumed = _settled(scenario, records["stack"], shape, columns)
    _check(layout, shape, _batch(scenario))
    if in_flight:
        columns |= shared_columns(layout, shape, request.settings, expands=columns["expands"])
        assumed = [*assumed, *shared_notes(layout, shape)]
    else:
        refuse_shared(layout)
    batch_tokens = records["stack"].batch_tokens
    if batch_tokens is not None:
        columns["batch_tokens"] = number(batch_tokens)
    handover = records["stack"].ceilings.handover
    features = records["stack"].features
    columns["fused_sums"] = (
        scenario.workload.model in features.fused_sums and records["device"].architecture in features.fused_on
    )
    columns["handover"] = 0.0 if handover is None else handover
    columns |= {name: number(getattr(layout, name)) for name in ("data", "tensor", "pipeline", "micro_batch")}
    columns["assumptions"] = (*columns["assumptions"], *assumed, *_notes(layout, shape))
    return columns


def _batch(scenario: Scenario) -> int:
    workload = scenario.workload
    assert not isinstance(workload, Traffic)  # requests in flight are given a batch that every layout divides
    return int(workload.batch)


def _copies(scenario: Scenario, columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of one pass per sample: every device has a copy of the model and samples of its own."""
    layout, devices = scenario.parallelism, int(scenario.system.devices)
    assumed: tuple[str, ...] = ()
    if layout == Parallelism():
        layout = Parallelism(data=devices)
        assumed = (f"layout: {devices} copies of the model, each with samples of its own (set [parallelism])",)
    if layout.tensor * layout.pipeline > 1:
        raise ConfigError(
            "passes over samples are not divided over devices", where="parallelism",
            remedy="Set data to the number of devices: each answers samples of its own",
        )  # fmt: skip
    _check(layout, None, _batch(scenario))
    refuse_shared(layout)
    return {"data": number(layout.data), "assumptions": (*columns["assumptions"], *assumed)}


def _settled(scenario: Scenario, stack: Stack, shape: Any, columns: dict[str, Any]) -> tuple[Parallelism, list[str]]:
    """Return the layout of a scenario, and what is assumed where it gives none."""
    layout, devices, domain = scenario.parallelism, int(scenario.system.devices), int(columns["domain"])
    if layout != Parallelism():
        return layout, []
    if not isinstance(shape, TransformerShape):
        chosen, what = Parallelism(data=devices), f"{devices} copies of the model"
    elif stack.features.layer_split and devices <= shape.layers:
        chosen, what = Parallelism(pipeline=devices), f"layers divided over {devices} devices, as {stack.name} does"
    else:
        limit = min(devices, domain)
        pads = stack.features.pads_heads
        tensor = max(d for d in range(1, limit + 1) if devices % d == 0 and (pads or int(shape.heads) % d == 0))
        groups, what = devices // tensor, f"tensor parallelism over {tensor} devices"
        split = bool(_batch(scenario) % groups) or not _holds(columns, shape, tensor)
        if tensor == domain < devices and split and groups <= shape.layers:
            # As vLLM advises for several nodes (documentation of v0.8.3, Distributed Inference and Serving): the tensor
            # parallel size is the number of GPUs in each node, the pipeline parallel size the number of nodes.
            return Parallelism(tensor=tensor, pipeline=groups), [
                f"layout: {what}, {groups} pipeline stages between nodes (set [parallelism])"
            ]
        chosen = Parallelism(tensor=tensor, data=groups)
        if tensor < devices:
            what += f", {groups} copies"
            _check_copies(devices, tensor, shape, _batch(scenario))
    return chosen, [f"layout: {what} (set [parallelism])"]


def _holds(columns: dict[str, Any], shape: TransformerShape, devices: int) -> bool:
    """Tell whether some devices together have room for the weights of a copy of the model."""
    room = columns["capacity"] * columns["utilisation"] - columns["reserve"]
    return bool(weights_of(columns, shape) < devices * room)


def _check_copies(devices: int, tensor: int, shape: TransformerShape, batch: int) -> None:
    if batch % (devices // tensor):
        near = [d for d in divisors(int(shape.heads)) if d <= devices]
        raise ConfigError(
            f"{devices} devices cannot share {shape.heads:g} attention heads, and a batch of {batch} does not divide "
            f"over {devices // tensor} copies of the model",
            where="system.devices", remedy=f"Ask for {max(near)} devices, or set [parallelism]",
        )  # fmt: skip


def _check(layout: Parallelism, shape: Any, batch: int) -> None:
    for name, value in _TRAINING.items():
        if getattr(layout, name) != value:
            raise ConfigError(
                f"{name} is answered for training only", where=f"parallelism.{name}",
                remedy="Leave it out: serving divides a model by tensor and pipeline, and copies it by data",
            )  # fmt: skip
    if not isinstance(shape, TransformerShape) and layout.attention * layout.tensor * layout.pipeline > 1:
        raise ConfigError(
            "only decoders are divided over devices", where="parallelism",
            remedy="Set data to the number of devices: each serves requests of its own",
        )  # fmt: skip
    if batch % layout.data:
        near = [d for d in divisors(batch) if d <= layout.data]
        raise ConfigError(
            f"a batch of {batch} does not divide over {layout.data} copies of the model", where="parallelism.data",
            remedy=f"Nearest legal value: {max(near)}, or a batch of {-(-batch // layout.data) * layout.data}",
        )  # fmt: skip
    if layout.micro_batch > batch // layout.data:
        raise ConfigError(
            f"a micro-batch of {layout.micro_batch} is more than the {batch // layout.data} requests of a copy",
            where="parallelism.micro_batch", remedy=f"At most {batch // layout.data}",
        )  # fmt: skip


def _notes(layout: Parallelism, shape: Any) -> list[str]:
    notes: list[str] = []
    if not isinstance(shape, TransformerShape):
        return notes
    if shape.heads % layout.tensor:
        padded = -(-int(shape.heads) // layout.tensor) * layout.tensor
        notes.append(
            f"{shape.heads:g} attention heads are padded to {padded} over {layout.tensor} devices, and all computed"
        )
    fewest = fewest_kv_heads(shape)
    if layout.tensor > fewest and not shape.latent:
        notes.append(f"{layout.tensor} tensor-parallel devices keep copies of {fewest:g} key-value heads")
    if layout.pipeline > 1 and not layout.micro_batch:
        notes.append("the stages of the pipeline take turns: one batch is in flight (set parallelism.micro_batch)")
    return notes
