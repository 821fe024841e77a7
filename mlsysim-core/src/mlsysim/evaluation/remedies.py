"""What would do where a scenario does not fit, does not keep up or breaks a limit: each change is asked again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from ..config import SimulationConfig
from ..errors import MlsysimError
from . import evaluate
from .scorecard import SystemEvaluation

__all__ = ["Remedy", "remedies"]

_MOST = 3
"""So many are proposed: they are where to begin, not a search."""

_MORE_DEVICES = (2, 3, 4, 6, 8, 16, 32, 64, 128)
"""Times as many devices to try where a share of the work is not known; the first that does is proposed."""

_OPTIONS = ("system.devices", "workload.batch", "workload.precision", "workload.recompute", "workload.weights")
"""Keys that have an option of their name."""

_FEWER_BITS = ({"workload.precision": "fp8"}, {"workload.weights": "int4"})
_LESS_STATE: tuple[dict[str, str], ...] = (
    {"parallelism.micro_batch": "1"},
    {"parallelism.micro_batch": "1", "workload.recompute": "full"},
    {"parallelism.micro_batch": "1", "workload.recompute": "full", "workload.adapter": "16"},
)


class Remedy(NamedTuple):
    """Changes of a scenario that answer it well.

    Parameters
    ----------
    changes : dict of str to str
        Key of the scenario to its value.
    evaluation : SystemEvaluation
        The answer with them.
    """

    changes: Mapping[str, str]
    evaluation: SystemEvaluation

    @property
    def words(self) -> str:
        """The changes as options of the command line."""
        said = []
        for key, value in self.changes.items():
            name = key.rpartition(".")[2]
            said.append(f"--{name} {value}" if key in _OPTIONS else f"--set {name}={value}")
        return " ".join(said)


def remedies(evaluation: SystemEvaluation) -> list[Remedy]:
    """Find small changes with which a scenario fits, keeps up and keeps its limits.

    Parameters
    ----------
    evaluation : SystemEvaluation
        The scorecard of what does not.

    Returns
    -------
    list of Remedy
        None where all is good, or where none of the usual changes helps.
    """
    config = evaluation.config
    if config is None or not config.document.data or not (evaluation.infeasible or evaluation.violations):
        return []
    found = (next(filter(None, (_asked(config, change) for change in way)), None) for way in _ways(evaluation, config))
    return list(islice(filter(None, found), _MOST))


def _asked(config: SimulationConfig, changes: Mapping[str, str]) -> Remedy | None:
    """Ask again with some keys set."""
    try:
        answer = evaluate(config.changed(changes))
    except MlsysimError:
        return None  # the device, the model or the layout does not allow it
    return Remedy(changes, answer) if answer.exit_code == 0 else None


def _ways(evaluation: SystemEvaluation, config: SimulationConfig) -> Iterator[Iterator[dict[str, str]]]:
    """Yield what may help, each in steps of which the first that does is enough."""
    scenario = config.scenario
    batch = int(getattr(scenario.workload, "batch", 0) or 0)
    if "feasibility.fits" in evaluation.infeasible and scenario.kind == "training":
        yield from (iter([change]) for change in _LESS_STATE)
    most = evaluation.answers.get("feasibility.max_batch")
    if scenario.kind != "training":
        first = [int(most.value)] if most is not None and 1 <= most.value < batch else []
        yield ({"workload.batch": str(size)} for size in (*first, *_halves(first[0] if first else batch)))
    yield _more_devices(evaluation, config)
    if scenario.kind in ("serving", "traffic"):
        yield from (iter([change]) for change in _FEWER_BITS)


def _halves(batch: int) -> Iterator[int]:
    while batch > 1:
        batch //= 2
        yield batch


def _more_devices(evaluation: SystemEvaluation, config: SimulationConfig) -> Iterator[dict[str, str]]:
    """Yield more devices: more copies where a layout is named, else as many as the layout that is assumed divides."""
    scenario, layout = config.scenario, config.scenario.parallelism
    if scenario.pools is not None:
        return
    capacity = evaluation.answers.get("performance.capacity")
    rate = getattr(scenario.workload, "rate", None)
    need = math.ceil(rate / capacity.value) if rate and capacity is not None and capacity.value > 0 else 1
    for times in sorted({*_MORE_DEVICES, need, need + 1} - {0, 1}):
        devices = scenario.system.devices * times
        copies = {} if layout.degrees == 1 else {"parallelism.data": str(layout.data * times)}
        yield {"system.devices": str(devices), **copies}
