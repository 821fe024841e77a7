"""Pictures of a training step: where its time goes, and who does what when in the pipeline. Also as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mlsysim.plotting import plain_axes, save
from mlsysim.plotting import title as heading
from mlsysim.units import format_quantity

from .declarations.distributed import TERMS

__all__ = ["Slot", "gantt", "gantt_lines", "plot_gantt", "plot_step", "step_lines", "terms_of"]


class Slot(NamedTuple):
    """One piece of work of one stage.

    Parameters
    ----------
    stage, micro_batch, chunk : int
        Who does what, from 0.
    back : bool
        Whether it is a backward pass.
    start, end : float, s
        When.
    """

    stage: int
    micro_batch: int
    chunk: int
    back: bool
    start: float
    end: float


def _order(stage: int, stages: int, rounds: int, virtual: int, schedule: str) -> list[tuple[bool, int, int]]:
    """Return the order in which a stage works: (backward, micro-batch, chunk)."""
    if schedule == "gpipe":
        return [(False, m, 0) for m in range(rounds)] + [(True, m, 0) for m in range(rounds)]
    total = rounds * virtual

    def _unit(k: int, *, back: bool) -> tuple[bool, int, int]:
        group, inside = divmod(k, stages * virtual)
        chunk, micro = divmod(inside, stages)
        return back, group * stages + micro, virtual - 1 - chunk if back else chunk

    if virtual == 1:
        warm = min(stages - stage - 1, rounds)
        ahead = [(False, m, 0) for m in range(rounds)]
        behind = [(True, m, 0) for m in range(rounds)]
    else:
        warm = min((stages - stage - 1) * 2 + (virtual - 1) * stages, total)
        ahead = [_unit(k, back=False) for k in range(total)]
        behind = [_unit(k, back=True) for k in range(total)]
    mixed: list[tuple[bool, int, int]] = list(ahead[:warm])
    for k in range(total - warm):
        mixed += [ahead[warm + k], behind[k]]
    return mixed + behind[total - warm :]


def gantt(
    stages: int, rounds: int, virtual: int, forward: float, backward: float, schedule: str = "1f1b"
) -> list[Slot]:
    """Play a pipeline schedule through, stage by stage.

    Parameters
    ----------
    stages, rounds, virtual : int, count
        Pipeline stages, micro-batches, chunks per stage.
    forward, backward : float, s
        Time of a stage for one micro-batch, all chunks together.
    schedule : str
        1f1b or gpipe; interleaved where there are chunks.

    Returns
    -------
    list of Slot
        A pass starts when the stage is free and the pass before it in the model has ended.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473, figures 3 and 4.
    """
    waiting = [_order(s, stages, rounds, virtual, schedule) for s in range(stages)]
    ends: dict[tuple[bool, int, int, int], float] = {}
    free, slots = [0.0] * stages, []
    while any(waiting):
        moved = False
        for s in range(stages):
            while waiting[s]:
                back, micro, chunk = waiting[s][0]
                before = _before(back, micro, chunk, s, stages, virtual)
                if before is not None and before not in ends:
                    break
                start = max(free[s], ends[before] if before is not None else 0.0)
                free[s] = start + (backward if back else forward) / virtual
                ends[back, micro, chunk, s] = free[s]
                slots.append(Slot(s, micro, chunk, back, start, free[s]))
                waiting[s].pop(0)
                moved = True
        if not moved:
            raise ValueError(f"the schedule {schedule} of {stages} stages and {rounds} micro-batches is stuck")
    return slots


def _before(
    back: bool, micro: int, chunk: int, stage: int, stages: int, virtual: int
) -> tuple[bool, int, int, int] | None:
    """Return the pass whose result a pass needs."""
    if not back:
        if stage:
            return False, micro, chunk, stage - 1
        return (False, micro, chunk - 1, stages - 1) if chunk else None
    if stage < stages - 1:
        return True, micro, chunk, stage + 1
    return (True, micro, chunk + 1, 0) if chunk < virtual - 1 else (False, micro, chunk, stage)


def gantt_lines(slots: list[Slot], width: int = 100) -> Iterator[str]:
    """Write a schedule as text: digits are forward passes, letters backward passes, dots waiting.

    Parameters
    ----------
    slots : list of Slot
        The schedule.
    width : int, count
        Characters of the longest line.

    Yields
    ------
    str
    """
    last = max(slot.end for slot in slots)
    for stage in range(1 + max(slot.stage for slot in slots)):
        line = ["."] * width
        for slot in slots:
            if slot.stage == stage:
                mark = "abcdefghij"[slot.micro_batch % 10] if slot.back else str(slot.micro_batch % 10)
                for x in range(round(slot.start / last * width), max(round(slot.end / last * width), 1)):
                    line[min(x, width - 1)] = mark
        yield f"stage {stage:>3} {''.join(line)}"


def terms_of(evaluation: Any) -> dict[str, float]:
    """Read where a step goes from a scorecard.

    Parameters
    ----------
    evaluation : SystemEvaluation
        Of a training scenario on several devices.

    Returns
    -------
    dict of str to float, s
    """
    return {name: float(evaluation.answers[f"performance.breakdown_{name}"].value) for name in TERMS}


def step_lines(terms: Mapping[str, float], width: int = 50) -> Iterator[str]:
    """Write a step as bars.

    Parameters
    ----------
    terms : mapping of str to float, s
        Time of each term.
    width : int, count
        Characters of the whole step.

    Yields
    ------
    str
    """
    step = sum(terms.values())
    for name, value in terms.items():
        if value > 0.0:
            bar = "#" * max(1, round(value / step * width))
            yield f"{TERMS[name]:<34} {format_quantity(value, 's', 3):>10} {value / step:>6.1%}  {bar}"


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plot_step(terms: Mapping[str, float], path: str, *, title: str = "") -> None:
    """Draw a step as one stacked bar.

    Parameters
    ----------
    terms : mapping of str to float, s
        Time of each term.
    path : str
        ``.svg``, ``.png`` or ``.pdf``.
    title : str
        Heading.
    """
    figure = _figure((8.0, 3.0))
    axes = figure.add_subplot()
    left = 0.0
    for name, value in terms.items():
        if value > 0.0:
            axes.barh([0], [value], left=left, label=f"{TERMS[name]} {format_quantity(value, 's', 3)}")
            left += value
    axes.set(xlabel="time of a step (s)", yticks=[], xlim=(0.0, left))
    heading(axes, title)
    plain_axes(axes)
    # A legend of the figure has room of its own; below the axes it would be cut off.
    figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    save(figure, path, dpi=150)


def plot_gantt(slots: list[Slot], path: str, *, title: str = "") -> None:
    """Draw a pipeline schedule.

    Parameters
    ----------
    slots : list of Slot
        The schedule.
    path : str
        ``.svg``, ``.png`` or ``.pdf``.
    title : str
        Heading.
    """
    stages = 1 + max(slot.stage for slot in slots)
    figure = _figure((10.0, 1.2 + 0.35 * stages))
    axes = figure.add_subplot()
    for back, color in ((False, "#4477aa"), (True, "#ccbb44")):
        own = [slot for slot in slots if slot.back == back]
        axes.barh(
            [slot.stage for slot in own], [slot.end - slot.start for slot in own], left=[slot.start for slot in own],
            color=color, edgecolor="white", linewidth=0.4, label="backward" if back else "forward",
        )  # fmt: skip
    axes.invert_yaxis()
    axes.set(xlabel="time (s)", ylabel="pipeline stage", yticks=range(stages))
    heading(axes, title)
    plain_axes(axes)
    # Beside the axes: inside it would hide a stage.
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    save(figure, path, dpi=150)
