"""How a row of training divides a model over its devices, and what is assumed where it does not say."""

from __future__ import annotations

import math
import re

from mlsysim.records import Parallelism
from mlsysim.records.measurement import Measurement

from ...formulas.constants import INTERVAL_QUANTILE
from ..questions import Assumed, Refused
from .common import Subject, cell, whole
from .networks import devices_of_node

__all__ = ["layout_for"]

_GROUP = re.compile(r"shard group (\d+)")
_FSDP = re.compile(r"ici_fsdp=(\d+)")
_STAGE = re.compile(r"(?:ZERO|STAGE)[-_ ]*([123])\b|^([123])$")
_WITHIN = re.compile(r"within (\d+)")
_HYBRID = re.compile(r"\bHSDP\b|HYBRID[-_ ]SHARD")
"""Fully sharded within each node, and copied between nodes, unless a size is printed."""

_OPEN = "VP/recompute not stated"
"""What notes say of rows whose software interleaves as much as the layers allow."""

_FEW = 8
"""Micro-batches for each stage below which a pipeline waits so long (11 % of a step and more) that schedules which
interleave are worth their messages."""

_LEAST = 0.03
"""Least by which an unknown schedule may move a prediction (natural-log units; estimate)."""

_RARE = 0.5
"""How far the interval of named software, which does not interleave unless told, reaches towards a schedule that does
(estimate, range 0.3 to 1)."""


def layout_for(row: Measurement, found: Subject, batch: int, layers: float, assumed: list[Assumed]) -> Parallelism:
    """Return the layout of a training run.

    Parameters
    ----------
    row : Measurement
        The row.
    found : Subject
        Its device and stack.
    batch : int, sample
        Samples of a step.
    layers : float, count
        Layers of the model.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    Parallelism

    Raises
    ------
    Refused
        If the printed degrees do not divide the devices.
    """
    devices = row.devices
    tensor, pipeline, context = (whole(row, name) or 1 for name in ("tp", "pp", "cp"))
    group = tensor * pipeline * context
    if devices % group:
        raise Refused(f"the published layout does not divide {devices} devices")
    data = devices // group
    if whole(row, "dp") not in (None, data):
        assumed.append(Assumed(f"data parallelism {data}, from devices and the other degrees"))
    text = cell(row, "zero_stage_or_fsdp").upper()
    zero = _stage(text)
    if pipeline > 1 and zero == 3:
        zero = 1
    micro = whole(row, "micro_batch") or 0
    if not micro and (pipeline > 1 or batch > data):
        micro = 1
        assumed.append(Assumed("micro-batch 1, which the row does not state", 0.05))
    if "per-device batch" in cell(row, "notes"):
        micro = 0
    micro = min(micro, -(-batch // data))
    rounds = math.ceil(batch / data / (micro or batch / data))
    virtual = whole(row, "interleave_vp") or _chunks(row, pipeline, rounds, int(layers), assumed)
    sequence = _flag(cell(row, "sequence_parallel"))
    if sequence is None:
        sequence = found.record is not None and found.record.features.overlap_tensor
    size = _shards(row, found.device) if zero else 0
    return Parallelism(
        data=data, tensor=tensor, pipeline=pipeline, context=context, expert=whole(row, "ep") or 1,
        micro_batch=micro, virtual=virtual if pipeline > 1 else 1,
        sequence=bool(sequence) and tensor > 1, zero=zero,  # type: ignore[arg-type]
        reshard="SHARD_GRAD_OP" not in text, shard=size if size and (data * context) % size == 0 else 0,
    )  # fmt: skip


def _flag(text: str) -> bool | None:
    return {"1": True, "true": True, "0": False, "false": False}.get(text.lower())


def _stage(text: str) -> int:
    """Read how far states are divided over copies: 3 for weights too, 2 for gradients, 1 for the optimizer's, or 0."""
    found = _STAGE.search(text)
    if found:
        return int(found[1] or found[2])
    if "FSDP" in text or "SHARD" in text or _HYBRID.search(text):
        return 3
    return 1 if re.search(r"DISTRIBUTED[-_ ]OPTIM", text) else 0


def _shards(row: Measurement, device: str) -> int:
    """Return the devices of a group that divides states; 0 for all copies."""
    text = cell(row, "zero_stage_or_fsdp")
    size = _GROUP.search(text) or _FSDP.search(text) or _WITHIN.search(text)
    if size:
        return int(size[1])
    return devices_of_node(row, device) if _HYBRID.search(text.upper()) else 0


def _chunks(row: Measurement, pipeline: int, rounds: int, layers: int, assumed: list[Assumed]) -> int:
    """Return the chunks of a stage where the row prints none.

    Notes
    -----
    A stage waits for (p - 1) / v passes beside its m (Narayanan et al. 2021, section 2.2), so chunks move a step by
    log((1 + f) / (1 + f / v)), f = (p - 1) / m, at most. Software that is named does not interleave unless told; where
    none is named, and a plain schedule would waste much, two chunks stand between both.
    """
    if pipeline == 1:
        return 1
    most = layers // pipeline if layers % pipeline == 0 else 1
    even = rounds % pipeline == 0
    if _OPEN in cell(row, "notes") and most > 1:
        taken = most
    elif not row.software and even and rounds < _FEW * pipeline and most % 2 == 0:
        taken = 2
    else:
        taken = 1
    able = most if even or taken > 1 else 1
    waits = (pipeline - 1) / rounds
    gap = max(math.log((1 + waits / taken) / (1 + waits / able)), math.log((1 + waits) / (1 + waits / taken)))
    plain = taken == 1 and row.software
    said = f"{taken} chunk{'s' if taken > 1 else ''} of layers for each pipeline stage: the cell interleave_vp is empty"
    assumed.append(Assumed(said, max(_LEAST, gap / INTERVAL_QUANTILE * (_RARE if plain else 1.0))))
    return taken
