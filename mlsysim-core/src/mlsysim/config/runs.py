"""What a scenario says of its whole run must fit together: no part of it may be without effect."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..errors import Fault
from ..records import Cluster, Run, Training

__all__ = ["length_faults", "run_faults"]

_PREFIX = "workload.run."


def run_faults(run: Run, cluster: Cluster | None, answered: Collection[str] = ()) -> Iterator[Fault]:
    """Find what does not fit together.

    Parameters
    ----------
    run : Run
        What a training scenario says of its run.
    cluster : Cluster or None
        The cluster that may know storage, failures and restarts.
    answered : collection of str
        Outputs of the installed solvers, which may know them too.

    Yields
    ------
    Fault
    """
    yield from _evaluation(run)
    yield from _stragglers(run)
    fields = {"storage_bandwidth": "storage", "device_mtbf": "device_mtbf", "restart_time": "restart"}
    known = {
        name: bool(getattr(run, name) or getattr(cluster, field, None) or f"performance.{name}" in answered)
        for name, field in fields.items()
    }
    yield from _failures(run, known)
    yield from _checkpoints(run, known)


def length_faults(workload: Training) -> Iterator[Fault]:
    """Find a run that is shorter than one of its steps.

    Parameters
    ----------
    workload : Training
        The job.

    Yields
    ------
    Fault
    """
    for name, given, step in (("samples", workload.samples, workload.batch),
                              ("tokens", workload.tokens, workload.batch * workload.sequence)):  # fmt: skip
        if 0.0 < given < step:
            yield Fault(
                f"{given:,.0f} {name} are less than one step, which takes {step:,}", where=f"workload.{name}",
                remedy="Give more, or a smaller batch; without it the step alone is answered",
            )  # fmt: skip


def _fault(name: str, what: str, remedy: str) -> Fault:
    return Fault(what, where=_PREFIX + name, remedy=remedy)


def _evaluation(run: Run) -> Iterator[Fault]:
    if run.evaluation_interval and run.evaluation_steps:
        yield _fault("evaluation_steps", "the time between evaluations is given twice", "Give samples or steps")
    every = run.evaluation_interval or run.evaluation_steps
    if every and not run.evaluation_samples:
        yield _fault("evaluation_samples", "nothing says how many samples an evaluation reads", "Give it")
    if run.evaluation_samples and not every:
        yield _fault(
            "evaluation_interval", "nothing says how often the run is evaluated",
            "Give evaluation_interval in samples or evaluation_steps",
        )  # fmt: skip


def _stragglers(run: Run) -> Iterator[Fault]:
    if run.straggler_variation and run.straggler_slowdown:
        yield _fault("straggler_slowdown", "stragglers are given twice", "Give their variation or their slow-down")
    if 0.0 < run.straggler_slowdown < 1.0:
        yield _fault(
            "straggler_slowdown", f"{run.straggler_slowdown:g} makes steps shorter",
            "Give 1 or more: 1.05 is 5 % longer",
        )  # fmt: skip


def _failures(run: Run, known: dict[str, bool]) -> Iterator[Fault]:
    if run.device_mtbf and not known["storage_bandwidth"]:
        yield _fault(
            "storage_bandwidth", "failures are given, and nothing says how fast checkpoints are written",
            "Give the write rate of the storage for the whole job",
        )  # fmt: skip
    if run.device_mtbf and not known["restart_time"]:
        yield _fault("restart_time", "failures are given, and nothing says how long a restart takes", "Give it")
    if run.restart_time and not known["device_mtbf"]:
        yield _fault("restart_time", "it changes nothing without failures", "Give device_mtbf too, or leave it out")


def _checkpoints(run: Run, known: dict[str, bool]) -> Iterator[Fault]:
    if not 0.0 <= run.checkpoint_blocking <= 1.0:
        yield _fault("checkpoint_blocking", f"{run.checkpoint_blocking:g} is not a share", "Give 0 to 1")
    if run.checkpoint_interval and not known["storage_bandwidth"]:
        yield _fault(
            "storage_bandwidth", "checkpoints are wanted, and nothing says how fast they are written",
            "Give the write rate of the storage for the whole job",
        )  # fmt: skip
    written = known["device_mtbf"] or run.checkpoint_interval
    if run.storage_bandwidth and not written:
        yield _fault(
            "storage_bandwidth", "it changes nothing without checkpoints", "Give checkpoint_interval or device_mtbf too"
        )
    if run.checkpoint_blocking != 1.0 and not written:
        yield _fault(
            "checkpoint_blocking", "it changes nothing without checkpoints",
            "Give checkpoint_interval or device_mtbf too",
        )  # fmt: skip
