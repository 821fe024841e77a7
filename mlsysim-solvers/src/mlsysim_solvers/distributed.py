"""Many devices: does a training layout fit each of them, how long does a step take, and where does it go.

The story of a step: lower one device's share of a layer, run it under the rooflines, add what
communication stays visible, let the slowest pipeline stage set the pace, and finish with gradients and
optimizer. Memory is held against the fullest device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import maximum, minimum, only, sqrt, where
from mlsysim.tracing import named

from .execution.device.answers import axis, highest_peak, machine_of, steps_of_run
from .execution.device.machine import Machine
from .execution.device.sharing import answered
from .execution.device.variances import log_sd_of_shares
from .execution.network.topology import network_of
from .execution.training.accumulation import accumulated
from .execution.training.activations import Kept, share_again
from .execution.training.distribution import distributed_columns
from .execution.training.exchange import Exchange, Load, load_of, replica_exchange, stage_message
from .execution.training.layers import Layer, Setup, work_again
from .execution.training.layout_checks import suits
from .execution.training.pieces import pieces_of
from .execution.training.schedule import Layout, bubble, layout_of
from .execution.training.state import (
    Held,
    Owned,
    adapter_parameters,
    held,
    memory_log_sd,
    share_of,
    stage_parameters,
)
from .execution.training.training_run import run_answers
from .execution.training.wires import Wire, wires_of
from .formulas import parallel_constants as constants
from .formulas.memory import headroom, usable_memory
from .formulas.optimizer import optimizer_traffic
from .formulas.overlap import exposed_time
from .formulas.roofline import effective_rate, memory_time, utilisation
from .formulas.run import straggler_slowdown
from .formulas.serving import sample_rate
from .formulas.training import active_share, run_time, training_token_rate
from .lowering.attention import Abilities
from .lowering.operators import Formats
from .lowering.work import forward_work, trained_work

__all__ = ["DistributedSolver", "Step"]

Columns = Mapping[str, Any]


class Step(NamedTuple):
    """Where the time of a step goes, on the device that sets the pace; the terms sum to the step.

    Parameters
    ----------
    compute, recompute : float or array, s
        Forward and backward passes, and forward passes done again.
    tensor, context, expert, pipeline, data : float or array, s
        Communication that computation does not hide.
    bubble : float or array, s
        Waiting for other stages.
    offload : float or array, s
        Copies of activations and optimizer states to host memory and back that computation does not hide.
    optimizer : float or array, s
        Update of the parameters, and what ends a step.
    """

    compute: Any
    recompute: Any
    tensor: Any
    context: Any
    expert: Any
    pipeline: Any
    bubble: Any
    data: Any
    offload: Any
    optimizer: Any


class DistributedSolver:
    """The performance of a training layout on a cluster.

    Examples
    --------
    >>> from mlsysim_solvers import DistributedSolver
    >>> solver = DistributedSolver()
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
            SI numbers under the names of :data:`mlsysim_solvers.declarations.distributed.COLUMNS`, and objects that
            never vary under other names.

        Raises
        ------
        ConfigError
            If the layout does not suit model, batch or devices.
        SolverError
            If a link is missing, or a number that nobody knows is needed.
        """
        return distributed_columns(request)

    def compute(self, columns: Columns) -> dict[str, Any]:
        """Answer, for floats and for arrays alike.

        Parameters
        ----------
        columns : mapping of str to number or object
            As ``prepare`` returned; degrees, micro-batch, batch, rates and every other number may be an array,
            shape (n,), float64.

        Returns
        -------
        dict of str to number
            Outputs in SI under the names of :data:`mlsysim_solvers.declarations.distributed.OUTPUTS`;
            ``<output>.log_sd`` beside those that carry an interval.
        """
        return answered(self._answers, columns, _LAYOUT)

    def _answers(self, c: Columns) -> dict[str, Any]:
        batch, sequence, shape = axis(c, "batch"), axis(c, "sequence"), c["shape"]
        layout = layout_of(c, batch, shape)
        setup = setup_of(c)
        near, wire = wires_of(network_of(c), layout, c["placement"])
        layer, talk, kept = pieces_of(c, layout, setup, near, sequence)
        layer = accumulated(c, layout, layer, setup.machine.bandwidth)
        # All wait for the slowest device, which sets the pace of each step.
        pace = straggler_slowdown(c["device_spread"], layout.devices)
        layer = Layer(*[pace * part for part in layer])
        step = _step_of(c, layout, wire, layer, talk, kept, setup.machine, sequence)
        time = _sum(step)
        answers = self._memory(c, layout, kept, sequence, batch)
        answers |= zip(_TERMS, step, strict=True)
        answers |= _rates(c, layout, setup, batch, sequence, time)
        answers |= run_answers(c, layout, layer, talk, step)
        answers["performance.active_share"] = active_share(step.compute + step.recompute + step.optimizer, time)
        spread = _log_sd(c, layer, step, time)
        for name, its_spread in _SPREAD:
            if name in answers:
                answers[its_spread] = spread
        return answers

    def _memory(self, c: Columns, layout: Layout, kept: Kept, sequence: Any, batch: Any) -> dict[str, Any]:
        fullest, largest = held(c, layout, kept)
        usable = usable_memory(c["capacity"], c["utilisation"])
        left = headroom(usable, fullest.required)
        within = layout.even & (sequence <= c["shape"].context) & suits(c, layout, batch, sequence)
        answers = dict(zip(_HELD, fullest, strict=False))
        return answers | {
            "feasibility.fits": (left >= 0.0) & within,
            "feasibility.memory_required": fullest.required,
            "feasibility.memory_usable": usable + 0.0 * fullest.required,
            "feasibility.headroom": left,
            "feasibility.max_micro_batch": largest,
            "feasibility.memory_required.log_sd": memory_log_sd(c, fullest),
        }


_LAYOUT = ("tensor", "micro_batch", "context", "expert", "pipeline", "virtual", "data")
"""What says how a model is divided: columns that take few values in a sweep, those on which most depends first."""

_TERMS = tuple(f"performance.breakdown_{name}" for name in Step._fields)
"""Names of the terms of a step."""

_HELD = tuple(f"feasibility.{name}_memory" for name in Held._fields[:-1])
"""Names of what a device holds; the last field is all of it."""

_SPREAD = tuple((name, f"{name}.log_sd") for name in (
    "performance.latency", "performance.step_time", "performance.throughput", "performance.token_throughput",
    "performance.utilisation", "performance.hardware_utilisation", "performance.run_time",
    "performance.forward_time",
))  # fmt: skip
"""Names of the answers that carry an interval, and of their spreads."""


def _sum(step: Step) -> Any:
    """Add the terms in the order in which they are printed, so that they sum to the step exactly."""
    time = step[0]
    for term in step[1:]:
        time = time + term
    return named(time, "training step")


def setup_of(c: Columns) -> Setup:
    """Return what is common to all layouts.

    Parameters
    ----------
    c : mapping of str to number
        All columns.

    Returns
    -------
    Setup
    """
    machine, features = machine_of(c), c["features"]
    plain = machine
    if "plain_peak" in c:
        # The output projection and the loss stay in 16 bits where layers run in fewer.
        rate = effective_rate(axis(c, "plain_peak"), c["achieved_plain"], c["compute_ceiling"])
        plain = machine._replace(matrix_rate=rate, vector_rate=minimum(rate, machine.vector_rate))
    weight, operand, activation, cache, work = (
        c["weight_width"], c["operand_width"], c["activation_width"], c["kv_width"], c["flop_per_mac"]
    )  # fmt: skip
    own = Formats(weight, operand, activation, cache, work)
    half = Formats(weight, maximum(operand, activation), activation, cache, work)
    abilities = Abilities(features.fused_attention, features.shared_kv, features.fused_elementwise, c["reread_ratio"],
                          staged_softmax=features.staged_softmax, eager_scores=features.eager_scores)  # fmt: skip
    return Setup(
        c["shape"], own, half, abilities, machine, plain, c["recompute"], c["full_width"], c["adapter"], c["frozen"],
        features.selective, c["narrow"], c["dropout"], c["drops"], c["mask_width"], c["again"], features.wide_loss,
        features.planned_memory, c["eager"], c["scaling"], c["adapts_mlp"],
        c["unpacked"],
    )  # fmt: skip


def _step_of(
    c: Columns, layout: Layout, wire: Wire, layer: Layer, talk: Exchange, kept: Kept, machine: Machine, sequence: Any
) -> Step:
    """Return where the time of one step goes."""
    rows = layout.micro * sequence / layout.context
    pure = layer.forward + layer.inputs + layer.weights
    share = share_again(c, layout.middle)
    again = share * layer.again
    tensor, context = talk.tensor + share * talk.tensor_again, talk.context + share * talk.context_again
    expert = talk.expert + share * talk.expert_again
    whole = pure + again + tensor + context + expert
    several = layout.pipeline > 1.0
    ends = layer.embedding + layer.head
    # The stage that takes longest sets the pace: the first, a middle or the last one.
    layers, end = _slowest(layout, layer, whole, several, ends)
    busy = layer._replace(forward=layer.forward + talk.ahead, inputs=layer.inputs + talk.behind, again=again)
    # Messages hide behind a middle stage whichever sets the pace: a stage without layers hides none but waits for none.
    beside = layout.middle * (busy.forward + busy.inputs + busy.weights)
    ahead, behind = talk.loads[0].times(layout.middle), talk.loads[1].times(layout.middle)
    exposed, whole_message = stage_message(c, wire, layout, rows, beside, ahead.with_(behind))
    hop = where(several, exposed, 0.0 * pure)
    # Messages between stages hold links that the exchange of gradients needs.
    sent = load_of(wire.pipeline, 0.5 * where(several, whole_message, 0.0 * pure))
    slowest = layers * whole + end + hop
    total = c["shape"].layers * whole + ends + layout.pipeline * hop
    weight = layers * layer.weights
    waiting = where(several, bubble(c["schedule"], layout, total, slowest, weight), 0.0 * total)
    m, passes = layout.rounds, layout.rounds * layers
    exchange, update, visit = _update(c, wire, layout, busy, machine, (ahead, behind), sent)
    copies = m * minimum(layers, c["offload_layers"]) * _copies(c, busy, kept) + visit
    return Step(
        named(m * (layers * pure + end), "computation"),
        named(passes * again, "recomputation"),
        named(passes * tensor, "tensor-parallel communication"),
        named(passes * context, "context-parallel communication"),
        named(passes * expert, "expert-parallel communication"),
        named(m * hop, "messages between stages"),
        named(waiting, "pipeline bubble"),
        named(exchange, "exchange of gradients and parameters"),
        named(copies, "copies to host memory"),
        named(update, "optimizer"),
    )


def _slowest(layout: Layout, layer: Layer, whole: Any, several: Any, ends: Any) -> tuple[Any, Any]:
    first, last = layout.first * whole + layer.embedding, layout.last * whole + layer.head
    middle = only(layout.pipeline > 2.0, layout.middle * whole)
    late = last >= first
    layers = where(late, layout.last, layout.first)
    end = where(late, layer.head, layer.embedding)
    inside = middle > maximum(first, last)
    layers, end = where(inside, layout.middle, layers), where(inside, 0.0 * end, end)
    return where(several, layers, layout.middle), where(several, end, ends)


def _update(
    c: Columns, wire: Wire, layout: Layout, layer: Layer, machine: Machine, loads: tuple[Load, Load], sent: Load
) -> tuple[Any, Any, Any]:
    """Return the exchange of gradients, the optimizer, and the visit of states that wait in host memory."""
    if c["frozen"]:
        own = Owned(adapter_parameters(c, layout, layout.middle))
    else:
        several = layout.pipeline > 1.0
        both = c["first_parameters"] + (0.0 if c["tied"] else c["last_parameters"])
        end = where(several, maximum(c["first_parameters"], c["last_parameters"]), both)
        own = stage_parameters(c, layout, where(several, layout.first, layout.middle), end)
    exchange = replica_exchange(c, wire, layout, layer, own, loads, sent)
    updated = share_of(c, layout, own) if c["zero"] >= 1 else own.dense + own.experts
    traffic = optimizer_traffic(
        updated, c["optimizer_width"], c["weight_passes"], c["gradient_width"], c["master_width"], c["states"],
        c["state_width"],
    )  # fmt: skip
    # States come and go at the same time, over both directions of the link.
    each = c["master_width"] + c["states"] * c["state_width"]
    visit = memory_time(c["offload_optimizer"] * updated * each, c["host_rate"])
    return exchange, memory_time(traffic, machine.bandwidth) + c["step_end"], visit


def _copies(c: Columns, layer: Layer, kept: Kept) -> Any:
    """Return what copies of one layer's activations to host memory and back take beside its computation."""
    if not c["offload"]:
        return 0.0 * kept.each / c["host_rate"]
    time = memory_time(kept.each, c["host_rate"])
    ahead = exposed_time(layer.forward, time, constants.HIDDEN_OFFLOAD)
    return ahead + exposed_time(layer.inputs + layer.weights, time, constants.HIDDEN_OFFLOAD)


