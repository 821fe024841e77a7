"""What a search found, in words: the best layout, why the next one lost, the frontier, what to relax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlsysim.units import format_quantity

from ..declarations.distributed import TERMS
from .goals import Goal, step_goal
from .search import Candidate, Found

_TIE = 1e-9
"""Relative difference of steps below which two layouts are equally fast: rounding of sums."""

_ABOVE = 1.005
"""What covers the rounding to three digits of a limit that is proposed."""

__all__ = ["compared", "describe", "plain", "reason_lost", "report", "scenario_lines", "table", "too_slow"]

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


def reason_lost(best: Candidate, other: Candidate, goal: Goal | None = None) -> str:
    """Say why a layout is worse than the best one.

    Parameters
    ----------
    best, other : Candidate
        The layouts.
    goal : Goal, optional
        What was minimised; the step by default.

    Returns
    -------
    str
    """
    gap = other.value - best.value
    if gap <= _TIE * best.value:
        return "as good, and of equals the one that is faster, or needs less memory, is chosen"
    if goal is None or goal.unit == "s":
        return _slower(best, other)
    words = f"{gap / best.value:.2%} more {goal.label}"
    if other.step < best.step:
        return f"{words}, though its step is {1.0 - other.step / best.step:.2%} shorter"
    return f"{words}; {_slower(best, other)}"


def _slower(best: Candidate, other: Candidate) -> str:
    """Say which terms of the step make a layout slower."""
    more = {name: other.terms[name] - best.terms[name] for name in TERMS}
    most = max(more, key=lambda name: more[name])
    gap = other.step - best.step
    if gap <= _TIE * best.step:
        return "as fast"
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


def report(found: Found, goal: Goal | None = None) -> Iterator[str]:
    """Write the outcome of a search.

    Parameters
    ----------
    found : Found
        The outcome.
    goal : Goal, optional
        What was minimised; the step by default.

    Yields
    ------
    str
    """
    if found.best is None:
        yield from _nothing(found)
        return
    best, goal = found.best, goal or step_goal()
    yield f"best layout ({goal.name}): {describe(best)} on {best.devices} devices"
    if goal.label != "step":
        yield f"  {goal.label} {format_quantity(best.value, goal.unit)}"
    if goal.note:
        yield f"  note: {goal.note}"
    yield from _where_it_goes(found, best)
    yield "  in a scenario:"
    yield from (f"    {line}" for line in scenario_lines(best))
    if found.runner_up is not None:
        yield f"runner-up: {describe(found.runner_up)}"
        yield f"  {reason_lost(best, found.runner_up, goal)}"
    yield f"frontier of {'step time' if goal.label == 'step' else goal.label} and memory per device:"
    yield from table(found.frontier[:12])
    yield (
        f"{found.legal:,} legal layouts, {found.fitting:,} fit, {found.evaluated:,} evaluated; "
        "the bound excludes the others"
    )
    yield f"letters: {', '.join(f'{letter} {name}' for name, letter in _SHORT.items()).replace('_', '-')}"


def scenario_lines(candidate: Candidate) -> Iterator[str]:
    """Write a layout as the keys of a scenario that ask for it.

    Parameters
    ----------
    candidate : Candidate
        The layout.

    Yields
    ------
    str
        Lines of TOML.
    """
    recompute, sequence, zero = candidate.choice
    said = f'recompute = "{recompute}" under [workload], devices = {candidate.devices} under [system]'
    yield f"[parallelism]    # with {said}"
    for name, value in candidate.axes.items():
        if value > 1 or name == "micro_batch":
            yield f"{name} = {value:.0f}"
    yield from ("sequence = true",) * bool(sequence)
    yield f"zero = {zero}"


def too_slow(found: Found, limit: float) -> Iterator[str]:
    """Write that no layout keeps the limit of the step, and by how much the fastest one misses it.

    Parameters
    ----------
    found : Found
        The outcome on the number of devices with the shortest step.
    limit : float, s
        Longest step allowed.

    Yields
    ------
    str
    """
    best = found.best
    if best is None:
        return
    taken, times = format_quantity(best.step, "s"), format_quantity(best.step / limit, "1", 3)
    allowed = format_quantity(limit, "s")
    yield f"no layout keeps a step within {allowed}: the shortest takes {taken}, {times} times as long"
    yield f"  relax --within to {format_quantity(best.step * _ABOVE, 's', 3)}, or try more devices"
    yield f"shortest step, which is too long: {describe(best)} on {best.devices} devices"
    yield from _where_it_goes(found, best)


def compared(outcomes: Sequence[Found], goal: Goal) -> Iterator[str]:
    """Write the best layout of each number of devices side by side.

    Parameters
    ----------
    outcomes : sequence of Found
        One for each number of devices that reaches the limits.
    goal : Goal
        What was minimised.

    Yields
    ------
    str
        Nothing for a single number.
    """
    if len(outcomes) < 2:
        return
    yield f"by number of devices: step, {goal.label if goal.label != 'step' else 'device time'}"
    for one in (found.best for found in outcomes):
        if one is not None:
            value = (one.value, goal.unit) if goal.label != "step" else (one.devices * one.step, "s")
            yield f"  {one.devices:>6}  {format_quantity(one.step, 's', 4):>10}  {format_quantity(*value):>14}"


def plain(
    tried: Sequence[tuple[Goal, Found]],
    best: tuple[Goal, Found] | None,
    left_out: Mapping[int, str],
    assumptions: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the outcomes of a search as plain data.

    Parameters
    ----------
    tried : sequence of (Goal, Found)
        One for each number of devices that was searched.
    best : (Goal, Found) or None
        The one of them that is best, where any keeps the limits.
    left_out : mapping of int to str
        Numbers of devices that were not searched, and why.
    assumptions : sequence of str
        What was assumed where the scenario is silent.

    Returns
    -------
    dict
        Numbers in SI.
    """

    def layout(one: Candidate | None) -> dict[str, Any] | None:
        if one is None:
            return None
        return {**one._asdict(), "choice": one.choice._asdict(), "text": describe(one)}

    return {
        "best": None if best is None else layout(best[1].best),
        "searches": [
            {"goal": goal.name, "value": goal.label, "unit": goal.unit, "note": goal.note, "legal": found.legal,
             "fitting": found.fitting, "evaluated": found.evaluated, "memory_usable": found.usable,
             "best": layout(found.best), "runner_up": layout(found.runner_up),
             "sure": layout(found.sure), "nearest": layout(found.least),
             "frontier": [layout(one) for one in found.frontier]}
            for goal, found in tried
        ],
        "left_out": {str(devices): why for devices, why in left_out.items()},
        "assumptions": list(assumptions),
    }  # fmt: skip


def _where_it_goes(found: Found, best: Candidate) -> Iterator[str]:
    memory, usable = format_quantity(best.memory, "B"), format_quantity(found.usable, "B")
    yield f"  step {format_quantity(best.step, 's')}, memory {memory} of {usable}"
    yield from _how_sure(found, best)
    for name, text in TERMS.items():
        if best.terms[name]:
            value = best.terms[name]
            yield f"    {text:<34} {format_quantity(value, 's', 3):>10}  {value / best.step:>6.1%}"


def _how_sure(found: Found, best: Candidate) -> Iterator[str]:
    """Warn where memory has less to spare than it is uncertain by, and name the best layout that surely fits."""
    if best.memory_high <= found.usable:
        return
    yield f"  may not fit: the 90 % interval of its memory reaches {format_quantity(best.memory_high, 'B')}"
    if found.sure is None:
        yield "  no layout on the frontier fits at the upper end of its interval"
        return
    yield f"  surely fits: {describe(found.sure)}, memory up to {format_quantity(found.sure.memory_high, 'B')}"
    longer = found.sure.step / best.step - 1.0
    more = "more" if longer >= 0 else "less"
    yield f"    its step takes {format_quantity(found.sure.step, 's')}, {abs(longer):.1%} {more}"


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
