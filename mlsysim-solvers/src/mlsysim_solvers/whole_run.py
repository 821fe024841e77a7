"""What performance answers for money and energy, where a solver answers for the whole training run too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .declarations.common import ENDS
from .formulas.run import effective_rate_of_run

__all__ = ["whole_run"]


def whole_run(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what performance answers for money and energy: all of a run, and work that stays.

    Parameters
    ----------
    inputs : mapping of str to number
        Outputs of the performance solver and of the solver of the whole run, by full name.

    Returns
    -------
    inputs : dict of str to number
        By short name; ``run_time`` is the wall-clock time of the run, and rates of work count what failures,
        checkpoints, stragglers and evaluation leave of them.
    assumptions : tuple of str
        That the steps alone are counted, where nobody answered for the run.
    """
    found = {name.removeprefix("performance."): value for name, value in inputs.items() if name != ENDS}
    share = found.pop("goodput", None)
    for name in ("throughput", "token_throughput"):
        if share is not None and name in found:
            found[name] = effective_rate_of_run(found[name], share)
    wall, spread = found.pop("time_to_train", None), found.pop("time_to_train.log_sd", None)
    if wall is None:
        alone = ("cost and energy of the run: of its steps alone, since nobody answered for the whole run",)
        return found, alone if "run_time" in found else ()
    found["run_time"] = wall
    if spread is not None:
        found["run_time.log_sd"] = spread
    return found, ()
