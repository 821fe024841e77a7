"""What this distribution gives to mlsysim, through the same hooks as any other plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlsysim.hookspecs import hookimpl
from mlsysim.solving import SolverSpec

from .declarations.battery import BATTERY
from .declarations.braking import BRAKING
from .declarations.distributed import DISTRIBUTED
from .declarations.dynamic_batching import DYNAMIC_BATCHING
from .declarations.economics import ECONOMICS
from .declarations.in_flight import IN_FLIGHT
from .declarations.parallel_serving import PARALLEL_SERVING
from .declarations.run import WHOLE_RUN
from .declarations.single_node import SINGLE_NODE
from .declarations.sustainability import SUSTAINABILITY

__all__ = ["mlsysim_register_commands", "mlsysim_register_solvers"]


@hookimpl
def mlsysim_register_solvers() -> Iterable[SolverSpec]:
    """Offer the solvers of this distribution.

    Returns
    -------
    iterable of SolverSpec
    """
    return [
        SINGLE_NODE, DISTRIBUTED, PARALLEL_SERVING, IN_FLIGHT, DYNAMIC_BATCHING, WHOLE_RUN, ECONOMICS,
        SUSTAINABILITY, BATTERY, BRAKING,
    ]  # fmt: skip


@hookimpl
def mlsysim_register_commands(commands: Any) -> None:
    """Add ``mlsysim validate``, ``mlsysim calibrate``, ``mlsysim optimize`` and ``mlsysim step``.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add them.
    """
    from .calibration.command import add_calibrate_command
    from .optimize.command import add_optimize_command
    from .step_command import add_step_command
    from .validation.command import add_validate_command

    add_validate_command(commands)
    add_calibrate_command(commands)
    add_optimize_command(commands)
    add_step_command(commands)
