"""What each term of the physics buys: errors with one term dropped at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import attrs

from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.units import parse_unit

from .collectives import predict_collective
from .names import names
from .questions import Refused
from .reports.text import percent

__all__ = ["VARIANTS", "ablation_errors", "ablation_table"]

Columns = dict[str, Any]


def _without_tiles(columns: Columns) -> Columns:
    return {**columns, "tiles": (), "window_tiles": None}


def _without_few(columns: Columns) -> Columns:
    return {**columns, "lone_area": 0.0, "sum_depth": 0.0} if "lone_area" in columns else columns


def _without_delivery(columns: Columns) -> Columns:
    return {**columns, "window_tiles": None}


def _without_cache(columns: Columns) -> Columns:
    return {name: value for name, value in columns.items() if name != "cache"}


def _without_winograd(columns: Columns) -> Columns:
    return {**columns, "winograd": False} if "winograd" in columns else columns


def _without_eager_scores(columns: Columns) -> Columns:
    return {**columns, "features": attrs.evolve(columns["features"], eager_scores=False, casts_scores=False)}


def _without_transposes(columns: Columns) -> Columns:
    return {**columns, "transposes": False} if "transposes" in columns else columns


def _without_elementwise(columns: Columns) -> Columns:
    return {**columns, "features": attrs.evolve(columns["features"], fused_elementwise=True, activations="")}


def _without_overhead(columns: Columns) -> Columns:
    return {**columns, "overhead": 0.0}


def _without_results(columns: Columns) -> Columns:
    return {name: value for name, value in columns.items() if name != "result_work"}


def _without_pipeline(columns: Columns) -> Columns:
    return {name: value for name, value in columns.items() if name != "contexts"}


def _without_softmax(columns: Columns) -> Columns:
    return {**columns, "special_rate": None}


def _without_issue(columns: Columns) -> Columns:
    return {name: value for name, value in columns.items() if name != "issue_rate"}


def _without_rereads(columns: Columns) -> Columns:
    return {**columns, "features": attrs.evolve(columns["features"], shared_kv=True, shared_kv_groups=())}


def _without_passes(columns: Columns) -> Columns:
    kept = {name: value for name, value in columns.items() if name != "pass_tokens"}
    return {**kept, "features": attrs.evolve(columns["features"], expands_weights=False)}


def _without_grouped(columns: Columns) -> Columns:
    kept = {name: value for name, value in columns.items() if name not in ("grouped_share", "scale_block")}
    return {**kept, "grouped": 1.0} if "grouped" in kept else kept


def _without_head(columns: Columns) -> Columns:
    return {name: value for name, value in columns.items() if not name.startswith("head_")}


def _without_end(columns: Columns) -> Columns:
    return {name: value for name, value in columns.items() if name != "requests"}


def _without_waiting(columns: Columns) -> Columns:
    return {**columns, "issue": 0.0, "host": 0.0, "routing": 0.0} if "issue" in columns else columns


def _without_wide_loss(columns: Columns) -> Columns:
    return {**columns, "features": attrs.evolve(columns["features"], wide_loss=False)}


def _without_slowing(columns: Columns) -> Columns:
    return {**columns, "inner_occupancy": 0.0, "outer_occupancy": 0.0, "mixed_occupancy": 0.0}


def _without_ramp(columns: Columns) -> Columns:
    """Let every message have the full rate of its links at once."""
    idle = {f"{way}_{part}": 0.0 for way in ("short", "long") for part in ("base", "inner_step", "outer_step")}
    return {**columns, **idle, "short_share": 1.0, "long_share": 1.0} if "short_base" in columns else columns


def _without_overlap(columns: Columns) -> Columns:
    if "inner_occupancy" not in columns:
        return columns
    kinds = ("tensor", "data", "pipeline", "context", "expert", "backward")
    return {**columns, "features": attrs.evolve(columns["features"], **{f"overlap_{kind}": False for kind in kinds})}


def _without_spread(columns: Columns) -> Columns:
    return {**columns, "device_spread": 0.0}


def _without_share(columns: Columns) -> Columns:
    return {
        **columns,
        "achieved": 1.0,
        "attention_achieved": 1.0,
        "compute_ceiling": min(1.0, columns["compute_ceiling"]),
    }


def _roofline(columns: Columns) -> Columns:
    for drop in (_without_tiles, _without_elementwise, _without_overhead, _without_softmax, _without_issue,
                 _without_rereads, _without_passes, _without_cache):  # fmt: skip
        columns = drop(columns)
    return columns


VARIANTS: dict[str, Callable[[Columns], Columns]] = {
    "everything": dict,
    "no tile and wave effects": _without_tiles,
    "no waiting and no sums where tiles are few": _without_few,
    "no limit on operands of convolutions": _without_delivery,
    "no activations in the cache": _without_cache,
    "no Winograd convolutions": _without_winograd,
    "no transposes of convolutions": _without_transposes,
    "no kernels of their own for scores": _without_eager_scores,
    "no element-wise traffic": _without_elementwise,
    "no time per kernel": _without_overhead,
    "no time of the softmax": _without_softmax,
    "no results one by one on microcontrollers": _without_results,
    "layers one after another where they lie side by side": _without_pipeline,
    "no limit on issued loads": _without_issue,
    "no repeated reads of shared keys": _without_rereads,
    "one pass, no expansion of weights": _without_passes,
    "no embedding and head in 16 bits": _without_head,
    "products of experts as fast as single ones": _without_grouped,
    "no beginning and end of a run": _without_end,
    "no waiting for the host": _without_waiting,
    "no wide copy of the logits": _without_wide_loss,
    "no size ramp of collectives": _without_ramp,
    "no overlap of communication": _without_overlap,
    "no slow-down by communication": _without_slowing,
    "no waiting for the slowest device": _without_spread,
    "peak instead of achieved rate": _without_share,
    "a roofline per operator alone": _roofline,
}
"""What is dropped, by substituting columns; the engine itself knows of no ablation."""


def ablation_errors(
    rows: Sequence[Measurement], *, progress: Callable[[int, int], None] | None = None
) -> dict[str, dict[str, list[float]]]:
    """Predict rows with one term dropped at a time, under the general ceilings of their stacks.

    Parameters
    ----------
    rows : sequence of Measurement
        The rows; those that cannot be expressed are left out.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    dict of str to dict of str to list of float
        Variant to set to ln(predicted / measured). No fitted constant takes part, so that none
        can make up for a term that is missing.
    """
    from ..calibration.problem import prepare

    points = [point for point in prepare(rows) if "tiles" in point.columns]
    found: dict[str, dict[str, list[float]]] = {name: {} for name in VARIANTS}
    for done, point in enumerate(points, 1):
        ceilings = plugins().registry.get("stacks", point.stack).record.ceilings
        constants = {name: getattr(ceilings, name) for name in ("compute", "memory", "overhead")}
        for name, change in VARIANTS.items():
            try:
                changed = attrs.evolve(point, columns=change({**point.columns, **point.substituted(constants)}))
                found[name].setdefault(point.row.set, []).append(math.log(changed.at({}) / point.row.value))
            except (KeyError, TypeError):  # a solver whose columns have no such term
                continue
        if progress is not None:
            progress(done, len(points))
    for row in rows:
        for name, residual in _of_collective(row).items():
            found[name].setdefault(row.set, []).append(residual)
    return found


def _of_collective(row: Measurement) -> dict[str, float]:
    """Return ln(predicted / measured) of a collective by variant; all but one leave it as it is."""
    found: dict[str, float] = {}
    for name in VARIANTS if row.table == "kernels" else ():
        try:
            answer = predict_collective(row, names(), _without_ramp if VARIANTS[name] is _without_ramp else None)
        except Refused:
            return {}
        found[name] = math.log(answer.value / parse_unit(row.metric.unit).factor / row.value)
    return found


def _spread(residuals: Mapping[str, list[float]]) -> float:
    """Return the median error after the bias of each set is removed."""
    left = [abs(math.expm1(r - median(rs))) for rs in residuals.values() for r in rs]
    return median(left)


def ablation_table(rows: Sequence[Measurement], *, progress: Callable[[int, int], None] | None = None) -> str:
    """Write what each term buys.

    Parameters
    ----------
    rows : sequence of Measurement
        The rows.
    progress : callable, optional
        Called with the rows done and the rows in all.

    Returns
    -------
    str
    """
    found = ablation_errors(rows, progress=progress)
    everything = found["everything"]
    if not everything:
        return "nothing to predict"
    lines = [
        f"{sum(map(len, everything.values()))} rows, general ceilings of the stacks, no fitted constants",
        f"{'':36s}{'median error':>14s}{'bias':>10s}{'without bias':>14s}   sets that it makes worse",
    ]
    for name, sets in found.items():
        every = [r for rs in sets.values() for r in rs]
        worse = sorted(
            (s for s, rs in sets.items() if _ape(rs) > _ape(everything[s]) + 0.02),
            key=lambda s: _ape(everything[s]) - _ape(sets[s]),
        )
        shown = ", ".join(f"{s} {percent(_ape(everything[s]))} to {percent(_ape(sets[s]))}" for s in worse[:3])
        bias = percent(math.expm1(median(every)), signed=True)
        lines.append(f"{name:36s}{percent(_ape(every)):>14s}{bias:>10s}{percent(_spread(sets)):>14s}   {shown}")
    return "\n".join(lines)


def _ape(residuals: Sequence[float]) -> float:
    return median(abs(math.expm1(r)) for r in residuals)
