"""What each term of the physics buys: errors with one term dropped at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from statistics import median
from typing import Any

import attrs

from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.units import parse_unit

from .collectives import predict_collective
from .names import names
from .questions import Refused
from .reports.shares import percent
from .scoring import median_error

__all__ = ["VARIANTS", "ablation_errors", "ablation_table"]

Columns = dict[str, Any]
Change = Callable[[Columns], Columns]


def _set(**values: Any) -> Change:
    """Return a change that gives columns other values, where they stand."""
    return lambda columns: {**columns, **{name: value for name, value in values.items() if name in columns}}


def _drop(*names: str) -> Change:
    """Return a change that leaves columns out."""
    return lambda columns: {name: value for name, value in columns.items() if name not in names}


def _flags(**values: Any) -> Change:
    """Return a change of what the stack is said to do."""
    return lambda columns: {**columns, "features": attrs.evolve(columns["features"], **values)}


def _all(*changes: Change) -> Change:
    """Return several changes, one after the other."""
    return lambda columns: reduce(lambda changed, change: change(changed), changes, columns)


def _peak(columns: Columns) -> Columns:
    """Let products reach the peak, or what the stack's own ceiling leaves of it."""
    return {
        **columns, "achieved": 1.0, "attention_achieved": 1.0, "compute_ceiling": min(1.0, columns["compute_ceiling"])
    }  # fmt: skip


_NO_TILES = _set(tiles=(), window_tiles=None)
_NO_CACHE = _drop("cache")
_NO_ELEMENTWISE = _flags(fused_elementwise=True, activations="")
_NO_OVERHEAD = _set(overhead=0.0)
_NO_SOFTMAX = _set(special_rate=None)
_NO_ISSUE = _drop("issue_rate", "lone_rate")
_NO_REREADS = _flags(shared_kv=True, shared_kv_groups=())
_NO_PASSES = _all(_drop("pass_tokens"), _flags(expands_weights=False))
_NO_RAMP = _set(
    **{f"{way}_{part}": 0.0 for way in ("short", "long") for part in ("base", "inner_step", "outer_step")},
    short_share=1.0, long_share=1.0,
)  # fmt: skip
_NO_OVERLAP = _flags(
    **{f"overlap_{kind}": False for kind in ("tensor", "data", "pipeline", "context", "expert", "backward")}
)

VARIANTS: dict[str, Change] = {
    "everything": dict,
    "no tile and wave effects": _NO_TILES,
    "no waiting where tiles are few": _set(lone_area=0.0),
    "no limit on operands of convolutions": _set(window_tiles=None),
    "no activations in the cache": _NO_CACHE,
    "no Winograd convolutions": _set(winograd=False),
    "no transposes of convolutions": _set(transposes=False),
    "no padding of heads in layer lists": _set(head_step=1.0),
    "no kernels of their own for scores": _flags(eager_scores=False, casts_scores=False),
    "no element-wise traffic": _NO_ELEMENTWISE,
    "no time per kernel": _NO_OVERHEAD,
    "no time of the softmax": _NO_SOFTMAX,
    "no results one by one on microcontrollers": _drop("result_work"),
    "layers one after another where they lie side by side": _drop("contexts"),
    "no limit on issued loads": _NO_ISSUE,
    "no repeated reads of shared keys": _NO_REREADS,
    "one pass, no expansion of weights": _NO_PASSES,
    "no embedding and head in 16 bits": _drop("head_width", "head_copies"),
    "products of experts as fast as single ones": _all(_drop("grouped_share", "scale_block"), _set(grouped=1.0)),
    "no beginning and end of a run": _drop("requests"),
    "no waiting for the host": _set(issue=0.0, host=0.0, routing=0.0),
    "no wide copy of the logits": _flags(wide_loss=False),
    "no size ramp of collectives": _NO_RAMP,
    "no overlap of communication": _NO_OVERLAP,
    "no slow-down by communication": _set(inner_occupancy=0.0, outer_occupancy=0.0, mixed_occupancy=0.0),
    "no waiting for the slowest device": _set(device_spread=0.0),
    "peak instead of achieved rate": _peak,
    "a roofline per operator alone": _all(
        _NO_TILES, _NO_ELEMENTWISE, _NO_OVERHEAD, _NO_SOFTMAX, _NO_ISSUE, _NO_REREADS, _NO_PASSES, _NO_CACHE
    ),
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
            answer = predict_collective(row, names(), _NO_RAMP if VARIANTS[name] is _NO_RAMP else None)
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
            (s for s, rs in sets.items() if median_error(rs) > median_error(everything[s]) + 0.02),
            key=lambda s: median_error(everything[s]) - median_error(sets[s]),
        )
        shown = ", ".join(
            f"{s} {percent(median_error(everything[s]))} to {percent(median_error(sets[s]))}" for s in worse[:3]
        )
        bias = percent(math.expm1(median(every)), signed=True)
        lines.append(f"{name:36s}{percent(median_error(every)):>14s}{bias:>10s}{percent(_spread(sets)):>14s}   {shown}")
    return "\n".join(lines)
