"""Requests of one pass each that arrive at random and are batched as they wait: latency at a rate, rate in a limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mlsysim.errors import ConfigError
from mlsysim.numeric import exp, is_array, log, maximum, sqrt
from mlsysim.records import Parallelism
from mlsysim.solving import Columns, Request
from mlsysim.tracing import named

from .declarations.single_node import SINGLE_NODE
from .execution.device.answers import axis
from .execution.device.preparation import prepare_columns
from .execution.device.sharing import alike
from .execution.serving.batch_queue import Curve, Service, curve_of, curves_of_rows, queue_at
from .execution.serving.batch_waits import largest_rate, quantile
from .formulas.constants import INTERVAL_QUANTILE
from .formulas.queue_constants import LEAST, QUEUE_LOG_SD
from .single_node import SingleNodeSolver

__all__ = ["DynamicBatchingSolver"]

_PASSES = (
    "pass of one", "pass over batch^(1/4)", "pass over batch^(1/2)", "pass over batch^(3/4)", "pass over a full batch",
)  # fmt: skip
"""Batches in geometric steps from one to the greatest, between which the time of a pass is interpolated."""

NODES = len(_PASSES)
"""How many there are."""


_NOT_SERVICE = frozenset({"rate", "limit", "devices", "cost"})
"""Columns on which passes do not depend."""


class DynamicBatchingSolver:
    """A server that starts a pass as soon as the last one ends, over everybody who waits, up to a greatest batch."""

    def prepare(self, request: Request) -> Columns:
        """Flatten a request into columns.

        Parameters
        ----------
        request : Request
            Scenario, records (model, device, stack), claims and settings.

        Returns
        -------
        dict of str to number or object
            As those of the single-node solver, with ``limit`` and ``devices``.

        Raises
        ------
        ConfigError
            If the limit is 0, or devices share one copy of the model.
        """
        scenario = request.scenario
        if not request.settings["limit"]:
            raise ConfigError(
                "a limit of 0", where="settings.dynamic-batching.limit", remedy='Give more than 0, for example "15 ms"'
            )
        devices, layout = scenario.system.devices, scenario.parallelism
        if layout not in (Parallelism(), Parallelism(data=devices)):
            raise ConfigError(
                "each device answers requests of its own", where="parallelism",
                remedy=f"Leave it out, or set data = {devices}",
            )  # fmt: skip
        alone = attrs.evolve(scenario, system=attrs.evolve(scenario.system, devices=1), parallelism=Parallelism())
        given = SINGLE_NODE.read_settings(scenario.settings.get(SINGLE_NODE.name, {}))
        columns = prepare_columns(attrs.evolve(request, scenario=alone, settings=given))
        notes = ["dynamic batching: requests arrive at random, and a pass takes all that wait"]
        if devices > 1:
            notes.append(f"each of {devices} devices gets an equal share of the requests, at random")
        return {
            **columns, "limit": request.settings["limit"], "devices": float(devices), "assumptions": tuple(notes),
            **({"cost": request.inputs["macro.hourly_cost"]} if "macro.hourly_cost" in request.inputs else {}),
        }  # fmt: skip

    def compute(self, columns: Columns) -> Columns:
        """Answer, for floats and for arrays alike.

        Parameters
        ----------
        columns : dict
            As :meth:`prepare` returned, numbers or arrays.

        Returns
        -------
        dict
            Outputs in SI.
        """
        devices, limit, kinds = columns["devices"], columns["limit"], alike(columns, _NOT_SERVICE)
        curve, spread = _service(columns if kinds is None else kinds.columns)
        own = kinds if is_array(limit) else None
        rate = largest_rate(curve, limit, own)
        if kinds is not None:
            curve, spread = curves_of_rows(curve, kinds), kinds.rows(spread)
            rate = rate if own is not None else kinds.rows(rate)
        within = devices * named(rate, "largest rate of a device")
        top = devices * (curve.most / curve.longest)
        answers: Columns = {
            "performance.full_throughput": top, "performance.full_throughput.log_sd": spread,
            "performance.limited_throughput": within, "performance.limited_throughput.log_sd": spread,
        }  # fmt: skip
        # Where not even one request is answered within the limit, no price buys any: such rows have one beyond others.
        if "cost" in columns and (is_array(within) or within > 0.0):
            answers["macro.cost_within_limit"] = columns["cost"] / maximum(within, LEAST * top)
            answers["macro.cost_within_limit.log_sd"] = spread
        if "rate" not in columns:
            return answers
        rate = axis(columns, "rate") / devices
        return answers | _at_rate(columns, curve, rate, spread)


def _service(columns: Mapping[str, Any]) -> tuple[Curve, Any]:
    """Return what passes take, and the spread of a full one."""
    solver, most = SingleNodeSolver(), axis(columns, "batch")
    own = {name: value for name, value in columns.items() if name not in _NOT_SERVICE}
    sizes = [most ** (k / (NODES - 1.0)) for k in range(NODES)]
    found = [solver.compute({**own, "batch": size}) for size in sizes]
    times = [named(answer["performance.latency"], name) for answer, name in zip(found, _PASSES, strict=True)]
    return curve_of(Service(tuple(sizes), tuple(times))), found[-1]["performance.latency.log_sd"]


def _at_rate(columns: Mapping[str, Any], curve: Curve, rate: Any, spread: Any) -> Columns:
    """Return what requests see at a rate; beyond what full batches get through no latency is within any limit."""
    far = maximum(INTERVAL_QUANTILE * spread, LEAST)
    # Slower passes also mean more load: T(f s, rate) = f T(s, f rate). At the upper end of what a pass takes the line
    # may have no end, which a slope at the central value would not see.
    queue, further = queue_at(curve, rate), queue_at(curve, exp(far) * rate)
    mean, tail = queue.latency, quantile(queue, "p99")
    steep = 1.0 + log(further.latency / mean) / far
    steeper = 1.0 + log(quantile(further, "p99") / tail) / far
    answers: Columns = {
        "feasibility.within_limit": (tail <= columns["limit"]) & (rate < curve.most / curve.longest),
        "performance.mean_batch": queue.batch,
        "performance.occupation": queue.busy,
    }
    for name, value, often in (("", mean, steep), ("_p50", quantile(queue, "p50"), steep), ("_p99", tail, steeper)):
        output, own = f"performance.request_latency{name}", QUEUE_LOG_SD[name.strip("_") or "latency"]
        answers |= {output: value, f"{output}.log_sd": sqrt(often * often * spread * spread + own * own)}
    return answers
