"""Several devices that serve a model together: does it fit them, how fast is it there, and what binds.

The story is that of one device on a part of every layer: the same operators on divided shapes, two
all-reduces in every layer, logits gathered at the end, and a pipeline of stages where layers are
divided instead. Copies of the model share nothing but the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import ceil, maximum, minimum, sqrt, where
from mlsysim.tracing import named

from .execution.answers import axis, common_answers, decoding, log_sd, machine_of
from .execution.cases import abilities_of, feasibility, formats_of, is_once, read_before, repeated, room_of, run_part
from .execution.communication import all_gather, all_reduce, message
from .execution.engine import Machine, Totals, together
from .execution.layout_checks import divides
from .execution.sequences import generation_demand, within_context
from .execution.serving_layout import serving_columns
from .execution.topology import Group, Network, group_of, network_of
from .formulas.memory import weight_bytes
from .formulas.parallel_constants import COMMUNICATION_LOG_SD
from .formulas.serving import output_rate, pipelined_time, request_latency, sample_rate, stage_share
from .lowering.serving import Generator, first_pass, next_token, sharded, stage
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


class Place(NamedTuple):
    """A model on the devices of one copy.

    Parameters
    ----------
    network : Network
        Links.
    tensor, stages : Group
        Who shares a layer, and who passes it on.
    share : float or array, ratio
        Layers of the fullest stage over all.
    shape : TransformerShape, PairShape or StateShape
        One device's part of every layer.
    """

    network: Network
    tensor: Group
    stages: Group
    share: Any
    shape: Generator


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
            SI numbers under the names of :data:`mlsysim_solvers.serving_declarations.COLUMNS`, and objects that
            never vary under other names.

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
            Outputs in SI under the names of :data:`mlsysim_solvers.serving_declarations.OUTPUTS`;
            ``<output>.log_sd`` beside those that carry an interval.
        """
        c = columns
        if c["kind"] == "inference":
            return _copies(c)
        batch, input_, output = axis(c, "batch"), axis(c, "input"), axis(c, "output")
        windows = c.get("windows", 1.0)
        each = output if is_once(windows) else output / windows
        place, machine = _place(c), machine_of(c)
        own = batch / c["data"]
        micro = where(c["micro_batch"] > 0.0, c["micro_batch"] + 0.0 * own, own)
        first = _prefill(c, place, machine, own, micro, input_)
        step = _decode(c, place, decoding(c, machine), own, micro, input_, each)
        if c["features"].decoded_first:
            first = _before(first, step, input_)
        latency = request_latency(named(first.time, "prefill"), named(step.time, "decode step"), each)
        talk = named(first.talk, "communication of the prefill")
        talk = talk + named((each - 1.0) * step.talk, "communication of the decode steps")
        whole = together(first.totals, step.totals, each - 1.0)
        if not is_once(windows):
            latency, talk, whole = windows * named(latency, "window"), windows * talk, repeated(whole, windows, "")
        answers = _memory(c, place, own, input_, each)
        answers |= _bound(c, whole, latency, talk)
        answers |= {
            "performance.latency": latency,
            "performance.ttft": first.time,
            "performance.tpot": step.time,
            "performance.communication": talk,
            "performance.throughput": sample_rate(batch, latency),
            "performance.token_throughput": output_rate(batch, output, latency),
        }
        spread = _log_sd(c, whole, latency, talk)
        answers |= {f"{name}.log_sd": spread for name in _SPREAD}
        answers["performance.ttft.log_sd"] = _log_sd(c, first.totals, first.time, first.talk)
        answers["performance.tpot.log_sd"] = _log_sd(c, step.totals, step.time, step.talk)
        return answers


_SPREAD = ("performance.latency", "performance.throughput", "performance.token_throughput", "performance.utilisation")


def _copies(c: Columns) -> dict[str, Any]:
    """Answer for devices that each pass samples of their own, from the answer for one of them."""
    data = c["data"]
    own = {name: axis(c, name) / data for name in ("batch", "rate") if name in c}
    answers = SingleNodeSolver().compute({**c, **own})
    answers.pop("performance.bound_factor")
    for name in ("feasibility.max_batch", "performance.throughput", "performance.flops", "performance.bytes"):
        answers[name] = answers[name] * data
    return answers


def _place(c: Columns) -> Place:
    network, shape = network_of(c), c["shape"]
    tensor = group_of(network, c["tensor"], 1.0 * (c["tensor"] / c["tensor"]))
    stages = group_of(network, c["pipeline"], c["tensor"])
    if not isinstance(shape, TransformerShape):
        return Place(network, tensor, stages, 1.0, shape)
    return Place(network, tensor, stages, stage_share(shape.layers, c["pipeline"]), sharded(shape, c["tensor"]))


def _within_layers(c: Columns, place: Place, rows: Any, last: Any) -> Any:
    """Return the collectives of one pass: two all-reduces in a layer, and the logits of the last positions."""
    shape, width, group = c["shape"], c["activation_width"], place.tensor
    if not isinstance(shape, TransformerShape):
        return 0.0 * rows
    # Their start is part of a collective's own time: no kernel is counted for them beside it.
    one = all_reduce(place.network, group, rows * shape.hidden * width)
    logits = all_gather(place.network, group, last * shape.vocab * width)
    return named(2.0 * shape.layers * one + logits, "tensor-parallel communication")


