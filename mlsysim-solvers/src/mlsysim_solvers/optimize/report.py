"""What a search found, in words: the best layout, why the next one lost, the frontier, what to relax."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlsysim.units import format_quantity

from ..training_declarations import TERMS
from .search import Candidate, Found

_TIE = 1e-9
"""Relative difference of steps below which two layouts are equally fast: rounding of sums."""

__all__ = ["describe", "reason_lost", "report", "table"]

_SHORT = {
    "data": "d",
    "tensor": "t",
    "pipeline": "p",
    "context": "c",
    "expert": "e",
    "virtual": "v",
    "micro_batch": "b",
}


def describe(candidate: Candidate) -> str:
    """Name a layout.

    Parameters
    ----------
    candidate : Candidate
        The layout.

    Returns
    -------
    str
        For example ``t8 p8 d16 v3 b1, sequence parallel, zero 1, recompute full``.
    """
    order = ("tensor", "pipeline", "context", "expert", "data", "virtual", "micro_batch")
    shown = [
        f"{_SHORT[name]}{candidate.axes[name]:.0f}" for name in order
        if candidate.axes[name] > 1 or name in ("tensor", "pipeline", "data", "micro_batch")
    ]  # fmt: skip
    recompute, sequence, zero = candidate.choice
    extra = [*(["sequence parallel"] if sequence else []), f"zero {zero}", f"recompute {recompute}"]
    return f"{' '.join(shown)}, {', '.join(extra)}"


def reason_lost(best: Candidate, other: Candidate) -> str:
    """Say why a layout is worse than the best one.

    Parameters
    ----------
    best, other : Candidate
        The layouts.

    Returns
    -------
    str
    """
    more = {name: other.terms[name] - best.terms[name] for name in TERMS}
    most = max(more, key=lambda name: more[name])
    gap = other.step - best.step
    if gap <= _TIE * best.step:
        return "as fast, and of equals the one that needs less memory is chosen"
    saved = min(more, key=lambda name: more[name])
    text = f"{format_quantity(gap, 's', 3)} slower: {format_quantity(more[most], 's', 3)} more {TERMS[most]}"
    if more[saved] < 0.0:
        text += f", against {format_quantity(-more[saved], 's', 3)} less {TERMS[saved]}"
    return text


def table(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Write layouts as a table.

    Parameters
    ----------
    candidates : sequence of Candidate
        The layouts.

    Yields
    ------
    str
    """
    for one in candidates:
        step, memory = format_quantity(one.step, "s", 4), format_quantity(one.memory, "B", 3)
        yield f"  {one.devices:>6}  {step:>10}  {memory:>9}  {describe(one)}"


def report(found: Found, goal: str) -> Iterator[str]:
    """Write the outcome of a search.

    Parameters
    ----------
    found : Found
        The outcome.
    goal : str
        What was optimised.

    Yields
    ------
    str
    """
    if found.best is None:
        yield from _nothing(found)
        return
    best = found.best
    yield f"best layout ({goal}): {describe(best)} on {best.devices} devices"
    memory, usable = format_quantity(best.memory, "B"), format_quantity(found.usable, "B")
    yield f"  step {format_quantity(best.step, 's')}, memory {memory} of {usable}"
    for name, text in TERMS.items():
        if best.terms[name]:
            value = best.terms[name]
            yield f"    {text:<34} {format_quantity(value, 's', 3):>10}  {value / best.step:>6.1%}"
    if found.runner_up is not None:
        yield f"runner-up: {describe(found.runner_up)}"
        yield f"  {reason_lost(best, found.runner_up)}"
    yield "frontier of step time and memory per device:"
    yield from table(found.frontier[:12])
    yield (
        f"{found.legal:,} legal layouts, {found.fitting:,} fit, {found.evaluated:,} evaluated; "
        "the bound excludes the others"
    )


def _nothing(found: Found) -> Iterator[str]:
    if found.least is None:
        yield "no layout divides the heads, layers, devices and batch: change the batch or the number of devices"
        return
    lacking = found.least.memory - found.usable
    yield f"no layout fits: of {found.legal:,} legal ones, {describe(found.least)} lacks least"
    yield (
        f"  relax memory: it needs {format_quantity(found.least.memory, 'B')} of {format_quantity(found.usable, 'B')}, "
        f"{format_quantity(lacking, 'B')} or {lacking / found.usable:.0%} more per device"
    )
    factor = -(-found.least.memory // found.usable)
    yield f"  or relax the number of devices: about {factor:.0f} times as many divide the model's state further"
