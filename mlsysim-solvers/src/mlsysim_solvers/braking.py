"""Whether a vehicle that sees an obstacle at the edge of its sensors' reach can stop before it."""

from __future__ import annotations

from mlsysim.errors import ConfigError
from mlsysim.solving import Columns, Request
from mlsysim.tracing import named

from .formulas.constants import STANDARD_GRAVITY
from .formulas.edge import braking_distance, latency_budget, stopping_distance

__all__ = ["BrakingSolver"]


class BrakingSolver:
    """Distance driven during the latency, plus the braking distance, against the reach."""

    def prepare(self, request: Request) -> Columns:
        """Flatten vehicle and latency into columns.

        Parameters
        ----------
        request : Request
            With the settings ``speed``, ``friction`` and ``reach`` and the latency of one pass.

        Returns
        -------
        dict
            Columns in SI; see the spec in :mod:`mlsysim_solvers.declarations.braking`.

        Raises
        ------
        ConfigError
            If speed, friction or reach is 0.
        """
        for name in ("speed", "friction", "reach"):
            if not request.settings[name]:
                raise ConfigError(f"a {name} of 0", where=f"settings.braking.{name}", remedy="Give more than 0")
        return {
            **request.settings,
            "latency": request.inputs["performance.latency"],
            "gravity": STANDARD_GRAVITY,
        }

    def compute(self, columns: Columns) -> Columns:
        """Return stopping distance and latency budget.

        Parameters
        ----------
        columns : dict
            As :meth:`prepare` returned, numbers or arrays.

        Returns
        -------
        dict
            Outputs in SI.
        """
        braking = braking_distance(columns["speed"], columns["friction"], columns["gravity"])
        reaction = named(columns["sensing"] + columns["latency"] + columns["actuation"], "sense, compute and actuate")
        budget = named(latency_budget(columns["reach"], braking, columns["speed"]), "time before braking must start")
        fixed = named(columns["sensing"] + columns["actuation"], "sensing and actuation")
        allowed = named(budget - fixed, "latency budget")
        return {
            "performance.stopping_distance": stopping_distance(columns["speed"], reaction, braking),
            "performance.latency_budget": allowed,
            "performance.latency_margin": allowed - columns["latency"],
        }
