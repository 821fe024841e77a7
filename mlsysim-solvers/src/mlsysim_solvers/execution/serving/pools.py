"""Two pools of workers as columns: what they share stands once, what each has for itself bears its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mlsysim.errors import SolverError
from mlsysim.records.scenario import Pools, Scenario

from ...declarations.in_flight import POOLED, POOLS
from ...formulas import parallel_constants as constants
from ...lowering.shape import TransformerShape, number
from ..network.links import link_rate, network_columns
from .traffic import traffic_columns

__all__ = ["pool_of", "pools_columns"]

Columns = Mapping[str, Any]


def pools_columns(request: Any) -> dict[str, Any]:
    """Flatten a request to read prompts in one pool and write answers in another.

    Parameters
    ----------
    request : Request
        Scenario, records (model, device, stack, node and links), claims and settings.

    Returns
    -------
    dict of str to number or object
        ``pools`` holds what differs between them and never varies.

    Raises
    ------
    ConfigError
        If the workload contradicts itself, or a layout does not suit the model.
    SolverError
        If nothing says how the pools, or the devices of a worker, are joined.
    """
    scenario = request.scenario
    sides = {name: _side(request, name) for name in POOLS}
    first, second = sides.values()
    columns = {k: v for k, v in first.items() if k not in POOLED and k in second and _same(v, second[k])}
    rest: dict[str, dict[str, Any]] = {}
    for name, side in sides.items():
        columns |= {f"{name}_{k}": v for k, v in side.items() if k in POOLED}
        rest[name] = {k: v for k, v in side.items() if k not in POOLED and k not in columns and k != "assumptions"}
    columns |= _between_columns(request.records, scenario)
    columns["pools"] = rest
    columns["layerwise"] = scenario.pools.layerwise
    columns["assumptions"] = _told(sides, scenario, columns["shape"])
    return columns


def _same(one: Any, other: Any) -> bool:
    return one is other or bool(one == other)


def _side(request: Any, name: str) -> dict[str, Any]:
    """Return the columns of one worker, as if it served alone, and how many there are."""
    scenario, pool = request.scenario, getattr(request.scenario.pools, name)
    batch = pool.max_batch or (1 if name == "prefill" else scenario.workload.max_batch)
    tokens = pool.max_tokens or scenario.workload.max_tokens
    workload = attrs.evolve(scenario.workload, max_batch=batch, max_tokens=tokens)
    system = attrs.evolve(scenario.system, devices=pool.devices)
    alone = attrs.evolve(scenario, pools=None, parallelism=pool.parallelism, system=system, workload=workload)
    columns = traffic_columns(attrs.evolve(request, scenario=alone))
    columns["data"] = columns.get("data", 1.0)
    columns["workers"] = number(pool.workers)
    return columns


def _between_columns(records: Mapping[str, Any], scenario: Scenario) -> dict[str, Any]:
    """Return the link between the pools: rate of one device, and start and hop of a message."""
    assert scenario.pools is not None
    link, start = records.get("between"), constants.LONG_WAY[0] + constants.LONG_WAY[2]
    if link is not None:
        return {
            "between_rate": link_rate(link, constants.OUTER_SHARE),
            "between_latency": start if link.latency is None else link.latency,
        }
    devices = number(scenario.system.devices)
    try:
        network = network_columns(records, scenario, devices)
    except SolverError as error:
        raise SolverError(
            f"no link leads from the prefill to the decode pool: {error.faults[0].what}", where="pools.link",
            remedy="Name one, or a node that joins all devices",
        ) from None  # fmt: skip
    near = devices <= network["domain"]
    step = network["long_inner_step" if near else "long_outer_step"]
    return {
        "between_rate": network["inner_rate" if near else "outer_rate"],
        "between_latency": network["long_base"] + step,
    }


def _told(sides: Mapping[str, Columns], scenario: Scenario, shape: Any) -> tuple[str, ...]:
    """Return what is assumed, once where it holds for both pools."""
    pools: Pools | None = scenario.pools
    assert pools is not None
    first, second = (list(side["assumptions"]) for side in sides.values())
    both = [note for note in first if note in second]
    notes = both + [f"{name}: {note}" for name, mine in zip(POOLS, (first, second), strict=True)
                    for note in mine if note not in both]  # fmt: skip
    if not pools.prefill.max_batch:
        notes.append("each prefill worker reads one prompt at a time (set pools.prefill.max_batch)")
    if not pools.link:
        notes.append("the cache moves over what joins the devices (set pools.link)")
    if isinstance(shape, TransformerShape) and not pools.layerwise:
        notes.append("the cache of a prompt moves after its last layer (set pools.layerwise)")
    notes.append(
        "how routers and workers hand requests over is not measured: the time to first token is less sure for it"
    )
    return tuple(notes)


def pool_of(columns: Columns, name: str) -> dict[str, Any]:
    """Return the columns of one pool, as of an engine that has as many copies as the pool has workers.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    name : str
        prefill or decode.

    Returns
    -------
    dict of str to number or object
    """
    others = {f"{pool}_{key}" for pool in POOLS for key in POOLED} | {"pools"}
    side = {key: value for key, value in columns.items() if key not in others}
    side |= columns["pools"][name]
    side |= {key: columns[f"{name}_{key}"] for key in POOLED if f"{name}_{key}" in columns}
    side["prefill_tokens"] = side["max_tokens"]
    side["data"] = side["workers"] * side["data"]
    if name == "prefill":
        # A prompt's cache leaves with its first token; each copy of attention reads its own, up to its limit.
        side |= {"output": 1.0, "output_variation": 0.0, "rank_imbalance": 1.0}
        side.pop("rank_wait", None)
    return side
