"""What is assumed about a layout and its network where the scenario and the registry leave it open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.records.scenario import Parallelism

from ...lowering.shape import TransformerShape, fewest_kv_heads

__all__ = ["layout_notes"]


def layout_notes(
    layout: Parallelism, shape: TransformerShape, columns: Mapping[str, Any], records: Mapping[str, Any]
) -> list[str]:
    """Say what a layout leaves to be assumed.

    Parameters
    ----------
    layout : Parallelism
        The layout.
    shape : TransformerShape
        The model.
    columns : mapping of str to number or object
        As prepared.
    records : mapping of str to record
        By role.

    Returns
    -------
    list of str
    """
    notes = [*_of_fabric(records), *_of_copies(columns, records)]
    features = columns["features"]
    chunks = layout.pipeline * layout.virtual
    if shape.layers % chunks:
        ends = 2 if features.ends_as_layers else 0
        most = -(-(int(shape.layers) + ends) // chunks) * layout.virtual
        what = " with embedding and output projection as a layer each" if ends else ""
        notes.append(
            f"{shape.layers:g} layers on {layout.pipeline} stages{what}: at most {most} a stage, "
            "the first and last have fewer"
        )
    batch, data = int(columns["batch"]), layout.data
    micro = layout.micro_batch or -(-batch // data)
    rounds = -(-batch // (data * micro))
    if not layout.micro_batch and micro > 1:
        waits = "and stages wait for each other " if layout.pipeline > 1 else ""
        notes.append(f"all {micro:,} samples of a rank pass as one micro-batch {waits}(set parallelism.micro_batch)")
    padded = rounds if layout.virtual == 1 else -(-rounds // layout.pipeline) * layout.pipeline
    if padded * data * micro != batch:
        notes.append(
            f"a batch of {batch} is padded to {padded * data * micro}: {padded} micro-batches of {micro} "
            f"on {data} ranks"
        )
    if shape.heads % layout.tensor:
        padded = -(-int(shape.heads) // layout.tensor) * layout.tensor
        notes.append(
            f"{shape.heads:g} attention heads are padded to {padded} over {layout.tensor} devices, and all computed"
        )
    fewest = fewest_kv_heads(shape)
    if layout.tensor > fewest and not shape.latent:
        notes.append(f"{layout.tensor} tensor-parallel ranks keep copies of {fewest:g} key-value heads")
    if columns["zero"] != layout.zero:
        notes.append("the optimizer is sharded over the data-parallel group, as the stack does by default")
    return notes


def _of_fabric(records: Mapping[str, Any]) -> list[str]:
    """Say where a fabric is taken to narrow that does not tell."""
    fabric = records.get("fabric")
    if fabric is None or fabric.pod is not None:
        return []
    if fabric.topology == "dragonfly" or (fabric.oversubscription or 1.0) > 1.0:
        if fabric.topology == "rail-optimised":
            return [f"{fabric.name}: no collective passes its narrowest tier (its pod is not known)"]
        return [f"{fabric.name} narrows right above each node (its pod is not known)"]
    return []


def _of_copies(columns: Mapping[str, Any], records: Mapping[str, Any]) -> list[str]:
    """Say at which rate host memory is reached where the node names no link."""
    if "host" in records or not (columns["offload"] or columns["offload_optimizer"]):
        return []
    rate = f"{columns['host_rate']:.3g} B/s"
    return [f"copies to host memory run at {rate}: the node names no link (set settings.distributed.host_rate)"]
