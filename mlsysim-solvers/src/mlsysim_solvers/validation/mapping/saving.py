"""How a published run saved memory where its row leaves that open: as little as fits, in the order of its stack."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable

import attrs

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import ask
from mlsysim.records import Model, Scenario, Training
from mlsysim.records.measurement import Measurement

from ..questions import Assumed
from .common import Subject, cell

__all__ = ["fits", "modules_of", "recomputed_layers", "saved"]

ORDER = "fused > full > chunked > chunked, states > chunked, states, half > again, chunked > again, chunked, states"
"""What is tried where the stack declares no order: single ways, or several together."""

_LEAN = ("fused", "chunked", "states", "half", "paged", "early")
"""Ways that change hardly any time: updates in one kernel, which all others take too, a loss that goes through the
vocabulary piece by piece, optimizer states in 8 bits, weights in 16 bits without a copy in 32, optimizer states in host
memory, and an optimizer in the backward pass."""

SAVED_PRODUCTS = {
    "save_dot_except_logits_ffn1": "attention, norm, activation, mlp",
    "save_dot_except_logits": "attention, norm, activation",
    "minimal": "attention, norm, activation",
}
"""Policies that keep the results of products, and the parts of a layer that they do again: read from their names, and
from the policies of AI-Hypercomputer MaxText, layers/decoders.py, that save all products but some of an MLP, or, as
``minimal``, those without batch dimensions: not attention. Of an MLP that is done again a compiler leaves out the last
product, which no gradient needs."""

_DIVIDED = 0.1
"""How much it may move a prediction that states are divided where no row says so (natural-log units; estimate)."""

_LAYERS = re.compile(r"(\d+) layers")


def modules_of(row: Measurement) -> str:
    """Return the parts of a layer that a published policy does again.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    str
        With commas; empty where the row names no such policy.
    """
    return SAVED_PRODUCTS.get(cell(row, "recompute").lower(), "")


def recomputed_layers(row: Measurement) -> int:
    """Return how many layers of a stage a row says were recomputed.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    int
        0 for all, or where it does not say.
    """
    found = _LAYERS.search(cell(row, "recompute"))
    return int(found[1]) if found else 0


def fits(asked: Scenario) -> bool:
    """Tell whether a scenario fits its devices.

    Parameters
    ----------
    asked : Scenario
        The scenario.

    Returns
    -------
    bool
        True where no solver says.
    """
    config = SimulationConfig.from_scenario(asked)
    for question, _, result in ask(config):
        if question == "performance":
            return not isinstance(result, str) and bool(result.outputs["feasibility.fits"])
    return True


def saved(asked: Scenario, row: Measurement, found: Subject, assumed: list[Assumed]) -> Scenario:
    """Return the scenario with the least saving of memory with which the run fits: it ran.

    Parameters
    ----------
    asked : Scenario
        As published.
    row : Measurement
        The row.
    found : Subject
        Its stack, which declares the order in which users of it save memory.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    Scenario
        As given where it fits, or where nothing that is open helps.
    """
    if fits(asked):
        return asked
    # Several devices divide what one can only do again.
    steps = [name for name in _order(found) if asked.system.devices == 1 or "again" not in name]
    job = asked.workload
    assert isinstance(job, Training)
    if cell(row, "recompute"):
        # What is called selective may be some of the layers, done again whole.
        some = {"half"} | ({"full"} if job.recompute == "selective" else set())
        steps = [name for name in steps if name in some or name.split(",")[0] in _LEAN]
    for base, divided in _divided(asked, row):
        less = [(base, "", 0.0)] if divided and fits(base) else []
        for better, what, spread in (*less, *(one for name in steps if (one := _changed(base, name)))):
            whole = " and ".join(part for part in (divided, what) if part)
            also = math.hypot(spread, _DIVIDED if divided else 0.0)
            assumed.append(Assumed(f"{whole}, which the row does not state: without it the run would not fit", also))
            return better
    return asked


def _order(found: Subject) -> list[str]:
    """Return the ways in which users of a stack save memory, in their order."""
    said = found.says("saving")
    return [step.strip() for step in (ORDER if said is None else said.value).split(">")]


def _divided(asked: Scenario, row: Measurement) -> list[tuple[Scenario, str]]:
    """Return the scenario, and what a row that is silent leaves open: what is divided, which costs no work.

    States, or all, may be divided over copies, and norms over tensor-parallel groups.
    """
    layout = asked.parallelism
    stages: list[tuple[int, str]] = [(layout.zero, "")]
    if layout.data * layout.context > 1 and not layout.zero and not cell(row, "zero_stage_or_fsdp"):
        stages += [(1, "optimizer states divided over copies"), (3, "weights, gradients and states divided")]
    norms = [(layout.sequence, "")]
    if layout.tensor > 1 and not layout.sequence and not cell(row, "sequence_parallel"):
        norms.append((True, "sequence parallelism"))
    found = []
    for divided in (stages[:2], stages[2:]):
        for sequence, beside in norms:
            for zero, what in divided:
                if zero < 3 or layout.pipeline == 1:
                    parts = attrs.evolve(layout, zero=zero, sequence=sequence)  # type: ignore[arg-type]
                    said = ", ".join(part for part in (what, beside) if part)
                    found.append((attrs.evolve(asked, parallelism=parts), said))
    return found


def _changed(asked: Scenario, name: str) -> tuple[Scenario, str, float] | None:
    """Try one way of saving memory."""
    job = asked.workload
    assert isinstance(job, Training)
    parts = [part.strip() for part in name.split(",")]
    if name not in ("offload", "full"):
        return _lean(asked, parts)
    if name == "offload":
        if asked.parallelism.pipeline > 1:
            return None
        return _least(
            asked, lambda n: attrs.evolve(job, offload=True, offload_layers=n),
            "activations of {} layers in host memory", 0.05,
        )  # fmt: skip
    return _least(
        asked, lambda n: attrs.evolve(job, recompute="full", recompute_layers=n, recompute_modules=""),
        "recomputation of {} layers of each stage", 0.1,
    )  # fmt: skip


def _lean(asked: Scenario, parts: list[str]) -> tuple[Scenario, str, float] | None:
    """Try ways that change hardly any time, together."""
    job, said = asked.workload, []
    assert isinstance(job, Training)
    solver = "distributed" if asked.system.devices > 1 or job.adapter else "single-node"
    chosen = {**asked.settings.get(solver, {}), "fused_updates": "1"}
    if "again" in parts:
        job = attrs.evolve(job, recompute="full")
        said.append("recomputation of all layers")
    if "fused" in parts:
        said.append("updates of parameters in one kernel")
    if "chunked" in parts:
        chosen["chunked_loss"] = "1"
        said.append("a loss that goes through the vocabulary piece by piece")
    if "states" in parts:
        job = attrs.evolve(job, optimizer="adam8bit")
        said.append("optimizer states in 8 bits")
    if "half" in parts:
        job = attrs.evolve(job, master="")
        said.append("weights and optimizer states in 16 bits" if parts == ["half"] else "no weights in 32 bits")
    if ("paged" in parts or "early" in parts) and job.adapter:
        return None
    if "paged" in parts:
        job = attrs.evolve(job, offload_optimizer=1.0)
        said.append("optimizer states in host memory")
    if "early" in parts:
        job = attrs.evolve(job, optimizer_in_backward=True)
        said.append("an optimizer in the backward pass")
    less = attrs.evolve(asked, workload=job, settings={**asked.settings, solver: chosen})
    return (less, ", ".join(said), 0.1 if "again" in parts else 0.05) if fits(less) else None


def _least(
    asked: Scenario, job: Callable[[int], Training], what: str, spread: float
) -> tuple[Scenario, str, float] | None:
    """Find the fewest layers with which a run fits."""
    config = SimulationConfig.from_scenario(asked)
    model: Model = config.entries["model"].record
    assert model.transformer is not None

    def tried(layers: int) -> Scenario:
        return attrs.evolve(asked, workload=job(layers))

    most = -(-int(model.transformer.layers) // asked.parallelism.pipeline)
    if not fits(tried(most)):
        return None
    least = bisect_left(range(most), x=True, lo=1, hi=most, key=lambda layers: fits(tried(layers)))
    return tried(least), what.format(least), spread