def _hop(c: Columns, place: Place, rows: Any) -> Any:
    """Return the message from one stage to the next; each device sends its part."""
    shape = c["shape"]
    if not isinstance(shape, TransformerShape):
        return 0.0 * rows
    sent = message(place.network, place.stages, rows * shape.hidden * c["activation_width"] / c["tensor"])
    return sent + where(c["pipeline"] > 1.0, c["handover"] + 0.0 * sent, 0.0 * sent)


def _prefill(c: Columns, place: Place, machine: Machine, own: Any, micro: Any, input_: Any) -> Phase:
    """Read the prompts: micro-batches, and passes of a long prompt, follow each other through the stages."""
    shape = place.shape
    totals = run_part(
        c, "first pass", lambda: first_pass(shape, formats_of(c), abilities_of(c), micro, input_), machine
    )
    rows, count = micro * input_, ceil(own / micro)
    passes = rows / minimum(rows, c["pass_tokens"]) if "pass_tokens" in c else 1.0 * (rows / rows)
    pieces = count * passes
    # The stack queues so many passes at once, and waits for them before it queues the next.
    queued = minimum(pieces, c["batch_tokens"] / c["pass_tokens"]) if "batch_tokens" in c else pieces
    work, within = totals.time / passes, _within_layers(c, place, rows / passes, micro / passes)
    one, slowest = _through(c, place, work, within, rows / passes)
    alone = is_once(c["pipeline"])
    time = pieces * one if alone else (pieces / queued) * pipelined_time(one, slowest, queued)
    return Phase(time, time * (1.0 - work / one), repeated(totals, count, "micro-batch"))


def _decode(c: Columns, place: Place, machine: Machine, own: Any, micro: Any, input_: Any, output: Any) -> Phase:
    """Yield one token of every request."""
    shape = place.shape
    totals = run_part(
        c, "next token", lambda: next_token(shape, formats_of(c), abilities_of(c), micro, input_, output), machine
    )
    within, count = _within_layers(c, place, micro, micro), ceil(own / micro)
    one, slowest = _through(c, place, totals.time, within, micro)
    # A token leaves the last stage before its successor enters the first; more micro-batches than stages wait.
    time = count * one if is_once(c["pipeline"]) else maximum(one, count * slowest)
    return Phase(time, time * (1.0 - totals.time / one), repeated(totals, count, "micro-batch"))


def _through(c: Columns, place: Place, work: Any, within: Any, rows: Any) -> tuple[Any, Any]:
    """Return the time of one piece of work through all stages, and through the slowest."""
    hop = _hop(c, place, rows)
    return work + within + (c["pipeline"] - 1.0) * hop, (work + within) * place.share + hop


def _before(first: Phase, step: Phase, tokens: Any) -> Phase:
    """Return a first token that takes a decode step behind the pass over the prompt."""
    longer = tokens > 1.0
    time, talk = (where(longer, part, 0.0 * part) for part in first[:2])
    return Phase(time + step.time, talk + step.talk, together(read_before(first.totals, tokens), step.totals, 1.0))


def _memory(c: Columns, place: Place, own: Any, input_: Any, output: Any) -> dict[str, Any]:
    """Hold the fullest device against its memory."""
    shape = place.shape
    if isinstance(shape, TransformerShape):
        shape = stage(shape, place.share)
    weights = weight_bytes(shape.parameters, c["weight_width"])
    demand = generation_demand(shape, room_of(c, weights), own, input_, output)
    demand = demand._replace(largest=demand.largest * c["data"])
    # A sweep may ask for degrees that a scenario is refused for: such a layout fits nowhere.
    legal = divides(c["data"], c["data"] * own)
    if isinstance(shape, TransformerShape):
        legal = legal & divides(c["tensor"], c["shape"].heads)
    return feasibility(c, demand, weights, within=within_context(c["shape"], input_, output) & legal)


def _bound(c: Columns, whole: Totals, latency: Any, talk: Any) -> dict[str, Any]:
    """Return utilisation over all devices, and which resource alone would take longest on one of them."""
    stages, copies = c["pipeline"], c["tensor"] * c["data"]
    answers = common_answers(c, whole, latency)
    answers.pop("performance.bound_factor")
    longest = maximum(whole.compute_demand, maximum(whole.memory_demand, whole.overhead))
    longest = longest * ((latency - talk) / whole.time)
    answers["performance.bound"] = where(talk > longest, 3.0 + 0.0 * talk, answers["performance.bound"])
    for name in ("performance.utilisation", "performance.bandwidth_utilisation"):
        answers[name] = answers[name] / stages
    for name in ("performance.flops", "performance.bytes"):
        answers[name] = answers[name] * copies
    return answers


def _log_sd(c: Columns, totals: Totals, time: Any, talk: Any) -> Any:
    """Return the spread of a time's logarithm: that of one device's work, and that of communication."""
    share = talk / time
    quiet = (1.0 - share) * log_sd(c, totals)
    loud = share * COMMUNICATION_LOG_SD
    return sqrt(quiet * quiet + loud * loud)
