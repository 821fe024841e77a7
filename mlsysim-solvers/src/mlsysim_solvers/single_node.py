"""One device: does it fit, how fast is it, and what binds.

``prepare`` flattens records into columns, ``compute`` answers for floats and for float64
arrays alike. The story of every scenario is the same: lower the model to operators, run
them under the rooflines of device and stack, and hold memory against what may be filled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.numeric import minimum, sqrt
from mlsysim.records.scenario import Training
from mlsysim.tracing import named

from .execution.answers import axis, common_answers, log_sd, machine_of, steps_of_run
from .execution.engine import Machine, Totals, settle, timed, together
from .execution.memory import Demand, Widths, fit, live_elements, training_activations
from .execution.preparation import prepare_columns
from .execution.remembering import remembered
from .execution.sequences import Room, generation_demand, within_context
from .formulas.memory import fitting_batch, gradient_state_bytes, weight_bytes, workspace_bytes
from .formulas.optimizer import optimizer_traffic
from .formulas.serving import busy_share, output_rate, request_latency, sample_rate
from .formulas.training import run_time, training_token_rate
from .lowering.attention import SCORE_ROWS, Abilities
from .lowering.network import NetworkShape, lower_network
from .lowering.operators import Formats, Table
from .lowering.pair import PairShape
from .lowering.serving import first_pass, next_token
from .lowering.shape import TransformerShape
from .lowering.training import backward, loss, optimizer_step, recomputed
from .lowering.transformer import decoder_tail, embedding, forward_layers

__all__ = ["SingleNodeSolver"]

Columns = Mapping[str, Any]


class SingleNodeSolver:
    """The performance of one device under one stack.

    Examples
    --------
    >>> from mlsysim_solvers import SingleNodeSolver
    >>> solver = SingleNodeSolver()
    >>> callable(solver.prepare), callable(solver.compute)
    (True, True)
    """

    def prepare(self, request: Any) -> dict[str, Any]:
        """Flatten a request into columns.

        Parameters
        ----------
        request : Request
            Scenario, records (model, device, stack), claims and settings.

        Returns
        -------
        dict of str to number or object
            SI numbers under the names of :data:`mlsysim_solvers.declarations.COLUMNS`, and objects
            that never vary (shape, features, tiles, assumptions) under other names.

        Raises
        ------
        ConfigError
            If the workload does not suit the model, the device or the stack.
        SolverError
            If it needs more than one device, or a number that nobody knows.
        """
        workload = request.scenario.workload
        if isinstance(workload, Training) and (workload.adapter or workload.offload):
            name = "adapter" if workload.adapter else "offload"
            raise ConfigError(
                f"{name} is answered for several devices only", where=f"workload.{name}",
                remedy="Leave it out, or set system.devices to 2 or more",
            )  # fmt: skip
        return prepare_columns(request)

    def compute(self, columns: Columns) -> dict[str, Any]:
        """Answer, for floats and for arrays alike.

        Parameters
        ----------
        columns : mapping of str to number or object
            As ``prepare`` returned; batch, input, output, sequence, peak, bandwidth, overhead and
            every other number may be an array, shape (n,), float64.

        Returns
        -------
        dict of str to number
            Outputs in SI under the names of :data:`mlsysim_solvers.declarations.OUTPUTS`;
            ``<output>.log_sd`` beside those that carry an interval.
        """
        return _ANSWERS[columns["kind"]](columns)


def _formats(c: Columns) -> Formats:
    return Formats(c["weight_width"], c["operand_width"], c["activation_width"], c["kv_width"], c["flop_per_mac"])


def _abilities(c: Columns) -> Abilities:
    features, shape = c["features"], c["shape"]
    shared = features.shared_kv
    if isinstance(shape, PairShape):
        shape = shape.decoder
    if shared and features.shared_kv_groups and isinstance(shape, TransformerShape):
        shared = round(shape.heads / shape.kv_heads) in features.shared_kv_groups
    return Abilities(
        features.fused_attention,
        shared,
        features.fused_elementwise,
        c["reread_ratio"],
        c.get("pass_tokens"),
        c["expands"],
    )


def _feasibility(c: Columns, demand: Demand, weights: Any, *, within: Any = True) -> dict[str, Any]:
    """Hold the demand against memory, and weights read in place against storage."""
    answers = fit(demand, c["capacity"], c["utilisation"], weights, c.get("storage"), within)
    share = c["reserve"] / demand.required
    answers["feasibility.memory_required.log_sd"] = share * sqrt(c["var_reserve"])
    return answers


def _fixed(c: Columns, weights: Any) -> Any:
    """Return the memory that does not depend on the batch."""
    return c["reserve"] if "storage" in c else weights + c["reserve"]


def _once(times: Any) -> bool:
    return type(times) is float and times == 1.0


def _times(totals: Totals, times: Any, name: str) -> Totals:
    """Return a table run several times, one of which goes by a name."""
    if _once(times):
        return totals
    return Totals(*(times * part for part in totals._replace(time=named(totals.time, name))))


def _serving(c: Columns) -> dict[str, Any]:
    batch, input_, output = axis(c, "batch"), axis(c, "input"), axis(c, "output")
    shape, formats, abilities, machine = c["shape"], _formats(c), _abilities(c), machine_of(c)
    # Speech longer than a window is read window by window, each with its share of the answer.
    windows = c.get("windows", 1.0)
    each = output if _once(windows) else output / windows
    first = _run(c, "first pass", lambda: first_pass(shape, formats, abilities, batch, input_), machine)
    step = _run(c, "next token", lambda: next_token(shape, formats, abilities, batch, input_, each), machine)
    latency = request_latency(named(first.time, "prefill"), named(step.time, "decode step"), each)
    whole = together(first, step, each - 1.0)
    if not _once(windows):
        latency, whole = windows * named(latency, "window"), _times(whole, windows, "window")
    weights = weight_bytes(shape.parameters, c["weight_width"])
    room = Room(
        _fixed(c, weights), c["capacity"] * c["utilisation"], c["activation_width"], c["kv_width"], c["full_width"],
        c["prefill_tokens"], abilities.fused_attention,
    )  # fmt: skip
    demand = generation_demand(shape, room, batch, input_, each)
    answers = _feasibility(c, demand, weights, within=within_context(shape, input_, each))
    answers |= common_answers(c, whole, latency)
    spread = log_sd(c, whole)
    answers |= {
        "performance.latency": latency,
        "performance.ttft": first.time,
        "performance.tpot": step.time,
        "performance.throughput": sample_rate(batch, latency),
        "performance.token_throughput": output_rate(batch, output, latency),
        "performance.latency.log_sd": spread,
        "performance.ttft.log_sd": log_sd(c, first),
        "performance.tpot.log_sd": log_sd(c, step),
        "performance.throughput.log_sd": spread,
        "performance.token_throughput.log_sd": spread,
        "performance.utilisation.log_sd": spread,
    }
    return answers


def _run(c: Columns, part: str, table: Callable[[], Table], machine: Machine) -> Totals:
    """Lower and time one table of the case; the lowering is remembered, since rates do not change it."""
    return timed(remembered(c, part, lambda: settle(table(), machine)), machine)


def _pass_table(c: Columns, batch: Any) -> Table:
    """Return one forward pass."""
    shape, formats = c["shape"], _formats(c)
    if isinstance(shape, NetworkShape):
        # Guided denoising sees each sample twice, with and without its condition.
        passes, features = c.get("passes", 1.0), c["features"]
        return lower_network(
            shape, formats, batch if _once(passes) else batch * passes, fused=features.fused_elementwise,
            fused_attention=features.fused_attention, cache=c.get("cache", 0.0), reread_ratio=c["reread_ratio"],
        )  # fmt: skip
    sequence = axis(c, "sequence")
    rows = batch * sequence
    table = forward_layers(shape, formats, _abilities(c), batch, sequence, rows)
    table += embedding(shape, formats, batch, rows)
    return table + decoder_tail(shape, formats, batch, batch if shape.causal else rows)


def _inference(c: Columns) -> dict[str, Any]:
    batch, shape, formats = axis(c, "batch"), c["shape"], _formats(c)
    weights = weight_bytes(shape.parameters, c["weight_width"])
    within: Any = True
    if isinstance(shape, NetworkShape):
        each = workspace_bytes(c.get("passes", 1.0), shape.live, formats.activation)
    else:
        sequence, abilities = axis(c, "sequence"), _abilities(c)
        elements = live_elements(shape)
        if not abilities.fused_attention:
            elements = elements + shape.heads * sequence
        each = workspace_bytes(sequence, elements, formats.activation)
        within = sequence <= shape.context if c["is_text"] else True
    totals = _run(c, "pass", lambda: _pass_table(c, batch), machine_of(c))
    totals = _times(totals, c.get("steps", 1.0), "denoising step")
    usable = c["capacity"] * c["utilisation"]
    fixed = _fixed(c, weights)
    demand = Demand(
        fixed + named(batch * named(each, "workspace of a sample"), "workspace"), fitting_batch(usable - fixed, each)
    )
    answers = _feasibility(c, demand, weights, within=within)
    answers |= _rates(c, totals, batch)
    if "rate" in c:
        rate = axis(c, "rate")
        answers["feasibility.keeps_up"] = rate <= answers["performance.throughput"]
        answers["performance.duty"] = busy_share(rate, answers["performance.throughput"])
        answers["performance.duty.log_sd"] = answers["performance.latency.log_sd"]
    return answers


def _rates(c: Columns, totals: Totals, batch: Any) -> dict[str, Any]:
    """Return the outputs of one pass or step."""
    spread = log_sd(c, totals)
    return common_answers(c, totals, totals.time) | {
        "performance.latency": totals.time,
        "performance.throughput": sample_rate(batch, totals.time),
        "performance.latency.log_sd": spread,
        "performance.throughput.log_sd": spread,
        "performance.utilisation.log_sd": spread,
    }


def _training_table(c: Columns, batch: Any, sequence: Any) -> Table:
    """Return forward, backward, recomputation and optimizer."""
    shape, formats, features = c["shape"], _formats(c), c["features"]
    if isinstance(shape, NetworkShape):
        layers = lower_network(
            shape, formats, batch, fused=features.fused_elementwise, training=True,
            fused_attention=features.fused_attention,
        )  # fmt: skip
        outer: Table = []
        tail: Table = []
    else:
        rows = batch * sequence
        layers = forward_layers(shape, formats, _abilities(c), batch, sequence, rows)
        outer = embedding(shape, formats, batch, rows) + decoder_tail(shape, formats, batch, rows)
        tail = [loss(rows, shape.vocab, c["full_width"])] if shape.head else []
    again: Table = []
    if c["recompute"] == "full":
        again = recomputed(layers)
    elif c["recompute"] == "selective" and not features.fused_attention:
        again = recomputed([row for row in layers if row.name in SCORE_ROWS])
    forward = outer + layers
    updated = shape.parameters
    if isinstance(shape, NetworkShape):
        # Of tables only the rows that a batch reads are updated.
        updated = updated - shape.tables + minimum(shape.tables, batch * shape.gathered)
    traffic = optimizer_traffic(
        updated, c["weight_width"], c["weight_passes"], c["gradient_width"], c["master_width"], c["states"],
        c["state_width"],
    )  # fmt: skip
    gradients = backward(forward, fused_attention=features.fused_attention)
    return forward + gradients + again + tail + [optimizer_step(traffic)]


def _training(c: Columns) -> dict[str, Any]:
    batch, sequence, shape = axis(c, "batch"), axis(c, "sequence"), c["shape"]
    totals = _run(c, "step", lambda: _training_table(c, batch, sequence), machine_of(c))
    widths = Widths(c["activation_width"], c["mask_width"], c["full_width"])
    state = gradient_state_bytes(
        shape.parameters, c["weight_width"], c["gradient_width"], c["master_width"], c["states"], c["state_width"]
    )
    if isinstance(shape, NetworkShape) and shape.tables:
        # Gradients of tables exist only for the rows that a batch reads.
        state = state - c["gradient_width"] * (shape.tables - minimum(shape.tables, batch * shape.gathered))
    each = training_activations(
        shape, widths, 1.0, sequence, c["recompute"], fused_attention=c["features"].fused_attention,
        dropout=c["dropout"],
    )  # fmt: skip
    fixed = named(state, "parameters, gradients and optimizer states") + c["reserve"]
    usable = c["capacity"] * c["utilisation"]
    demand = Demand(
        fixed + named(batch * named(each, "activations of a sample"), "activations"),
        fitting_batch(usable - fixed, each),
    )
    answers = fit(
        demand, c["capacity"], c["utilisation"], 0.0, None, sequence <= shape.context if c["is_text"] else True
    )
    answers["feasibility.memory_required.log_sd"] = c["reserve"] / demand.required * sqrt(c["var_reserve"])
    answers |= _rates(c, totals, batch)
    spread = answers["performance.latency.log_sd"]
    answers |= {"performance.step_time": totals.time, "performance.step_time.log_sd": spread}
    if c["is_text"]:
        answers["performance.token_throughput"] = training_token_rate(batch, sequence, totals.time)
        answers["performance.token_throughput.log_sd"] = spread
    steps = steps_of_run(c, batch, sequence)
    if steps is not None:
        answers["performance.run_time"] = run_time(steps, totals.time)
        answers["performance.run_time.log_sd"] = spread
    return answers


_ANSWERS = {"serving": _serving, "training": _training, "inference": _inference}