def _rates(c: Columns, layout: Layout, setup: Setup, batch: Any, sequence: Any, time: Any) -> dict[str, Any]:
    shape, devices, peak = c["shape"], layout.devices, highest_peak(c)
    work = forward_work(shape, sequence, c["full_attention"])
    layers, ends = trained_work(work, sequence, c["flop_per_mac"], frozen=c["frozen"])
    flops = batch * (layers + ends)
    done = flops + share_again(c, layout.middle) * (batch * work_again(setup, sequence, work))
    answers = {
        "performance.latency": time,
        "performance.step_time": time,
        "performance.throughput": sample_rate(batch, time),
        "performance.utilisation": utilisation(flops / devices, time, peak),
        "performance.hardware_utilisation": utilisation(done / devices, time, peak),
        "performance.flops": flops,
    }
    if c["is_text"]:
        answers["performance.token_throughput"] = training_token_rate(batch, sequence, time)
    steps = steps_of_run(c, batch, sequence)
    if steps is not None:
        answers["performance.run_time"] = run_time(steps, time)
    return answers


def _log_sd(c: Columns, layer: Layer, step: Step, time: Any) -> Any:
    """Return the spread of a step's logarithm from the shares of its terms."""
    talk = step.tensor + step.context + step.expert + step.pipeline + step.data
    own = layer.forward + layer.inputs + layer.weights + layer.again
    # A step that exchanges nothing; the quadratic form of the shares falls with the square of what is left of it.
    alone = log_sd_of_shares(c, layer.compute / own, layer.overhead / own, 0.0)
    quiet = (time - talk) / time
    share = 1.0 - quiet
    return sqrt(quiet * quiet * (alone * alone) + c["scatter"] + share * share * (c["var_talk"] + c["var_link"]))
