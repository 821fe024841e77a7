"""One device: does it fit, how fast is it, and what binds.

``prepare`` flattens records into columns, ``compute`` answers for floats and for float64
arrays alike. The story of every scenario is the same: lower the model to operators, run
them under the rooflines of device and stack, and hold memory against what may be filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.numeric import is_array, maximum, minimum, sqrt
from mlsysim.records.scenario import Parallelism, Training
from mlsysim.records.stack import Stack
from mlsysim.tracing import named

from .declarations.distributed import OPTIONS
from .execution.device.answers import axis, common_answers, log_sd, machine_of, step_rates, steps_of_run
from .execution.device.architectures import OncePart
from .execution.device.cases import (
    abilities_of,
    feasibility,
    fixed_bytes,
    formats_of,
    is_once,
    later,
    read_before,
    read_tokens,
    repeated,
    room_of,
    run_part,
    turned,
    weights_of,
)
from .execution.device.engine import Totals, together
from .execution.device.memory import Demand, fit, live_elements
from .execution.device.preparation import prepare_columns
from .execution.device.sequences import generation_demand, within_context
from .execution.device.sharing import answered
from .execution.training.issuing import issue_columns, issued_pass, scaling_columns
from .execution.training.schedule import one_device
from .execution.training.state import held, memory_log_sd
from .execution.training.state_columns import state_columns
from .formulas.memory import fitting_batch, gradient_state_bytes, weight_bytes, workspace_bytes
from .formulas.optimizer import optimizer_traffic
from .formulas.pipeline import micro_batches
from .formulas.reliability import checkpoint_bytes
from .formulas.serving import busy_share, output_rate, request_latency, sample_rate
from .formulas.training import run_time, training_token_rate
from .lowering.attention import SCORE_ROWS
from .lowering.casts import casts
from .lowering.in_order import in_order
from .lowering.network import NetworkKernels, NetworkShape, lower_network
from .lowering.operators import Operator, Table, resident
from .lowering.parallel import Division, dropouts, part_of
from .lowering.serving import first_pass, next_token
from .lowering.shape import TransformerShape, widest
from .lowering.spatial import spatial
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
            SI numbers under the names of :data:`mlsysim_solvers.declarations.single_node.COLUMNS`, and objects
            that never vary (shape, features, tiles, assumptions) under other names.

        Raises
        ------
        ConfigError
            If the workload does not suit the model, the device or the stack.
        SolverError
            If it needs more than one device, or a number that nobody knows.
        """
        workload = request.scenario.workload
        name = next((n for n in OPTIONS if getattr(workload, n)), "") if isinstance(workload, Training) else ""
        if name:
            raise ConfigError(
                f"{name} is answered by the distributed solver only", where=f"workload.{name}",
                remedy='Set performance = "distributed" under [solvers], for one device too, or leave it out',
            )  # fmt: skip
        columns = prepare_columns(request)
        columns |= scaling_columns(workload, request.records["stack"].features, columns)
        if isinstance(workload, Training) and isinstance(columns["shape"], TransformerShape):
            columns |= state_columns(workload, Parallelism(), request.records["model"], columns)
            columns |= _host_columns(workload, request.records["stack"], columns["shape"])
        return columns

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
            Outputs in SI under the names of :data:`mlsysim_solvers.declarations.single_node.OUTPUTS`;
            ``<output>.log_sd`` beside those that carry an interval.
        """
        answer = _ANSWERS[columns["kind"]]
        # Prompts and answers vary from row to row; what else a model reads depends on the batch only.
        return answer(columns) if columns["kind"] == "serving" else answered(answer, columns, ("batch",))


def _serving(c: Columns) -> dict[str, Any]:
    batch, input_, output = axis(c, "batch"), axis(c, "input"), axis(c, "output")
    shape, formats, abilities, machine = c["shape"], formats_of(c), abilities_of(c), machine_of(c)
    # Speech longer than a window is read window by window, each with its share of the answer.
    windows = c.get("windows", 1.0)
    each = output if is_once(windows) else output / windows
    tokens = read_tokens(c, input_)
    first = run_part(c, "first pass", lambda: first_pass(shape, formats, abilities, batch, tokens), machine)
    rates, known = step_rates(c, machine, batch)
    step = run_part(c, "next token", lambda: next_token(shape, formats, abilities, batch, input_, each), rates)
    first, step = turned(c, first), turned(c, step)
    if c["features"].decoded_first:
        first = together(read_before(first, input_), step, 1.0)
    latency = request_latency(named(first.time, "prefill"), named(step.time, "decode step"), each)
    whole = together(first, step, each - 1.0)
    if not is_once(windows):
        latency, whole = windows * named(latency, "window"), repeated(whole, windows, "window")
    weights = weights_of(c, shape)
    demand = generation_demand(shape, room_of(c, weights), batch, input_, each)
    answers = feasibility(c, demand, weights, within=within_context(shape, input_, each))
    answers |= common_answers(c, whole, latency)
    spread = log_sd(known, whole)
    answers |= {
        "performance.latency": latency,
        "performance.ttft": first.time,
        "performance.tpot": step.time,
        "performance.throughput": sample_rate(batch, latency),
        "performance.token_throughput": output_rate(batch, output, latency),
        "performance.latency.log_sd": spread,
        "performance.ttft.log_sd": log_sd(c, first),
        "performance.tpot.log_sd": log_sd(known, step),
        "performance.throughput.log_sd": spread,
        "performance.token_throughput.log_sd": spread,
        "performance.utilisation.log_sd": spread,
    }
    return answers


def _network_kernels(c: Columns) -> NetworkKernels:
    features = c["features"]
    return NetworkKernels(
        features.fused_elementwise, features.fused_attention, features.gathers_windows, c["winograd"], c["transposes"],
        c["head_step"],
    )  # fmt: skip


def _pass_table(c: Columns, batch: Any) -> Table:
    """Return one forward pass."""
    shape, formats = c["shape"], formats_of(c)
    if isinstance(shape, NetworkShape):
        # Guided denoising sees each sample twice, with and without its condition.
        passes = c.get("passes", 1.0)
        table = lower_network(shape, formats, batch if is_once(passes) else batch * passes, _network_kernels(c))
    else:
        sequence = axis(c, "sequence")
        rows = batch * sequence
        table = forward_layers(shape, formats, abilities_of(c), batch, sequence, rows)
        table += embedding(shape, formats, batch, rows)
        table += decoder_tail(shape, formats, batch, batch if shape.causal else rows)
    if "contexts" in c:
        return spatial(table, c["contexts"])
    if "result_work" in c:
        return in_order(table, batch)
    return resident(table, c["cache"], c["reread_ratio"]) if "cache" in c else table


def _inference(c: Columns) -> dict[str, Any]:
    batch, shape, formats = axis(c, "batch"), c["shape"], formats_of(c)
    parts = c.get("parts", ())
    weights = weight_bytes(shape.parameters + sum(part.shape.parameters for part in parts), c["weight_width"])
    within: Any = True
    if isinstance(shape, NetworkShape):
        each = workspace_bytes(c.get("passes", 1.0), shape.live, formats.activation)
        for part in parts:
            own = workspace_bytes(_passes_of(c, part), part.shape.live, formats.activation)
            each = maximum(each, own)
    else:
        sequence, abilities = axis(c, "sequence"), abilities_of(c)
        elements = live_elements(shape)
        if not abilities.fused_attention:
            elements = elements + widest(shape, lambda one: one.heads) * sequence
        each = workspace_bytes(sequence, elements, formats.activation)
        within = sequence <= shape.context if c["is_text"] else True
    totals = turned(c, run_part(c, "pass", lambda: _pass_table(c, batch), machine_of(c)))
    totals = repeated(totals, c.get("steps", 1.0), "denoising step")
    for part in parts:
        once = {**c, "shape": part.shape, "passes": _passes_of(c, part)}
        totals = together(totals, run_part(c, part.name, partial(_pass_table, once, batch), machine_of(c)), 1.0)
    answers = feasibility(c, _inference_demand(c, weights, batch, each), weights, within=within)
    answers |= _rates(c, totals, batch)
    if "contexts" in c:
        answers.pop("feasibility.max_batch")  # any batch fits as one sample does
    if "rate" in c:
        rate = axis(c, "rate")
        answers["feasibility.keeps_up"] = rate <= answers["performance.throughput"]
        answers["performance.duty"] = busy_share(rate, answers["performance.throughput"])
        answers["performance.duty.log_sd"] = answers["performance.latency.log_sd"]
    return answers


def _passes_of(c: Columns, part: OncePart) -> Any:
    """Return how often a sample passes a network that runs once beside the denoiser."""
    return c.get("passes", 1.0) if part.guided else 1.0


def _inference_demand(c: Columns, weights: Any, batch: Any, each: Any) -> Demand:
    """Return what weights and the maps of a batch need."""
    if "contexts" in c:
        # Of a map only the lines that a layer still reads are kept, and samples follow one another.
        return Demand(weights / c["contexts"] + c["reserve"], batch)
    usable = c["capacity"] * c["utilisation"]
    fixed = fixed_bytes(c, weights)
    return Demand(
        fixed + named(batch * named(each, "workspace of a sample"), "workspace"), fitting_batch(usable - fixed, each)
    )


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


def _forward_tables(c: Columns, batch: Any, sequence: Any) -> tuple[Table, Table]:
    """Return the forward pass of training: what stands around the layers, and the layers."""
    shape, formats, features = c["shape"], formats_of(c), c["features"]
    if isinstance(shape, NetworkShape):
        return [], lower_network(shape, formats, batch, _network_kernels(c), training=True)
    rows = batch * sequence
    outer = embedding(shape, formats, batch, rows) + decoder_tail(shape, formats, batch, rows)
    layers = forward_layers(shape, formats, abilities_of(c), batch, sequence, rows, kept=True)
    if "scaling" in c:
        layers += casts(layers, formats, scaling=c["scaling"])
    if is_array(c["dropout"]) or c["dropout"]:
        part = part_of(shape, formats, Division(1.0, 1.0, 1.0, sequence=False), batch, sequence)
        layers = layers + dropouts(part, c["mask_width"], c["dropout"], scores=not features.fused_attention)
    return outer, layers


def _forward_table(c: Columns, batch: Any, sequence: Any) -> Table:
    """Return the forward pass of training alone."""
    outer, layers = _forward_tables(c, batch, sequence)
    return outer + layers


def _passes(c: Columns, batch: Any, sequence: Any) -> Table:
    """Return forward, backward and recomputation."""
    shape, features = c["shape"], c["features"]
    outer, layers = _forward_tables(c, batch, sequence)
    tail: Table = []
    if not isinstance(shape, NetworkShape) and shape.head:
        tail = [loss(batch * sequence, shape.vocab, c["full_width"])]
    again: Table = []
    if c["recompute"] == "full":
        again = recomputed(layers)
    elif c["recompute"] == "selective" and not features.fused_attention:
        again = recomputed([row for row in layers if row.name in SCORE_ROWS])
    forward = outer + layers
    return forward + backward(forward, fused_attention=features.fused_attention) + again + tail


def _update(c: Columns, batch: Any) -> Operator:
    """Return the optimizer."""
    shape = c["shape"]
    updated = shape.parameters
    if isinstance(shape, NetworkShape):
        # Of tables only the rows that a batch reads are updated.
        updated = updated - shape.tables + minimum(shape.tables, batch * shape.gathered)
    traffic = optimizer_traffic(
        updated, c.get("optimizer_width", c["weight_width"]), c["weight_passes"], c["gradient_width"],
        c["master_width"], c["states"], c["state_width"],
    )  # fmt: skip
    return optimizer_step(traffic)


def _step(c: Columns, batch: Any, micro: Any, sequence: Any) -> Totals:
    """Return what a step takes: the optimizer comes once for all micro-batches, whose gradients are added up."""
    machine = machine_of(c)
    if micro is batch and "layer_issue" not in c:
        return run_part(c, "step", lambda: [*_passes(c, batch, sequence), _update(c, batch)], machine)
    each = run_part(c, "micro-batch", lambda: _passes(c, micro, sequence), machine)
    end = run_part(c, "optimizer", lambda: [_update(c, batch)], machine)
    if "layer_issue" in c:
        each = _issued(c, each, 4.0 if c["recompute"] == "full" else 3.0)
        end = later(end, named(c["step_end"], "end of a step"))
    passes = repeated(each, 1.0 if micro is batch else micro_batches(batch, micro), "micro-batch")
    passes = passes._replace(time=named(passes.time, "passes over the batch"))
    return together(end, passes, 1.0)


def _host_columns(workload: Training, stack: Stack, shape: TransformerShape) -> dict[str, Any]:
    """Return what the host takes to issue the layers of a training pass, and at the end of a step, where known."""
    ceilings = stack.ceilings
    if ceilings.host is None and ceilings.step is None and not shape.experts:
        return {}
    host = issued_pass(issue_columns(workload, stack.features, ceilings, shape), shape)
    return {"layer_issue": host, "step_end": 0.0 if ceilings.step is None else ceilings.step}


def _issued(c: Columns, totals: Totals, passes: float) -> Totals:
    """Return passes over all layers that wait for the host where that issues kernels more slowly than they run."""
    issued = passes * c["shape"].layers * c["layer_issue"]
    return later(totals, named(maximum(0.0, issued - totals.time), "waiting for the host"))


def _training_memory(c: Columns, batch: Any, micro: Any, within: Any) -> dict[str, Any]:
    """Return what the state of the model and the activations of a micro-batch need, and whether it fits."""
    shape = c["shape"]
    if isinstance(shape, TransformerShape):
        fullest, largest = held(c, one_device(shape, batch, micro))
        demand, spread = Demand(fullest.required, largest), memory_log_sd(c, fullest)
    else:
        demand = _network_demand(c, shape, batch, micro)
        spread = c["reserve"] / demand.required * sqrt(c["var_reserve"])
    answers = fit(demand, c["capacity"], c["utilisation"], 0.0, None, within)
    return answers | {"feasibility.memory_required.log_sd": spread}


def _network_demand(c: Columns, shape: NetworkShape, batch: Any, micro: Any) -> Demand:
    state = gradient_state_bytes(
        shape.parameters, c["weight_width"], c["gradient_width"], c["master_width"], c["states"], c["state_width"]
    )
    if shape.tables:
        # Gradients of tables exist only for the rows that a batch reads.
        state = state - c["gradient_width"] * (shape.tables - minimum(shape.tables, batch * shape.gathered))
    each = workspace_bytes(1.0, shape.kept, c["activation_width"])
    fixed = named(state, "parameters, gradients and optimizer states") + c["reserve"]
    return Demand(
        fixed + named(micro * named(each, "activations of a sample"), "activations"),
        fitting_batch(c["capacity"] * c["utilisation"] - fixed, each),
    )


def _training(c: Columns) -> dict[str, Any]:
    batch, sequence, shape = axis(c, "batch"), axis(c, "sequence"), c["shape"]
    micro = axis(c, "micro_batch") if "micro_batch" in c else batch
    totals = _step(c, batch, micro, sequence)
    answers = _training_memory(c, batch, micro, sequence <= shape.context if c["is_text"] else True)
    answers |= _rates(c, totals, batch)
    spread = answers["performance.latency.log_sd"]
    answers |= {"performance.step_time": totals.time, "performance.step_time.log_sd": spread}
    if c["is_text"]:
        answers["performance.token_throughput"] = training_token_rate(batch, sequence, totals.time)
        answers["performance.token_throughput.log_sd"] = spread
    answers["performance.checkpoint_size"] = checkpoint_bytes(
        shape.parameters, c.get("stored_width", c["weight_width"]), c["master_width"], c["states"], c["state_width"]
    )
    if c["evaluates"]:
        forward = run_part(c, "forward pass", lambda: _forward_table(c, batch, sequence), machine_of(c))
        forward = _issued(c, forward, 1.0) if "layer_issue" in c else forward
        answers |= {"performance.forward_time": forward.time, "performance.forward_time.log_sd": spread}
    steps = steps_of_run(c, batch, sequence)
    if steps is not None:
        answers["performance.run_time"] = run_time(steps, totals.time)
        answers["performance.run_time.log_sd"] = spread
    return answers


_ANSWERS = {"serving": _serving, "training": _training, "inference": _inference}
