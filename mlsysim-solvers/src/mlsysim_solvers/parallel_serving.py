"""Several devices that serve a model together: does it fit them, how fast is it there, and what binds.

The story is that of one device on a part of every layer: the same operators on divided shapes, two
all-reduces in every layer, logits gathered at the end, and a pipeline of stages where layers are
divided instead. Copies of the model share nothing but the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum, minimum, only, where
from mlsysim.tracing import named

from .execution.device.answers import axis, machine_of, step_rates
from .execution.device.arrays import divides, shares_heads
from .execution.device.cases import (
    abilities_of,
    feasibility,
    formats_of,
    is_once,
    read_before,
    read_tokens,
    repeated,
    room_of,
    run_part,
    turned,
    weights_of,
)
from .execution.device.engine import Totals, together
from .execution.device.machine import Machine
from .execution.device.sequences import generation_demand, within_context
from .execution.device.sharing import apart
from .execution.serving.copies import Place, bound_of, place_of, spread_of, summed, through, within_layers
from .execution.serving.serving_layout import serving_columns
from .formulas.serving import output_rate, pipelined_time, request_latency, sample_rate
from .lowering.operators import Table, stream
from .lowering.serving import first_pass, next_token, stage
from .lowering.shape import TransformerShape
from .single_node import SingleNodeSolver

__all__ = ["ParallelServingSolver"]

Columns = Mapping[str, Any]


class Phase(NamedTuple):
    """Prefill or decode on one copy of the model.

    Parameters
    ----------
    time : float or array, s
        What the phase takes.
    talk : float or array, s
        Communication in it.
    totals : Totals
        What one device computes; its time is that of a pass through all stages without communication.
    """

    time: Any
    talk: Any
    totals: Totals


class ParallelServingSolver:
    """The performance of several devices that serve a model together.

    Examples
    --------
    >>> from mlsysim_solvers import ParallelServingSolver
    >>> solver = ParallelServingSolver()
    >>> callable(solver.prepare), callable(solver.compute)
    (True, True)
    """

    def prepare(self, request: Any) -> dict[str, Any]:
        """Flatten a request into columns.

        Parameters
        ----------
        request : Request
            Scenario, records (model, device, stack, node and links), claims and settings.

        Returns
        -------
        dict of str to number or object
            SI numbers under the names of :data:`mlsysim_solvers.declarations.parallel_serving.COLUMNS`, and
            objects that never vary under other names.

        Raises
        ------
        ConfigError
            If the layout does not suit model, batch or devices.
        SolverError
            If nothing says how the devices are joined, or a number that nobody knows is needed.
        """
        return serving_columns(request)

    def compute(self, columns: Columns) -> dict[str, Any]:
        """Answer, for floats and for arrays alike.

        Parameters
        ----------
        columns : mapping of str to number or object
            As ``prepare`` returned; batch, input, output, rates and every other number may be an array, shape
            (n,), float64.

        Returns
        -------
        dict of str to number
            Outputs in SI under the names of :data:`mlsysim_solvers.declarations.parallel_serving.OUTPUTS`;
            ``<output>.log_sd`` beside those that carry an interval.
        """
        return apart(self._answers, columns, ("tensor",))

    def _answers(self, c: Columns) -> dict[str, Any]:
        if c["kind"] == "inference":
            return _copies(c)
        batch, input_, output = axis(c, "batch"), axis(c, "input"), axis(c, "output")
        windows = c.get("windows", 1.0)
        each = output if is_once(windows) else output / windows
        place, machine = place_of(c), machine_of(c)
        own = batch / c["data"]
        micro = where(c["micro_batch"] > 0.0, c["micro_batch"] + 0.0 * own, own)
        first = _turned(c, _prefill(c, place, machine, own, micro, read_tokens(c, input_)))
        rates, known = step_rates(c, machine, micro)
        step = _turned(c, _decode(c, place, rates, own, micro, input_, each))
        if c["features"].decoded_first:
            first = _before(first, step, input_)
        latency = request_latency(named(first.time, "prefill"), named(step.time, "decode step"), each)
        talk = named(first.talk, "communication of the prefill")
        talk = talk + named((each - 1.0) * step.talk, "communication of the decode steps")
        whole = together(first.totals, step.totals, each - 1.0)
        if not is_once(windows):
            latency, talk, whole = windows * named(latency, "window"), windows * talk, repeated(whole, windows, "")
        answers = _memory(c, place, own, input_, each)
        answers |= bound_of(c, whole, latency, talk)
        answers |= {
            "performance.latency": latency,
            "performance.ttft": first.time,
            "performance.tpot": step.time,
            "performance.communication": talk,
            "performance.throughput": sample_rate(batch, latency),
            "performance.token_throughput": output_rate(batch, output, latency),
        }
        spread = spread_of(known, whole, latency, talk)
        answers |= {f"{name}.log_sd": spread for name in _SPREAD}
        answers["performance.ttft.log_sd"] = spread_of(c, first.totals, first.time, first.talk)
        answers["performance.tpot.log_sd"] = spread_of(known, step.totals, step.time, step.talk)
        return answers


_SPREAD = ("performance.latency", "performance.throughput", "performance.token_throughput", "performance.utilisation")


def _copies(c: Columns) -> dict[str, Any]:
    """Answer for devices that each pass samples of their own, from the answer for one of them."""
    data = c["data"]
    own = {name: axis(c, name) / data for name in ("batch", "rate") if name in c}
    answers = SingleNodeSolver().compute({**c, **own})
    answers.pop("performance.bound_factor")
    for name in ("feasibility.max_batch", "performance.throughput", "performance.flops", "performance.bytes"):
        if name in answers:
            answers[name] = answers[name] * data
    return answers


def _prefill(c: Columns, place: Place, machine: Machine, own: Any, micro: Any, input_: Any) -> Phase:
    """Read the prompts: micro-batches, and passes of a long prompt, follow each other through the stages."""
    shape = place.shape
    totals = run_part(
        c, "first pass", lambda: _started(c, shape, first_pass(shape, formats_of(c), abilities_of(c), micro, input_)),
        machine,
    )  # fmt: skip
    rows, count = micro * input_, ceil(own / micro)
    passes = rows / minimum(rows, c["pass_tokens"]) if "pass_tokens" in c else 1.0 * (rows / rows)
    pieces = count * passes
    # The stack queues so many passes at once, and waits for them before it queues the next.
    queued = minimum(pieces, c["batch_tokens"] / c["pass_tokens"]) if "batch_tokens" in c else pieces
    work, within = totals.time / passes, within_layers(c, place, rows / passes, micro / passes)
    one, slowest = through(c, place, work, within, rows / passes)
    alone = is_once(c["pipeline"])
    time = pieces * one if alone else (pieces / queued) * pipelined_time(one, slowest, queued)
    return Phase(time, time * (1.0 - work / one), repeated(totals, count, "micro-batch"))


def _decode(c: Columns, place: Place, machine: Machine, own: Any, micro: Any, input_: Any, output: Any) -> Phase:
    """Yield one token of every request."""
    shape = place.shape
    totals = run_part(
        c, "next token",
        lambda: _started(c, shape, next_token(shape, formats_of(c), abilities_of(c), micro, input_, output)), machine,
    )  # fmt: skip
    within, count = within_layers(c, place, micro, micro), ceil(own / micro)
    one, slowest = through(c, place, totals.time, within, micro)
    # A token leaves the last stage before its successor enters the first; more micro-batches than stages wait.
    time = count * one if is_once(c["pipeline"]) else maximum(one, count * slowest)
    return Phase(time, time * (1.0 - totals.time / one), repeated(totals, count, "micro-batch"))


def _turned(c: Columns, phase: Phase) -> Phase:
    """Return a phase with the time in which all devices wait for the host."""
    totals = turned(c, phase.totals)
    return phase if totals is phase.totals else Phase(phase.time + c["turn"], phase.talk, totals)


def _started(c: Columns, shape: Any, table: Table) -> Table:
    """Return a pass with the sums over devices, which a host that launches kernel by kernel starts one by one, too."""
    if not isinstance(shape, TransformerShape):
        return table
    table = summed(c, shape, table)
    if "kernel_launch" not in c:
        return table
    sums = where(c["tensor"] > 1.0, shape.sums, 0.0)
    return [*table, stream("sums over devices", shape.layers, 0.0, sums)]


def _before(first: Phase, step: Phase, tokens: Any) -> Phase:
    """Return a first token that takes a decode step behind the pass over the prompt."""
    longer = tokens > 1.0
    time, talk = (only(longer, part) for part in first[:2])
    return Phase(time + step.time, talk + step.talk, together(read_before(first.totals, tokens), step.totals, 1.0))


def _memory(c: Columns, place: Place, own: Any, input_: Any, output: Any) -> dict[str, Any]:
    """Hold the fullest device against its memory."""
    shape, share = place.shape, 1.0
    if isinstance(shape, TransformerShape):
        shape, share = stage(shape, place.share), place.share
    weights = weights_of(c, shape, share)
    demand = generation_demand(shape, room_of(c, weights), own, input_, output)
    demand = demand._replace(largest=demand.largest * c["data"])
    # A sweep may ask for degrees that a scenario is refused for: such a layout fits nowhere.
    legal = divides(c["data"], c["data"] * own)
    if isinstance(shape, TransformerShape):
        legal = legal & shares_heads(c, c["tensor"])
    return feasibility(c, demand, weights, within=within_context(c["shape"], input_, output) & legal)
